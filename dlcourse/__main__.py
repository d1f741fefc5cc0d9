"""`python -m dlcourse` is `dlcourse`; torchrun needs a module to start."""

from dlcourse.cli import entry_point

entry_point()
