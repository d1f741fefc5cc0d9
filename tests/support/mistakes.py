"""Typical mistakes of beginners, and what the visible tests say to them.

A file `mistakes_labNN.py` holds MISTAKES, a dict: "6.1 forgets the biases" -> Mistake. The key
begins with the task.
"""

import importlib
from pathlib import Path
from typing import NamedTuple

from dlcourse import course
from dlcourse.check.pytest_plugin import run_session, worth
from dlcourse.check.student import InProcessChannel, Student

HERE = Path(__file__).parent
LABS = sorted(path.stem.removeprefix("mistakes_") for path in HERE.glob("mistakes_lab*.py"))


class Mistake(NamedTuple):
    """A wrong answer: the solution with `new` instead of `old`, which occurs in it once.

    says: words that the message or the hint must contain, so that they answer this mistake.
    """

    old: str
    new: str
    says: str = ""

    def source(self, solution):
        assert solution.count(self.old) == 1, f"{self.old!r} is {solution.count(self.old)} times"
        source = solution.replace(self.old, self.new)
        compile(source, self.new, "exec")
        return source


def of_lab(lab):
    return importlib.import_module(f"support.mistakes_{lab}").MISTAKES


def verdicts(lab, sources, folder, *, hidden=False):
    """Return for each name in `sources` the records of its task's visible tests.

    sources: the text of a whole file for each name; a name begins with a task. hidden: run the
    task's hidden tests too.
    """
    lab, found = course.find_lab(lab), {}

    def work(session):
        chosen = [item for item in session.items if hidden or not worth(item).hidden]
        session.rules  # noqa: B018 (of all tasks; they are kept from the first time on)
        for name, source in sources.items():
            session.items = [item for item in chosen if worth(item).task == name.split()[0]]
            file = folder / "answer.py"
            file.write_text(source, encoding="utf-8")
            channel = InProcessChannel(file, lab.name, "answer.py")
            Student(channel)._ask("load")  # as `check` does: before the rule of a task holds
            found[name] = session.grade(lambda item, channel=channel: Student(channel), {}, {})

    run_session(lab, work)
    return found
