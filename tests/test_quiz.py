"""The labs' quizzes: how they are read, packed and asked."""

import io
import random
import re

import pytest

from dlcourse import course, notebook, quiz
from dlcourse import lab as lab_of_notebook
from dlcourse.cli import main
from dlcourse.errors import UsageError

LABS = [lab for lab in course.labs() if lab.solution.is_file()]
BLOCK = """x = 1
# BEGIN QUIZ
# Q: How many sides has
#     a triangle?
# + 3 | By its name.
# - 4 | A square has four.
# - 5 | A pentagon has
#     five.
# - 6 | A hexagon has six.
# END QUIZ
y = 2
"""


def answers(*lines):
    """A `read_line` that gives `lines` and then ends, as a closed terminal does."""
    left = list(lines)

    def read_line(_prompt):
        if not left:
            raise EOFError
        return left.pop(0)

    return read_line


@pytest.fixture
def lab(tmp_path):
    for name in ("solutions/lab01_sides.py", "tests/labs/test_lab01_sides.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("" if "test" in name else f'"""Lab 01: sides."""\n{BLOCK}')
    return course.find_lab("lab01", tmp_path)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.short)
def test_each_lab_asks_six_to_ten_questions_that_differ(lab):
    questions = quiz.load(lab)
    assert 6 <= len(questions) <= 10
    assert len({question.text for question in questions}) == len(questions)
    for question in questions:
        assert sum(choice.right for choice in question.choices) == 1
        assert len({choice.text for choice in question.choices}) == 4
        assert all(choice.why.endswith(".") for choice in question.choices), question.text


def test_a_question_continues_over_lines():
    (question,) = quiz.read(BLOCK)
    assert question.text == "How many sides has a triangle?"
    assert [choice.text for choice in question.choices] == ["3", "4", "5", "6"]
    assert [choice.right for choice in question.choices] == [True, False, False, False]
    assert question.choices[2].why == "A pentagon has five."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# + 3 | By its name.", "# - 3 | By its name.", "f.py:3: .* 4 choices, 0 with '\\+'"),
        ("# - 4 | A", "# + 4 | A", "f.py:3: .* 4 choices, 2 with '\\+'"),
        ("# - 4 | A square has four.\n", "", "f.py:3: .* 3 choices, 1 with '\\+'"),
        ("# - 4 |", "# - 3 |", "f.py:3: .* four different choices"),
        ("# - 4 | A square has four.", "# - 4", "f.py:6: expected '# \\+ choice | reason'"),
        ("# Q: How", "# How", "f.py:3: a quiz starts with '# Q"),
    ],
)
def test_a_damaged_quiz_names_the_line(old, new, message):
    assert old in BLOCK
    with pytest.raises(UsageError, match=message):
        quiz.read(BLOCK.replace(old, new), "f.py")


def test_a_source_without_its_quiz_keeps_the_rest():
    assert quiz.without_quiz(BLOCK) == "x = 1\ny = 2\n"


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.short)
def test_no_student_file_or_notebook_holds_a_question(lab):
    questions = quiz.load(lab)
    texts = [lab.student.read_text(encoding="utf-8")] if lab.student.is_file() else []
    texts.append(notebook.as_notebook(lab.solution.read_text(encoding="utf-8"), lab.short))
    for text in texts:
        assert quiz.BEGIN not in text
        assert not any(question.choices[0].why[:40] in text for question in questions)


def test_packed_questions_come_back_and_are_not_readable():
    questions = quiz.read(BLOCK)
    text = quiz.pack(questions)
    assert quiz.unpack(text) == questions
    assert "square" not in text


def test_a_bundle_asks_from_the_packed_file(lab):
    lab.quiz.parent.mkdir(parents=True)
    lab.quiz.write_text(quiz.pack(quiz.read(BLOCK)))
    lab.student.write_text("")
    lab.solution.unlink()
    assert quiz.load(lab) == quiz.read(BLOCK)
    lab.quiz.write_text("not packed")
    with pytest.raises(UsageError, match="is damaged"):
        quiz.load(lab)


def test_a_right_answer_is_explained(lab):
    said = []
    (key,) = (question.key for question in shuffled(lab, seed=4))
    assert quiz.ask(lab, seed=4, read_line=answers(key), write=said.append) == 1
    assert said[-2:] == ["Right. By its name.", "\n1 of 1 answers are right."]


def test_a_wrong_answer_gets_its_reason_and_the_right_choice(lab):
    said = []
    (question,) = shuffled(lab, seed=4)
    wrong = next(letter for letter in quiz.LETTERS if letter != question.key)
    assert quiz.ask(lab, seed=4, read_line=answers(wrong), write=said.append) == 0
    assert said[-4].startswith("Wrong. A ")
    assert said[-3] == f"The right answer is {question.key}) 3"
    assert said[-2] == "By its name."


def test_an_unknown_letter_is_asked_again(lab):
    said = []
    (question,) = shuffled(lab, seed=4)
    read_line = answers("", "e", "ab", f" {question.key.upper()}) ")
    assert quiz.ask(lab, seed=4, read_line=read_line, write=said.append) == 1


@pytest.mark.parametrize("lines", [(), ("q",)], ids=["the input ends", "q"])
def test_a_quiz_may_end_early(lab, lines):
    said = []
    assert quiz.ask(lab, read_line=answers(*lines), write=said.append) == 0
    assert said[-2:] == ["\n0 of 0 answers are right.", "1 questions are left."]


def shuffled(lab, seed):
    rng = random.Random(seed)
    return [question.shuffled(rng) for question in quiz.load(lab)]


def test_the_command_asks_a_lab(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["quiz", "lab05"]) == 0
    assert "1. " in capsys.readouterr().out


def test_a_notebooks_cell_asks_a_lab(monkeypatch, capsys):
    monkeypatch.setitem(quiz.ask.__kwdefaults__, "read_line", answers("a", "q"))
    lab_of_notebook.quiz("lab05")
    assert "of 1 answers are right." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["quiz"], "one of the arguments LAB --exam is required"),
        (["quiz", "lab99"], "there is no lab99"),
        (["quiz", "lab05", "--sheets", "2"], "--sheets belongs to --exam"),
        (["quiz", "--exam", "lab05"], "--exam needs --out"),
        (["quiz", "--exam", "lab05", "--out", "x", "--sheets", "0"], "--sheets must be from 1"),
        (["quiz", "--exam", "5", "--out", "x", "--questions", "99"], "--questions must be from 1"),
        (["quiz", "--exam", "lab06-lab01", "--out", "x"], "holds no lab"),
        (["quiz", "--exam", "1--2", "--out", "x"], "--exam expects labs"),
    ],
)
def test_bad_input_is_one_line(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(course.find_course())
    argv = [str(tmp_path / "x") if word == "x" else word for word in argv]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_nobody_can_guess_the_seed_of_an_exam(tmp_path, capsys):
    seeds = []
    for number in range(2):
        assert main(["quiz", "--exam", "lab05", "--out", str(tmp_path / str(number))]) == 0
        seeds += re.findall(r"the same exam again: --seed (\d+)", capsys.readouterr().out)
    assert len(set(seeds)) == 2
    again = tmp_path / "again"
    assert main(["quiz", "--exam", "lab05", "--out", str(again), "--seed", seeds[1]]) == 0
    assert (again / "key.csv").read_text() == (tmp_path / "1" / "key.csv").read_text()
