"""Likeness: copies are found through renaming, in notebooks and in most of a class."""

import base64
import math
import zlib
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

import dlcourse
from dlcourse import course
from dlcourse.errors import UsageError
from dlcourse.grade.packed import MAX_ALL, MAX_BRACES, inner_sources
from dlcourse.grade.similar import (
    as_text,
    fingerprints,
    from_package,
    packed,
    shared_lines,
    similar,
    write_pages,
)  # fmt: skip
from dlcourse.grade.student_version import starter
from dlcourse.grade.submissions import Submission, find_submissions

from support import exports, tiny

RECURSIVE = tiny.SOLUTION.replace(
    "    result = 0\n    for value in values:\n        result = add(result, value)\n"
    "    return result\n",
    "    if not values:\n        return 0\n    head, *tail = values\n"
    "    return head if not tail else add(head, total(tail))\n",
)


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path / "course")


def test_copies_are_found_through_renaming_and_honest_work_is_not(lab):
    copied = tiny.SOLUTION.replace("result", "x").replace("value", "item").replace("count", "c")
    submissions = [
        Submission("ada", "1", tiny.SOLUTION.encode()),
        Submission("bob", "2", f"# mine\n{copied}".encode()),
        Submission("cyd", "3", RECURSIVE.encode()),
        Submission("dan", "4", starter(lab)),
        Submission("eve", "5", b"def broken(:"),
    ]
    pairs = similar(submissions, starter(lab))
    assert (pairs[0].first, pairs[0].second, pairs[0].share) == ("ada", "bob", 1.0)
    assert all(pair.share <= 0.5 for pair in pairs[1:])
    assert {pair.first for pair in pairs} | {pair.second for pair in pairs} <= {"ada", "bob", "cyd"}


@pytest.mark.parametrize(("copies", "others"), [(4, 3), (5, 0), (30, 2)])
def test_copies_that_most_of_the_class_has_are_found(lab, copies, others):
    submissions = [Submission(f"copy{n}", str(n), tiny.SOLUTION.encode()) for n in range(copies)]
    submissions += [Submission(f"other{n}", f"o{n}", b"# nothing yet\n") for n in range(others)]
    pairs = similar(submissions, starter(lab))
    assert len(pairs) == copies * (copies - 1) // 2
    assert {pair.share for pair in pairs} == {1.0}


def test_what_all_share_makes_no_pair_of_those_whose_other_work_differs(lab):
    random, submissions = Random(0), []
    for number in range(12):
        own = " ".join(f"x {random.choice('+-*/%@&|^')}" for _ in range(60))
        source = f"{tiny.SOLUTION}\n\ndef own(x):\n    return {own} x\n"
        submissions.append(Submission(f"s{number}", str(number), source.encode()))
    assert similar(submissions, starter(lab)) == []
    copy = Submission("copy", "copy", submissions[3].source)
    (pair,) = similar([*submissions, copy], starter(lab))
    assert (pair.first, pair.second, pair.share) == ("s3", "copy", 1.0)


@pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 1.0])
def test_the_pairs_are_those_that_a_comparison_of_all_with_all_finds(least):
    """Of submissions of very different length, made of pieces that few, many or all have."""
    random = Random(1)
    pieces = [" ".join(f"x {random.choice('+-*/%@&|^')}" for _ in range(15)) for _ in range(12)]
    chosen = [random.sample(pieces, random.randint(1, 6)) for _ in range(40)]
    texts = [f"x = {' '.join(one)} x\n".encode() for one in [*chosen, *chosen[:3]]]
    submissions = [Submission(f"s{at:02}", str(at), text) for at, text in enumerate(texts)]
    marks = [fingerprints(text) for text in texts]
    weight = {mark: math.log((len(marks) + 1) / sum(mark in one for one in marks))
              for mark in set().union(*marks)}  # fmt: skip

    def size(found):
        return math.fsum(weight[mark] for mark in found)

    shares = {
        (f"s{a:02}", f"s{b:02}"): size(marks[a] & marks[b]) / min(size(marks[a]), size(marks[b]))
        for a, b in combinations(range(len(marks)), 2)
        if len(marks[a] & marks[b]) >= 3
    }
    expected = {names for names, share in shares.items() if share >= least - 1e-9}
    assert {(pair.first, pair.second) for pair in similar(submissions, b"", least)} == expected
    assert 3 <= len(expected) < 43 * 42 // 2


def test_what_is_handed_out_makes_no_pair(lab):
    handed_out = [Submission(name, name, starter(lab)) for name in "abc"]
    assert similar(handed_out, starter(lab)) == []
    assert as_text([]) == "no two submissions share more than the task explains"


def test_a_notebook_is_compared_as_a_script_and_a_group_is_not_compared(lab, tmp_path):
    folder = exports.put(
        tmp_path / "class",
        {"a.ipynb": exports.notebook("%time", tiny.SOLUTION), "b.py": exports.ANSWER},
    )
    assert [pair.share for pair in similar(find_submissions(folder, lab).submissions)] == [1.0]
    group = exports.make(tmp_path, "gradescope")
    pairs = similar(find_submissions(group, lab).submissions, starter(lab))
    assert {(pair.first, pair.second) for pair in pairs} == {
        ("Jörg Ü", "submission_3002"), ("Student A", "submission_3002"),
    }  # fmt: skip


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_share_outside_of_0_to_1_is_refused(least):
    with pytest.raises(UsageError, match="--least must be a share from 0 to 1"):
        similar([], b"", least)


def test_shared_lines_are_those_that_were_not_handed_out(lab):
    given = b"GIVEN = [1, 2, 3, 4, 5, 6, 7, 8]\n"
    first = given + tiny.SOLUTION.encode()
    other = given + tiny.SOLUTION.replace("result", "x").encode()
    lines = first.decode().splitlines()
    shared = {lines[at - 1].strip() for at in shared_lines(first, other, given + starter(lab))}
    assert {"result = 0", "for value in values:", "result = add(result, value)"} <= shared
    assert lines[0] not in shared
    assert shared_lines(first, RECURSIVE.encode(), first) == set()


def test_each_pair_has_a_page_with_both_texts(lab, tmp_path):
    submissions = [
        Submission("<ada>", "1", tiny.SOLUTION.encode()),
        Submission("bob", "2", f"# <mine>\n{tiny.SOLUTION.replace('result', 'x')}".encode()),
        Submission("cyd", "3", RECURSIVE.encode()),
    ]
    pairs = similar(submissions, starter(lab))[:1]
    out = tmp_path / "pages"
    write_pages(pairs, submissions, lab, starter(lab), out)
    write_pages(pairs, submissions, lab, starter(lab), out)
    assert sorted(path.name for path in out.glob("*.html")) == ["index.html", "pair_001.html"]
    assert '<a href="pair_001.html">100%</a>' in (out / "index.html").read_text()
    text = (out / "pair_001.html").read_text()
    assert '<i class="same">        x = add(x, value)</i>' in text
    assert '<i class="same">        result = add(result, value)</i>' in text
    assert "<i># &lt;mine&gt;</i>" in text
    assert "&lt;ada&gt;" in text
    assert "<ada>" not in text
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other files; name an empty or a new folder"):
        write_pages(pairs, submissions, lab, starter(lab), tmp_path / "full")


SECRET_FORMS = {
    "plain": lambda text: f"exec({text!r})",
    "base64": lambda text: f"import base64\nexec(base64.b64decode({b64(text)!r}))",
    "compressed": lambda text: (
        "import base64, zlib\n"
        f"exec(zlib.decompress(base64.b85decode({base64.b85encode(zlib.compress(text.encode()))!r})))"
    ),
    "numbers": lambda text: f"exec(bytes({list(text.encode())}))",
    "hexadecimal": lambda text: f"exec(bytes.fromhex({text.encode().hex()!r}))",
    "in two parts": lambda text: (
        f"import base64\nfirst = {b64(text)[:400]!r}\n"
        f"exec(base64.b64decode(first + {b64(text)[400:]!r}))"
    ),
    "backwards": lambda text: f"exec({text[::-1]!r}[::-1])",
}


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("form", SECRET_FORMS)
def test_packed_copy_is_compared_and_named(lab, form):
    packed_copy = SECRET_FORMS[form](tiny.SOLUTION).encode()
    submissions = [
        Submission("ada", "1", tiny.SOLUTION.encode()), Submission("bob", "2", packed_copy),
    ]  # fmt: skip
    (pair,) = similar(submissions, starter(lab))
    assert (pair.first, pair.second, pair.share) == ("ada", "bob", 1.0)
    (line,) = packed(submissions)
    assert line.startswith("bob: may run packed code (line ")
    assert "exec" in line


def test_code_that_runs_what_nobody_can_unpack_is_named():
    ways = (
        "exec(''.join(chr(ord(c) ^ 1) for c in open('x').read()))",
        "import builtins as b\nb.exec('x = 1')",
        "import importlib\nimportlib.import_module('os')",
        "from types import FunctionType",
        "__import__('marshal')",
    )
    for number, way in enumerate(ways):
        assert packed([Submission("ada", str(number), f"x = 1\n{way}\n".encode())]), way


HIDDEN = base64.b64encode(bytes(one ^ 7 for one in tiny.SOLUTION.encode() * 3)).decode()
PIECES = [HIDDEN[at : at + 50] for at in range(0, len(HIDDEN), 50)]
UNKNOWN = {
    "many short texts": f"import base64\nP = {PIECES}\n",
    "texts in a dictionary": f"P = {dict(enumerate(PIECES))}\n",
    "a number": f"P = {int.from_bytes(HIDDEN.encode(), 'big'):#x}\n",
    "escaped bytes": "P = [" + ", ".join(
        "b'" + "".join(f"\\x{ord(one) ^ 7:02x}" for one in part) + "'" for part in PIECES) + "]\n",
    "comments": "".join(f"# {part}\n" for part in PIECES),
    "names": "".join(f"{'abcdefghijk' * 3}{at} = 1\n" for at in range(40)),
    "the owner of a function": "run = vars(print.__self__)['ex' + 'ec']\n",
    "the built-in functions": "run = vars(__builtins__)['ex' + 'ec']\n",
    "a type in words": "import typing\ndef f(x: 'run()'): pass\ntyping.get_type_hints(f)\n",
    "the globals of a function": "import os\nrun = os.getenv.__globals__['sys']\n",
}  # fmt: skip


@pytest.mark.parametrize("form", UNKNOWN)
def test_code_packed_in_a_way_that_is_not_known_is_named(form):
    compile(UNKNOWN[form], form, "exec")
    (line,) = packed([Submission("ada", "2", UNKNOWN[form].encode())])
    assert line.startswith("ada: may run packed code (line "), line


def test_an_expression_of_any_depth_hides_nothing():
    chain = "x = " + " + ".join(["'a'"] * 1_500)
    deep = "x" + ".a" * 3_000
    for number, text in enumerate((f"{chain}\nexec(read())\n", f"{deep}.exec(1)\n")):
        (line,) = packed([Submission("ada", str(number), text.encode())])
        assert "exec" in line or "too deep to be looked through" in line


def test_more_text_than_is_looked_through_is_named():
    bombs = (zlib.compress(b"x = 1  # %d " % at + b"#" * 2**18) for at in range(20))
    bomb = "\n".join(f"{packed_text!r}" for packed_text in bombs).encode()
    (line,) = packed([Submission("ada", "1", bomb)])
    assert "more packed text than is looked through" in line
    assert 0 < sum(map(len, inner_sources(bomb))) <= MAX_ALL
    braces = f"x = f'{'{a}' * (MAX_BRACES + 1)}'"
    (line,) = packed([Submission("ada", "2", braces.encode())])
    assert "braces, which are not looked through" in line


def test_no_right_answer_looks_packed_or_copied_from_the_package():
    labs = course.labs()
    for lab in labs[:3]:
        found = [Submission(lab.name, lab.name, lab.solution.read_bytes())]
        assert packed(found) == []
        assert from_package(found, starter(lab)) == []


def test_copy_of_the_package_is_named():
    source = Path(dlcourse.__file__).with_name("models") / "lenet.py"
    pairs = from_package([Submission("ada", "1", source.read_bytes())])
    assert ("ada", "dlcourse/models/lenet.py: LeNet5", 1.0) in {
        (pair.first, pair.second, pair.share) for pair in pairs
    }
