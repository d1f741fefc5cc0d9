"""A made-up lab of three tasks, for the tests of the grader."""

SOLUTION = '''"""Lab 90: sums."""

import torch


def add(a, b):
    # Task 90.1 (2 points). Hint: one operator.
    # BEGIN SOLUTION
    return a + b
    # END SOLUTION


def total(values):
    # Task 90.2 (3 points).
    # BEGIN SOLUTION
    result = 0
    for value in values:
        result = add(result, value)
    return result
    # END SOLUTION


class Counter:
    def __init__(self, start=0):
        # Task 90.3 (1 point).
        # BEGIN SOLUTION
        self.count = start
        # END SOLUTION

    def step(self, function):
        # Task 90.3, continued.
        # BEGIN SOLUTION
        self.count = function(self.count)
        return self.count
        # END SOLUTION
'''

TESTS = """
import pytest
import torch
from torch.testing import assert_close

from dlcourse.check import award, points


@points(1, task="90.1", hint="add, not subtract")
@pytest.mark.parametrize(("a", "b"), [(2, 0), (0, 0), (1, 2), (4, 4)])
def test_add(student, a, b):
    assert student.add(a, b) == a + b


@points(1, task="90.1", hint="elementwise", hidden=True)
def test_add_tensors(student):
    a, b = torch.arange(20.0), torch.arange(20.0).square()
    assert_close(student.add(a, b), a + b)


@points(3, task="90.2", needs=("90.1",), hint="start from 0")
def test_total(student):
    right = sum(student.total(values) == sum(values) for values in ([1], [1, 2], [3, 4, 5]))
    award(right / 3, f"{right} of 3 sums are right")


@points(1, task="90.3", hint="keep the count")
def test_counter(student):
    counter = student.Counter(start=2)
    assert counter.step(lambda count: count * 10) == 20
    assert counter.count == 20
    # The function that the student calls asks for something of the student's itself.
    assert counter.step(lambda count: student.Counter(count + 1).count) == 21
"""


def make_course(root, solution=SOLUTION, tests=TESTS, name="lab90_sums"):
    """Write the course with its one lab at `root`; return the lab."""
    from dlcourse import course
    from dlcourse.grade import student_version

    for folder in ("labs", "solutions", "tests/labs"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "solutions" / f"{name}.py").write_text(solution)
    (root / "tests" / "labs" / f"test_{name}.py").write_text(tests)
    student_version.write(course.labs(root))
    return course.find_lab(name, root)
