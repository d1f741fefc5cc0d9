"""dlcourse: the deep-learning course that people can run.

A thin PyTorch package that the lab scripts call into. Importing it imports nothing else: each
part is a module of its own (`dlcourse.data`, `dlcourse.models`, `dlcourse.train`, ...).
"""

__version__ = "0.1.0"
