"""Whether a container can grade: `python -m dlcourse.grade.image`, for Gradescope's setup.sh."""

from __future__ import annotations

import sys
from pathlib import Path

from dlcourse.errors import GradingError
from dlcourse.grade.sandbox.confinement import missing
from dlcourse.grade.sandbox.process import probe_layers

__all__ = ["main", "memory_limit", "problems"]

# The grader takes 1.2 GB, and a submission may take 1 GB.
NEEDED_GB = 2.5
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_limit(cgroups: tuple[str, ...] = CGROUPS, machine: str = "/proc/meminfo") -> int:
    """The bytes of memory that this container may use: its limit, or all of the machine."""
    for line in Path(machine).read_text().splitlines():
        if line.startswith("MemTotal:"):
            found = [int(line.split()[1]) * 1024]
    for name in cgroups:
        path = Path(name)
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found)


def problems(limit: int) -> list[str]:
    """What keeps a container with `limit` bytes of memory from grading, one line each."""
    found = []
    if limit < NEEDED_GB * 1e9:
        found.append(
            f"the container has {limit / 1e9:.2g} GB of memory, grading needs {NEEDED_GB:g} GB; "
            "choose the size with 3 GB in the settings of the autograder"
        )
    try:
        lacking = missing(probe_layers())
    except (GradingError, OSError) as error:
        found.append(f"the sandbox does not start: {error}")
    else:
        if lacking:
            found.append(
                f"the sandbox lacks {', '.join(lacking)} in this container; grade an export on "
                "a machine of your own with `dlcourse grade`"
            )
    return found


def main() -> int:
    """Print what is wrong to stderr; return 0 if nothing is, else 1."""
    found = problems(memory_limit())
    for line in found:
        print(f"dlcourse: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
