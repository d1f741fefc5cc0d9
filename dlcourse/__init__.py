"""dlcourse: the deep-learning course that people can run.

A thin PyTorch package that the lab scripts call into. Importing it imports nothing else: each
part is a module of its own (`dlcourse.data`, `dlcourse.models`, `dlcourse.train`, ...).
"""

import os

# OpenMP workers that spin while they wait starve everyone on a busy machine. libgomp reads this
# when torch is imported, and a lab imports torch before anything of ours but this file. So many
# spins, some 20 microseconds, still bridge the gaps between the operations of a quick step.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

__version__ = "0.1.0"
