"""Student versions: cut from their solutions, up to date, and with no answer left in them."""

import ast

import pytest

from dlcourse import course
from dlcourse.errors import UsageError
from dlcourse.grade.student_version import generate, surviving_lines, write

LABS = [lab for lab in course.labs() if lab.solution.is_file()]
SOLUTION = '''"""Which sum is the greatest?"""


def add(a, b):
    """Sum."""
    # Task 9.1 (2 points). Hint: there is
    # an operator for that.
    # BEGIN SOLUTION
    total = a + b
    return total
    # END SOLUTION


class Pair:
    def __init__(self, a):
        # Task 9.2 (1.5 points).
        # BEGIN SOLUTION
        self.a = a
        # END SOLUTION

    def double(self):
        # Task 9.2, continued.
        # BEGIN SOLUTION
        return 2 * self.a
        # END SOLUTION
'''


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_lab_equals_what_its_solution_generates(lab):
    source = lab.solution.read_text(encoding="utf-8")
    assert lab.student.read_text(encoding="utf-8") == generate(source), "run: dlcourse labs --write"


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_no_line_of_the_solution_survives_in_the_lab(lab):
    text = lab.student.read_text(encoding="utf-8")
    assert surviving_lines(text, lab.solution.read_text(encoding="utf-8")) == []


def test_every_lab_has_a_solution():
    assert [lab.name for lab in course.labs() if not lab.solution.is_file()] == []


def test_block_becomes_the_task_and_the_name():
    text = generate(SOLUTION)
    ast.parse(text)
    assert '    raise NotImplementedError("task 9.1: add")\n' in text
    assert '        raise NotImplementedError("task 9.2: Pair")\n' in text
    assert '        raise NotImplementedError("task 9.2: Pair.double")\n' in text
    assert "SOLUTION" not in text
    assert "total" not in text
    assert '"""Sum."""' in text


def test_block_of_comments_answers_a_question_and_goes_without_a_trace():
    question, answer = "# Why does it add?\n", "# It was asked to.\n"
    source = f"{SOLUTION}\n# %% [markdown]\n{question}# BEGIN SOLUTION\n{answer}# END SOLUTION\n"
    text = generate(source)
    assert text.endswith(question)
    assert answer not in text
    assert text.count("raise NotImplementedError") == SOLUTION.count("BEGIN")
    assert surviving_lines(source, source)[-1] == answer.strip()


def test_surviving_line_is_found():
    assert surviving_lines(SOLUTION, SOLUTION) == [
        "total = a + b",
        "return total",
        "self.a = a",
        "return 2 * self.a",
    ]
    assert surviving_lines(generate(SOLUTION), SOLUTION) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    # END SOLUTION\n\n\nclass",
            "\n\nclass",
            "s.py:16: BEGIN SOLUTION inside the block opened at line 8",
        ),
        (
            "    # BEGIN SOLUTION\n    total",
            "    total",
            "s.py:10: END SOLUTION without a BEGIN SOLUTION",
        ),
        (
            "        return 2 * self.a\n        # END SOLUTION\n",
            "        return 2 * self.a\n",
            "s.py:23: BEGIN SOLUTION without an END SOLUTION",
        ),
        (
            'def add(a, b):\n    """Sum."""\n',
            "if True:\n",
            "s.py:7: a solution block must stand in a function",
        ),
        ("# Task 9.1", "# Tsk 9.1", "s.py:8: no '# Task N.N (P points).' comment above"),
        ("total = a + b", "total = a +", "s.py:9: the solution does not parse: invalid syntax"),
    ],
)
def test_unsound_solution_gives_one_clear_error(old, new, message):
    with pytest.raises(UsageError) as caught:
        generate(SOLUTION.replace(old, new), "s.py")
    assert str(caught.value) == message


@pytest.fixture
def tiny_course(tmp_path):
    for folder in ("labs", "solutions", "tests/labs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "solutions" / "lab09_sums.py").write_text(SOLUTION)
    (tmp_path / "solutions" / "lab10_more.py").write_text(SOLUTION)
    return tmp_path


def test_tasks_are_read_with_points_names_and_hints(tiny_course):
    lab = course.find_lab("9", tiny_course)
    assert lab.title == "Which sum is the greatest?"
    assert lab.tasks == [
        course.Task("9.1", 2.0, "add", ("there is an operator for that.",)),
        course.Task("9.2", 1.5, "Pair", ()),
    ]


def test_lab_is_found_by_number_short_name_and_name(tiny_course):
    found = {course.find_lab(name, tiny_course).name for name in ("9", "09", "lab09", "lab09_sums")}
    assert found == {"lab09_sums"}
    with pytest.raises(UsageError) as caught:
        course.find_lab("lab19", tiny_course)
    assert str(caught.value) == "there is no lab19; choose one of lab09, lab10"


def test_course_is_found_from_a_folder_within(tiny_course, monkeypatch):
    monkeypatch.chdir(tiny_course / "tests" / "labs")
    assert course.find_course() == tiny_course


def test_write_reports_only_what_changed(tiny_course):
    there = course.labs(tiny_course)
    assert {path.name for path in write(there)} == {"lab09_sums.py", "lab10_more.py"}
    assert write(there) == []
    assert there[0].unwritten() == {"9.1", "9.2"}


def test_missing_script_is_said(tiny_course):
    with pytest.raises(UsageError, match=r"no file .*lab09_sums\.py; `dlcourse labs` lists"):
        course.load_script(tiny_course / "labs" / "lab09_sums.py")
