"""`dlcourse doctor` on a healthy machine and on planted troubles."""

import json
import os
import re
import sys

import pytest

from dlcourse import doctor
from dlcourse.cli import main


def plant(monkeypatch, tmp_path, module, text):
    """Put a `module` whose import runs `text` in front of the real one."""
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_this_machine_is_healthy():
    assert doctor.examine().healthy


def test_mismatched_torchvision_is_recognized_with_its_fix(monkeypatch, tmp_path):
    text = 'raise RuntimeError("operator torchvision::nms does not exist")'
    plant(monkeypatch, tmp_path, "torchvision", text)
    found = doctor.check_torchvision()
    assert not found.good
    assert "operator torchvision::nms does not exist (torch 2." in found.found
    assert "pip uninstall -y torch torchvision, then pip install torch torchvision" in found.fix


@pytest.mark.parametrize(
    ("torch", "torchvision", "good"),
    [
        ("2.15.0", "0.29.2", True),
        ("2.15.0+cpu", "0.29.2+cpu", True),
        ("2.15.0+cpu", "0.29.2", False),
        ("2.15.0+cu130", "0.29.2+cpu", False),
    ],
)
def test_a_mixture_of_builds_is_named(monkeypatch, torch, torchvision, good):
    monkeypatch.setattr(doctor, "installed", {"torch": torch, "torchvision": torchvision}.get)
    found = doctor.check_torchvision()
    assert found.good == good
    if not good:
        assert found.found == f"torch {torch} and torchvision {torchvision} are a mixture"
        assert found.fix.startswith("the two come from different builds; install both from one")


@pytest.mark.parametrize(
    ("module", "check"), [("torch", doctor.check_torch), ("torchvision", doctor.check_torchvision)]
)
def test_a_module_that_does_not_import_is_a_finding(monkeypatch, tmp_path, module, check):
    plant(monkeypatch, tmp_path, module, 'raise ImportError("libcudart.so is missing\\nmore")')
    found = check()
    assert found.found == "does not import: libcudart.so is missing"
    assert found.fix == "pip install torch torchvision"


def test_an_old_torch_is_to_be_upgraded(monkeypatch, tmp_path):
    text = "__version__ = '2.9.1'\ndef get_num_threads(): return 1"
    plant(monkeypatch, tmp_path, "torch", text)
    assert doctor.check_torch().fix == "pip install --upgrade torch torchvision"


def test_the_processor_is_named_with_what_makes_it_fast(monkeypatch):
    monkeypatch.setattr("dlcourse.runtime.has_bf16", lambda device: True)
    assert re.fullmatch(
        rf".+, {os.cpu_count()} cores, instructions .+, with bfloat16",
        doctor.check_processor().found,
    )
    monkeypatch.setattr("dlcourse.runtime.has_bf16", lambda device: False)
    assert doctor.check_processor().found.endswith(", without bfloat16")


def test_data_folder_missing_readable_and_not_a_folder(tmp_path):
    assert "does not exist yet" in doctor.check_data(str(tmp_path / "none")).found
    (tmp_path / "mnist.npz").touch()
    assert doctor.check_data(str(tmp_path)).found.endswith("contains mnist.npz")
    broken = doctor.check_data(str(tmp_path / "mnist.npz"))
    assert not broken.good
    assert "Not a directory" in broken.found
    assert broken.fix == "name another one with --data-dir or DLCOURSE_DATA"


def test_exit_status_and_json_tell_of_trouble(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    sandbox = doctor.Finding("sandbox", True, "tried above")
    monkeypatch.setattr(doctor, "check_sandbox", lambda: sandbox)
    assert main(["doctor", "--json", "--data-dir", str(tmp_path / "file")]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["healthy"] is False
    assert [one["name"] for one in said["findings"] if not one["good"]] == ["data"]
