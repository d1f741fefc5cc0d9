"""Grade many wrong or right answers to a lab with one worker, each until its first lost point."""

from pathlib import Path

from dlcourse import course
from dlcourse.check.pytest_plugin import worth
from dlcourse.grade.job import LEAST_S, BatchSettings, Job
from dlcourse.grade.work import FACTOR

from support.mutants import mutants
from support.warm import WarmWorker

HERE = Path(__file__).parent
# "lab05", ...: every lab that has right answers of another shape
LABS = sorted(path.stem.removeprefix("alternatives_") for path in HERE.glob("alternatives_*.py"))


class Lost(Exception):  # noqa: N818 (not an error: it ends a run early)
    """Raised at the first test that did not pass; `args[0]` is its record."""


class Sweep(WarmWorker):
    """Grade submissions to one lab, for example "lab05".

    The solution is graded once at the start, and its times give the time limits.
    """

    def __init__(self, lab):
        self.lab = course.find_lab(lab)
        self.solution = self.lab.solution.read_text(encoding="utf-8")
        self.task, self.alone, self.visible = None, False, False
        super().__init__(BatchSettings(self.lab))
        tests = self.grade(Job(self.solution.encode(), {"": 60.0}, 60.0, 600.0))
        self.failed = [(test.name, test.outcome, test.reason) for test in tests if not test.passed]
        self.limits = {test.name: max(LEAST_S, FACTOR * test.seconds) for test in tests}

    def first_lost(self, source, task, *, alone=False, visible=False):
        """Return the record of the first test that `source` does not pass, or None.

        The tests of `task` run first. alone: run no others. visible: run no hidden tests, as on a
        student's machine.
        """
        self.task, self.alone, self.visible = task, alone, visible
        return self.grade(Job(source.encode(), {"": 5.0, **self.limits}, LEAST_S))

    def all_of(self, source):
        """Return the records of all tests."""
        self.task = None
        return self.grade(Job(source.encode(), {"": 5.0, **self.limits}, LEAST_S))

    def grade_now(self, session, job):
        if self.task is None:
            return super().grade_now(session, job)
        items = list(session.items)
        session.items.sort(key=lambda item: worth(item).task != self.task)
        if self.alone:
            session.items = [item for item in session.items if worth(item).task == self.task]
        if self.visible:
            session.items = [item for item in session.items if not worth(item).hidden]
        session.run = lambda item, following: stop_at_loss(session, item, following)
        try:
            tests = super().grade_now(session, job)
            # A forbidden name is found only after all tests have run.
            return next((test for test in tests if not test.passed), None)
        except Lost as lost:
            return lost.args[0]
        finally:
            session.items = items
            del session.run

    def shaped(self, answers, *names):
        """Return the solution with the right answers called `names` instead of its own."""
        before, _, _ = self.solution.partition('if __name__ == "__main__":')
        return before + answers.IMPORTS + "".join(answers.ALTERNATIVES[name] for name in names)

    def mutants(self):
        """Yield (label, function that makes its source, task) for each mutant of the solution."""
        for label, make in dict(mutants(self.solution)).items():
            yield label, make, label.split()[0]


def stop_at_loss(session, item, following):
    test = type(session).run(session, item, following)
    if not test.passed:
        raise Lost(test)
    return test
