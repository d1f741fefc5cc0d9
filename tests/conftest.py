"""What every test shares: two threads, no network, markers that say why they skip."""

import os

import matplotlib
import pytest
import torch

matplotlib.use("Agg")


def pytest_configure(config):
    torch.set_num_threads(min(2, os.cpu_count() or 1))


def pytest_runtest_setup(item):
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if item.get_closest_marker("real_data") and not os.environ.get("DLCOURSE_DATA"):
        pytest.skip("needs real data in DLCOURSE_DATA")
