"""Explain why a test failed: what was expected, what was returned, and where they differ."""

from __future__ import annotations

import reprlib
from types import TracebackType
from typing import TYPE_CHECKING

from dlcourse.check.protocol import clean_text

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["difference", "explain_assertion"]

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 200
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = SHORT.maxset = 12


def difference(got: object, expected: object) -> str:
    """Describe how `got` differs from `expected`: tensors, dictionaries or any other values."""
    import torch

    if isinstance(expected, torch.Tensor):
        return tensor_difference(got, expected)
    if isinstance(got, dict) and isinstance(expected, dict):
        keys = [
            key
            for key in [*expected, *(set(got) - set(expected))]
            if key not in got or key not in expected or not same(got[key], expected[key])
        ]
        words = [
            f"{key!r} is missing" if key not in got
            else f"{SHORT.repr(key)} is not expected" if key not in expected
            else f"{key!r}: expected {SHORT.repr(expected[key])}, got {SHORT.repr(got[key])}"
            for key in keys
        ]  # fmt: skip
        return "; ".join(words[:3]) + (f"; and {len(words) - 3} more" if len(words) > 3 else "")
    return f"expected {SHORT.repr(expected)}, got {SHORT.repr(got)}"


def same(got: object, expected: object) -> bool:
    """Return whether two values are equal as plain data, with the same types and shapes."""
    import torch

    if isinstance(got, torch.Tensor) or isinstance(expected, torch.Tensor):
        return (
            isinstance(got, torch.Tensor)
            and isinstance(expected, torch.Tensor)
            and torch.equal(got, expected)
        )
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        return len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(
            same(got[key], expected[key]) for key in expected
        )
    return bool(got == expected)


def tensor_difference(got: object, expected: Tensor) -> str:
    import torch

    if not isinstance(got, torch.Tensor):
        if isinstance(got, int | float) and expected.dim() == 0:
            return f"expected {expected.item()!r}, got {got!r}"
        return f"expected a tensor of shape {tuple(expected.shape)}, got {SHORT.repr(got)}"
    if got.shape != expected.shape:
        return f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    if got.dtype != expected.dtype:
        return f"expected {expected.dtype}, got {got.dtype}"
    wide = torch.complex128 if expected.is_complex() else torch.float64
    apart = (got.detach().to(wide) - expected.detach().to(wide)).abs()
    apart = torch.where(got.isnan() & ~expected.isnan(), torch.inf, apart).nan_to_num(
        0.0, torch.inf
    )
    if expected.numel() <= 12:
        return f"expected {numbers(expected)}, got {numbers(got)}"
    # A difference below a thousandth of the largest one is likely rounding, not the mistake.
    differ = int((apart > 1e-3 * apart.max()).sum())
    place = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
    return (
        f"{differ} of {expected.numel()} values differ, most at {list(place)}: "
        f"expected {expected[place].item():.6g}, got {got[place].item():.6g}"
    )


def numbers(tensor: Tensor) -> str:
    return " ".join(str(tensor.detach()).removeprefix("tensor(").removesuffix(")").split())


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
