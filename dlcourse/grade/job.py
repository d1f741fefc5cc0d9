"""What a batch tells the processes that grade, and what they answer: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.course import Lab
from dlcourse.grade.sandbox.confinement import Limits

__all__ = ["BUDGET_S", "LEAST_S", "PROOF_S", "BatchSettings", "Job", "Proof"]

LEAST_S = 2.0  # the limit of one test, at least
BUDGET_S = 20.0  # and of a whole file
PROOF_S = 120.0  # the limit while nobody knows yet how long the reference takes


@dataclass(frozen=True)
class BatchSettings:
    """What all submissions of a batch share. hidden: folders that no submission may see."""

    lab: Lab
    hidden: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    allow_unsandboxed: bool = False


@dataclass(frozen=True)
class Job:
    """One file to grade.

    limits_s: seconds for each test by name; "" is the limit for loading. budget_s: for everything.
    """

    source: bytes
    limits_s: dict[str, float] = field(default_factory=dict)
    default_s: float = LEAST_S
    budget_s: float = BUDGET_S


@dataclass(frozen=True)
class Proof:
    """What the grader has proved: time limits from the reference, and the layers in force."""

    limits_s: dict[str, float]
    layers: list[dict]
    budget_s: float = BUDGET_S

    def job(self, source: bytes) -> Job:
        return Job(source, self.limits_s, budget_s=self.budget_s)
