"""Explain why a test failed: what was called, what was expected, and how the answer differs.

The type is compared before the shape, the shape before the dtype, the dtype before the values.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeGuard

from dlcourse.check.text import clean_text

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["difference", "explain_assertion", "kind", "matches", "shown_call"]

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 200
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = SHORT.maxset = 12
MAX_CALL = 240  # characters of a call; a longer one shows shapes instead of numbers


def matches(got: Any, expected: Any, rtol: float | None = None, atol: float | None = None) -> bool:
    """Return whether `got` is a right answer where `expected` is one, up to rounding.

    Floating-point tensors of any precision are compared with each other, and so are integers of any
    width. A number is accepted for a tensor of shape () and the other way around, a list for a
    tuple and the other way around. Anything matches `...`.
    rtol, atol: default to 1e-4 and 1e-5, or to 1e-6 and 1e-8 where both values are in float64.
    """
    import torch

    if expected is ...:
        return True
    if isinstance(expected, torch.Tensor):
        if expected.dim() == 0 and is_number(got):
            got = torch.tensor(got, dtype=expected.dtype if expected.is_floating_point() else None)
        if not isinstance(got, torch.Tensor) or got.shape != expected.shape:
            return False
        if dtype_kind(got) != dtype_kind(expected):
            return False
        fine = got.dtype == expected.dtype == torch.float64
        wide = torch.complex128 if expected.is_complex() else torch.float64
        return torch.allclose(
            got.detach().to(wide),
            expected.detach().to(wide),
            rtol=(1e-6 if fine else 1e-4) if rtol is None else rtol,
            atol=(1e-8 if fine else 1e-5) if atol is None else atol,
            equal_nan=True,
        )
    if (
        isinstance(got, torch.Tensor)
        and got.dim() == 0
        and isinstance(expected, bool | int | float)
    ):
        got = got.item()
    if isinstance(expected, bool) or isinstance(got, bool):
        return got is expected
    if is_number(expected) and is_number(got):
        rtol, atol = 1e-5 if rtol is None else rtol, 1e-7 if atol is None else atol
        # To infinity every number would be close.
        return got == expected or abs(got - expected) <= atol + rtol * abs(expected) < float("inf")
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return len(got) == len(expected) and all(
            matches(one, other, rtol, atol) for one, other in zip(got, expected, strict=True)
        )
    if isinstance(expected, dict) and isinstance(got, dict):
        return got.keys() == expected.keys() and all(
            matches(got[key], expected[key], rtol, atol) for key in expected
        )
    return type(got) is type(expected) and bool(got == expected)


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def dtype_kind(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "float"
    return (
        "complex" if tensor.is_complex() else "bool" if str(tensor.dtype) == "torch.bool" else "int"
    )


def difference(got: object, expected: object) -> str:
    """Describe how `got` differs from `expected`, in one line.

    Never raises: a value without a description is still a wrong answer.
    """
    try:
        return told_apart(got, expected)
    except Exception as trouble:  # noqa: BLE001 (the values are a student's: anything may happen)
        return f"not the expected value, and describing it raised {type(trouble).__name__}"


def told_apart(got: object, expected: object) -> str:
    import torch

    if got is None and expected is not None:
        return "your function returned None; is a `return` missing?"
    if isinstance(expected, torch.Tensor):
        return tensor_difference(got, expected)
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        if len(got) != len(expected):
            return (
                f"expected {SHORT.repr(expected)}, got {SHORT.repr(got)}"
                if plain([got, expected])
                else f"expected {len(expected)} values, got {len(got)}"
            )
        if not plain([got, expected]):
            pairs = list(zip(got, expected, strict=True))
            # What differs by more than rounding comes first.
            wrong = [*map(matches, *zip(*pairs, strict=True))] + [matches(*p, 0, 0) for p in pairs]
            at = wrong.index(False) % len(pairs) if False in wrong else 0
            return f"at index {at}: {difference(got[at], expected[at])}"
    if isinstance(got, dict) and isinstance(expected, dict):
        keys = [
            key
            for key in [*expected, *(set(got) - set(expected))]
            if key not in got or key not in expected or not matches(got[key], expected[key])
        ]
        words = [
            f"{key!r} is missing" if key not in got
            else f"{SHORT.repr(key)} is not expected" if key not in expected
            else f"{key!r}: {difference(got[key], expected[key])}"
            for key in keys
        ]  # fmt: skip
        return "; ".join(words[:3]) + (f"; and {len(words) - 3} more" if len(words) > 3 else "")
    if is_number(got) and is_number(expected):
        texts = f"{expected:.6g}", f"{got:.6g}"
        if texts[0] != texts[1]:
            return f"expected {texts[0]}, got {texts[1]}"
        return f"expected {expected!r}, got {got!r}, which differs by {abs(got - expected):.1g}"
    if type(got) is not type(expected) and not (
        isinstance(expected, list | tuple) and isinstance(got, list | tuple)
    ):
        return f"expected {kind(expected)}, got {kind(got)}"
    return f"expected {SHORT.repr(expected)}, got {SHORT.repr(got)}"


def plain(value: object) -> bool:
    """Return whether `value` holds no tensors, so that it can be shown whole."""
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def kind(value: object) -> str:
    """Say what a value is: its type, and its value or shape where that helps."""
    import numpy as np
    import torch

    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, torch.Tensor):
        shape = f"a tensor of shape {tuple(value.shape)}"
        return shape if value.dim() else f"{shape} with the value {value.item():.6g}"
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}; torch.from_numpy makes it a tensor"
    if isinstance(value, int | float):
        return f"the {type(value).__name__} {value:.6g}"
    if isinstance(value, str):
        return f"the text {SHORT.repr(value)}"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of {len(value)} value{'s' * (len(value) != 1)}"
    name = getattr(value, "_type", None) or type(value).__name__  # a Handle knows its type
    if name == "builtins.coroutine":
        return "a coroutine; write `def` instead of `async def`"
    if name.startswith("torch.return_types."):
        return f"{name}; did you mean .values?"
    return f"an object of type {name}"


def tensor_difference(got: object, expected: Tensor) -> str:
    import torch

    if not isinstance(got, torch.Tensor):
        if is_number(got) and expected.dim() == 0:
            return difference(got, expected.item())
        return f"expected a tensor of shape {tuple(expected.shape)}, got {kind(got)}"
    if got.shape != expected.shape:
        return f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    if dtype_kind(got) != dtype_kind(expected):
        return f"expected {expected.dtype}, got {got.dtype}"
    wide = torch.complex128 if expected.is_complex() else torch.float64
    apart = (got.detach().to(wide) - expected.detach().to(wide)).abs()
    apart = torch.where(got.isnan() ^ expected.isnan(), torch.inf, apart).nan_to_num(0.0, torch.inf)
    if expected.numel() == 0:
        return "expected an empty tensor, got another one"
    if expected.numel() <= 12:
        texts = numbers(expected), numbers(got.to(expected.dtype))
        close = texts[0] == texts[1] or apart.max() <= 1e-4 * expected.to(wide).abs().max()
        by = f", which differs by up to {apart.max():.1g}" if close else ""
        return f"expected {texts[0]}, got {texts[1]}{by}"
    if not apart.max() and (count := int(got.isnan().sum())):
        return f"{count} of {expected.numel()} values are nan, which is equal to nothing"
    # A difference below a thousandth of the largest one is likely rounding, not the mistake.
    differ = int((apart.isinf() | (apart > 1e-3 * apart.max())).sum())
    place = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
    return f"{differ} of {expected.numel()} values differ, most at {list(place)}: " + difference(
        got[place].item(), expected[place].item()
    )


def numbers(tensor: Tensor) -> str:
    text = str(tensor.detach()).removeprefix("tensor(").removesuffix(")")
    return " ".join(text.partition(", dtype")[0].split())


def shown_call(name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    """Show a call as a student would write it: `inverse(0.5, t=30, b=10.0)`."""
    text = ""
    for most in (12, 4, 0):
        parts = [shown(arg, most) for arg in args]
        parts += [f"{key}={shown(arg, most)}" for key, arg in kwargs.items()]
        text = f"{name}({', '.join(parts)})"
        if len(text) <= MAX_CALL:
            break
    return clean_text(text, MAX_CALL + 100)


def shown(value: object, most: int) -> str:
    """Show an argument; a tensor of more than `most` numbers shows its shape."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.numel() <= most:
            return f"tensor({numbers(value)})"
        return f"<tensor {tuple(value.shape)}>"
    if isinstance(value, torch.Generator):
        return "<generator>"
    if isinstance(value, dict):
        items = [f"{key!r}: {shown(item, most)}" for key, item in list(value.items())[:8]]
        return f"{{{', '.join(items)}{', ...' * (len(value) > 8)}}}"
    if isinstance(value, list | tuple) and not plain(value):
        items = [shown(item, most) for item in value[:8]] + ["..."] * (len(value) > 8)
        return f"[{', '.join(items)}]" if isinstance(value, list) else f"({', '.join(items)})"
    if label := getattr(value, "_label", None):  # a Handle
        return label
    if callable(value):
        name = getattr(value, "__name__", "<lambda>")
        return "<function>" if name == "<lambda>" else name
    return SHORT.repr(value)


def explain_assertion(
    error: BaseException, traceback: TracebackType | None, compared: tuple | None
) -> str:
    """Explain in one line an exception that a test's own statement raised.

    compared: (operator, left, right) of the comparison that failed in an `assert`, if known.
    Never raises: a value without a description is still a wrong answer.
    """
    try:
        return explanation(error, traceback, compared)
    except Exception as trouble:  # noqa: BLE001 (the values are a student's: anything may happen)
        return f"not the expected value, and describing it raised {type(trouble).__name__}"


def explanation(
    error: BaseException, traceback: TracebackType | None, compared: tuple | None
) -> str:
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "assert_close" and "torch" in frame.f_code.co_filename:
            return difference(frame.f_locals["actual"], frame.f_locals["expected"])
        traceback = traceback.tb_next
    text = clean_text(error, 1000)
    if not isinstance(error, AssertionError):
        return f"the test could not use the returned value: {type(error).__name__}: {text}"
    if not text.startswith("assert ") and text:
        return text.partition("\nassert ")[0]
    if compared:
        sign, left, right = compared
        if sign == "==":
            return difference(left, right)
        return f"expected a value {sign} {SHORT.repr(right)}, got {SHORT.repr(left)}"
    return text.splitlines()[0] if text else "an assertion failed"
