"""No answer that is none earns a point in any lab.

Every 24th lie is told to each lab, each time others; DLCOURSE_ALL_TESTS=1 tells all of them.
"""

import os

import pytest

from dlcourse import course
from dlcourse.check.pytest_plugin import run_session
from dlcourse.check.record import COULD_NOT
from dlcourse.check.student import InProcessChannel, Student

from support import liars

LABS = [lab.short for lab in course.labs()]
STEP = 1 if os.environ.get("DLCOURSE_ALL_TESTS") else 24


@pytest.mark.parametrize("short", LABS)
def test_lies_earn_nothing(short, tmp_path):
    lab, file = course.find_lab(short), tmp_path / "answer.py"
    solution, scores, outcomes = lab.solution.read_text(encoding="utf-8"), {}, set()

    def work(session):
        for name in list(liars.LIES)[LABS.index(short) % STEP :: STEP]:
            text = liars.source(solution, lab.functions, liars.LIES[name])
            file.write_text(text, encoding="utf-8")
            channel = InProcessChannel(file, lab.name, "answer.py")
            tests = session.grade(lambda _: Student(channel), {}, {})  # noqa: B023 (called at once)
            scores[name] = sum(test.score for test in tests)
            outcomes.update(test.outcome for test in tests)

    run_session(lab, work)
    assert scores == dict.fromkeys(scores, 0)
    assert not outcomes & {COULD_NOT, "import failure", "missing"}
