"""What `dlcourse check` runs, on any system: a lab's tests turned into a record of points."""

from __future__ import annotations

from dlcourse.check.expect import assert_close, expect
from dlcourse.check.points import award, points

__all__ = ["assert_close", "award", "expect", "points"]
