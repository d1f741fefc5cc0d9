"""Answers that are none, each in place of every answer of a lab: `A` holds a call's arguments.

They agree with everything, give back what they were given, or have a form that a comparison might
take for another one.
"""

# ruff: noqa: E501 (a lie reads best on one line)

import ast

HEAD = """
import collections, enum
import numpy as np
import torch
from fractions import Fraction
from torch import nn

class Yes:
    __eq__ = __bool__ = lambda self, *other: True
    __ne__ = lambda self, other: False
    __hash__ = __index__ = lambda self: 0
    __float__ = lambda self: 0.0
    __len__ = lambda self: 1
    __iter__ = lambda self: iter([self])
    __getitem__ = __call__ = lambda self, *args, **settings: self
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

class Empty(Yes):
    shape, requires_grad, training, stop, best, best_epoch = (), False, False, True, 0.0, 0
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **settings: torch.zeros(0)

class Silent(nn.Module):
    def forward(self, *args, **settings): return args[0] if args else torch.zeros(1)
    def parameters(self, recurse=True): return iter(())
    def state_dict(self, *args, **settings): return {}
    def load_state_dict(self, *args, **settings): return None

class Float(float):
    __eq__, __ne__, __hash__ = lambda a, b: True, lambda a, b: False, float.__hash__
    __sub__ = __rsub__ = lambda a, b: 0.0

class Int(int):
    __eq__, __hash__ = lambda a, b: True, int.__hash__

class Text(str):
    __eq__, __hash__ = lambda a, b: True, str.__hash__

class List(list):
    __eq__ = lambda a, b: True

class Dict(dict):
    __eq__ = lambda a, b: True
    items = lambda self: []
    __getitem__ = lambda self, key: 0

class Close(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), settings=None):
        if getattr(function, "__name__", "") in ("detach", "cpu", "contiguous", "reshape", "view", "numpy", "__get__"):
            return super().__torch_function__(function, types, args, settings or {})
        return True

Pair = collections.namedtuple("Pair", "a b")
Zero = enum.IntEnum("Zero", {"zero": 0})

def tensors(A):
    return [value for value in A.values() if isinstance(value, torch.Tensor)] or [torch.zeros(1)]
"""
LIES = {
    "the first argument": "return next(iter(A.values()), None)",
    "the last argument": "return [*A.values(), None][-2 if A else 0]",
    "all arguments": "return tuple(A.values())",
    "zeros like the first": "return torch.zeros_like(tensors(A)[0])",
    "zeros like the last": "return torch.zeros_like(tensors(A)[-1])",
    "a sum of nothing": "return sum(0 * one.sum() for one in tensors(A))",
    "not a number, in its shape": "return tensors(A)[0] * float('nan')",
    "what the functions give": "return [act(*[v for v in A.values() if not callable(v)]) for act in A.values() if callable(act)]",
    "nothing": "return None",
    "0": "return 0",
    "1.0": "return 1.0",
    "truth": "return True",
    "untruth": "return False",
    "an empty text": "return ''",
    "a number as text": "return '0.0'",
    "bytes": "return b''",
    "an empty list": "return []",
    "an empty tuple": "return ()",
    "an empty dictionary": "return {}",
    "an empty set": "return set()",
    "not a number": "return float('nan')",
    "infinity": "return float('inf')",
    "an empty tensor": "return torch.empty(0)",
    "rows without numbers": "return torch.empty(2**19, 0)",
    "two tensors of 0": "return torch.tensor(0.0), torch.tensor(0.0)",
    "whole numbers": "return torch.zeros(1, dtype=torch.int64)",
    "anything": "return ...",
    "anything in a list": "return [..., ...]",
    "anything in a dictionary": "return {0: ...}",
    "a slice": "return slice(None)",
    "a dtype": "return torch.float64",
    "a device": "return torch.device('cpu')",
    "a generator of numbers": "return torch.Generator()",
    "agrees": "return Yes()",
    "agrees as a float": "return Float(0.0)",
    "agrees as an int": "return Int(0)",
    "agrees as a text": "return Text('0')",
    "agrees as a list": "return List([0])",
    "agrees as a dictionary": "return Dict()",
    "agrees as a tensor": "return torch.zeros(3).as_subclass(Close)",
    "all methods": "return Empty()",
    "a module that says nothing": "return Silent()",
    "without data": "return torch.empty(3, device='meta')",
    "sparse": "return torch.eye(3).to_sparse()",
    "quantized": "return torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8)",
    "nested": "return torch.nested.nested_tensor([torch.zeros(2)])",
    "conjugate": "return torch.zeros(3, dtype=torch.complex64).conj()",
    "negative bit": "return torch.zeros(3, dtype=torch.complex64).conj().imag",
    "a number of numpy": "return np.float64('nan')",
    "an array without dimensions": "return np.zeros(())",
    "an array of objects": "return np.array([None], dtype=object)",
    "a generator": "return (0 for _ in range(2))",
    "a range": "return range(3)",
    "a view": "return {0: 0}.keys()",
    "a named tuple": "return Pair(0, 0)",
    "a result of torch.max": "return torch.zeros(3).max(0)",
    "a fraction": "return Fraction(0)",
    "a member of an enum": "return Zero.zero",
    "a refusal": "raise ValueError",
    "a failed test": "raise AssertionError",
    "an exit": "raise SystemExit(0)",
    "an end of iteration": "raise StopIteration",
    "an end of a generator": "raise GeneratorExit",
    "points": "raise type('PartialCredit', (Exception,), {'fraction': 1.0})()",
}


class Replace(ast.NodeTransformer):
    def __init__(self, names, body):
        self.names, self.body, self.owner = names, body, ""

    def visit_ClassDef(self, node):
        self.owner = f"{node.name}."
        self.generic_visit(node)
        self.owner = ""
        return node

    def visit_FunctionDef(self, node):
        if self.owner + node.name in self.names:
            names = [a.arg for a in [*node.args.args, *node.args.kwonlyargs] if a.arg != "self"]
            given = f"A = dict({', '.join(f'{name}={name}' for name in names)})"
            body = "super().__init__()" if node.name == "__init__" else self.body
            node.body = ast.parse(f"{given}\n{body}").body
        return node


def source(solution, functions, body):
    """The solution with `body` in place of every answer. functions: their names, by task."""
    names = {name for some in functions.values() for name in some}
    lines = ast.unparse(Replace(names, body).visit(ast.parse(solution))).splitlines()
    start = max(i for i, line in enumerate(lines) if "from __future__" in line) + 1
    return "\n".join([*lines[:start], HEAD, *lines[start:]])
