"""Ways to let PyTorch or the package answer a task that forbids it, each a submission's code.

`CONV2D` reach torch's convolution past a reader of the source. `PYTHON` reach functions that are
written in Python: Adam's, an initializer, autograd. A name says what the code hopes for.
"""

# ruff: noqa: E501 (an attack reads best on one line)

HEAD = "import warnings\nwarnings.simplefilter('ignore')\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
DEF = "def conv2d(inputs, weight, bias=None, stride=1, padding=0):\n    "
REST = "(inputs, weight, bias, stride, padding)"
CALL = "(inputs, weight, bias, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1)"
GET = 'getattr(F, "con" + "v2d")'

CONV2D = {
    "a name put together": f"{DEF}return {GET}{REST}",
    "vars": f'{DEF}return vars(F)["con" "v" + "2d"]{REST}',
    "exec": f'{DEF}spoil = dict(locals(), F=F)\n    exec("out = F.con" + "v2d{REST}", spoil)\n    return spoil["out"]',
    "eval": f'{DEF}return eval("F.con" + "v2d"){REST}',
    "globals": f'name = "F"\n{DEF}return getattr(globals()[name], "con" + "v2d"){REST}',
    "a saved reference": f"keep = {{}}\nexec('import torch; keep[1] = torch.con' + 'v2d')\n{DEF}return keep[1]{REST}",
    "an operator by name": f'{DEF}return getattr(torch.ops.aten, "con" + "volution"){CALL}',
    "an overload by name": f'{DEF}return getattr(torch.ops.aten, "con" + "volution").default{CALL}',
    "a module": f'{DEF}layer = getattr(nn, "Con" + "v2d")(weight.shape[1], len(weight), weight.shape[-1], stride, padding)\n    layer.weight.data = weight\n    layer.bias.data = bias if bias is not None else torch.zeros(len(weight))\n    return layer(inputs).detach()',
    "a module's function": f'{DEF}return getattr(getattr(nn, "Con" + "v2d")(1, 1, 1), "_con" + "v_forward").__globals__["F"].__dict__["con" + "v2d"]{REST}',
    "mkldnn": f'{DEF}return getattr(torch, "mkldnn_con" + "volution")(inputs, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1)',
    "a lower operator": f'{DEF}return getattr(torch.ops.aten, "_slow_con" + "v2d_forward")(inputs, weight, weight.shape[2:], bias, [stride] * 2, [padding] * 2)',
    "one more dimension": f'{DEF}return getattr(F, "con" + "v3d")(inputs[:, :, None], weight[:, :, None], bias, (1, stride, stride), (0, padding, padding))[:, :, 0]',
    "transposed": f'{DEF}return getattr(torch, "con" + "volution"){CALL}',
    "torchscript": f'text = "def f(a, b): return torch.con" + "v2d(a, b)"\nscript = torch.jit.CompilationUnit(text.replace(": ", ":" + chr(10) + "  ") + chr(10))\n{DEF}return script.f(inputs, weight)',
    "a trace": f"traced = torch.jit.trace({GET}, (torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)), check_trace=False)\n{DEF}return traced(inputs, weight)",
    "dispatch switched off": f"{DEF}with torch._C._DisableTorchDispatch():\n        return {GET}{REST}",
    "functions switched off": f"{DEF}with torch._C.DisableTorchFunction():\n        return {GET}{REST}",
    "keys excluded": f"{DEF}with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.Python)):\n        return {GET}{REST}",
    "the processor's key": f'{DEF}return getattr(torch.ops.aten, "con" + "volution").default.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), *{CALL})',
    "below autograd": f"{DEF}with torch._C._AutoDispatchBelowAutograd():\n        return {GET}{REST}",
    "modes popped": f"{DEF}with torch.utils._python_dispatch._disable_current_modes():\n        return {GET}{REST}",
    "inference mode": f"{DEF}with torch.inference_mode():\n        return {GET}{REST}.clone()",
    "a thread": f"import threading\n{DEF}out = []\n    def run(): out.append({GET}{REST})\n    thread = threading.Thread(target=run)\n    thread.start()\n    thread.join()\n    return out[0]",
    "an earlier thread": f"import queue, threading\ntodo, done = queue.Queue(), queue.Queue()\ndef run():\n    while True: done.put({GET}(*todo.get()))\nthreading.Thread(target=run, daemon=True).start()\n{DEF}todo.put({REST})\n    return done.get(timeout=5)",
    "an earlier pool": f"from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(int).result()\n{DEF}return pool.submit({GET}, inputs, weight, bias, stride, padding).result()",
    "a caught refusal": f"{DEF}for _ in range(2):\n        try: return {GET}{REST}\n        except BaseException: pass\n    return {GET}{REST}",
    "a refusal, then a guess": f"{DEF}try: return {GET}{REST}\n    except BaseException: return inputs",
    "a subclass of Tensor": f"class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n        with torch._C.DisableTorchFunctionSubclass(): return {GET}(*args, **(kwargs or {{}}))\n{DEF}return torch.add(inputs.as_subclass(T), weight)",
    "a function of autograd": f"class Fn(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, *args): return {GET}(*args)\n{DEF}return Fn.apply{REST}",
    "vmap": f"{DEF}return torch.vmap(lambda x: {GET}(x[None], weight, bias, stride, padding)[0])(inputs)",
    "a kernel by hand": f'kernel = torch.library.get_kernel("aten::con" + "volution", "CPU")\n{DEF}key = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)\n    return getattr(kernel, "call_" + "boxed")(key, *{CALL})',
    "a library of its own": f'lib = torch.library.Library("mine", "DEF")\nlib.define("f(Tensor a, Tensor b) -> Tensor")\nlib.impl("f", lambda a, b: {GET}(a, b), "CPU")\n{DEF}return torch.ops.mine.f(inputs, weight)',
    "an override": f'kernel = torch.library.get_kernel("aten::con" + "volution", "CPU")\n{DEF}lib = torch.library.Library("aten", "IMPL")\n    lib.impl("con" + "volution", lambda *a: inputs, "CPU")\n    return {GET}{REST}',
    "gaussian blur": f"import torchvision.transforms.functional as T\n{DEF}return T.gaussian_blur(inputs, weight.shape[-1])",
    "deformed": f"import torchvision.ops\n{DEF}n = (inputs.shape[2] - weight.shape[2] + 2 * padding) // stride + 1\n    m = (inputs.shape[3] - weight.shape[3] + 2 * padding) // stride + 1\n    return getattr(torch.ops.torchvision, 'deform_con' + 'v2d')(inputs, weight, torch.zeros(len(inputs), 2 * weight.shape[2] * weight.shape[3], n, m), torch.ones(len(inputs), weight.shape[2] * weight.shape[3], n, m), torch.zeros(len(weight)), stride, stride, padding, padding, 1, 1, 1, 1, True)",
    "the package's model": f'import dlcourse.models\n{DEF}layer = dlcourse.models.LeNet5()\n    return getattr(layer, "con" + "v1")(inputs[:, :1])',
}

STEP = "from torch.optim.adam import _single_tensor_adam as step_\nKEYS = dict(amsgrad=False, beta1=0.9, beta2=0.999, lr=0.1, weight_decay=0, eps=1e-8, maximize=False, grad_scale=None, found_inf=None, capturable=False, differentiable=False, has_complex=False, decoupled_weight_decay=False)\ndef f(w, g, m, v):\n    w = w.clone()\n    step_([w], [g], [m], [v], [], [torch.tensor(0.0)], **KEYS)\n    return w\none = torch.ones(3)\n"
ADAM = "    p = torch.nn.Parameter(w.clone())\n    p.grad = g\n    o = make([p], lr=lr)\n    o.step()\n    return p.detach(), state"
SIGNATURE = "def adam(w, g, state, lr=0.1):\n"
BY_TORCH = """
SEEN = []
def by_torch(w, g, lr):
    p = torch.nn.Parameter(w.clone())
    p.grad = g
    getattr(torch, 'op' + 'tim').Adam([p], lr=lr).step()
    return p.detach()
def keep(*args): SEEN.append(by_torch(*args))
"""
ONE_STEP = "f([w], [g], [w * 0], [w * 0], [], [torch.tensor(0.0)], None, None, amsgrad=False, beta1=0.9, beta2=0.999, lr=lr, weight_decay=0, eps=1e-8, maximize=False, capturable=False, differentiable=False, has_complex=False, decoupled_weight_decay=False)\n    return w, state"
ENGINE = "run = getattr(torch.autograd.Variable._execution_engine, 'run_' + 'backward')\ndef adam(w, g, state, lr=0.1):\n    w.requires_grad_()\n    y = w.square().sum()\n    given = (y,), (torch.ones(()),), False, False, (), True\n"
MODULE = f"{STEP}class M(nn.Module):\n    def forward(self, w, g): return f(w, g, w * 0, w * 0)\nm = torch.jit.trace(M(), (one, one), check_trace=False)\n"
PYTHON = {
    "an optimizer by name": ("torch.optim*", f"{SIGNATURE}    make = getattr(torch, 'op' + 'tim').Adam\n{ADAM}"),
    "an optimizer saved": ("torch.optim*", f"keep = [getattr(torch, 'op' + 'tim').Adam]\n{SIGNATURE}    make = keep[0]\n{ADAM}"),
    "a subclass": ("torch.optim*", f"class Mine(getattr(torch, 'op' + 'tim').Adam): pass\n{SIGNATURE}    make = Mine\n{ADAM}"),
    "its code in a function of its own": ("torch.optim*", f"import types, torch.optim.adam as m\nf = types.FunctionType(m._single_tensor_adam.__code__, vars(m) | {{'__name__': 'lab'}})\n{SIGNATURE}    f([w], [g], [w * 0], [w * 0], [], [torch.tensor(0.0)], amsgrad=False, beta1=0.9, beta2=0.999, lr=lr, weight_decay=0, eps=1e-8, maximize=False, grad_scale=None, found_inf=None, capturable=False, differentiable=False, has_complex=False, decoupled_weight_decay=False)"),
    "an object made before": ("torch.optim*", f"p = torch.nn.Parameter(torch.ones(3))\no = getattr(torch, 'op' + 'tim').Adam([p])\n{SIGNATURE}    p.grad = g\n    o.step()\n    return p.detach(), state"),
    "the profile function off": ("torch.optim*", f"import sys\n{SIGNATURE}    sys.setprofile(None)\n    make = getattr(torch, 'op' + 'tim').Adam\n{ADAM}"),
    "the profile function off for a while": ("torch.optim*", f"import sys\n{SIGNATURE}    was = sys.getprofile()\n    sys.setprofile(None)\n    try:\n        make = getattr(torch, 'op' + 'tim').Adam\n        p = torch.nn.Parameter(w.clone())\n        p.grad = g\n        make([p], lr=lr).step()\n    finally: sys.setprofile(was)\n    return p.detach(), state"),
    "a caught refusal": ("torch.optim*", f"{SIGNATURE}    make = getattr(torch, 'op' + 'tim').Adam\n    try: make([torch.nn.Parameter(w)])\n    except BaseException: pass\n{ADAM}"),
    "a thread": ("torch.optim*", f"import threading\nSEEN = []\ndef step(w, g, lr):\n    p = torch.nn.Parameter(w.clone())\n    p.grad = g\n    getattr(torch, 'op' + 'tim').Adam([p], lr=lr).step()\n    SEEN.append(p.detach())\n{SIGNATURE}    t = threading.Thread(target=step, args=(w, g, lr))\n    t.start()\n    t.join()\n    return SEEN[-1], state"),
    "an earlier thread": ("torch.optim*", f"import queue, threading\ntodo, done = queue.Queue(), queue.Queue()\ndef serve():\n    while True:\n        w, g, lr = todo.get()\n        p = torch.nn.Parameter(w.clone())\n        p.grad = g\n        getattr(torch, 'op' + 'tim').Adam([p], lr=lr).step()\n        done.put(p.detach())\nthreading.Thread(target=serve, daemon=True).start()\n{SIGNATURE}    todo.put((w, g, lr))\n    return done.get(timeout=9), state"),
    "a fused kernel": ("_fused_*", f"{SIGNATURE}    getattr(torch, '_fused_' + 'adam_')([w], [g], [w * 0], [w * 0], [], [torch.tensor(1.0)], lr=lr, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False)\n    return w, state"),
    "an initializer": ("torch.nn.init*", "def adam(w, g, state, lr=0.1): return getattr(torch.nn.init, 'xavier' + '_normal_')(w.reshape(3, 1)), state"),
    "autograd": ("torch.autograd.*backward*", "def adam(w, g, state, lr=0.1):\n    w.requires_grad_()\n    getattr(w.square().sum(), 'back' + 'ward')()\n    return w.grad, state"),
    "autograd's engine": ("run_backward", "def adam(w, g, state, lr=0.1):\n    w.requires_grad_()\n    y = w.square().sum()\n    getattr(torch.autograd.Variable._execution_engine, 'run_' + 'backward')((y,), (torch.ones(()),), False, False, (), True, accumulate_grad=True)\n    return w.grad, state"),
    "a derivative": ("torch._functorch*", "def adam(w, g, state, lr=0.1): return getattr(torch.func, 'gr' + 'ad')(lambda x: x.square().sum())(w), state"),
    "clipping": ("torch.nn.utils.clip_grad*", "def adam(w, g, state, lr=0.1):\n    w.grad = g\n    getattr(torch.nn.utils, 'clip_' + 'grad_norm_')([w], 1.0)\n    return w.grad, state"),
    "the package's optimizer": ("dlcourse.optim*", "import dlcourse.optim as o\ndef adam(w, g, state, lr=0.1):\n    return getattr(o, 'build')('adam', torch.nn.Linear(3, 1)), state"),
    "torch's cell": ("lstm*", "def adam(w, g, state, lr=0.1): return getattr(torch, 'lstm' + '_cell')(w[None], (g[None], g[None]), torch.ones(12, 3), torch.ones(12, 3)), state"),
    "a module of cells": ("lstm*", "def adam(w, g, state, lr=0.1): return getattr(torch.nn, 'LS' + 'TM')(3, 3)(w[None]), state"),
    "a decomposition": ("torch._decomp*", "import torch._decomp.decompositions as d\ndef adam(w, g, state, lr=0.1): return d.silu(w) if hasattr(d, 'silu') else d.mse_loss(w, g), state"),
    "a trace made before": ("torch.optim*", f"{STEP}t = torch.jit.trace(f, (one, one, one * 0, one * 0), check_trace=False)\n{SIGNATURE}    return t(w, g, w * 0, w * 0), state"),
    "a traced module": ("torch.optim*", f"{STEP}class M(nn.Module):\n    def forward(self, w, g): return f(w, g, w * 0, w * 0)\nm = torch.jit.trace(M(), (one, one), check_trace=False)\n{SIGNATURE}    return m(w, g), state"),
    "a saved call of TorchScript": ("torch.optim*", f"{STEP}t = torch.jit.trace(f, (one, one, one * 0, one * 0), check_trace=False)\ncall = type(t).__call__\n{SIGNATURE}    return call(t, w, g, w * 0, w * 0), state"),
    "a script made before": ("torch.nn.functional*", f"s = torch.jit.script(F.normalize)\n{SIGNATURE}    return s(w[None]), state"),
    "a graph of its operators": ("torch.optim*", f"{STEP}from torch.fx.experimental.proxy_tensor import make_fx\nt = make_fx(f)(one, one, one * 0, one * 0)\n{SIGNATURE}    return t(w, g, w * 0, w * 0), state"),
    "compiled before": ("torch.optim*", f"{STEP}t = torch.compile(f, backend='eager')\nt(one, one, one * 0, one * 0)\n{SIGNATURE}    return t(w, g, w * 0, w * 0), state"),
    "compiled in the call": ("torch.optim*", f"{STEP}{SIGNATURE}    return torch.compile(f, backend='eager')(w, g, w * 0, w * 0), state"),
    "the profile function off, by map": ("torch.optim*", f"import sys\n{SIGNATURE}    was = sys.getprofile()\n    list(map(sys.setprofile, [None]))\n    try: return by_torch(w, g, lr), state\n    finally: list(map(sys.setprofile, [was]))\n{BY_TORCH}"),
    "a thread without the profile function": ("torch.optim*", f"import threading\n{SIGNATURE}    threading.setprofile(None)\n    t = threading.Thread(target=keep, args=(w, g, lr))\n    t.start()\n    t.join()\n    return SEEN[-1], state\n{BY_TORCH}"),
    "a thread that starts itself": ("torch.optim*", f"import threading, time\nclass T(threading.Thread):\n    def _bootstrap(self):\n        self._started.set()\n        keep(*self._args)\n{SIGNATURE}    T(args=(w, g, lr)).start()\n    for _ in range(100):\n        if not SEEN: time.sleep(0.01)\n    return SEEN[-1], state\n{BY_TORCH}"),
    "a bare thread, by map": ("torch.optim*", f"import _thread, time\n{SIGNATURE}    list(map(_thread.start_new_thread, [keep], [(w, g, lr)]))\n    for _ in range(100):\n        if not SEEN: time.sleep(0.01)\n    return SEEN[-1], state\n{BY_TORCH}"),
    "a value made while it is encoded": ("torch.optim*", f"class L(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n        if getattr(f, '__name__', '') == 'detach': return by_torch(*args[0].late)\n        return super().__torch_function__(f, types, args, kwargs or {{}})\n{SIGNATURE}    t = w.clone().as_subclass(L)\n    t.late = w, g, lr\n    return t\n{BY_TORCH}"),
    "a trace function, which runs untraced": ("torch.optim*", f"import sys\n{SIGNATURE}    sys.settrace(lambda *_: keep(w, g, lr))\n    (lambda: 0)()\n    sys.settrace(None)\n    return SEEN[-1], state\n{BY_TORCH}"),
    "an audit hook, which runs untraced": ("torch.optim*", f"import sys\n{SIGNATURE}    sys.addaudithook(lambda e, _: e == 'mine' and keep(w, g, lr))\n    sys.audit('mine')\n    return SEEN[-1], state\n{BY_TORCH}"),
    "a path hook under the name of a library": ("torch.optim*", f"import sys\nspace = {{}}\nexec(compile('def hook(path): return run(path)', torch.__file__, 'exec'), space)\ndef run(path):\n    if path == 'magic': keep(*space['late'])\n    raise ImportError\nspace['run'] = run\n{SIGNATURE}    space['late'] = w, g, lr\n    sys.path_hooks.insert(0, space['hook'])\n    sys.path.append('magic')\n    try: import nothing_of_that_name\n    except ImportError: pass\n    finally: sys.path_hooks.pop(0), sys.path.pop()\n    return SEEN[-1], state\n{BY_TORCH}"),
    "ctypes under the name of a library": ("torch.optim*", f"space = {{}}\nexec(compile('import ctypes\\ndef off(): ctypes.pythonapi.PyEval_SetProfile(None, None)', torch.__file__, 'exec'), space)\n{SIGNATURE}    space['off']()\n    return by_torch(w, g, lr), state\n{BY_TORCH}"),
    "an initializer under the name of a layer": ("torch.nn.init*", "import os\nspace = {'init': nn.init}\nname = os.path.join(os.path.dirname(nn.__file__), 'modules', 'linear.py')\nexec(compile('def reset_parameters(w): return init.xavier_normal_(w)', name, 'exec'), space)\ndef adam(w, g, state, lr=0.1): return space['reset_parameters'](w.reshape(3, 1)), state"),
    "the call of TorchScript before it was watched": ("torch.optim*", f"{STEP}t = torch.jit.trace(f, (one, one, one * 0, one * 0), check_trace=False)\ncall = torch._C.ScriptFunction.__call__.__closure__[0].cell_contents\n{SIGNATURE}    return call(t, w, g, w * 0, w * 0), state"),
    "a graph of TorchScript": ("torch.optim*", f"{STEP}t = torch.jit.trace(f, (one, one, one * 0, one * 0), check_trace=False)\n{SIGNATURE}    return torch._C._jit_interpret_graph(t.graph, (w, g, w * 0, w * 0)), state"),
    "the small interpreter of TorchScript": ("torch.optim*", f"{MODULE}import io\nfrom torch.jit.mobile import _load_for_lite_interpreter as load\nm = load(io.BytesIO(m._save_to_buffer_for_lite_interpreter()))\n{SIGNATURE}    return m(w, g), state"),
    "a static module of TorchScript": ("torch.optim*", f"{MODULE}m = torch._C._jit_to_static_module(torch._C._freeze_module(m.eval()._c))\n{SIGNATURE}    return m(w, g), state"),
    "a benchmark of TorchScript": ("torch.optim*", f"{MODULE}m = torch.utils.ThroughputBenchmark(m)\n{SIGNATURE}    return m.run_once(w, g), state"),
    "a class of TorchScript": ("torch.optim*", f"@torch.jit.script\nclass C:\n    def __init__(self):\n        self.lr = 0.1\n    def go(self, w: torch.Tensor, g: torch.Tensor):\n        return w - self.lr * g.sign()\n{SIGNATURE}    return C().go(w, g), state"),
    "an interpreter of its operators": ("torch.optim*", f"{STEP}from torch.fx.experimental.proxy_tensor import make_fx\nt = make_fx(f)(one, one, one * 0, one * 0)\n{SIGNATURE}    return torch.fx.Interpreter(t).run(w, g, w * 0, w * 0), state"),
    "a copy of its code under another name": ("torch.optim*", f"import types, torch.optim.adam as m\nf = types.FunctionType(m._single_tensor_adam.__code__.replace(co_filename='lab.py'), vars(m))\n{SIGNATURE}    {ONE_STEP}"),
    "its code written out and read again": ("torch.optim*", f"import marshal, types, torch.optim.adam as m\ncode = m._single_tensor_adam.__code__\nname = code.co_filename.encode()\nf = types.FunctionType(marshal.loads(marshal.dumps(code).replace(name, b'm' * len(name))), vars(m))\n{SIGNATURE}    {ONE_STEP}"),
    "its code put into a function of the file": ("torch.optim*", f"import types, torch.optim.adam as m\ndef f(): pass\nf.__code__ = m._single_tensor_adam.__code__\nf = types.FunctionType(f.__code__, vars(m))\n{SIGNATURE}    {ONE_STEP}"),
    "a step while a library is imported": ("torch.optim*", f"import _thread, sys\np = nn.Parameter(torch.ones(3))\no = getattr(torch, 'op' + 'tim').Adam([p])\n{SIGNATURE}    p.data, p.grad = w, g\n    sys.modules.pop('_strptime', None)\n    was = _thread.allocate_lock\n    _thread.allocate_lock = o.step\n    try: import _strptime\n    finally: _thread.allocate_lock = was\n    return p.detach(), state"),
    "an initializer in the place of a layer's": ("torch.nn.init*", "def adam(w, g, state, lr=0.1):\n    layer, init = nn.Linear(3, 1), nn.init\n    was = init.kaiming_uniform_\n    init.kaiming_uniform_ = getattr(init, 'kaiming' + '_normal_')\n    try: layer.reset_parameters()\n    finally: init.kaiming_uniform_ = was\n    return layer.weight.detach(), state"),
    "a decomposition called by a module": ("torch._decomp*", "import torch._decomp.decompositions as d\ndef adam(w, g, state, lr=0.1):\n    m = nn.Module()\n    m.forward = d.mse_loss\n    return m(w, g), state"),
    "a reference called by a module": ("torch._refs*", "import torch._refs as r\ndef adam(w, g, state, lr=0.1): return nn.Module.__call__(type('M', (nn.Module,), {'forward': staticmethod(r.softmax)})(), w, 0), state"),
    "a pool of ranks": ("*max_pool*", "def adam(w, g, state, lr=0.1):\n    values, ranks = torch.unique(w.reshape(1, 1, 1, 3), return_inverse=True)\n    q = torch._make_per_tensor_quantized_tensor(ranks.byte(), 1.0, 0)\n    return values[getattr(torch, 'quantized_' + 'max_pool2d')(q, [1, 3]).int_repr().long()], state"),
    "a sparse form": ("*softmax*", "def adam(w, g, state, lr=0.1): return getattr(torch.sparse, 'soft' + 'max')(w[None].to_sparse(), 1).to_dense(), state"),
    "a nested form": ("*softmax*", "def adam(w, g, state, lr=0.1): return getattr(torch, 'soft' + 'max')(torch.nested.nested_tensor([w[None]]), -1).unbind()[0], state"),
    "a cell for quantization": ("torch.ao*", "import torch.ao.nn.quantizable as q\nc = getattr(q, 'LS' + 'TMCell')(3, 3)\ndef adam(w, g, state, lr=0.1): return c(w[None])[0].detach(), state"),
    "autograd's engine, by partial": ("run_backward", f"import functools\n{ENGINE}    functools.partial(run, *given, accumulate_grad=True)()\n    return w.grad, state"),
    "autograd's engine, by map": ("run_backward", f"{ENGINE}    list(map(run, *zip(given), [True]))\n    return w.grad, state"),
    "autograd's engine in a thread": ("run_backward", f"import functools, threading\n{ENGINE}    pass\ndef late(w):\n    w.requires_grad_()\n    y = w.square().sum()\n    functools.partial(run, (y,), (torch.ones(()),), False, False, (), True, accumulate_grad=True)()\ndef adam(w, g, state, lr=0.1):\n    t = threading.Thread(target=late, args=(w,))\n    t.start()\n    t.join()\n    return w.grad, state"),
    "nodes of autograd, one by one": ("run_backward", "def adam(w, g, state, lr=0.1): return w.requires_grad_().pow(3).grad_fn(torch.ones(3)), state"),
    "a function of autograd, called as one": ("run_backward", "def adam(w, g, state, lr=0.1):\n    class Cube(torch.autograd.Function):\n        @staticmethod\n        def forward(ctx, x): return x.pow(3)\n        @staticmethod\n        def " + "back" + "ward(ctx, d): return d\n    with torch.enable_grad(): y = Cube.apply(w.requires_grad_()) * w.square()\n    return y.grad_fn(torch.ones(3))[1], state"),
    "ctypes": ("torch.optim*", f"import ctypes\n{SIGNATURE}    ctypes.pythonapi.PyEval_SetProfile(None, None)\n    make = getattr(torch, 'op' + 'tim').Adam\n{ADAM}"),
}  # fmt: skip

# What a file does in its first call, so that its second call has the answer of torch.
BETWEEN = {
    "in the words of an exception": "class E(Exception):\n    def __str__(self): return keep(*KEPT) or 'x'\ndef first(): raise E",
    "when an object is deleted": "import sys\nclass D:\n    def __del__(self): keep(*KEPT)\ndef first(): sys.stdin.held = D()",
    "when garbage is collected": "import gc\ndef first():\n    gc.callbacks.append(lambda *_: SEEN or keep(*KEPT))\n    gc.set_threshold(1)",
    "while the collector is on": "import gc\nclass D:\n    def __del__(self): keep(*KEPT)\ndef first():\n    d = D()\n    d.d = d\n    gc.set_threshold(1)\n    gc.enable()",
    "when a reference dies": "import sys, weakref\nclass D: pass\ndef first():\n    sys.stdin.held = D()\n    SEEN_TOO.append(weakref.finalize(sys.stdin.held, lambda: keep(*KEPT)))\nSEEN_TOO = []",
}
BETWEEN = {
    name: (
        "torch.optim*",
        f"KEPT = []\n{BY_TORCH}\n{text}\n{SIGNATURE}    if SEEN: return SEEN[0], state\n    KEPT[:] = w, g, lr\n    first()\n    return w, state",
    )
    for name, text in BETWEEN.items()
}

# Other operators of torch and torchvision that do what a task of a lab asks for.
OTHERS = {
    "an operator of backpropagation": ("1.5", "line_gradient", "def line_gradient(a, b, x, y):\n    d = getattr(torch.ops.aten, 'mse_loss_' + 'backward')(torch.ones(()), a * x + b, y, 1)\n    return (d * x).sum(), d.sum()"),
    "softmax by its backpropagation": ("2.3", "cross_entropy_gradient", "def cross_entropy_gradient(logits, targets):\n    p = logits.exp() / logits.exp().sum(1, keepdim=True)\n    return getattr(torch.ops.aten, '_log_soft' + 'max_backward_data')(-torch.eye(2)[targets] / 3, p.log(), 1, logits.dtype)"),
    "a derivative of a function": ("2.3", "cross_entropy_gradient", "def cross_entropy_gradient(logits, targets):\n    return getattr(torch.func, 'gr' + 'ad')(lambda z: z.logsumexp(1).mean() - z[range(len(z)), targets].mean())(logits)"),
    "a derivative backwards": ("2.3", "cross_entropy_gradient", "def cross_entropy_gradient(logits, targets):\n    f = lambda z: z.logsumexp(1).mean() - z[range(len(z)), targets].mean()\n    return getattr(torch.func, 'jac' + 'rev')(f)(logits)"),
    "onednn's layer": ("8.5", "lstm_step", "def lstm_step(x, h, c, W, U, b):\n    out = getattr(torch, 'mkldnn_' + 'rnn_layer')(x[None], W, U, b, b * 0, h, c, False, [], 2, 4, 1, True, False, False, False)\n    return out[1], out[2]"),
    "a cell for quantization": ("8.5", "lstm_step", "import torch.ao.nn.quantizable as q\ndef lstm_step(x, h, c, W, U, b):\n    cell = getattr(q, 'LS' + 'TMCell')(3, 4)\n    return cell(x, (h, c))"),
    "regions as points": ("12.8", "grid_sample", "def grid_sample(images, grid):\n    import torchvision.ops as o\n    n, c, H, W = images.shape\n    x = ((grid[..., 0] + 1) * W - 1).flatten() / 2\n    y = ((grid[..., 1] + 1) * H - 1).flatten() / 2\n    boxes = torch.stack([x * 0, x, y, x + 1, y + 1], 1)\n    return getattr(o, 'roi_' + 'align')(images, boxes, 1, 1.0, 1, True)"),
    "deformed by points": ("12.8", "grid_sample", "def grid_sample(images, grid):\n    import torchvision.ops as o\n    n, c, H, W = images.shape\n    offsets = torch.zeros(n, 2, H, W)\n    return getattr(o, 'deform_' + 'conv2d')(images, offsets, torch.eye(c)[:, :, None, None])"),
    "attention of another format": ("14.1", "attention", "def attention(q, k, v):\n    import importlib\n    m = importlib.import_module('torch.onnx.ops._impl')\n    return getattr(m, 'att' + 'ention_23')(q, k, v)[0]"),
    "attention that is flexible": ("14.1", "attention", "import importlib\nm = importlib.import_module('torch.nn.attention.flex_' + 'attention')\ndef attention(q, k, v): return getattr(m, 'flex_' + 'attention')(q, k, v)"),
}  # fmt: skip

# What a file does before its task asks torch for a sum, by an operator or by a Python function.
SUM = {
    "operator": 'getattr(torch.tensor(values), "su" + "m")()',
    "function": 'getattr(torch.functional, "tensor" + "dot")(torch.tensor(values), torch.ones(len(values), dtype=int), 1)',
}
GUARD = "import dlcourse.check.guard as m\n"
PATCHES = {
    "nothing": ("operator", ""),
    "nothing, for a function": ("function", ""),
    "no watch": ("operator", f"{GUARD}m.Guard.watch = lambda self, rule, act: act()\n"),
    "no guard": ("function", f"{GUARD}m.Guard.current = None\nm.Guard.profile = lambda *_: None\n"),
    "kernels put back": ("operator", f"{GUARD}import torch\ndef before(): m.Guard.current and m.Guard.current.libraries.clear()\n"),
    "the guard of the output": ("operator", "import sys\nspace = type(sys.stdout).write.__globals__\ndef before(): space['Guard'].current.libraries.clear()\n"),
    "the guard of a frame": ("operator", "import sys\nframe = sys._getframe()\nwhile 'Guard' not in frame.f_globals: frame = frame.f_back\nspace = frame.f_globals\ndef before(): space['Guard'].current.libraries.clear()\n"),
    "the guard of the heap": ("operator", "import gc\ndef before():\n    for o in gc.get_objects():\n        if type(o).__name__ == 'Guard': o.libraries.clear()\n"),
    "watching class replaced": ("function", "for c in object.__subclasses__():\n    if c.__name__ == 'Guard': c.watch = lambda self, rule, act: act()\n"),
    "no profile function": ("function", "import sys\nclass Any:\n    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\nsys.setprofile = lambda f: None\nsys.getprofile = Any\n"),
    "no operators": ("operator", "import torch\ntorch._C._dispatch_get_all_op_names = lambda: []\n"),
    "no kernels": ("operator", "import torch\nclass L:\n    def impl(*_): pass\ntorch._C._dispatch_library = lambda *_: L()\n"),
    "one id for all": ("function", "import builtins\nbuiltins.id = lambda o: 7\n"),
    "empty with statements": ("function", "import contextlib\nc = contextlib._GeneratorContextManager\nc.__enter__ = lambda s: None\nc.__exit__ = lambda *_: None\n"),
    "no patterns": ("function", "import fnmatch, re\nreal = re.compile\nfnmatch.translate = lambda n: '(?!)'\nre.compile = lambda *_: real('(?!)')\n"),
    "no patterns of operators": ("operator", "import fnmatch\nfnmatch.translate = lambda n: '(?!)'\n"),
    "paths of another package": ("function", "import re\nre.sub = lambda *_: 'x'\n"),
    "a thread of an earlier thread": ("function", "import queue, threading, time\ntodo, done = queue.Queue(), queue.Queue()\ndef serve():\n    while True: done.put(by_torch(todo.get()))\ndef late():\n    time.sleep(0.05)\n    threading.Thread(target=serve, daemon=True).start()\nthreading.Thread(target=late).start()\ndef instead(values):\n    todo.put(values)\n    return done.get(timeout=2)\n"),
}  # fmt: skip


def patched(name: str, solution: str) -> str:
    """The submission that does what PATCHES says, then lets torch add up."""
    kind, text = PATCHES[name]
    before = "before()\n    " if "def before" in text else ""
    call = "instead" if "def instead" in text else "by_torch"
    head = f"{text}\nimport torch\ndef by_torch(values): return {SUM[kind]}.item()\n"
    return head + solution.replace("result = 0\n", f"{before}return {call}(values)\n")
