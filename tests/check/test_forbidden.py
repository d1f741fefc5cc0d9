"""What a task bans is found wherever the text alone tells, and costs that task, nothing else."""

import sys

import pytest

from dlcourse.check import points
from dlcourse.check.forbidden import violations
from dlcourse.check.run import check as check_lab
from dlcourse.errors import UsageError

from support import detours, tiny

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
BY_TORCH = "torch.nn.functional.conv2d"
DEF = "def conv2d(x, w):\n    "


def use(source, function="conv2d", forbidden=("*conv*", "*Conv*")):
    """The path and line of what `function` uses, or None."""
    found = violations(source.encode(), {"5.2": ([function], list(forbidden))})
    if not found:
        return None
    text, line = found["5.2"]
    said, _, rest = text.partition(", which this task asks you to write yourself")
    assert rest == ""
    return said.removeprefix(f"task 5.2: {function} uses "), line


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (f"{DEF}return F.conv2d(x, w)", BY_TORCH),
        (f"{DEF}return torch.nn.functional.conv2d(x, w)", BY_TORCH),
        (f"{DEF}return torch.conv2d(x, w)", "torch.conv2d"),
        (f"{DEF}return torch.ops.aten.conv2d(x, w)", "torch.ops.aten.conv2d"),
        (f"{DEF}return getattr(F, 'conv2d')(x, w)", BY_TORCH),
        (f"from torch.nn.functional import conv2d as c\n{DEF}return c(x, w)", BY_TORCH),
        (f"{DEF}from torch.nn.functional import conv2d as c\n    return c(x, w)", BY_TORCH),
        (f"from torch.nn.functional import *\n{DEF}return conv1d(x, w)",
         "torch.nn.functional.conv1d"),
        (f"{DEF}import importlib as i\n"
         "    return i.import_module('torch.nn.functional').conv2d(x, w)", BY_TORCH),
        (f"try:\n    from torch.nn.functional import conv2d as c\nexcept ImportError:\n"
         f"    c = None\n{DEF}return c(x, w)", BY_TORCH),
        (f"{DEF}f = torch.nn\n    f = f.functional\n    return f.conv2d(x, w)", "torch.nn.conv2d"),
        (f"{DEF}return helper(x, w)\ndef helper(x, w):\n    return other(x)\n"
         "def other(x):\n    return nn.Conv2d(1, 1, 1)(x)", "torch.nn.Conv2d"),
        (f"op = F.conv2d\n{DEF}return op(x, w)", BY_TORCH),
        (f"ops = {{'c': F.conv2d}}\n{DEF}return ops['c'](x, w)", BY_TORCH),
        (f"ops = {{}}\nops['c'] = F.conv2d\n{DEF}return ops['c'](x, w)", BY_TORCH),
        (f"class O: pass\nO.c = F.conv2d\n{DEF}return O.c(x, w)", BY_TORCH),
        (f"for op in [F.conv2d]: pass\n{DEF}return op(x, w)", BY_TORCH),
        (f"def swap(f): return F.conv2d\n@swap\n{DEF}pass", BY_TORCH),
        (f"{DEF}return (lambda g: g(x, w))(F.conv2d)", BY_TORCH),
        ("def conv2d(x, w, op=F.conv2d):\n    return op(x, w)", BY_TORCH),
        # A name stands for everything that any statement binds it to.
        (f"F: object\n{DEF}return F.conv2d(x, w)", BY_TORCH),
        (f"for F in (): pass\n{DEF}return F.conv2d(x, w)", BY_TORCH),
        (f"c = F.conv2d\ndel c\nc = F.conv1d\n{DEF}return c(x, w)",
         "torch.nn.functional.conv1d"),
        (f"{DEF}return (F or 0).conv2d(x, w)", BY_TORCH),
        (f"{DEF}return [F][0].conv2d(x, w)", BY_TORCH),
        (f"{DEF}return vars(F)['conv2d'](x, w)", BY_TORCH),
        (f"{DEF}return F.__dict__['conv2d'](x, w)", BY_TORCH),
        (f"{DEF}match F:\n        case f: return f.conv2d(x, w)", BY_TORCH),
        (f"{DEF}for f in [F]: return f.conv2d(x, w)", BY_TORCH),
        (f"{DEF}a, f = 1, F\n    return f.conv2d(x, w)", BY_TORCH),
        (f"import sys\n{DEF}return sys.modules['torch.nn.functional'].conv2d(x, w)", BY_TORCH),
        (f"ops = []\nops.append(F.conv2d)\n{DEF}return ops[0](x, w)", BY_TORCH),
        (f"if True:\n    op = F.conv2d\n{DEF}return op(x, w)", BY_TORCH),
        ("class conv2d(nn.Module):\n    def forward(self, x): return self.h(x)\n    h = nn.Conv2d",
         "torch.nn.Conv2d"),
    ],
)  # fmt: skip
def test_use_of_torchs_own_is_found(source, path):
    assert use(HEAD + source)[0] == path


@pytest.mark.parametrize(
    "source",
    [
        f"{DEF}return torch.einsum('nchw,oc->nohw', x, w)",
        # Compared with torch's elsewhere in the file, as a student should.
        f"{DEF}out = x\n    return out\nout = F.conv2d(1, 2)\nassert conv2d(1, 2) == out",
        f"{DEF}return [out for out in x]\nout = F.conv2d(1, 2)",
        f"{DEF}return x if w is None else conv2d(x, None)",
        f"{DEF}pass\n{DEF}return x",  # a second try
        f"print(F.conv2d)\ntorch.testing.assert_close(F.conv2d, 1)\n{DEF}return torch.relu(x)",
        f"{DEF}return conv_size(x)\ndef conv_size(x): return x\n"
        "class Net(nn.Module):\n    def __init__(s): s.c = nn.Conv2d(1, 1, 1)",
        f"import numpy as np\n{DEF}return np.convolve(x, w)",
        f"{DEF}conv = x\n    return conv(x)",
        f"{DEF}return x.conv2d(w)",  # no method of a tensor's
    ],
)
def test_honest_code_is_let_through(source):
    assert use(HEAD + source) is None


@pytest.mark.parametrize(
    "source",
    [
        "from torch.nn.functional import conv2d",
        "from torch.nn.functional import *",
        "def __getattr__(name): return getattr(F, name)",
        "conv2d = F.conv2d",
        "class O:\n    def __call__(self, x, w): return F.conv2d(x, w)\nconv2d = O()",
    ],
)
def test_a_task_is_a_def_or_class_of_the_file(source):
    text, line = violations((HEAD + source).encode(), {"5.2": (["conv2d"], ["*conv*"])})["5.2"]
    said = "conv2d is not defined here; write conv2d as a `def` or `class` of your file"
    assert text == f"task 5.2: {said}"
    assert 1 <= line <= 3 + source.count("\n") + 1


@pytest.mark.parametrize(
    "again",
    ["conv2d = object()", "from torch.nn.functional import conv2d",
     "for conv2d in [F.conv2d]: pass", "if True: conv2d = print"],
)  # fmt: skip
def test_a_task_is_bound_by_its_def_alone(again):
    source = f"{HEAD}{DEF}pass\n{again}"
    text, line = violations(source.encode(), {"5.2": (["conv2d"], ["*conv*"])})["5.2"]
    said = "this line gives conv2d another value than its `def` or `class`; delete it"
    assert (text, line) == (f"task 5.2: {said}", 6)


def test_name_with_a_dot_is_a_path_in_any_package():
    forbidden = ["dlcourse.models*"]
    source = "from dlcourse import models\ndef net(): return models.build('lenet5')"
    assert use(source, "net", forbidden) == ("dlcourse.models.build", 2)
    source = "from dlcourse.models.lenet import LeNet5 as L\nclass Net(L): pass"
    assert use(source, "Net", forbidden) == ("dlcourse.models.lenet.LeNet5", 2)
    assert use("import numpy\ndef net(): return numpy.models", "net", forbidden) is None


TESTS = tiny.TESTS.replace(
    'hint="start from 0"', 'forbidden=("*sum", "torch.functional*")'
).replace('needs=("90.1",)', "needs=()")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.make_course(tmp_path, tests=TESTS)


HELPER = "def helper(values):\n    return torch.sum(torch.tensor(values)).item()\n\n\n"
CHEAT = tiny.SOLUTION.replace("result = add(result, value)", "return helper(values)").replace(
    "class Counter", f"{HELPER}class Counter"
)
MESSAGE = "task 90.2: total uses torch.sum, which this task asks you to write yourself"


def outcomes(tests):
    return {test.name: (test.score, test.outcome) for test in tests if not test.passed}


def test_banned_name_costs_its_task_alone_in_a_check(lab):
    lab.student.write_text(CHEAT)
    record = check_lab(lab)
    assert outcomes(record.tests) == {"test_total": (0.0, "not allowed")}
    line = CHEAT[: CHEAT.index("torch.sum(")].count("\n") + 1
    assert record.tests[1].output(hidden_too=False) == f"not allowed\n{MESSAGE}\nline {line}"
    assert check_lab(lab, lab.solution).score == 6


def test_method_that_the_text_does_not_show_is_refused_while_it_runs(lab):
    lab.student.write_text(
        CHEAT.replace("torch.sum(torch.tensor(values))", "torch.tensor(values).sum()")
    )
    (test,) = [test for test in check_lab(lab).tests if not test.passed]
    assert (test.name, test.score, test.outcome) == ("test_total", 0.0, "not allowed")
    assert test.reason == (
        "task 90.2: your code ran torch's sum; this task asks you to write that yourself"
    )
    assert "in helper\n    return torch.tensor(values).sum().item()" in test.traceback


def test_what_is_forbidden_does_not_come_from_the_students_file(lab):
    without = CHEAT.replace("# Task 90.2 (3 points).", "")
    lab.student.write_text(without)
    assert outcomes(check_lab(lab).tests) == {"test_total": (0.0, "not allowed")}


def test_file_that_does_not_load_says_that_first(lab):
    lab.student.write_text("def broken(:")
    assert {test.outcome for test in check_lab(lab).tests} == {"import failure"}


def test_stub_says_that_it_is_not_written(lab):
    assert {test.outcome for test in check_lab(lab).tests} == {"not written"}


DEEP = "x = " + "-" * 5000 + "1\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")
@pytest.mark.parametrize(
    ("prelude", "outcome"),
    [
        ("", "not allowed"),
        # What would change the reader, were it in one process with it.
        ("import ast\nast.parse = None\nimport dlcourse.check.forbidden as b\n"
         "b.violations = lambda *a: {}\n", "not allowed"),
        ("if 0:\n    y = " + "a" + ".a" * 900 + "\n", "not allowed"),
        ("y = [" + "-1," * 20_000 + "]\n", "not allowed"),
        ("# coding: latin-1\ny = '\xe9'\n", "not allowed"),
        ("\ufeffy = 1\n", "not allowed"),
        ("y = 1\x00\n", "import failure"),
        ("# coding: no-such\n", "import failure"),
        ("\ud800\n", "import failure"),
        ("(" * 5000, "import failure"),
        # Which of Python's readers gives up at such a depth depends on its version.
        (DEEP, "import failure or not allowed"),
        ("if 1: pass\n" + "elif 1: pass\n" * 3000, "import failure or not allowed"),
    ],
)  # fmt: skip
def test_banned_name_is_found_in_the_sandbox_whatever_stands_before_it(warm, prelude, outcome):
    from dlcourse.grade.job import Job

    codec = "latin-1" if "latin-1" in prelude else "utf-8"
    tests = warm.grade(Job((prelude + CHEAT).encode(codec, "surrogatepass")))
    found = {test.name: test.outcome for test in tests}["test_total"]
    assert found in outcome.split(" or ")
    assert sum(test.score for test in tests) == (3 if outcome == "not allowed" else 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")
@pytest.mark.parametrize("name", detours.PATCHES)
def test_nothing_that_a_file_replaces_lets_torch_answer(warm, name):
    from dlcourse.grade.worker import Job

    tests = warm.grade(Job(detours.patched(name, tiny.SOLUTION).encode()))
    said = {test.name: (test.score, test.outcome) for test in tests}["test_total"]
    expected = ("not allowed", "exception") if "guard" in name else ("not allowed",)
    assert said[0] == 0
    assert said[1] in expected, tests


def test_patches_do_no_harm_where_nothing_is_forbidden():
    space = {}
    exec(detours.patched("nothing, for a function", tiny.SOLUTION), space)
    assert space["total"]([1, 2, 3]) == 6


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    from dlcourse.grade.job import BatchSettings

    from support.warm import WarmWorker

    root = tmp_path_factory.mktemp("forbidden")
    return WarmWorker(BatchSettings(tiny.make_course(root, tests=TESTS)))


def test_a_lone_string_is_no_tuple_of_names():
    with pytest.raises(
        UsageError, match=r"^forbidden of task 5.2 must be a tuple of strings, got 'conv2d'$"
    ):
        points(1, task="5.2", forbidden="conv2d")


def test_getattr_without_a_name_is_read_over():
    assert use(f"{HEAD}{DEF}return getattr(*x)(w), getattr(F, w)") is None
