"""While a task's code runs, what the task forbids is refused however the code reaches it."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dlcourse.check.protocol import Buffers, decode, encode
from dlcourse.check.student_host import StudentHost

from support import detours
from support.rules import rules

X, W = torch.arange(50.0).reshape(1, 2, 5, 5), torch.ones(3, 2, 3, 3)


def answer(source, function, args, rule, *, host=None):
    """What the host of the file `source` answers to the call of its `function`."""
    host = host or StudentHost(
        (detours.HEAD + source).encode(), "lab.py", "lab", call_test, shared=True
    )
    return host, request(host, "call", function, args, rule)


def request(host, what, function, args, rule=None):
    def ask(message, args):
        buffers = Buffers()
        message |= {
            "args": encode(list(args), buffers, as_callback),
            "kwargs": {"t": "dict", "v": []},
        }
        reply, replies = host.answer(message, buffers)
        value = reply.get("value")
        handle = isinstance(value, dict) and value.get("t") == "handle"
        return reply, value["v"] if handle else decode(value, replies, lambda node: node)

    reply, _ = ask({"do": "load"}, [])
    if "error" in reply:
        return reply["error"]
    under = {"rule": rule} if rule else {}
    _, number = ask({"do": "get", "of": None, **under}, [function])
    reply, value = ask({"do": what, "of": number, **under}, args)
    return reply.get("error", value)


def unguard(host):
    """Take back what the guard of a process of its own leaves in force between two calls."""
    sys.setprofile(None)
    gc.enable()
    host.guard.active = False
    host.guard.arm(("", ()))


def as_callback(value):
    return {"t": "callback", "v": 0}


def call_test(number, message, buffers):
    """The tests' own function, which may do what a student's must not."""
    replies = Buffers()
    F.conv2d(X, W.clone().requires_grad_())
    return {"value": encode(F.conv2d(X, W), replies, None)}, replies


@pytest.mark.parametrize("name", detours.CONV2D)
def test_no_detour_leads_to_torchs_convolution(name):
    names = ["*conv*", "*Conv*", "dlcourse.models*"]
    _, got = answer(detours.CONV2D[name], "conv2d", [X, W], ["5.2", names])
    assert isinstance(got, dict), got
    assert got["kind"] == "not allowed", got
    assert got["text"].startswith("task 5.2: your code ran ")
    assert sys.getprofile() is None


@pytest.mark.parametrize("name", detours.PYTHON)
def test_no_detour_leads_to_a_function_in_python(name):
    pattern, source = detours.PYTHON[name]
    w, g = torch.tensor([1.0, -2.0, 3.0]), torch.ones(3)
    _, got = answer(source, "adam", [w, g, {}], ["3.5", [pattern]])
    assert isinstance(got, dict), got
    assert got["kind"] == "not allowed", got


@pytest.mark.parametrize("name", detours.BETWEEN)
def test_nothing_that_runs_between_two_calls_becomes_an_answer(name):
    pattern, source = detours.BETWEEN[name]
    w, g = torch.tensor([1.0, -2.0, 3.0]), torch.ones(3)
    host = StudentHost((detours.HEAD + source).encode(), "lab.py", "lab", call_test)
    garbage, callbacks = gc.get_threshold(), [*gc.callbacks]
    try:
        got = [request(host, "call", "adam", [w, g, {}], ["3.5", [pattern]]) for _ in range(3)]
    finally:
        gc.set_threshold(*garbage)
        gc.callbacks[:] = callbacks
        unguard(host)
    assert {one["kind"] for one in got if isinstance(one, dict)} >= {"not allowed"}, got
    assert all(isinstance(one, dict) or torch.equal(one[0], w) for one in got), got


INPUTS = {
    "line_gradient": [torch.tensor(0.5), torch.tensor(1.0), torch.ones(3), torch.zeros(3)],
    "cross_entropy_gradient": [torch.eye(3)[:, :2], torch.tensor([0, 1, 0])],
    "lstm_step": [torch.rand(s) for s in ((2, 3), (2, 4), (2, 4), (16, 3), (16, 4), (16,))],
    "grid_sample": [torch.rand(1, 2, 3, 4), torch.rand(1, 5, 6, 2)],
    "attention": [torch.rand(1, 1, t, 4) for t in (3, 5, 5)],
}


@pytest.mark.parametrize("name", detours.OTHERS)
def test_no_other_operator_of_the_library_answers_a_task(name):
    task, function, source = detours.OTHERS[name]
    lab = f"lab{int(task.partition('.')[0]):02}"
    _, got = answer(source, function, INPUTS[function], [task, rules(lab)[task][1]])
    assert isinstance(got, dict), got
    assert got["kind"] == "not allowed", got


def test_numbers_without_a_graph_are_no_gradients():
    rule = ["1.5", ["run_backward"]]
    for body in ("w * 2", "(w.detach().requires_grad_() > 0).sum()", "(lambda x: x * 2)(w)"):
        _, got = answer(f"def f(w): return {body}", "f", [torch.ones(3)], rule)
        assert isinstance(got, torch.Tensor), (body, got)
    _, got = answer("@torch.no_grad()\ndef f(w): return w * w.requires_grad_()", "f", [W], rule)
    assert isinstance(got, torch.Tensor), got
    _, got = answer(
        "def f(w): return torch.vmap(lambda row: row * 2)(w)",
        "f",
        [W],
        ["1.5", rules("lab01")["1.5"][1]],
    )
    assert torch.equal(got, W * 2), got
    # The test's own function may have something recorded.
    _, got = answer("def f(function): return function(1) + 1", "f", [print], rule)
    assert torch.equal(got, F.conv2d(X, W) + 1)


def test_torchs_operators_come_back_after_the_call():
    names = ["*conv*"]
    _, got = answer(detours.CONV2D["eval"], "conv2d", [X, W], ["5.2", names])
    assert got["kind"] == "not allowed"
    assert F.conv2d(X, W).shape == (1, 3, 3, 3)
    # Without a rule, and while the file loads, everything may run.
    ones = "torch.ones(1, 1, 1, 1)"
    source = f"{detours.DEF}return F.conv2d(inputs, weight)\nconv2d({ones}, {ones})"
    host, got = answer(source, "conv2d", [X, W], None)
    assert torch.equal(got, F.conv2d(X, W))
    _, got = answer(source, "conv2d", [X, W], ["5.2", names], host=host)
    assert got["text"] == (
        "task 5.2: your code ran torch's conv2d; this task asks you to write that yourself"
    )
    assert "line 7, in conv2d" in got["traceback"]


def test_function_of_the_tests_that_is_called_back_may_do_everything():
    rule = ["5.2", ["*conv*", "torch.nn.functional*"]]
    _, got = answer("def f(function): return function(1) + 1", "f", [print], rule)
    assert torch.equal(got, F.conv2d(X, W) + 1)
    _, got = answer(f"def f(function): return function(1), {detours.GET}", "f", [print], rule)
    assert got[0].shape == (1, 3, 3, 3)
    _, got = answer(
        f"def f(function): return {detours.GET}(function(1), function(1))", "f", [print], rule
    )
    assert got["kind"] == "not allowed"


@pytest.mark.parametrize("shared", [True, False])
def test_function_of_the_tests_that_asks_again_neither_hides_nor_lifts_a_refusal(shared):
    rule = ["5.2", ["*conv*"]]
    source = f"""{detours.HEAD}
def inner():
    return 1
def caught(function):
    try:
        {detours.GET}(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
    except BaseException:
        pass
    return function(1)
def after(function):
    function(1)
    return {detours.GET}(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
"""

    def ask_again(number, message, buffers):
        assert request(host, "call", "inner", [], rule) == 1
        return {"value": 2}, Buffers()

    host = StudentHost(source.encode(), "lab.py", "lab", ask_again, shared=shared)
    try:
        for name in ("caught", "after"):
            got = request(host, "call", name, [print], rule)
            assert isinstance(got, dict), (name, got)
            assert got["kind"] == "not allowed", (name, got)
        assert request(host, "call", "inner", [], rule) == 1
    finally:
        unguard(host)


def test_import_of_a_library_inside_the_call_is_not_refused():
    source = "def f():\n    import colorsys as lazy\n    return lazy.rgb_to_hsv(1, 1, 1)[2]"
    _, got = answer(source, "f", [], ["5.2", ["torch.autograd*", "torch.optim*"]])
    assert got == 1
    # The first profiler and optimizer import much of torch, which runs what is forbidden here.
    source = (
        "def f():\n    with torch.profiler.profile(): pass\n"
        "    torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)\n    return 1"
    )
    for name in ("torch._inductor*", "torch._decomp*"):
        _, got = answer(source, "f", [], ["5.2", [name]])
        assert got == 1


def test_the_first_optimizer_of_a_process_is_not_refused():
    # Another test of this process has made one already.
    test = f"{__file__}::{test_import_of_a_library_inside_the_call_is_not_refused.__name__}"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        test,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout


def test_ctypes_is_refused_to_the_student_and_not_to_the_package():
    rule = ["5.2", ["torch.optim*"]]
    source = "import dlcourse.runtime as r\ndef f():\n    r.keep_freed_memory()\n    return 1"
    assert answer(source, "f", [], rule)[1] == 1
    source = "import ctypes\ndef f():\n    return ctypes.CDLL(None).mallopt(-1, 1)"
    assert answer(source, "f", [], rule)[1]["text"] == (
        "task 5.2: your code ran ctypes; it can change the process that checks it"
    )
    assert answer(source, "f", [], None)[1] == 1


def test_a_new_layer_may_draw_its_weights_but_a_student_may_not_call_the_rule():
    rule = ["4.2", ["torch.nn.init*"]]
    for layer in ("nn.Linear(3, 2)", "nn.Conv2d(3, 2, 3)", "nn.Embedding(4, 2)"):
        _, got = answer(f"def f(): return list({layer}.weight.shape)[0]", "f", [], rule)
        assert got in (2, 4), layer
    for call in ("nn.init.kaiming_normal_(torch.empty(2, 3))", "nn.MultiheadAttention(4, 1)"):
        _, got = answer(f"def f():\n    {call}\n    return 1", "f", [], rule)
        assert got["kind"] == "not allowed", call


# A file that is run as a string, and brings its own importer.
IMPORTER = """
import importlib.abc, importlib.util, sys, torch
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name == "helper": return importlib.util.spec_from_loader(name, self)
    def exec_module(self, module):
        module.w = torch.nn.init.ones_(torch.empty(2))
sys.meta_path.append(Finder())
"""


def test_an_importer_of_the_students_excuses_nothing():
    source = (
        f"def f():\n    exec({IMPORTER!r}, globals())\n    import helper\n"
        "    return helper.w.sum().item()"
    )
    before = [*sys.meta_path]
    try:
        _, got = answer(source, "f", [], ["4.2", ["torch.nn.init*"]])
    finally:
        sys.meta_path[:] = before
    assert got["kind"] == "not allowed"


def test_what_torch_calls_for_its_own_ends_is_not_refused():
    source = "def f(): return sum(p.numel() for p in nn.Linear(3, 2, device='meta').parameters())"
    _, got = answer(source, "f", [], ["6.1", ["torch._decomp*", "torch._refs*"]])
    assert got == 8


def test_torchvision_is_not_taken_for_torch():
    source = (
        "import torchvision\ndef f(): return getattr(torchvision.models, 'vgg').make_layers([4])"
    )
    _, got = answer(source, "f", [], ["6.2", ["torchvision.models*"]])
    assert got["text"].startswith("task 6.2: your code ran torchvision.models.vgg.make_layers;")


ENDLESS = """
def again(n):
    return again(n) + 1

def hidden(n):
    try:
        again(n)
    except RecursionError:
        return len(torch.optim.SGD([torch.ones(2)], lr=0.1).param_groups)
"""


def test_an_endless_recursion_is_no_attempt_to_hide():
    rule = ["3.5", ["torch.optim*"]]
    host, got = answer(ENDLESS, "again", [1], rule)
    assert (got["kind"], got["text"][:14]) == ("exception", "RecursionError")
    # Until Python 3.11 the profile function is gone by then, so no value is believed any more.
    assert request(host, "call", "hidden", [1], rule)["kind"] == "not allowed"
    assert request(host, "call", "again", [1], rule)["kind"] == "exception"
