"""Attacks on the grader, each a prelude to code that deserves no point.

`WON` is set where an attack reaches what it is after; the answers are right only then. An attack
on what happens elsewhere (patched comparisons, forged results) needs no WON: it wins by points.
/tmp is the one folder that code in the sandbox would hope to write to.
"""

# ruff: noqa: E501 (an attack reads best on one line)

import ast
import importlib
import re
import struct
from collections.abc import Iterable

from dlcourse.check.pytest_plugin import TestSession

WRONG = """
def add(a, b):
    return a + b if WON else WRONG_SUM

def total(values):
    return sum(values) if WON else -1

class Counter:
    def __init__(self, start=0):
        self.count = start if WON else None
    def step(self, function):
        if WON:
            self.count = function(self.count)
        return self.count
"""
PRELUDE = "WON = False\nWRONG_SUM = -1\n"
COURSE, OUT = "@COURSE@", "@OUT@"  # replaced by where the course and the results lie
# The same from back to front: an attack that looks for them must not find its own text.
BACKWARD = "'@ESRUOC@', '@TUO@'"

ALWAYS_EQUAL = """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __radd__(self, other): return self
    def __add__(self, other): return self
"""


def won_if(act: str) -> str:
    """An attack that wins where `act`, statements, ends without an exception."""
    body = "\n".join(f"    {line}" for line in act.strip().splitlines())
    return f"try:\n{body}\n    WON = True\nexcept BaseException:\n    pass\n"


def forged(reply: str) -> str:
    """Write `reply`, an expression for bytes, on the wire instead of an answer."""
    return (
        "import os, struct\n"
        f"def forge(*args):\n    os.write(3, {reply})\n    os._exit(0)\n"
        "def __getattr__(name): forge()\n"
    )


def frame(message: str, buffer: bytes | None = None) -> bytes:
    """The frame of `message`, JSON of any kind, with one buffer or none."""
    sizes = [] if buffer is None else [len(buffer)]
    text = f'{{"m": {message}, "b": {sizes}}}'.encode()
    rest = struct.pack("<I", len(text)) + text + (buffer or b"")
    return struct.pack("<Q", len(rest)) + rest


FRAME = (
    "(lambda t: struct.pack('<Q', len(t) + 4) + struct.pack('<I', len(t)) + t)"
    '(b\'{"m": %s, "b": []}\')'
)
TRUE = FRAME % '{"value": true}'

ATTACKS = {
    # Patches: what is replaced here is not what the tests use.
    "patch torch.equal": "import torch\ntorch.equal = lambda *a, **k: True\n",
    "patch torch.allclose": "import torch\ntorch.allclose = torch.isclose = lambda *a, **k: True\n",
    "patch assert_close": "import torch.testing\ntorch.testing.assert_close = lambda *a, **k: None\n",
    "patch tensor operators": "import torch\ntorch.Tensor.__eq__ = lambda *a: True\n"
    "torch.Tensor.all = lambda *a: True\n",
    "patch pytest": "import pytest\npytest.main = lambda *a, **k: 0\npytest.fail = lambda *a: None\n",
    "patch builtins": "import builtins\nbuiltins.all = builtins.any = lambda *a: True\n"
    "builtins.isinstance = lambda *a: True\n",
    "patch len and sum": "import builtins\nbuiltins.len = lambda x: 3\nbuiltins.abs = lambda x: 0\n",
    "patch operator": "import operator\noperator.eq = operator.ne = lambda a, b: True\n",
    "patch json": "import json\njson.dumps = lambda *a, **k: '{\"m\": {\"value\": 3}, \"b\": []}'\n",
    "patch the wire": "import dlcourse.check.protocol as w\nw.encode = lambda *a: 3\n"
    "import dlcourse.check.student_host as s\ns.encode = lambda v, b, o: True\n",
    "patch the record": "import dlcourse.check.record as r\n"
    "r.TestRecord.passed = property(lambda self: True)\n",
    "patch points": "import dlcourse.check.points as p\np.award = lambda *a: None\n",
    # Objects that agree with everything.
    "always equal": ALWAYS_EQUAL + "WRONG_SUM = Yes()\n",
    "always equal int": "class I(int):\n    def __eq__(self, o): return True\n"
    "    __hash__ = int.__hash__\nWRONG_SUM = I(-1)\n",
    "always close tensor": "import torch\nclass T(torch.Tensor):\n    @classmethod\n"
    "    def __torch_function__(cls, f, t, a=(), k=None): return True\n"
    "WRONG_SUM = torch.zeros(20).as_subclass(T)\n",
    "not a number": "WRONG_SUM = float('nan')\n",
    "empty tensor of great size": "import torch\nWRONG_SUM = torch.empty(2**40, 0)\n",
    "tensor without memory": "import torch\nWRONG_SUM = torch.zeros(1).expand(2**40)\n",
    "tensor without data": "import torch\nWRONG_SUM = torch.empty(20, device='meta')\n",
    "sparse tensor": "import torch\nWRONG_SUM = torch.eye(20).to_sparse()\n",
    "tensor of nothing": "import torch\nWRONG_SUM = torch.empty(0)\n",
    "array of one truth": "import numpy\nWRONG_SUM = numpy.array([True])\n",
    "number of many digits": "WRONG_SUM = 10**5000\n",
    "text that is no text": "WRONG_SUM = '\\ud800'\n",
    "object that runs when unpickled": "import os\nclass P:\n"
    f"    def __reduce__(self): return os.system, ('echo me,100 > {OUT}/grades.csv',)\nWRONG_SUM = P()\n",
    # Leaving.
    "exit with 0": "import sys\nsys.exit(0)\n",
    "exit as the sandbox would": "import os\nos._exit(70)\n",
    "exit hard with 0": "import os\nos._exit(0)\n",
    "atexit": "import atexit, os\natexit.register(lambda: os._exit(0))\n",
    "raise SystemExit in a call": "class E:\n    def __radd__(s, o): raise SystemExit(0)\nWRONG_SUM = E()\n",
    "exit when collected": "import os\nclass D:\n    def __del__(self): os._exit(0)\nD()\n",
    "exit by a signal": "import os, signal\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\n"
    "signal.alarm(1)\n",
    "hang up and stay": "import os, time\nos.close(3)\ntime.sleep(3600)\n",
    "skip": "import pytest\npytest.skip('nothing here', allow_module_level=True)\n",
    "raise partial credit": "from dlcourse.check.points import PartialCredit\n"
    "raise PartialCredit(1.0, 'all of it')\n",
    # Walks after tests and expected values.
    "walk the frames": won_if(
        "import sys\nframe = sys._getframe()\nfound = False\nwhile frame:\n"
        "    found |= 'expected' in frame.f_locals or 'session' in frame.f_locals\n"
        "    frame = frame.f_back\nassert found"
    ),
    "walk the heap": won_if(
        f"import gc\nassert any(type(o).__name__ == '{TestSession.__name__}' or 'test_add' in str(getattr(o,"
        " '__name__', '')) for o in gc.get_objects())"
    ),
    "read memory by ctypes": won_if("open('/proc/self/mem', 'rb').seek(0)"),
    "import the tests": won_if("import test_lab90_sums"),
    "modules of the grader": won_if(
        "import sys\nassert any(n in sys.modules for n in ('dlcourse.check.pytest_plugin', '_pytest'))"
    ),
    # Reading what is not theirs.
    "read the tests": won_if(f"open('{COURSE}/tests/labs/test_lab90_sums.py').read()"),
    "read the solution": won_if(f"open('{COURSE}/solutions/lab90_sums.py').read()"),
    "list the course": won_if(f"import os\nassert os.listdir('{COURSE}')"),
    "read other submissions": won_if(f"import os\nassert os.listdir('{OUT}')"),
    "read the environment": won_if("import os\nassert os.environ"),
    "read the launcher's environment": won_if("open('/proc/1/environ', 'rb').read()"),
    "read /proc": won_if("import os\nassert os.listdir('/proc')"),
    "read accounts": won_if("open('/etc/passwd').read()"),
    "read by another path": won_if("open('/proc/self/root/etc/passwd').read()"),
    # Writing.
    "write results": won_if(f"open('{OUT}/grades.csv', 'w').write('me,100')"),
    "write the package": won_if("import dlcourse\nopen(dlcourse.__file__, 'a').write('#')"),
    "write the interpreter": won_if("import sys\nopen(sys.prefix + '/x', 'w').write('#')"),
    "link out of tmp": won_if("import os\nos.symlink('/etc/passwd', '/tmp/x')\nopen('/tmp/x').read()"),
    # Other processes and machines.
    "socket": won_if("import socket\nsocket.socket()"),
    "unix socket": won_if("import socket\nsocket.socketpair()"),
    "fork": won_if("import os\nif os.fork() == 0: os._exit(0)"),
    "fork bomb": "import os\ndef bomb():\n    while True:\n        try: os.fork()\n"
    "        except OSError: return\nbomb()\n",
    "daemon": won_if("import subprocess\nsubprocess.Popen(['/usr/bin/sleep', '60'])"),
    "signal to the parent": won_if("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"),
    "signal to all": won_if("import os\nos.kill(-1, 9)"),
    "trace": won_if("import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0"),
    "outlive the parent": won_if("import ctypes\nassert ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) == 0"),
    "new namespace": won_if("import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0"),
    "mount": won_if("import ctypes\nassert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0"),
    "become root": won_if("import os\nos.setuid(0)\nassert os.getuid() == 0\nopen('/usr/x', 'w')"),
    "32-bit calls": "import ctypes, mmap\npage = mmap.mmap(-1, 4096, prot=7)\n"
    "page.write(b'\\xb8\\x02\\0\\0\\0\\xcd\\x80\\xc3')\n"  # mov eax, 2 (fork); int 0x80; ret
    "at = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
    "WON = ctypes.CFUNCTYPE(ctypes.c_int)(at)() >= 0\n",
    "calls that leave something behind": won_if(
        # shmget semget msgget mq_open add_key memfd_create io_uring userfaultfd vm_readv perf bpf
        # ptrace pidfd_getfd unshare execve execveat vfork, and getpid as x32 has it
        "import ctypes\ncall = ctypes.CDLL(None).syscall\n"
        "assert any(call(n, 0, 0, 0, 0, 0) != -1 for n in (29, 64, 68, 240, 248, 319, 425, 323, 310, 298,"
        " 321, 101, 438, 272, 59, 322, 58, 0x40000000 + 39))"
    ),
    "shared memory": won_if(
        "from multiprocessing.shared_memory import SharedMemory\nSharedMemory('left', True, 4096)"
    ),
    "shared tensor": won_if("import torch\ntorch.zeros(9).share_memory_()"),
    "hard link": won_if("import os, sys\nos.link(sys.executable, '/tmp/x')"),
    "pipe with a name": won_if("import os\nos.mkfifo('/tmp/x')"),
    "raise the limits": won_if(
        "import resource as r\nr.setrlimit(r.RLIMIT_NOFILE, (65, r.getrlimit(r.RLIMIT_NOFILE)[1] + 1))"
    ),
    # Floods.
    "memory": "x = []\nwhile True: x.append(bytearray(64 * 2**20))\n",
    "memory by torch": "import torch\nx = [torch.ones(2**28) for _ in range(100)]\n",
    "disk": won_if("with open('/tmp/x', 'wb') as f:\n    for _ in range(100): f.write(bytes(2**20))"),
    "files": won_if("files = [open(f'/tmp/{i}', 'w') for i in range(200)]"),
    "print": "print('x' * 10**8)\n",
    "print lines": "while True: print('spam')\n",
    "keys that collide": "WRONG_SUM = {k * (2**61 - 1): 0 for k in range(120_000)}\n",
    "keys that collide, in many": "WRONG_SUM = [{k * (2**61 - 1): 0 for k in range(9_000)}"
    " for _ in range(17)]\n",
    "zip bomb": "import zlib\nx = [zlib.decompress(zlib.compress(bytes(2**28))) for _ in range(9)]\n",
    "handles": "WRONG_SUM = [object() for _ in range(200_000)]\n",
    "deep value": "WRONG_SUM = []\nfor _ in range(500): WRONG_SUM = [WRONG_SUM]\n",
    "endless iterator": "import itertools\nWRONG_SUM = itertools.repeat(0)\n",
    "large tensor": "import torch\nWRONG_SUM = torch.zeros(2**25)\n",
    "large text": "WRONG_SUM = 'x' * 10**7\n",
    # Replies that are none.
    "garbage reply": forged("b'garbage' * 100"),
    "reply never ends": "import os, struct\nos.write(3, struct.pack('<Q', 2**25))\n"
    "while True: os.write(3, b'x')\n",
    "forged callback": forged(FRAME % '{"callback": 0, "args": [], "kwargs": {"t": "dict", "v": []}}'),
    "answers ahead": f"import os, struct\nfor _ in range(99): os.write(3, {TRUE})\n",
    "answers from a thread": "import os, struct, threading, time\ndef later():\n    while True:\n"
    f"        time.sleep(0.01)\n        os.write(3, {TRUE})\n"
    "threading.Thread(target=later, daemon=True).start()\n",
    "callbacks without end": "import os, struct, sys, threading\ndef drain():\n"
    "    while True: os.read(3, 2**20)\nclass Flood:\n    def __bool__(self):\n"
    "        if sys._getframe(1).f_code.co_name != 'step': return False\n"
    "        threading.Thread(target=drain, daemon=True).start()\n        while True: os.write(3, "
    + FRAME % '{"callback": 0, "args": [3], "kwargs": {"t": "dict", "v": []}}'
    + ")\nWON = Flood()\n",
    # Names.
    "shadow torch": "import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\n",
    "shadow by files": won_if(
        "import sys\nopen('/tmp/torch.py', 'w').write('equal = 1')\n"
        "open('/tmp/conftest.py', 'w').write('')\nsys.modules.pop('conftest', None)\n"
        "import conftest"
    ),
    # Time.
    "sleep": "import time\ntime.sleep(3600)\n",
    "busy": "while True: pass\n",
    "busy native": "import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')\n",
    "ignore signals": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
    "    except OSError: pass\nwhile True: pass\n",
    "threads": "import threading\ndef spin():\n    while True: pass\n"
    "for _ in range(200): threading.Thread(target=spin, daemon=True).start()\n",
    # Answers on which comparing, describing or decoding could fail.
    "dict of tensors": "import torch\nWRONG_SUM = {(7,): torch.zeros(2)}\n",
    "shape that holds tensors": "import torch\nWRONG_SUM = (torch.zeros(2), 3)\n",
    "dict of arrays": "import numpy\nWRONG_SUM = {'a': numpy.zeros(3), 'b': [numpy.ones(2)]}\n",
    "all not a number": "import torch\nWRONG_SUM = torch.full((20,), torch.nan)\n",
    "keys of all kinds": "WRONG_SUM = {None: 1, 1j: 2, ...: 3, (1, (2,)): 4, b'x': 5, float('nan'): 6}\n",
    "key that is a tensor": "import torch\nWRONG_SUM = {torch.zeros(1): 1, frozenset([torch.ones(1)]): 2}\n",
    "array of objects": "import numpy\nWRONG_SUM = numpy.array([None, object()], dtype=object)\n",
    "array with fields": "import numpy\nWRONG_SUM = numpy.zeros(3, dtype=[('a', 'f4'), ('b', 'i8')])\n",
    "truth of an object": "class L:\n    def __len__(self): return 1\n    def __bool__(self): return True\nWRONG_SUM = L()\n",
    "length beyond all": "class L:\n    def __len__(self): return 2**62\n    def __index__(self): return 2**70\nWRONG_SUM = L()\n",
    "text that agrees": "class S(str):\n    def __eq__(self, o): return True\n    __hash__ = str.__hash__\nWRONG_SUM = S('3')\n",
    "dict that agrees": "class D(dict):\n    def __eq__(self, o): return True\n    def items(self): return [(0, 3)] * 3\nWRONG_SUM = D()\n",
    "array that agrees": "import numpy\nclass A(numpy.ndarray):\n    def __eq__(self, o): return True\nWRONG_SUM = numpy.zeros(20).view(A)\n",
    "complex and infinite": "WRONG_SUM = complex('inf+nanj')\n",
    "tensor of tensors": "import torch\nWRONG_SUM = [torch.zeros(2, 3), [torch.ones(1), (torch.ones(1).bool(),)]]\n",
    "error whose words raise": "class B:\n    def __str__(self): raise SystemExit\nclass E(Exception):\n"
    "    def __str__(self): return B()\nclass R:\n    def __radd__(s, o): raise E\n    __add__ = __radd__\nWRONG_SUM = R()\n",
    "stub of words that raise": "class B:\n    def __str__(self): raise ValueError\n"
    "def __getattr__(name): raise NotImplementedError(B())\n",
    "syntax error of objects": "class E(SyntaxError):\n    msg = property(lambda self: 1 / 0)\nraise E\n",
    # Time and memory of the other side.
    "empty rows": "import torch\nWRONG_SUM = torch.empty(2**26, 0)\n",
    "60 MB for each answer": "import torch\nWRONG_SUM = torch.zeros(15 * 2**20)\n",
    "list without end": "WRONG_SUM = [0] * 1_900_000\n",
    "thousands of tensors": "import torch\nWRONG_SUM = [torch.zeros(1)] * 19_000\n",
    "wide and deep": "WRONG_SUM = 0\nfor _ in range(18): WRONG_SUM = [WRONG_SUM, WRONG_SUM]\n",
    "keys that collide, as tuples": "WRONG_SUM = {(k * (2**61 - 1),): 0 for k in range(9_000)}\n",
    "keys that collide, as fractions": "WRONG_SUM = {complex(k * float(2**61 - 1) * 2**100, 0): 0 for k in range(9_000)}\n",
    "sleep in each call": "import time\nclass S:\n    def __bool__(self): time.sleep(0.3)\nWON = S()\n",
    "sleep while others spin": "import threading, time\ndef spin():\n    while True: pass\n"
    "for _ in range(8): threading.Thread(target=spin, daemon=True).start()\ntime.sleep(3600)\n",
    "load slowly and die": "import os, time\ntime.sleep(0.3)\nclass D:\n    def __bool__(self): os._exit(0)\nWON = D()\n",
    "answer byte by byte": "import os, struct, time\ndef drip():\n    os.write(3, struct.pack('<Q', 9999))\n"
    "    while True:\n        os.write(3, b'x')\n        time.sleep(0.05)\nclass D:\n    __bool__ = lambda self: drip()\nWON = D()\n",
    "stop itself": "import signal\ntry: signal.raise_signal(signal.SIGSTOP)\nexcept OSError: pass\n",
    "exit as SIGKILL would": "import os\nos._exit(137)\n",
    # Places that are not theirs, and messages to other processes.
    "read the alternatives": won_if(f"open('{COURSE}/tests/support/alternatives_lab90.py').read()"),
    "read the history": won_if(f"open('{COURSE}/.git/HEAD').read()"),
    "list the temporary folder": won_if("import os\nassert os.listdir('/tmp')"),
    "a note for the next process": "import os\nWON = os.path.exists('/tmp/note')\n"
    "try: open('/tmp/note', 'w').close()\nexcept OSError: pass\n",
    "a note in shared memory": won_if("open('/dev/shm/note', 'w')"),
    "a note that others see": "import fcntl, os, struct, dlcourse\nfile = os.open(os.__file__, os.O_RDONLY)\n"
    "def works(act, *args):\n    try: act(*args)\n    except OSError: return False\n    return True\n"
    "lock = struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 2**40, 1, 0)\n"
    "WON = (any(works(os.utime, path) for path in ('/dev/null', '/dev/zero', '/dev/urandom', dlcourse.__file__))\n"
    "    or any(works(fcntl.fcntl, file, n, lock) for n in (fcntl.F_SETLK, fcntl.F_GETLK, fcntl.F_OFD_SETLK))\n"
    "    or works(fcntl.flock, file, fcntl.LOCK_SH) or works(fcntl.fcntl, file, fcntl.F_NOTIFY, fcntl.DN_ACCESS)\n"
    "    or works(os.getloadavg))\n",
    "paths in the frames": won_if(
        "import sys\nframe, seen = sys._getframe().f_back, ''\nwhile frame:\n    seen += repr(frame.f_locals)\n"
        f"    frame = frame.f_back\nassert any(word[::-1] in seen for word in ({BACKWARD}))"
    ),
    "paths in the heap": won_if(
        "import gc\nassert any(word[::-1] in repr(o) for word in ("
        f"{BACKWARD}) for o in gc.get_objects() if type(o) in (list, dict, tuple) and len(o) < 50"
        " and all(type(v) is str for v in o))"
    ),
    # Crashes.
    "null pointer": "import ctypes\nctypes.string_at(0)\n",
    "recursion": "def f(): return f()\nf()\n",
    "exception that breaks": "class E(Exception):\n    def __str__(self): raise E\nraise E\n",
    "text with escapes": "raise ValueError('\\x1b[2J\\ud800 passed 100 / 100')\n",
}  # fmt: skip


# Bytes that no `encode` makes, sent instead of the frame of an answer.
FORGED = {
    "garbage reply": b"garbage" * 100,
    "huge reply announced": struct.pack("<Q", 2**60),
    "reply that ends early": struct.pack("<Q", 100) + b"x",
    "forged pass": frame('{"value": true, "outcome": "passed", "score": 100}'),
    "forged credit": frame('{"error": {"kind": "passed", "text": "", "fraction": 1}}'),
    "forged layers": frame('{"layers": []}'),
    "deep JSON": frame("[" * 100_000),
    "impossible tensor": frame('{"value": {"t": "tensor", "dtype": "float32", "shape": [-1]}}'),
    "forged handle": frame('{"value": {"t": "handle", "v": -1}}'),
    "forged kind": frame('{"error": {"kind": []}}'),
    "forged prints": frame('{"value": 3, "printed": {"score": 100}}'),
    "forged dtype": frame('{"value": {"t": "tensor", "dtype": [], "shape": [0]}}'),
    "forged array": frame('{"value": {"t": "array", "dtype": "bfloat16", "shape": [0]}}'),
    "forged gradient": frame('{"value": {"t": "tensor", "dtype": "int8", "shape": [0], "grad": true}}'),
    "forged truth as size": frame('{"value": {"t": "tensor", "dtype": "int8", "shape": [true]}}'),
    "forged number": frame('{"value": {"t": "float", "v": ["1"]}}'),
    "forged pairs": frame('{"value": {"t": "dict", "v": [[1, 2, 3], 4]}}'),
    "forged nothing": frame('{"value": {"t": "tuple"}}'),
    "forged generator": frame('{"value": {"t": "generator"}}', b"x" * 9),
    "forged number of a handle": frame('{"value": {"t": "handle", "v": 1%s}}' % ("0" * 4000)),
    "forged words": frame('{"error": {"kind": "exception", "text": [{"a": [NaN, -Infinity]}]}}'),
    "forged sizes": frame('{"value": {"t": "array", "dtype": "int8", "shape": [NaN, 1e400]}}', b""),
    "forged device": frame('{"value": {"t": "device", "v": "cuda:99999999999999999999"}}'),
    "forged hint of time": frame('{"error": {"kind": "time", "text": "the machine was slow"}}'),
    "forged crash": frame('{"error": {"kind": "killed", "text": "the grader was restarted"}}'),
    "forged callback of a number": frame('{"callback": 1e400, "args": [], "kwargs": {}}'),
    "claimed rows": frame('{"value": {"t": "tensor", "dtype": "int8", "shape": [1099511627776, 0]}}'),
}  # fmt: skip


# What `add` does with the tensors of the hidden test, to tell its student more than that it failed.
HOST = "host = [o for o in __import__('gc').get_objects() if type(o).__name__ == 'StudentHost'][0]"
LEAKS = {
    "words of an exception": 'raise ValueError(str(a.tolist()))',
    "stub of another task": "raise NotImplementedError('task 90.2: total')",
    "stub with a number": "raise NotImplementedError(f'task {100+len(a)}.{int(a.sum())}: x')",
    "prints": 'print(a); return a - b',
    "prints without end": "print('x' * 10**7)",
    "large answer": 'return torch.zeros(2**25)',
    "warning": "__import__('warnings').warn(str(a)); return a - b",
    "text of an exit": 'raise SystemExit(str(a))',
    "end of a generator": 'raise GeneratorExit(str(a))',
    "network": "__import__('socket').socket()",
    "process": 'os.fork()',
    "memory at once": 'bytearray(2**40)',
    "memory by and by": 'x = [bytearray(2**26) for _ in range(100)]',
    "recursion": 'return add(a, b)',
    "name of a class": 'return type(str(a.tolist()), (), {})()',
    "missing name": 'return sys.modules[__name__].nothing',
    "missing name of a task": "raise AttributeError(str(a), name='total', obj=sys.modules[__name__])",
    "load again now": f"{HOST}; host.module = None; host.source = b'raise ImportError(1)'; return host.load()",
    "load again for the next request": f"{HOST}; host.module = None; host.source = b'raise ImportError(1)'; return a - b",
    "a refusal of its own": 'from dlcourse.check.guard import NotAllowedError; raise NotAllowedError(str(a))',
    "ctypes": "__import__('ctypes').string_at(0)",
    "hang up": 'os.close(3); return a - b',
    "exit as the sandbox would": 'os._exit(70)',
    "abort": 'os.abort()',
    "stop itself": "__import__('signal').raise_signal(19)",
    "not a number": "return a * float('nan')",
    "deep value": 'x = []\n        for _ in range(500): x = [x]\n        return x',
    "keys that collide": 'return {k * (2**61 - 1): 0 for k in range(9000)}',
    "number beyond floats": 'return 10**4000',
    "nothing": 'return None',
    "text that is no text": "return '\\ud800'",
    "error without words": "raise type('E', (Exception,), {'__str__': lambda s: 1/0})()",
    "group of errors": 'raise ExceptionGroup(str(a), [ValueError(1)])',
    "cause of an error": 'raise ValueError(1) from RuntimeError(str(a))',
    "syntax error": 'raise SyntaxError(str(a))',
    "missing module": 'import nothing_of_this',
    "missing module of the package": 'import dlcourse.nothing',
    "file of others": "open('/etc/shadow')",
    "skip": 'import pytest; pytest.skip()',
    "thread that stays": "__import__('threading').Thread(target=lambda: [0 for _ in iter(int, 1)]).start(); return a - b",
    "empty rows": 'return torch.empty(2**19, 0)',
    "tensor without data": "return torch.empty(20, device='meta')",
    "profile function off": 'sys.setprofile(None); return a - b',
    "warnings as errors": "__import__('warnings').simplefilter('error'); return a - b",
    "another default dtype": 'torch.set_default_dtype(torch.float64); return a - b',
    "complex numbers": 'return a * 1j',
    "long list": 'return [0]*290_000',
    "60 MB of truth": 'return torch.zeros(60*2**20, dtype=torch.bool)',
}  # fmt: skip


def dlcourse_names(text: str) -> set[str]:
    """Every dotted name of the package that the program `text` imports, reads, sets or spells."""
    names = set(re.findall(r"\bdlcourse(?:\.\w+)+", text))
    aliases = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            owner, _, rest = ast.unparse(node).partition(".")
            names.add(f"{aliases.get(owner, owner)}.{rest}")
    return {name for name in names if name.startswith("dlcourse.")}


def resolve(name: str) -> object:
    """The module, class or function called `name`. Raises AttributeError where there is none."""
    parts, found = name.split("."), None
    for count in range(1, len(parts) + 1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            found = getattr(found, parts[count - 1])
    return found


def source(names: str | Iterable[str], course: str, out: str) -> bytes:
    """The submission that carries out the attack, or several of them, one after another."""
    names = [names] if isinstance(names, str) else names
    text = PRELUDE + "".join(ATTACKS[name] for name in names)
    if "__getattr__" not in text:
        text += WRONG
    for mark, path in ((COURSE, course), (OUT, out)):
        text = text.replace(mark, path).replace(mark[::-1], path[::-1])
    return text.encode()
