"""The examples in the docstrings are the first test of their task, in `check` and in `grade`."""

import pytest

from dlcourse import course
from dlcourse.check.examples import read_examples
from dlcourse.check.run import check as check_lab

from support import tiny

ADD = '''def add(a, b):
    """Return the sum.

    >>> add(1, 2)
    3
    >>> two = torch.tensor([1.0, 2.0])
    >>> [number + 0.5 for number in add(two, two).tolist()], add(two, ONE)
    ([2.5, 4.5], tensor([2., 3.]))
    """
'''
STEP = '''    def step(self, function):
        """Replace the count.

        >>> counter = Counter(start=3)
        >>> counter.step(lambda count: count / 3)
        1.0
        >>> counter.count
        1.0
        """
'''
SOLUTION = (
    tiny.SOLUTION.replace("def add(a, b):\n", ADD)
    .replace("    def step(self, function):\n", STEP)
    .replace("import torch\n", "import torch\n\nONE = torch.ones(2)\n", 1)
)


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path, SOLUTION)


def checked(lab, old, new):
    assert old in SOLUTION
    lab.student.write_text(SOLUTION.replace(old, new))
    return check_lab(lab)


def test_examples_come_first_and_give_no_points(lab):
    record = check_lab(lab, lab.solution)
    assert (record.score, record.max_score, record.exit_status) == (6, 6, 0)
    names = [test.name for test in record.tests if not test.hidden]
    assert names == [
        "test_examples_of_task_90_1", "test_add", "test_total",
        "test_examples_of_task_90_3", "test_counter",
    ]  # fmt: skip


def test_call_that_failed_is_shown(lab):
    first = checked(lab, "return a + b", "return a - b").tests[0]
    assert first.reason == "add(1, 2): expected 3, got -1"
    fourth = checked(lab, "self.count = function(self.count)", "function(self.count)").tests[3]
    assert fourth.reason == (
        "counter = Counter(start=3); counter.step(lambda count: count / 3): expected 1, got 3"
    )


def test_answer_that_fails_an_example_alone_has_not_passed(lab):
    record = checked(
        lab,
        "return a + b",
        "return a + b if a is not ONE and b is not ONE and str(b) != str(ONE) else b",
    )
    verdict = record.verdicts()[0]
    assert (verdict.score, verdict.max_score, verdict.outcome) == (2, 2, "wrong answer")
    assert record.exit_status == 1


def test_examples_that_a_student_edits_change_nothing(lab):
    lab.student.write_text(SOLUTION.replace("    3\n", "    -1\n").replace("a + b", "a - b"))
    assert check_lab(lab).tests[0].reason == "add(1, 2): expected 3, got -1"


def test_in_the_bundle_the_examples_are_those_of_the_lab_as_handed_out(lab):
    lab.handed_out.write_text(lab.student.read_text())
    lab.solution.unlink()
    lab.student.write_text(SOLUTION.replace("    3\n", "    -1\n").replace("a + b", "a - b"))
    assert check_lab(lab).tests[0].reason == "add(1, 2): expected 3, got -1"


@pytest.mark.parametrize("lab", course.labs(), ids=lambda lab: lab.short)
def test_every_task_has_an_example(lab):
    assert set(read_examples(lab.source)) >= {task.id for task in lab.tasks} - WITHOUT


# Training steps and whole epochs: no call of one line shows what they do.
WITHOUT = {"8.7", "11.3", "11.4"}
