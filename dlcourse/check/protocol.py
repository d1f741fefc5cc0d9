"""The format of the messages between tests and student code: JSON and raw tensor bytes.

`encode` turns a Python value into a JSON value (a node) and a list of buffers; `decode` does the
reverse. Nothing is unpickled, imported or evaluated. A tensor of a subclass arrives as
a plain tensor.
"""

from __future__ import annotations

import math
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

# Bound here: student code may replace the functions in their module.
from json import dumps as to_json
from json import loads as from_json
from typing import Any

import numpy as np
import torch

from dlcourse.check.text import clean_text

__all__ = ["MAX_FRAME", "Buffers", "ProtocolError", "decode", "encode", "pack", "unpack"]

# The bytes of the tensors, in the order of their nodes. `decode` takes them from the front.
Buffers = deque[bytes]

MAX_JSON = 4 * 2**20  # bytes
MAX_FRAME = 64 * 2**20  # bytes
MAX_DEPTH = 50
MAX_KEYS = 10_000
MAX_ALIKE = 16  # keys with one hash, because inserting n of them takes n**2 comparisons
MAX_BUFFERS = 20_000
MAX_NODES = 300_000  # values in one message, with those in lists
MAX_ROWS = 2**20  # of a tensor without elements: sending one costs the sender nothing
HEADER = struct.Struct("<I")  # length of the JSON part

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
        torch.complex64, torch.complex128, torch.bool,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    )
}  # fmt: skip


class ProtocolError(Exception):
    """A message breaks the rules of this format."""


def encode(value: object, buffers: Buffers, other: Callable[[object], dict]) -> object:
    """Return the JSON value for `value`, and append the bytes of its tensors to `buffers`.

    other: returns the node of a value that is not plain data, such as a handle, or raises
        TypeError.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"t": "float", "v": repr(value)}
    if type(value) is list:
        return [encode(item, buffers, other) for item in value]
    # A namedtuple is a tuple; what torch.max returns, by mistake as a rule, is not taken for one.
    if isinstance(value, tuple) and (kind in (tuple, torch.Size) or hasattr(kind, "_fields")):
        return {"t": "tuple", "v": [encode(item, buffers, other) for item in value]}
    if kind in (set, frozenset) and isinstance(value, set | frozenset):
        return {"t": kind.__name__, "v": [encode(item, buffers, other) for item in value]}
    if isinstance(value, dict):
        pairs = [
            [encode(key, buffers, other), encode(item, buffers, other)]
            for key, item in value.items()
        ]
        return {"t": "dict", "v": pairs}
    if type(value) is complex:
        return {"t": "complex", "v": [repr(value.real), repr(value.imag)]}
    if kind in (bytes, bytearray) and isinstance(value, bytes | bytearray):
        buffers.append(bytes(value))
        return {"t": "bytes"}
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return {"t": "slice", "v": [encode(part, buffers, other) for part in parts]}
    if value is Ellipsis:
        return {"t": "ellipsis"}
    if isinstance(value, torch.dtype):
        return {"t": "dtype", "v": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"t": "device", "v": str(value)}
    if isinstance(value, torch.Tensor):
        return encode_tensor(value, buffers)
    if isinstance(value, torch.Generator):
        buffers.append(value.get_state().numpy().tobytes())
        return {"t": "generator"}
    if isinstance(value, np.generic):
        return encode(value.item(), buffers, other)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        node = encode_tensor(torch.from_numpy(np.ascontiguousarray(value)), buffers)
        return {**node, "t": "array", "shape": list(value.shape)}
    return other(value)


def encode_tensor(value: torch.Tensor, buffers: Buffers) -> dict:
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES or value.layout is not torch.strided:
        raise TypeError(f"a tensor of {value.dtype}, {value.layout} cannot cross to the other side")
    plain = value.detach().cpu()
    flat = plain.contiguous().reshape(-1)
    if flat.numel() and flat.stride(0) != 1:  # one number of a larger tensor
        flat = flat.clone(memory_format=torch.contiguous_format)
    buffers.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    node: dict[str, object] = {"t": "tensor", "dtype": name, "shape": list(plain.shape)}
    if value.requires_grad:
        node["grad"] = True
    if not plain.is_contiguous():
        node["strides"] = list(plain.stride())
    return node


@dataclass
class Counts:
    """How many values a message has given so far, and how many keys of dictionaries and sets."""

    nodes: int = 0
    keys: int = 0


def decode(
    node: object,
    buffers: Buffers,
    other: Callable[[dict], object],
    *,
    strided: bool = False,
    depth: int = 0,
    counts: Counts | None = None,
) -> object:
    """Return the value of a node that `encode` made, and take its buffers from the front.

    other: returns the value of a node of a kind unknown here, or raises ProtocolError.
    strided: whether to rebuild the strides of tensors. Only student code may trust them.
    depth, counts: how far the decoding of the whole message is.

    Raises ProtocolError for any node that `encode` did not make.
    """
    counts = Counts() if counts is None else counts
    counts.nodes += 1
    if counts.nodes > MAX_NODES:
        raise ProtocolError(f"more than {MAX_NODES:,} values")
    if depth > MAX_DEPTH:
        raise ProtocolError(f"values nested deeper than {MAX_DEPTH}")

    def inner(part: object) -> object:
        return decode(part, buffers, other, strided=strided, depth=depth + 1, counts=counts)

    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, list):
        return [inner(item) for item in node]
    if not isinstance(node, dict):
        raise ProtocolError(f"not a value: {type(node).__name__}")
    try:
        kind = node.get("t")
        value: Any = node.get("v")  # JSON: what it is not fails below
        if kind in ("dict", "set", "frozenset"):
            counts.keys += len(value)
            if counts.keys > MAX_KEYS:
                raise ProtocolError(f"more than {MAX_KEYS:,} keys in dictionaries and sets")
        if kind in ("tensor", "array"):
            return decode_tensor(node, take(buffers), strided)
        if kind == "tuple":
            return tuple(map(inner, value))
        if kind == "dict":
            # The order of decoding is the order of the buffers: first a key, then its item.
            pairs = [(inner(key), inner(item)) for key, item in value]
            refuse_alike([key for key, _ in pairs])
            return dict(pairs)
        if kind in ("set", "frozenset"):
            members = list(map(inner, value))
            refuse_alike(members)
            return (set if kind == "set" else frozenset)(members)
        if kind == "float":
            return float(value)
        if kind == "complex":
            return complex(*map(float, value))
        if kind == "bytes":
            return take(buffers)
        if kind == "slice":
            return slice(*map(inner, value))
        if kind == "ellipsis":
            return ...
        if kind == "dtype":
            return DTYPES[value]
        if kind == "device":
            return torch.device(value)
        if kind == "generator":
            generator = torch.Generator("cpu")
            generator.set_state(torch.frombuffer(bytearray(take(buffers)), dtype=torch.uint8))
            return generator
    except (TypeError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ProtocolError(f"a malformed {clean_text(kind, 40)}: {error}") from None
    return other(node)


def refuse_alike(keys: list) -> None:
    """Raise ProtocolError if many of `keys` have the same hash, which makes a dict very slow."""
    if keys and max(Counter(map(hash, keys)).values()) > MAX_ALIKE:
        raise ProtocolError(f"more than {MAX_ALIKE} keys with the same hash")


def take(buffers: Buffers) -> bytes:
    if not buffers:
        raise ProtocolError("fewer buffers than were announced")
    return buffers.popleft()


def decode_tensor(node: dict, buffer: bytes, strided: bool) -> torch.Tensor | np.ndarray:
    dtype, shape = DTYPES[node["dtype"]], node["shape"]
    if not isinstance(shape, list) or len(shape) > 16:
        raise ProtocolError("a tensor without a shape")
    if any(type(size) is not int or not 0 <= size <= 2**40 for size in shape):
        raise ProtocolError("a tensor with invalid sizes")
    if 0 in shape and math.prod(size or 1 for size in shape) > MAX_ROWS:
        raise ProtocolError(f"an empty tensor of shape {tuple(shape)}")
    if math.prod(shape) * dtype.itemsize != len(buffer):
        raise ProtocolError(f"a tensor of shape {tuple(shape)} and {dtype} in {len(buffer)} bytes")
    if buffer:
        # A bool whose byte is neither 0 nor 1 would make comparisons undefined.
        raw = torch.frombuffer(bytearray(buffer), dtype=torch.uint8)
        tensor = (raw != 0 if dtype is torch.bool else raw.view(dtype)).reshape(shape)
    else:
        tensor = torch.empty(shape, dtype=dtype, device="cpu")
    if strided and node.get("strides"):
        tensor = torch.empty_strided(shape, node["strides"], dtype=dtype, device="cpu").copy_(
            tensor
        )
    if node["t"] == "array":
        return tensor.numpy()
    return tensor.requires_grad_() if node.get("grad") is True else tensor


def pack(message: dict, buffers: Buffers) -> bytes:
    """Return one frame: the length of the JSON, the JSON, and the buffers.

    Raises ProtocolError if the message is too large.
    """
    text = to_json({"m": message, "b": [len(buffer) for buffer in buffers]}).encode()
    frame = b"".join([HEADER.pack(len(text)), text, *buffers])
    if len(text) > MAX_JSON or len(frame) > MAX_FRAME:
        raise ProtocolError(f"a message of {len(frame):,} bytes")
    return frame


def unpack(frame: bytes) -> tuple[dict, Buffers]:
    """Return the message and the buffers of a frame. Raises ProtocolError for an invalid one."""
    if len(frame) < HEADER.size:
        raise ProtocolError("a frame without a header")
    (length,) = HEADER.unpack_from(frame)
    if length > MAX_JSON or HEADER.size + length > len(frame):
        raise ProtocolError("a frame whose JSON is longer than allowed")
    try:
        whole = from_json(frame[HEADER.size : HEADER.size + length])
        message, lengths = whole["m"], whole["b"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(f"a frame that is not JSON: {clean_text(error, 80)}") from None
    if not isinstance(message, dict) or not isinstance(lengths, list) or len(lengths) > MAX_BUFFERS:
        raise ProtocolError("a frame without a message")
    buffers, start = Buffers(), HEADER.size + length
    for size in lengths:
        if type(size) is not int or not 0 <= size <= len(frame) - start:
            raise ProtocolError("a buffer that is longer than its frame")
        buffers.append(frame[start : start + size])
        start += size
    if start != len(frame):
        raise ProtocolError("bytes left over after a frame")
    return message, buffers
