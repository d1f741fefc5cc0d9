"""Compare what a student's function returned with what was expected: `expect(got, expected)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcourse.check.explain import difference, kind, matches

__all__ = ["WrongAnswerError", "assert_close", "expect"]


class WrongAnswerError(AssertionError):
    """The answer differs from the expected one. The message says how.

    mistake: the typical mistake that gives this answer, or "". call: what was called, or "" for the
    test's last call of student code.
    """

    def __init__(self, text: str, mistake: str = "", call: str = "") -> None:
        super().__init__(f"{text}; this is the result of {mistake}" if mistake else text)
        self.mistake, self.call = mistake, call


def expect(
    got: object,
    expected: object,
    what: str | Sequence[str] = "",
    *,
    mistakes: Mapping[str, object] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    call: str = "",
) -> None:
    """Raise WrongAnswerError unless `got` matches `expected`; see `explain.matches`.

    what: what `got` is, or a name for each value of a tuple, such as ("weight", "bias").
    mistakes: what typical mistakes give, by a name that completes "this is the result of ...":
        {"dividing by D instead of N": value}. The values have the form of `expected`; in a tuple,
        `...` stands for a value that does not tell the mistake.
    """
    __tracebackhide__ = True
    refuse_empty(got, expected)
    if not matches(got, expected, rtol, atol):
        mistake = next(
            (name for name, value in (mistakes or {}).items() if matches(got, value, rtol, atol)),
            "",
        )
        raise WrongAnswerError(described(got, expected, what, rtol, atol), mistake, call)


def assert_close(got: object, expected: object, **settings: Any) -> None:
    """Compare as `torch.testing.assert_close` does, but never two tensors without numbers.

    Those are always close. A test expects them only if it computed with what a student claims.
    An answer in float64 is accepted where float32 is expected, as `expect` does.
    """
    import torch
    from torch.testing import assert_close

    refuse_empty(got, expected)
    dtypes = getattr(got, "dtype", None), getattr(expected, "dtype", None)
    if dtypes == (torch.float64, torch.float32):
        settings = {"check_dtype": False, **settings}
    assert_close(got, expected, **settings)


def refuse_empty(got: object, expected: object) -> None:
    from torch import Tensor

    parts: Any = expected.values() if isinstance(expected, dict) else expected
    for part in parts if isinstance(expected, dict | list | tuple) else ():
        refuse_empty(got, part)
    if isinstance(expected, Tensor) and expected.numel() == 0:
        raise WrongAnswerError(f"your code's shapes leave no numbers to compare: {kind(got)}")


def described(
    got: object, expected: object, what: str | Sequence[str], rtol: float | None, atol: float | None
) -> str:
    if isinstance(what, str):
        text = difference(got, expected)
        return f"{what}: {text}" if what else text
    assert isinstance(expected, list | tuple), "names belong to a tuple"
    if not isinstance(got, list | tuple) or len(got) != len(expected):
        found = f"{len(got)} values" if isinstance(got, list | tuple) else kind(got)
        if got is None:
            return difference(got, expected)
        return f"expected {len(expected)} values ({', '.join(what)}), got {found}"
    for name, one, other in zip(what, got, expected, strict=True):
        if not matches(one, other, rtol, atol):
            return f"{name}: {difference(one, other)}"
    return difference(got, expected)
