"""`check` and `grade` give a file the same verdict, whatever it does to its process."""

import os
import random
import sys
import warnings

import numpy as np
import pytest
import torch

from dlcourse.check.process_state import Separation, read_settings, seed_everything
from dlcourse.check.run import check as check_lab

from support import tiny

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox needs Linux", allow_module_level=True)

from dlcourse.grade.job import BatchSettings, Job

from support.warm import WarmWorker

# What a file does at its top, and then answers rightly.
RIGHT = {
    "grad off": "torch.set_grad_enabled(False)",
    "double": "torch.set_default_dtype(torch.float64)",
    "half": "torch.set_default_dtype(torch.float16)",
    "meta": "torch.set_default_device('meta')",
    "cuda where there is none": "torch.set_default_device('cuda')",
    "print options": "torch.set_printoptions(precision=1, threshold=2, sci_mode=True)",
    "seeds": "import random, numpy\ntorch.manual_seed(7); random.seed(7); numpy.random.seed(7)",
    "deterministic": "torch.use_deterministic_algorithms(True)",
    "threads": "torch.set_num_threads(2)",
    "anomaly": "torch.autograd.set_detect_anomaly(True)",
    "matmul precision": "torch.set_float32_matmul_precision('medium')",
    "numpy errors": "import numpy\nnumpy.seterr(all='raise')\nnumpy.set_printoptions(precision=1)",
    "warnings are errors": "import warnings\nwarnings.simplefilter('error')",
    "environment": "import os\nos.environ.clear()\nos.environ['CUBLAS'] = ':4096:8'",
    "import path": "import sys\nsys.path.clear()",
    "folder": "import os\nos.chdir('/')",
    "recursion limit": "import sys\nsys.setrecursionlimit(5000)",
    "streams": "import io, sys\nsys.stderr = sys.stdin = io.StringIO()\nsys.argv.clear()",
    "utf-8": "import sys\nsys.stdout.reconfigure(encoding='utf-8')\nprint('\u2713 \u0142')",
    "equal": "torch.equal = torch.allclose = lambda *a, **k: False",
    "close": "import torch.testing\ntorch.testing.assert_close = None",
    "tensor": "torch.Tensor.__sub__ = torch.Tensor.abs = torch.Tensor.square = None",
    "functional": "import torch.nn.functional as F\nF.conv2d = F.relu = None\ndel F.softmax",
    "factory": "torch.arange = torch.zeros = lambda *a, **k: None",
    "builtins": "import builtins\nbuiltins.sum = builtins.sorted = lambda *a: 0",
    "json": "import json\njson.dumps = json.loads = None",
}  # fmt: skip
WRONG = {
    "sub": "a - b",
    "random": "a + b + torch.rand(())",
    "random by numpy": "a + b + __import__('numpy').random.rand()",
    "random by python": "a + b + __import__('random').random()",
    "default dtype": "a + torch.ones(20) if isinstance(b, torch.Tensor) else a + b",
    "grad": "a + b if torch.is_grad_enabled() else None",
    "arguments": "len(__import__('sys').argv)",
    "raises": "[][a]",
    "raises by torch": "torch.ones(3) + torch.ones(4)",
    "workers": "next(iter(torch.utils.data.DataLoader([a, b], num_workers=2)))",
    "queue": "torch.multiprocessing.Queue()",
    "pool": "__import__('concurrent.futures').futures.ProcessPoolExecutor(2)",
    "process": "__import__('multiprocessing').Process(target=print).start()",
    "spawned": "__import__('multiprocessing').get_context('spawn').Pool(1)",
    "subprocess": "__import__('subprocess').run(['true'])",
    "system": "__import__('os').system('true')",
    "fork": "__import__('os').fork()",
    "shared memory": "__import__('multiprocessing').Value('i', 1)",
}
FILES = {
    **{f"right, {name}": f"import torch\n{act}\n{tiny.SOLUTION}" for name, act in RIGHT.items()},
    **{
        f"wrong, {n}": tiny.SOLUTION.replace("return a + b", f"return {w}")
        for n, w in WRONG.items()
    },
    **{
        f"wrong in the end, {name}": f"import torch\n{act}\n"
        + tiny.SOLUTION.replace("return a + b", "return a - b")
        for name, act in RIGHT.items()
    },
    "threads of its own": "import threading\nthread = threading.Thread(target=print)\n"
    "thread.start()\nthread.join()\n" + tiny.SOLUTION,
    "workers at the top": "import torch\nimport torch.utils.data as d\n"
    "next(iter(d.DataLoader([1], num_workers=1)))\n" + tiny.SOLUTION,
    "gives up without processes": tiny.SOLUTION.replace(
        "return a + b",
        "import os\n    try:\n        os.fork()\n    except OSError:\n        return a + b",
    ),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return tiny.make_course(tmp_path_factory.mktemp("agreement"))


@pytest.fixture(scope="module")
def warm(lab):
    return WarmWorker(BatchSettings(lab))


def told(tests):
    return [(t.name, t.outcome, t.reason.replace("labs/", ""), t.printed) for t in tests]


@pytest.mark.parametrize("name", FILES)
def test_check_and_grade_say_the_same(lab, warm, name, monkeypatch):
    monkeypatch.chdir(lab.root)
    lab.student.write_text(FILES[name], encoding="utf-8")
    before = read_settings()
    checked = told(check_lab(lab).tests)
    now = read_settings()
    assert {key for key in before if before[key] != now[key]} == set()
    graded = told(warm.grade(Job(FILES[name].encode(), dict.fromkeys(["", *TESTS], 20.0))))
    assert checked == graded
    if name.startswith(("right, ", "threads", "gives up")):
        assert {outcome for _, outcome, _, _ in checked} == {"passed"}


TESTS = ("test_add", "test_add_tensors", "test_total", "test_counter")
NO_PROCESSES = "no processes while a lab is graded; use num_workers=0"


@pytest.mark.parametrize("name", list(WRONG)[list(WRONG).index("workers") :])
def test_processes_are_refused_in_plain_words(lab, name, monkeypatch):
    monkeypatch.chdir(lab.root)
    lab.student.write_text(FILES[f"wrong, {name}"])
    test = check_lab(lab).tests[-1]
    assert (test.outcome, test.reason) == ("refused", NO_PROCESSES)


def test_settings_of_a_file_hold_for_the_file_alone():
    sides = Separation(["lab.py"])
    filters = list(warnings.filters)
    with sides.student():
        assert sys.argv == ["lab.py"]
        torch.set_default_dtype(torch.float64)
        torch.add, torch.new_name = None, 1
        os.environ["LAB"] = "1"
        random.seed(1)
        np.random.seed(1)
        warnings.simplefilter("error")
        drawn = torch.rand(3)
    assert (torch.zeros(1).dtype, callable(torch.add)) == (torch.float32, True)
    assert not hasattr(torch, "new_name")
    assert "LAB" not in os.environ
    assert warnings.filters == filters
    with sides.student():
        assert torch.get_default_dtype() is torch.float64
        assert (torch.add, torch.new_name, os.environ["LAB"]) == (None, 1, "1")
        assert random.random() == random.Random(1).random()
        with sides.tests():
            assert (torch.zeros(1).dtype, callable(torch.add)) == (torch.float32, True)
            torch.rand(9)
        assert torch.rand(3).dtype == drawn.dtype == torch.float64


def test_what_the_tests_draw_changes_no_number_of_a_file():
    sides = Separation(["lab.py"])
    seed_everything()
    first = torch.rand(1), np.random.rand(), random.random()
    seed_everything()
    with sides.student():
        seed_everything()  # the same state as that of the tests
    torch.rand(3), np.random.rand(3), random.random()
    with sides.student():
        assert (torch.rand(1), np.random.rand(), random.random()) == first
