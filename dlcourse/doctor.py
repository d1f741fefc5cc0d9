"""What this machine can do for the course, and how to fix what is broken.

Nothing here imports torch when it is loaded: a torch that does not import is one of the findings.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from dlcourse.data.folder import data_folder
from dlcourse.errors import DataError, GradingError

__all__ = ["Finding", "Report", "as_json", "as_text", "examine"]

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 11)
ONE_PLACE = (
    "the two come from different builds; install both from one place: "
    "pip uninstall -y torch torchvision, then pip install torch torchvision"
)


@dataclass(frozen=True)
class Finding:
    """The result of one check: what was found, and if it is not good, how to fix it."""

    name: str
    good: bool
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether every finding is good."""
        return all(finding.good for finding in self.findings)


def examine(data_dir: str | None = None) -> Report:
    """Check Python, torch, torchvision, processor, devices, data folder and sandbox."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_torch,
        check_torchvision,
        check_processor,
        check_devices,
        lambda: check_data(data_dir),
        check_sandbox,
    ]
    return Report(tuple(check() for check in checks))


def check_python() -> Finding:
    good = sys.version_info >= OLDEST_PYTHON
    return Finding(
        "Python",
        good,
        f"{platform.python_version()} on {platform.platform(terse=True)}",
        "" if good else "the course needs Python 3.10 or newer: python.org/downloads",
    )


def check_torch() -> Finding:
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        return Finding(
            "torch", False, f"does not import: {first_line(error)}", "pip install torch torchvision"
        )
    good = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= OLDEST_TORCH
    fix = "" if good else "pip install --upgrade torch torchvision"
    return Finding("torch", good, f"{torch.__version__}, {torch.get_num_threads()} threads", fix)


def check_torchvision() -> Finding:
    """torchvision is compiled for one build of torch and does not load with another one."""
    try:
        torchvision = import_module("torchvision")
    except (ImportError, OSError, RuntimeError) as error:
        found = f"does not import: {first_line(error)}"
        if "torchvision::nms" not in str(error):
            return Finding("torchvision", False, found, "pip install torch torchvision")
        return Finding(
            "torchvision",
            False,
            f"{found} (torch {installed('torch')}, torchvision {installed('torchvision')})",
            ONE_PLACE,
        )
    builds = [installed(name) for name in ("torch", "torchvision")]
    # "2.15.0+cpu" says which index of PyTorch a build is from, "2.15.0" that it is PyPI's.
    if len({build.partition("+")[2] for build in builds}) > 1:
        found = f"torch {builds[0]} and torchvision {builds[1]} are a mixture"
        return Finding("torchvision", False, found, ONE_PLACE)
    return Finding("torchvision", True, torchvision.__version__)


def check_processor() -> Finding:
    """What of the processor decides how fast training is."""
    try:
        torch = import_module("torch")
        from dlcourse.runtime import has_bf16

        bf16 = has_bf16(torch.device("cpu"))
    except (ImportError, OSError) as error:
        return Finding("processor", False, f"unknown: {first_line(error)}", "fix torch first")
    found = (
        f"{processor_name()}, {os.cpu_count()} cores, instructions "
        f"{torch.backends.cpu.get_cpu_capability()}, {'with' if bf16 else 'without'} bfloat16"
    )
    return Finding("processor", True, found)


def processor_name() -> str:
    """The processor's name as the system gives it, or its kind, such as "x86_64"."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            named = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        named = []
    return named[0] if named else platform.processor() or platform.machine()


def check_devices() -> Finding:
    try:
        from dlcourse.runtime import available_devices

        devices = available_devices()
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        return Finding("devices", False, f"unknown: {first_line(error)}", "fix torch first")
    names = [f"{torch.cuda.get_device_name()} (cuda)" if d == "cuda" else d for d in devices]
    return Finding("devices", True, ", ".join(names))


def check_data(data_dir: str | None) -> Finding:
    """Whether the data folder is readable, and what it contains."""
    try:
        folder = data_folder(data_dir)
    except DataError as error:
        found, _, fix = str(error).partition("; ")
        return Finding("data", False, found, fix)
    if not folder.exists():
        return Finding("data", True, f"{folder} does not exist yet; the first download makes it")
    names = sorted(path.name for path in folder.iterdir())
    entries = [name for name in names if not name.endswith((".md", ".png"))]
    return Finding("data", True, f"{folder} contains {', '.join(entries) or 'nothing yet'}")


def check_sandbox() -> Finding:
    """Try each layer around untrusted code by doing what it forbids."""
    if not sys.platform.startswith("linux"):
        return Finding("sandbox", True, "`dlcourse grade` needs Linux; `dlcourse check` does not")
    try:
        from dlcourse.grade.sandbox.confinement import missing
        from dlcourse.grade.sandbox.process import probe_layers

        reports = probe_layers()
    except (GradingError, ImportError, OSError) as error:
        return Finding("sandbox", True, f"none: {first_line(error)}; `dlcourse check` needs none")
    found = "; ".join(
        report.layer if report.in_force else f"no {report.layer} ({report.note})"
        for report in reports
    )
    lacking = missing(reports)
    verdict = f"too weak to grade untrusted code, lacks {', '.join(lacking)}: " if lacking else ""
    return Finding("sandbox", True, verdict + found)


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def as_text(report: Report) -> str:
    """The report for people: one line for each finding, and below it how to fix it."""
    lines = []
    for finding in report.findings:
        lines.append(f"{'ok  ' if finding.good else 'BAD '}{finding.name:<14}{finding.found}")
        if finding.fix:
            lines.append(f"{'':<18}fix: {finding.fix}")
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """The report for machines."""
    return json.dumps({"healthy": report.healthy, **asdict(report)}, indent=2)
