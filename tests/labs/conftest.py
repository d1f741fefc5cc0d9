"""`pytest tests/labs` tests the student's file of a lab; as long as nobody has written into it, the
solution, where there is one. The last lines of the output say which."""

import pytest

from dlcourse import course
from dlcourse.check.student import InProcessChannel, Student


def file_under_test(lab):
    """The script that the tests of `lab` are about."""
    if not lab.solution.is_file():
        return lab.student
    from dlcourse.grade.student_version import generate

    handed_out = generate(lab.solution.read_text(encoding="utf-8"), lab.solution.name)
    if lab.student.is_file() and lab.student.read_text(encoding="utf-8") != handed_out:
        return lab.student
    return lab.solution


@pytest.fixture(scope="module")
def channel(request):
    lab = course.find_lab(request.path.stem.removeprefix("test_"))
    path = file_under_test(lab)
    request.config.stash.setdefault(TESTED, []).append(path.relative_to(lab.root).as_posix())
    return InProcessChannel(path, lab.name)


@pytest.fixture
def student(channel):
    return Student(channel)


TESTED = pytest.StashKey[list]()


def pytest_terminal_summary(terminalreporter, config):
    for name in config.stash.get(TESTED, []):
        terminalreporter.write_line(f"tested: {name}")
