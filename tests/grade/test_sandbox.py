"""The sandbox: its layers hold, and no attack earns a point that the honest code does not."""

import copy
import itertools
import json
import mmap
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import types
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import dlcourse

from support import answers, attacks, tiny

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox needs Linux", allow_module_level=True)

from dlcourse.check import protocol
from dlcourse.check.protocol import Buffers, ProtocolError
from dlcourse.check.pytest_plugin import run_session, settle
from dlcourse.check.record import NOT_COUNTED, Record
from dlcourse.check.student import KINDS, InProcessChannel, Student, StudentError
from dlcourse.errors import GradingError
from dlcourse.grade.job import BatchSettings, Job
from dlcourse.grade.reports import feedback, gradescope
from dlcourse.grade.sandbox.confinement import Limits, missing
from dlcourse.grade.sandbox.process import SIZE, Budget, SandboxProcess
from dlcourse.grade.submissions import Graded, Submission
from dlcourse.grade.worker import MEMORY, SubmissionRun, Worker, bounded_memory

from support.warm import WarmWorker

SECRET = "a hidden input"
UNHURT = {"", "test_add", "test_add_tensors", "test_total", "test_counter"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    out = tmp_path_factory.mktemp("out")
    (out / "grades.csv").write_text("student,score\n")
    lab = tiny.make_course(root)
    for name in (".git/HEAD", "tests/support/alternatives_lab90.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("kept from students\n")
    return lab, out


@pytest.fixture(scope="module")
def warm(place):
    lab, out = place
    return WarmWorker(BatchSettings(lab, (lab.root, out), Limits(memory_mb=512)))


def grade(warm, source, seconds=10.0):
    return warm.grade(Job(source, dict.fromkeys(UNHURT, seconds), seconds))


def failed(tests):
    return [test.name for test in tests if test.outcome not in ("passed", NOT_COUNTED)]


def test_every_layer_needed_is_in_force(warm):
    assert missing(warm.reports) == []


# Runs a command in which no file system can be mounted, though namespaces can be made: what a
# kernel with AppArmor's rules for user namespaces does.
NO_MOUNTS = """
import os, struct, sys
from dlcourse.grade.sandbox import linux
refused = {"x86_64": (165, 155), "aarch64": (40, 41)}[os.uname().machine]
load, equal, give = 0x20, 0x15, 0x06
rules = [(load, 0, 0, 0), (equal, 3, 0, refused[0]), (equal, 2, 0, refused[1]), (equal, 1, 0, 442)]
rules += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x00050001)]  # allow; EPERM
linux.filter_calls(b"".join(struct.pack("<HBBI", *rule) for rule in rules))
os.execvp(sys.argv[1], sys.argv[1:])
"""
OUTSIDE = (
    "a note for the next process", "list the temporary folder", "read the alternatives",
    "read the history", "read the tests", "read the solution", "list the course",
    "read other submissions", "read the launcher's environment", "read /proc", "read accounts",
    "write results",
    "write the package", "signal to the parent", "signal to all", "trace", "become root",
)  # fmt: skip


@pytest.mark.parametrize(
    ("command", "lacking"),
    [
        (["unshare", "--user", "--map-user=1000", "--map-group=1000"], ["separate uid"]),
        (["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
         ["network namespace", "pid namespace", "read-only root", "own tmpfs"]),
        ([sys.executable, "-c", NO_MOUNTS], ["read-only root", "own tmpfs"]),
    ],
    ids=["as an ordinary user", "as root in a container", "where mounts are refused"],
)  # fmt: skip
def test_sandbox_holds_elsewhere_too(place, command, lacking, monkeypatch):
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]} from util-linux")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"not to be had here: {tried.stderr.strip()}")
    lab, out = place
    monkeypatch.setattr(subprocess, "Popen", within(command))
    worker = Worker(BatchSettings(lab, (lab.root, out)))
    try:
        assert [report.layer for report in worker.reports if not report.in_force] == lacking
        assert sum(test.score for test in grade(worker, tiny.SOLUTION.encode())) == 6
        won = grade(worker, attacks.source(OUTSIDE, str(lab.root), str(out)))
        assert {test.name: test.score for test in won if test.score} == {}
        assert not Path("/tmp/note").exists()
    finally:
        worker.fork_server.close()


def within(command):
    """What `subprocess.Popen` is where the fork server starts by way of `command`."""
    start = subprocess.Popen
    return lambda arguments, **settings: start([*command, *arguments], **settings)


BELOW_TMP = """
import functools, json, subprocess, sys
from pathlib import Path
import dlcourse
from dlcourse.course import Lab
from dlcourse.grade import work
from dlcourse.grade.job import BatchSettings, Job
lab = Lab("lab90_sums", Path(sys.argv[1]))
print(dlcourse.__file__, sys.prefix)
start = subprocess.Popen
for number, command in enumerate(json.loads(sys.argv[2])):
    subprocess.Popen = lambda arguments, **more: start([*command, *arguments], **more)
    settings = BatchSettings(lab, (lab.tests.parent, lab.solution.parent, Path(f"/{number}")))
    limits = work.prove(settings).limits_s
    for act in sys.argv[3:]:
        source = lab.solution.read_text().replace("return a + b", act + "; return a + b")
        tests, _ = work.grade_one(settings, Job(source.encode(), limits))
        print(sum(test.score for test in tests), *{test.reason for test in tests if test.reason})
"""


def test_right_answers_find_what_lies_below_the_temporary_folder(tmp_path):
    commands = [[], ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]]
    if shutil.which("setpriv") is None or os.getuid() != 0:
        commands.pop()  # needs root, and setpriv from util-linux
    place = course_and_environment(tmp_path)
    acts = [
        f"import late_friend; late_friend.see_nothing_of({str(place / 'course')!r})",
        "import dlcourse.plots, dlcourse.optim",
        "str(torch.rand(2) / 3)",
        "import matplotlib.pyplot as plt; plt.figure().canvas.draw()",
        "import torchvision.transforms",
    ]
    done = subprocess.run(
        [place / "course" / "bin" / "python", "-c", BELOW_TMP, place / "course",
         json.dumps(commands), *acts],
        capture_output=True, text=True, check=False, cwd=place / "course",
        env={**os.environ, "PYTHONPATH": str(place / "course")},
    )  # fmt: skip
    where, *scores = done.stdout.splitlines() or [""]
    assert where == f"{place}/course/dlcourse/__init__.py {place}/course", done.stderr
    assert scores == ["6.0"] * len(acts) * len(commands)


def course_and_environment(tmp_path):
    """A course with its package below /tmp, whose folder is the environment too."""
    assert tmp_path.is_relative_to("/tmp")
    course = tmp_path / "course"
    tiny.make_course(course)
    package = Path(dlcourse.__file__).parent
    shutil.copytree(package, course / "dlcourse", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SECRETS:
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).touch()
    venv.create(course, symlinks=True)
    (packages,) = (course / "lib").glob("python*/site-packages")
    (packages / "late_friend.py").write_text(f"SECRETS = {SECRETS}\n{LATE_FRIEND}")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return tmp_path


SECRETS = (".git/HEAD", "tests/support/alternatives_lab90.py", "solutions/lab90_sums.py",
           "tests/labs/test_lab90_sums.py", "notes.txt")  # fmt: skip
LATE_FRIEND = """
import os

def see_nothing_of(course):
    for name in SECRETS:
        for act, path in ((open, name), (os.listdir, os.path.dirname(name) or ".")):
            try:
                seen = act(os.path.join(course, path))
            except OSError:
                continue
            assert act is os.listdir and name not in seen and not (seen and path != "."), seen
"""


FILES = """
        import tempfile
        with tempfile.TemporaryFile("w+") as file, tempfile.NamedTemporaryFile() as other:
            print(file.isatty(), other.name, file=file)
        return a + b"""


def test_honest_solution_scores_full(warm):
    own_tmp = any(one.layer == "own tmpfs" and one.in_force for one in warm.reports)
    source = tiny.SOLUTION.replace("return a + b", f"if {own_tmp}:{FILES}\n    return a + b", 1)
    assert sum(test.score for test in grade(warm, source.encode())) == 6


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_attack_earns_nothing(warm, place, name):
    lab, out = place
    source = attacks.source(name, str(lab.root), str(out))
    tests = warm.grade(Job(source, dict.fromkeys(UNHURT, 0.4), 0.4, 2.0))
    assert len(tests) == 4
    assert {test.name: test.score for test in tests if test.score} == {}
    assert "could not check" not in {test.outcome for test in tests}
    assert (out / "grades.csv").read_text() == "student,score\n"


def test_attacks_are_programs_on_what_is_there(place):
    lab, out = place
    for name in attacks.ATTACKS:
        text = attacks.source(name, str(lab.root), str(out)).decode()
        compile(text, name, "exec")
        for path in re.findall(rf"(?:{lab.root}|{out})[\w./]*", text):
            assert Path(path).exists(), (name, path)


class Forger(SandboxProcess):
    """A submission's process that says `reply`, whatever it is asked, and ends."""

    def __init__(self, reply):
        ours, self.theirs = socket.socketpair()
        super().__init__(types.SimpleNamespace(kill=lambda: None, reap=lambda: 0), ours)
        self.theirs.sendall(reply)
        self.theirs.shutdown(socket.SHUT_WR)


def test_forged_replies_earn_nothing(place):
    lab, _ = place

    def work(session):
        for name, reply in attacks.FORGED.items():
            tests = session.grade(lambda _: Student(Forger(reply)), {}, {})  # noqa: B023 (called at once)
            assert {test.name: test.score for test in tests if test.score} == {}, name
            assert "could not check" not in {test.outcome for test in tests}, name

    run_session(lab, work)


def test_hidden_tests_run_in_a_process_that_loaded_the_file_anew(warm):
    head = "CALLS = []\n"
    body = "CALLS.append(type(a).__name__)\n    return a + b if len(set(CALLS)) == 1 else None"
    source = head + tiny.SOLUTION.replace("return a + b", body)
    assert {test.name: test.score for test in grade(warm, source.encode())} == {
        "test_add": 1, "test_total": 3, "test_counter": 1, "test_add_tensors": 1,
    }  # fmt: skip


LOST_OFTEN = """
import os
def add(a, b): os._exit(0)
def total(values): os._exit(0)
class Counter:
    def __init__(self, start): os._exit(0)
"""


def test_file_is_loaded_again_at_most_twice(warm, monkeypatch):
    loads = []
    load = SubmissionRun.load
    monkeypatch.setattr(SubmissionRun, "load", lambda *args: (loads.append(1), load(*args))[1])
    tests = grade(warm, LOST_OFTEN.encode())
    assert {test.outcome for test in tests} == {"killed"}
    assert len(loads) == 3 + 1  # one hidden test


def test_one_budget_bounds_all_tests_of_a_submission(warm):
    source = "import time\n" + tiny.SOLUTION.replace(
        "return a + b", "time.sleep(0.2); return a + b"
    )
    tests = warm.grade(Job(source.encode(), {}, 10.0, 0.5))
    reason = "your file has used up the 0 s that all tests together may take"
    assert {(test.outcome, test.reason) for test in tests[2:]} == {("time", reason)}


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """A worker with a test that does not end on a negative sum."""
    right = "assert student.add(a, b) == a + b"
    loop = f"got = student.add(a, b)\n    while got < 0: pass\n    {right}"
    tests = tiny.TESTS.replace(right, loop, 1)
    lab = tiny.make_course(tmp_path_factory.mktemp("endless"), tests=tests)
    return WarmWorker(BatchSettings(lab, (lab.root,)))


def test_test_that_does_not_end_on_an_answer_ends_with_the_budget(endless):
    source = tiny.SOLUTION.replace("return a + b", "return -1 if a else 0")
    start = time.process_time()
    tests = endless.grade(Job(source.encode(), {}, 10.0, 1.0))
    assert time.process_time() - start < 10.0
    first, *others = tests
    assert (first.name, first.outcome, first.reason) == (
        "test_add", "time", "add(2, 0): the tests did not end on your answers",
    )  # fmt: skip
    reason = "your file has used up the 1 s that all tests together may take"
    assert {test.reason for test in others} == {reason}
    assert sum(test.score for test in endless.grade(Job(tiny.SOLUTION.encode(), {}, 10.0))) == 6


def test_test_that_loses_the_process_costs_no_other_task(warm):
    source = tiny.SOLUTION.replace("return a + b", "import os; os._exit(0)")
    tests = {test.name: test.outcome for test in grade(warm, source.encode())}
    assert (tests["test_add"], tests["test_counter"]) == ("killed", "passed")


def test_time_that_the_tests_take_with_an_answer_counts_too():
    ours, theirs = socket.socketpair()
    process = SandboxProcess(types.SimpleNamespace(kill=lambda: None, reap=lambda: 0), ours)
    process.budget = Budget(100.0)
    process.allow(50.0)
    process.budget.tests_s -= 3.0  # as if this thread had worked for 3 s
    with process.on_the_clock():
        pass
    assert 46.0 < process.left_s < 47.1
    assert 96.0 < process.budget.left_s < 97.1
    theirs.close()
    ours.close()


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_attack_names_only_what_the_package_has(name):
    for dotted in attacks.dlcourse_names(attacks.source(name, "/course", "/out").decode()):
        attacks.resolve(dotted)


def test_attack_on_a_module_that_has_moved_would_be_seen():
    text = "import dlcourse.check.protocol as w\nw.encode = None\nw.gone.away = 1\n"
    found = attacks.dlcourse_names(f"{text}from dlcourse.check.wire import pack\n")
    assert {"dlcourse.check.protocol.encode", "dlcourse.check.wire.pack"} <= found
    assert attacks.resolve("dlcourse.check.protocol.encode") is not None
    for gone in ("dlcourse.check.wire.pack", "dlcourse.check.protocol.gone.away"):
        with pytest.raises(AttributeError):
            attacks.resolve(gone)


def test_submission_finds_no_module_of_the_checker(warm):
    parts = "('dlcourse.check', 'dlcourse.grade')"
    source = f"import sys\nassert not [n for n in sys.modules if n.startswith({parts})]\n"
    assert sum(test.score for test in grade(warm, (source + tiny.SOLUTION).encode())) == 6


def test_worker_is_unhurt_after_all_of_that(warm):
    assert sum(test.score for test in grade(warm, tiny.SOLUTION.encode())) == 6


def test_won_attack_would_be_seen(warm):
    source = (attacks.PRELUDE + attacks.won_if("x = 1") + attacks.WRONG).encode()
    assert sum(test.score for test in grade(warm, source)) == 6


def shown(tests, lab):
    """All that a student sees of these records, but for the seconds of the visible tests."""
    one = Graded(Submission("ada", "1", b""), Record("lab90", tests, 0.0, {"layers": []}))
    page, results = feedback(one, lab.name, {}), gradescope(one)
    assert results.pop("execution_time") == round(sum(t.seconds for t in tests if not t.hidden), 3)
    return page + json.dumps(results)


class Says:
    """A channel whose every answer is `reply`, an exception or a message with its buffers."""

    def __init__(self, reply):
        self.reply = reply

    def ask(self, message, buffers, call_back):
        if isinstance(self.reply, Exception):
            raise self.reply
        if "callback" in self.reply[0]:
            call_back(0, *self.reply)
        return self.reply


def replies():
    """Everything of which a process of student code can make its answer to a hidden test."""
    kinds = sorted({*KINDS, "killed", "malformed reply", "not reached", "memory", "time"})
    for kind, task in itertools.product(kinds, ("90.1", "95.95")):
        text = f"task {task}: {SECRET}"
        if kind in ("killed", "malformed reply", "output", "time"):  # this side says them
            yield StudentError(kind, text, text)
        error = {"kind": kind, "text": text, "traceback": text, "task": task}
        yield {"error": error, "printed": text}, Buffers()
    yield ProtocolError(SECRET)
    for reply in ({}, {"value": {"t": SECRET}}, {"error": SECRET}, {"printed": [SECRET] * 9},
                  {"callback": 0, "args": [SECRET]}):  # fmt: skip
        yield reply, Buffers()
    draw = random.Random(18)
    for _ in range(40):
        buffers = Buffers()
        node = protocol.encode(answers.value(draw), buffers, lambda _: {"t": "handle", "v": 0})
        yield {"value": node, "printed": SECRET}, buffers


def test_whatever_student_code_answers_a_hidden_test_tells_only_that_it_failed(place):
    lab, _ = place
    right, seen, outcomes = InProcessChannel(lab.solution, lab.name), set(), set()
    stubs = {"95.95": "add"}  # in a docstring of the file

    def work(session):
        visible = session.run_part(lambda _: Student(right), {}, hidden=False)
        for reply in replies():
            tests = copy.deepcopy(visible)
            tests += session.run_part(lambda _: Student(Says(reply)), stubs, hidden=True)  # noqa: B023 (called at once)
            outcomes.add(tests[-1].outcome)
            settle(tests, stubs, {})
            assert failed(tests) == ["test_add_tensors"]
            seen.add(shown(tests, lab))

    run_session(lab, work)
    (told,) = seen
    assert "hidden test" in told
    assert SECRET not in told
    # What only the grader can know is never taken from an answer.
    assert outcomes == (KINDS - {"import failure", "not allowed", "not written"}) | {
        "killed", "malformed reply", "time", "wrong answer",
    }  # fmt: skip


def as_told(warm, body, limit=10.0):
    """All that a student sees of a submission whose `add` does `body` in the hidden test."""
    late = f"if time.time() > {time.time() + 1.5}: raise ImportError({SECRET!r})"
    hidden = f"if isinstance(a, torch.Tensor):\n        {body}\n    return a + b"
    source = f"import os, time, torch\n{late}\n" + tiny.SOLUTION.replace("return a + b", hidden)
    tests = warm.grade(Job(source.encode(), {"test_add_tensors": limit}, 10.0))
    assert failed(tests) == ["test_add_tensors"]
    return shown(tests, warm.settings.lab)


def test_end_of_its_process_tells_a_student_only_that_a_hidden_test_failed(warm):
    told = as_told(warm, "return a - b")
    assert "hidden test" in told
    for body in ("time.sleep(1.6); os._exit(0)", "os.abort()", "while True: pass"):
        assert as_told(warm, body, 0.3 if body.startswith("while") else 10.0) == told


def told_of(warm, body):
    """All that a student sees of a submission that does `body` in the hidden test alone."""
    hidden = f"if isinstance(a, torch.Tensor):\n        {body}\n    return a + b"
    source = f"import os, sys, torch\n{tiny.SOLUTION.replace('return a + b', hidden)}"
    tests = grade(warm, source.encode())
    assert failed(tests) == ["test_add_tensors"]
    return shown(tests, warm.settings.lab)


@pytest.fixture(scope="module")
def told_of_a_wrong_answer(warm):
    return told_of(warm, "return a - b")


@pytest.mark.parametrize("name", attacks.LEAKS)
def test_nothing_that_is_done_in_a_hidden_test_is_told(warm, told_of_a_wrong_answer, name):
    assert told_of(warm, attacks.LEAKS[name]) == told_of_a_wrong_answer


def test_file_that_uses_ctypes_does_not_load(warm):
    tests = grade(warm, f"import ctypes; ctypes.string_at(0)\n{tiny.SOLUTION}".encode())
    assert {test.reason for test in tests} == {
        "your file did not finish loading: your code ran ctypes; it can change the process that "
        "checks it"
    }
    assert sum(test.score for test in tests) == 0


CRASH = "import numpy as n; n.lib.stride_tricks.as_strided(n.ones(1), (9**9,), (2**40,)).sum()"


@pytest.mark.parametrize(
    ("prelude", "outcome", "reason"),
    [
        ("while True: pass", "import failure", "your file did not finish loading: your code took "
         "longer than 1 s; code at the top level runs at import: move it into main()"),
        ("x = bytearray(2**40)", "import failure", "lab90_sums.py does not load: MemoryError, "
         "line 1: your code needs more memory than there is"),
        ("import os; os._exit(3)", "killed",
         "your file did not finish loading: the process that ran your code ended itself"),
        ("import os; os._exit(137)", "killed",
         "your file did not finish loading: the process that ran your code ended itself"),
        (CRASH, "killed",
         "your file did not finish loading: the process that ran your code was crashed (SIGSEGV)"),
        ("print('x' * 10**7)", "output", None),
    ],
)  # fmt: skip
def test_outcomes_are_told_apart(warm, prelude, outcome, reason):
    seconds = 1.0 if prelude.startswith("while") else 10.0
    tests = grade(warm, f"{prelude}\n{tiny.SOLUTION}".encode(), seconds)
    assert {test.outcome for test in tests} == {outcome}
    assert reason is None or {test.reason for test in tests} == {reason}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("import socket; socket.socket()", "refused"),
        ("return bytearray(2**34)", "exception"),
        ("return 10**5000", "output"),
        ("return torch.zeros(2**34)", "exception"),
        ("return torch.zeros(2**24 + 1)", "output"),
        ("print('x' * 10**7)", "output"),
        ("import os; os._exit(0)", "killed"),
        ("return -1", "wrong answer"),
        ("return 1 / 0", "exception"),
        ("while True: pass", "time"),
    ],
)
def test_trouble_in_one_function_costs_its_task_alone(warm, body, outcome):
    source = tiny.SOLUTION.replace("self.count = function(self.count)", body)
    tests = grade(warm, source.encode(), 1.0 if outcome == "time" else 10.0)
    assert {test.name: test.outcome for test in tests if not test.passed} == {
        "test_counter": outcome
    }


def test_submission_over_which_the_fork_server_is_lost_is_graded_again(warm):
    lost = warm.fork_server
    slow = f"import time\ntime.sleep(0.5)\n{tiny.SOLUTION}".encode()
    with ThreadPoolExecutor(1) as pool:
        tests = pool.submit(grade, warm, slow)
        while lost.current is None:
            time.sleep(0.01)
        lost.process.kill()
        lost_points = [(t.name, t.outcome, t.reason) for t in tests.result() if not t.passed]
    assert lost_points == []
    assert warm.fork_server is not lost


DIES_EARLY = """
import os, socket
from dlcourse.grade.sandbox import fork_server
from dlcourse.grade.sandbox.confinement import Limits

write = fork_server.write_frame

def die(frame, descriptor=3):
    if descriptor != 3:  # it is the parent's
        os.kill(os.getpid(), 9)
    write(frame, descriptor)

ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    fork_server.write_frame = die
    fork_server.middle(theirs.fileno(), {"limits": vars(Limits())}, os.getppid())
theirs.close()
print(ours.recv(100))
"""


def test_submission_whose_parent_died_at_once_never_speaks():
    done = subprocess.run(
        [sys.executable, "-c", DIES_EARLY], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("b''\n", "")


def test_waiting_for_the_cpu_is_not_on_a_submissions_time(monkeypatch):
    ours, theirs = socket.socketpair()
    process = SandboxProcess(types.SimpleNamespace(kill=lambda: None, reap=lambda: 0), ours)
    process.allow(0.1)
    threading.Timer(0.2, theirs.send, [SIZE.pack(1) + b"x"]).start()
    with process.on_the_clock():
        assert process.receive() == b"x"
    process.allow(0.1)
    spent = itertools.count(step=0.1)
    monkeypatch.setattr(process, "cpu_s", lambda: next(spent))
    with process.on_the_clock(), pytest.raises(StudentError, match="longer than 0 s"):
        process.receive()
    theirs.close()
    ours.close()


def test_request_within_a_request_stays_under_its_deadline():
    ours, theirs = socket.socketpair()
    process = SandboxProcess(types.SimpleNamespace(kill=lambda: None, reap=lambda: 0), ours)
    process.allow(5.0)
    with process.on_the_clock():
        deadline = process.deadline
        with process.on_the_clock():
            assert process.deadline == deadline
        assert process.deadline == deadline
    with process.on_the_clock():
        assert process.deadline != deadline
    theirs.close()
    ours.close()


def test_memory_of_the_tests_is_bounded_while_they_run_and_not_after():
    with bounded_memory(), pytest.raises(OSError, match="Cannot allocate memory"):
        mmap.mmap(-1, 2 * MEMORY)
    mmap.mmap(-1, 2 * MEMORY).close()


def test_failure_of_the_grader_itself_costs_one_submission_alone(warm, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr("dlcourse.grade.worker.settle", fails)
        tests = grade(warm, tiny.SOLUTION.encode())
    assert [(test.score, test.outcome) for test in tests] == [(0.0, "could not check")] * 4
    assert tests[0].reason == "the grader itself failed: ZeroDivisionError: a fault"
    assert "a fault" not in shown(tests, warm.settings.lab)  # it may come from a hidden test
    assert sum(test.score for test in grade(warm, tiny.SOLUTION.encode())) == 6


def test_fork_server_ends_with_its_control(warm):
    warm.fork_server.control.close()
    assert warm.fork_server.process.wait(120) == 0
    with pytest.raises(GradingError, match="cannot be told"):
        warm.fork_server.open(b"", "", "", Limits())
    assert sum(test.score for test in grade(warm, tiny.SOLUTION.encode())) == 6
