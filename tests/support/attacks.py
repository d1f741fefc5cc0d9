"""Attacks on the grader, each a prelude to code that deserves no point.

`WON` is set where an attack reaches what it is after; the answers are right only then. An attack
on what happens elsewhere (patched comparisons, forged results) needs no WON: it wins by points.
/tmp is the one folder that code in the sandbox would hope to write to.
"""

# ruff: noqa: E501 (an attack reads best on one line)

import ast
import importlib
import re

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
    "huge reply announced": forged("struct.pack('<Q', 2**60)"),
    "reply that ends early": forged("struct.pack('<Q', 100) + b'x'"),
    "reply never ends": "import os, struct\nos.write(3, struct.pack('<Q', 2**25))\n"
    "while True: os.write(3, b'x')\n",
    "forged pass": forged(FRAME % '{"value": true, "outcome": "passed", "score": 100}'),
    "forged credit": forged(FRAME % '{"error": {"kind": "passed", "text": "", "fraction": 1}}'),
    "forged callback": forged(FRAME % '{"callback": 0, "args": [], "kwargs": {"t": "dict", "v": []}}'),
    "forged layers": forged(FRAME % '{"layers": []}'),
    "deep JSON": forged("(lambda t: struct.pack('<Q', len(t) + 4) + struct.pack('<I', len(t)) + t)"
                        "(b'[' * 100000)"),
    "impossible tensor": forged(FRAME % '{"value": {"t": "tensor", "dtype": "float32", "shape": [-1]}}'),
    "forged handle": forged(FRAME % '{"value": {"t": "handle", "v": -1}}'),
    "forged kind": forged(FRAME % '{"error": {"kind": []}}'),
    "forged prints": forged(FRAME % '{"value": 3, "printed": {"score": 100}}'),
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
    # Crashes.
    "null pointer": "import ctypes\nctypes.string_at(0)\n",
    "recursion": "def f(): return f()\nf()\n",
    "exception that breaks": "class E(Exception):\n    def __str__(self): raise E\nraise E\n",
    "text with escapes": "raise ValueError('\\x1b[2J\\ud800 passed 100 / 100')\n",
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


def source(name: str, course: str, out: str) -> bytes:
    """The submission that carries out the attack."""
    text = PRELUDE + ATTACKS[name] + WRONG
    if "__getattr__" in ATTACKS[name]:
        text = PRELUDE + ATTACKS[name]
    return text.replace(COURSE, course).replace(OUT, out).encode()
