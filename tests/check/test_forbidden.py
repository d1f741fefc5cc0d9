"""What a task bans is found wherever the text alone tells, and costs that task, nothing else."""

import sys

import pytest

from dlcourse.check import points
from dlcourse.check.forbidden import violations
from dlcourse.check.run import check as check_lab
from dlcourse.errors import UsageError

from support import tiny

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
        (f"{DEF}f = torch.nn\n    f = f.functional\n    return f.conv2d(x, w)", BY_TORCH),
        (f"{DEF}return helper(x, w)\ndef helper(x, w):\n    return other(x)\n"
         "def other(x):\n    return nn.Conv2d(1, 1, 1)(x)", "torch.nn.Conv2d"),
        (f"op = F.conv2d\n{DEF}return op(x, w)", BY_TORCH),
        (f"ops = {{'c': F.conv2d}}\n{DEF}return ops['c'](x, w)", BY_TORCH),
        (f"ops = {{}}\nops['c'] = F.conv2d\n{DEF}return ops['c'](x, w)", BY_TORCH),
        (f"class O: pass\nO.c = F.conv2d\n{DEF}return O.c(x, w)", BY_TORCH),
        (f"for op in [F.conv2d]: pass\n{DEF}return op(x, w)", BY_TORCH),
        ("class O:\n    def __call__(self, x, w): return F.conv2d(x, w)\nconv2d = O()", BY_TORCH),
        (f"{DEF}pass\nconv2d = F.conv2d", BY_TORCH),
        (f"def swap(f): return F.conv2d\n@swap\n{DEF}pass", BY_TORCH),
        (f"{DEF}return (lambda g: g(x, w))(F.conv2d)", BY_TORCH),
        ("def conv2d(x, w, op=F.conv2d):\n    return op(x, w)", BY_TORCH),
        # Names that another scope hides are not hidden here.
        (f"{DEF}def g(F): return 1\n    return F.conv2d(x, w)", BY_TORCH),
        (f"{DEF}[F for F in ()]\n    return F.conv2d(x, w)", BY_TORCH),
        (f"op = F.conv2d\n{DEF}global op\n    op = op\n    return op(x, w)", BY_TORCH),
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
        f"from torch.nn.functional import conv2d\n{DEF}return x if w is None else conv2d(x, None)",
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
    ("source", "path"),
    [
        ("def softmax(x): return x.softmax(1)", "torch.Tensor.softmax"),
        ("def softmax(x): return x.log().softmax(1)", "torch.Tensor.softmax"),
        ("import torch\ndef softmax(x): return torch.softmax(x, 1)", "torch.softmax"),
        ("import scipy.special as s\ndef softmax(x): return s.softmax(x)", None),
        ("class M:\n    def softmax(x): return x.exp()\ndef softmax(x): return M.softmax(x)", None),
    ],
)
def test_methods_of_tensors_are_torchs_too(source, path):
    found = use(source, "softmax", ["softmax"])
    assert (found and found[0]) == path


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("    def __init__(self): self.c = nn.Conv2d(1, 1, 1)\n"
         "    def forward(self, x): return self.c(x)", True),
        ("    def __init__(self): self.c = nn.Conv2d(1, 1, 1)\n"
         "    def forward(self, x): return x", False),
        ("    def forward(self, x): return self.h(x)\n"
         "    def h(self, x): return nn.Conv2d(1, 1, 1)(x)", True),
        ("    def forward(self, x): return self.h(x)\n    h = nn.Conv2d", True),
        ("    def forward(self, x): return Net.h(x)\n    h = nn.Conv2d", True),
        ("    def forward(self, x): return Net(x)\n    h = nn.Conv2d", False),
    ],
)  # fmt: skip
def test_method_reaches_what_its_class_keeps_for_it(body, found):
    source = f"{HEAD}class Net(nn.Module):\n{body}"
    assert bool(use(source, "Net.forward", ["Conv2d"])) is found


def test_name_with_a_dot_is_a_path_in_any_package():
    forbidden = ["dlcourse.models*"]
    source = "from dlcourse import models\ndef net(): return models.build('lenet5')"
    assert use(source, "net", forbidden) == ("dlcourse.models.build", 2)
    source = "from dlcourse.models.lenet import LeNet5 as L\nclass Net(L): pass"
    assert use(source, "Net", forbidden) == ("dlcourse.models.lenet.LeNet5", 2)
    assert use("import numpy\ndef net(): return numpy.models", "net", forbidden) is None


TESTS = tiny.TESTS.replace('hint="start from 0"', 'forbidden=("*sum",)').replace(
    'needs=("90.1",)', "needs=()"
)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.make_course(tmp_path, tests=TESTS)


HELPER = "def helper(values):\n    return torch.tensor(values).sum().item()\n\n\n"
CHEAT = tiny.SOLUTION.replace("result = add(result, value)", "return helper(values)").replace(
    "class Counter", f"{HELPER}class Counter"
)
MESSAGE = "task 90.2: total uses torch.Tensor.sum, which this task asks you to write yourself"


def outcomes(tests):
    return {test.name: (test.score, test.outcome) for test in tests if not test.passed}


def test_banned_name_costs_its_task_alone_in_a_check(lab):
    lab.student.write_text(CHEAT)
    record = check_lab(lab)
    assert outcomes(record.tests) == {"test_total": (0.0, "not allowed")}
    line = CHEAT[: CHEAT.index(".sum()")].count("\n") + 1
    assert record.tests[1].output(hidden_too=False) == f"not allowed\n{MESSAGE}\nline {line}"
    assert check_lab(lab, lab.solution).score == 6


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
        (DEEP, "import failure"),
        ("(" * 5000, "import failure"),
        ("if 1: pass\n" + "elif 1: pass\n" * 3000, "import failure"),
    ],
)  # fmt: skip
def test_banned_name_is_found_in_the_sandbox_whatever_stands_before_it(warm, prelude, outcome):
    from dlcourse.grade.worker import Job

    codec = "latin-1" if "latin-1" in prelude else "utf-8"
    tests = warm.grade(Job((prelude + CHEAT).encode(codec, "surrogatepass")))
    assert {test.name: test.outcome for test in tests}["test_total"] == outcome
    assert sum(test.score for test in tests) == (3 if outcome == "not allowed" else 0)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    from dlcourse.grade.worker import BatchSettings, Worker

    root = tmp_path_factory.mktemp("forbidden")
    made = Worker(BatchSettings(tiny.make_course(root, tests=TESTS), (root,)))
    yield made
    made.fork_server.close()


def test_a_lone_string_is_no_tuple_of_names():
    with pytest.raises(
        UsageError, match=r"^forbidden of task 5.2 must be a tuple of strings, got 'conv2d'$"
    ):
        points(1, task="5.2", forbidden="conv2d")
