"""`python -m dlcourse` is `dlcourse`; torchrun needs a module to start."""

import sys

from dlcourse.cli import main

sys.exit(main())
