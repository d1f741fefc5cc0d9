"""What all tests share: one thread, no network, and markers that say why they skip."""

import os
from pathlib import Path

import pytest

from dlcourse.startup import lasting_imports

from support.offline import sitecustomize

with lasting_imports():
    import matplotlib
    import torch

matplotlib.use("Agg")

# The processes that tests start import the same file, and have no network either.
OFFLINE = str(Path(sitecustomize.__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(
    folder for folder in (OFFLINE, os.environ.get("PYTHONPATH")) if folder
)
# The tensors of tests are small: a second thread only waits, and on a busy machine the other
# thread waits for it. Two processes (pytest -n 2) are quicker than two threads.
os.environ["OMP_NUM_THREADS"] = "1"
# The numbers in tests are those of float32 on every machine.
os.environ["DLCOURSE_BF16"] = "0"


def pytest_runtest_setup(item):
    torch.set_num_threads(1)
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if item.get_closest_marker("real_data") and not os.environ.get("DLCOURSE_DATA"):
        pytest.skip("needs real data in DLCOURSE_DATA")
