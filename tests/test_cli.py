"""The command line as its users meet it: help, misuse, exit status, what it imports."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlcourse.cli import build_parser, main

from support import tiny

ROOT = Path(__file__).parents[1]


def commands():
    actions = build_parser()._actions
    return next(action.choices for action in actions if action.dest == "command")


def test_help_imports_no_torch():
    code = (
        "import sys, dlcourse.cli\n"
        "try: dlcourse.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'pytest'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_batch_and_similar_leave_torch_to_the_processes_that_grade():
    code = (
        "import sys, dlcourse.grade.batch, dlcourse.grade.similar; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_openmp_is_told_not_to_spin_before_any_lab_imports_torch():
    code = (
        "import dlcourse.cli, os, sys\n"
        "sys.exit(os.environ.get('GOMP_SPINCOUNT') != '10000' or 'torch' in sys.modules)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize("name", commands())
def test_every_command_is_documented(name):
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents)
    assert re.search(rf"dlcourse {name}\b", text)


@pytest.mark.parametrize("name", commands())
def test_every_command_and_flag_has_help(name):
    parser = commands()[name]
    silent = [a.dest for a in parser._actions if not a.help and a.option_strings]
    assert not silent


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["rnu", "lab05"], "unknown COMMAND 'rnu'; did you mean 'run'?"),
        (["run", "lab55"], "there is no lab55; choose one of lab01, lab02"),
        (["run", "lab05", "--solution", "--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["run", "lab05", "--solution", "--device", "tpu"], "unknown device 'tpu'"),
        (["run", "lab05", "--solution", "--seed", "-1"], "seed must be between 0 and 2**32 - 1"),
        (["run", "lab05", "--solution", "--threads", "0"], "threads must be at least 1, got 0"),
        (
            ["run", "lab05", "--solution", "--epochs", "x"],
            "--epochs: invalid int value: 'x' (see --help)",
        ),
        (["run", "lab05", "--solution", "--tiny", "--full"], "not allowed with argument --tiny"),
        (["doctor", "--jsn"], "unrecognized arguments: --jsn (see dlcourse --help)"),
        ([], "the following arguments are required: COMMAND (see dlcourse --help)"),
    ],
)
def test_misuse_is_one_line_and_exit_status_2(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([*argv, "--out", str(tmp_path)] if "--solution" in argv else argv) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_device_that_is_not_here_is_named_with_those_that_are(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(ROOT)
    argv = ["run", "lab05", "--solution", "--device", "cuda", "--out", str(tmp_path)]
    assert main(argv) == 2
    assert re.search(r"this machine has no cuda device; it has: .*cpu", capsys.readouterr().err)


def test_an_output_folder_that_cannot_be_written_is_refused_before_training(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").touch()
    argv = ["run", "lab05", "--solution", "--out", str(tmp_path / "file" / "out")]
    assert main(argv) == 2
    assert "cannot write into --out" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "missing"), [("run", "LAB"), ("train", "RECIPE")])
def test_help_of_a_command_that_passes_its_flags_on(name, missing, capsys):
    assert main([name, "--help"]) == 0
    assert f"usage: dlcourse {name}" in capsys.readouterr().out
    assert main([name, "--tiny"]) == 2
    assert f"the following arguments are required: {missing}" in capsys.readouterr().err


def test_help_after_a_lab_is_the_help_of_the_lab(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as end:
        main(["run", "lab05", "--solution", "--help"])
    assert end.value.code == 0
    assert "--tiny" in capsys.readouterr().out


def test_train_without_a_name_lists_the_recipes(capsys):
    assert main(["train"]) == 0
    assert "mnist-fast\n    " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["grade", "release", "similar"])
def test_a_student_bundle_says_that_a_command_is_for_instructors(name, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert name not in commands()
    assert main([name]) == 2
    assert capsys.readouterr().err == (
        f"dlcourse: {name!r} is a command for instructors; the student bundle does not contain it\n"
    )


def test_a_full_disk_is_said_in_one_line(capsys, monkeypatch):
    def full(text):
        raise OSError(errno.ENOSPC, "No space left on device", "results/a.csv")

    monkeypatch.setattr(
        "builtins.print", lambda text, file=None: file.write(text) if file else full(text)
    )
    assert main(["models"]) == 2
    assert capsys.readouterr().err == (
        "dlcourse: [Errno 28] No space left on device: 'results/a.csv'; "
        "free some space, then repeat the command"
    )


EVERY_COMMAND = """
import sys
from dlcourse.cli import main
for command in (
    ["check", "lab90"], ["check", "lab90", "--json"], ["labs"], ["run", "lab90"], ["models"],
    ["similar", "submissions", "--lab", "lab90"], ["data", "list"], ["compare", "--list"],
    ["check", "zażółć"], ["notebook", "lab90", "--out", "ł.ipynb"],
):
    sys.stdout.flush()
    print("status", main(command))
"""


def test_no_command_dies_of_an_encoding(tmp_path):
    lab = tiny.make_course(tmp_path)
    wrong = tiny.SOLUTION.replace("return a + b", "print('\u2713'); raise ValueError('\u0142')")
    end = 'if __name__ == "__main__":\n    lab.script(main)\n'
    main = f'def main(argv=None):\n    print("\u2713 \u0142")\n\n\n{end}'
    lab.student.write_text(f"{wrong}\n\n{main}", encoding="utf-8")
    (tmp_path / "submissions").mkdir()
    for name in ("Micha\u0142", "\u5f20\u4f1f"):
        path = tmp_path / "submissions" / f"{name}.py"
        path.write_text(tiny.SOLUTION, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "DLCOURSE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EVERY_COMMAND],
        cwd=tmp_path, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    shown = done.stdout.decode("ascii")
    assert done.returncode == 0, done.stderr.decode("ascii")
    statuses = [line for line in shown.splitlines() if line.startswith("status")]
    assert statuses == [f"status {status}" for status in (1, 1, 0, 0, 0, 0, 0, 0, 2, 0)]
    assert "\\u2713" in shown
