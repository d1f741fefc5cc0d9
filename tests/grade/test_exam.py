"""Exams: the sheets, their key, and the file for Moodle."""

import csv
import html
import re

import pytest

from dlcourse import course, quiz
from dlcourse.errors import UsageError
from dlcourse.grade import exam
from dlcourse.quiz import Choice, Question

ODD = Question(
    "What is {x : x = 1} ~ 5 #1, and 50% of a\\b <i>x</i>?",
    (
        Choice("=1", True, "Because: x = 1."),
        Choice("~2 # 3", False, "{No}."),
        Choice("a\\nb", False, "Half: no."),
        Choice("<b>4</b>", False, "No."),
    ),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("exam")
    labs = exam.labs_named("lab01-lab03,5")
    paths = exam.write(labs, out, seed=7, questions=10, sheets=3)
    return out, {path.name: path.read_text(encoding="utf-8") for path in paths}


def sheet_of(text):
    """The questions of a sheet as (text, [choices])."""
    found = []
    for block in re.findall(r"<li>(?!<span)(.*?)</ol></li>", text, re.DOTALL):
        question, choices = block.split('<ol class="choices">')
        spans = re.findall(r"<span>[abcd]\)</span><span>(.*?)</span>", choices)
        found.append((html.unescape(question.strip()), [html.unescape(span) for span in spans]))
    return found


def read_gift(text):
    """Read multiple-choice questions by the rules of Moodle's importer.

    question/format/gift/format.php: a question ends at a blank line; escaped characters are
    replaced before anything is split; "::name::", "[format]" and "{...}" come in this order;
    "=" and "~" start a choice, "#" its feedback.
    """
    special = {rf"\{sign}": f"&&{ord(sign):03};" for sign in ":#={}~"} | {r"\n": "&&010;"}

    def shown(part):
        for sign, placeholder in special.items():
            part = part.replace(placeholder, "\n" if sign == r"\n" else sign[1:])
        return part.strip()

    questions = []
    for block in re.split(r"\n\s*\n", text.strip()):
        block = block.replace("\\\\", "&&092;")
        for sign, placeholder in special.items():
            block = block.replace(sign, placeholder)
        block = block.replace("&&092;", "\\")
        match = re.fullmatch(r"::(.*?)::\[plain\](.*?)\{(.*)\}", block.strip(), re.DOTALL)
        assert match is not None, block
        name, question, answers = match.groups()
        choices = []
        for sign, answer in re.findall(r"([=~])([^=~]*)", answers):
            choice, why = answer.split("#")
            choices.append(Choice(shown(choice), sign == "=", shown(why)))
        questions.append((shown(name), Question(shown(question), tuple(choices))))
    return questions


def test_every_sheet_has_the_same_questions_in_another_order(written):
    _, files = written
    sheets = [sheet_of(files[f"sheet_{letter}.html"]) for letter in "ABC"]
    texts = [[question for question, _ in sheet] for sheet in sheets]
    assert [len(sheet) for sheet in sheets] == [10, 10, 10]
    assert set(texts[0]) == set(texts[1]) == set(texts[2])
    assert texts[0] != texts[1] != texts[2]


def test_the_key_names_the_right_choice_of_each_sheet(written):
    _, files = written
    right = {
        question.text: choice.text
        for lab in exam.labs_named("1-3,5")
        for question in quiz.load(lab)
        for choice in question.choices
        if choice.right
    }
    rows = list(csv.DictReader(files["key.csv"].splitlines()))
    assert len(rows) == 30
    for row in rows:
        question, choices = sheet_of(files[f"sheet_{row['sheet']}.html"])[int(row["question"]) - 1]
        assert question == row["text"]
        assert choices["abcd".index(row["right"])] == right[question]


def test_the_letters_of_the_right_choices_are_spread(written):
    _, files = written
    letters = {row["right"] for row in csv.DictReader(files["key.csv"].splitlines())}
    assert letters == set("abcd")


def test_no_sheet_shows_a_reason(written):
    _, files = written
    reasons = [
        choice.why
        for lab in exam.labs_named("1-3,5")
        for question in quiz.load(lab)
        for choice in question.choices
    ]
    for letter in "ABC":
        text = html.unescape(files[f"sheet_{letter}.html"])
        assert not [reason for reason in reasons if reason in text]


def test_each_lab_gives_as_many_questions_as_the_others(written):
    _, files = written
    rows = [row for row in csv.DictReader(files["key.csv"].splitlines()) if row["sheet"] == "A"]
    counts = [
        sum(row["lab"] == lab for row in rows) for lab in ("lab01", "lab02", "lab03", "lab05")
    ]
    assert sorted(counts) == [2, 2, 3, 3]


def test_a_seed_gives_the_same_exam(written, tmp_path):
    _, files = written
    labs = exam.labs_named("lab01-lab03,5")
    again = exam.write(labs, tmp_path, seed=7, questions=10, sheets=3)
    assert {path.name: path.read_text(encoding="utf-8") for path in again} == files


def test_an_exam_is_not_overwritten(written):
    out, files = written
    with pytest.raises(UsageError, match="holds an exam; name another folder"):
        exam.write(exam.labs_named("5"), out, seed=8)
    assert (out / "key.csv").read_text(encoding="utf-8") == files["key.csv"]


def test_moodle_reads_each_question_of_the_course():
    entries = [(lab.short, question) for lab in course.labs() for question in quiz.load(lab)]
    found = read_gift(exam.as_gift(entries))
    assert [question for _, question in found] == [question for _, question in entries]
    assert len({name for name, _ in found}) == len(found)


def test_moodle_reads_characters_with_a_meaning_as_text():
    assert read_gift(exam.as_gift([("lab01", ODD)])) == [("lab01 01", ODD)]


def test_a_sheet_shows_markup_as_text(written):
    from dlcourse.page import render

    text = render("grade/exam_sheet.html.jinja", title="t", questions=[ODD], letters="abcd")
    assert "<b>" not in text
    assert sheet_of(text) == [(ODD.text, [choice.text for choice in ODD.choices])]
