"""How a test says what it is worth.

    @points(3, task="5.2", hint="stride and padding", hidden=True, needs=("5.1",))
    def test_conv2d_is_that_of_torch(student): ...

The points of a task's tests add up; a parametrized test shares its points among its cases. What
one test of a task forbids is forbidden for the whole task; what ALWAYS lists, for every task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dlcourse.errors import UsageError

__all__ = ["ALWAYS", "PartialCredit", "Points", "award", "points"]

# The answers of the package and of torchvision, and torch's own operators in Python.
ALWAYS = (
    "dlcourse.init*", "dlcourse.models*", "dlcourse.optim*", "dlcourse.train*",
    "torch._decomp*", "torch._inductor*", "torch._refs*", "torch.ao*", "torch.distributed.optim*",
    "torch.testing._internal*", "torchvision.models*",
)  # fmt: skip

Test = TypeVar("Test", bound=Callable)


@dataclass(frozen=True)
class Points:
    """What `points` hangs on a test function, as its attribute `points`."""

    points: float
    task: str
    hint: str
    hidden: bool
    needs: tuple[str, ...]
    forbidden: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


def points(
    points: float,
    *,
    task: str,
    hint: str = "",
    hidden: bool = False,
    needs: Sequence[str] = (),
    forbidden: Sequence[str] = (),
    allowed: Sequence[str] = (),
) -> Callable[[Test], Test]:
    """Decorate a test with the `points` it gives to `task`.

    hint: the next step, shown when it fails. hidden: not handed out, and neither its inputs nor its
    values are shown to a student. needs: ids of tasks without which a failure here says nothing.
    forbidden: what the task must not use: operators and names of torch, such as ("conv2d",
    "*Conv2d"), or whole paths in any package, such as "torch.optim*". Using one of them costs the
    points of the task; see `dlcourse.check.forbidden`, which reads the file, and
    `dlcourse.check.guard`, which sees what runs. allowed: what the task may use of ALWAYS.
    """
    if not points > 0:
        raise UsageError(f"points of task {task} must be above 0, got {points!r}")
    for name, value in (("needs", needs), ("forbidden", forbidden), ("allowed", allowed)):
        if isinstance(value, str):
            raise UsageError(f"{name} of task {task} must be a tuple of strings, got {value!r}")
    worth = Points(
        float(points), str(task), hint, hidden, tuple(needs), tuple(forbidden), tuple(allowed)
    )

    def decorate(test: Test) -> Test:
        test.points = worth  # type: ignore[attr-defined]  # pytest reads it from the function
        return test

    return decorate


class PartialCredit(Exception):  # noqa: N818 (no error: it carries points)
    """Ends a test with part of its points; raised by `award`."""

    def __init__(self, fraction: float, reason: str) -> None:
        super().__init__(reason)
        self.fraction = fraction


def award(fraction: float, reason: str) -> None:
    """End the test with `fraction`, from 0 to 1, of its points, for `reason`; 1 just goes on."""
    fraction = float(fraction)  # a test may count with values that a student returned
    if not 0 <= fraction <= 1:
        raise UsageError(f"award takes a fraction from 0 to 1, got {fraction!r}")
    if fraction < 1:
        raise PartialCredit(fraction, reason)
