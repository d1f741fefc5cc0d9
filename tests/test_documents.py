"""The documents are true: every path, link, name, command and flag in them exists."""

import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from dlcourse.cli import PASSES_ON, build_parser
from dlcourse.errors import UsageError

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md",
    ROOT / "datasets" / "README.md", *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "handouts").glob("*.md")),
]  # fmt: skip
# What a command writes, what is outside the repository, and what replaces a name.
NOT_HERE = re.compile(
    r"/|\.venv|results/($|lab)|students/|class/|train/class/|MNIST/|FashionMNIST/|KMNIST/|cifar|ptb/|tinyshakespeare/|multi30k/|agnews/"
)
WRITTEN = {
    "adjust.csv", "canvas.csv", "details.csv", "junit.xml", "moodle.csv", "report.html",
    "results.json", "submission_metadata.yml",
}  # fmt: skip
SUFFIXES = {".py", ".md", ".toml", ".yml", ".cff", ".txt", ".json", ".csv", ".html", ".xml"}
PLACEHOLDER = re.compile(r"NN|NAME|DIR|OUT\b")

in_documents = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)


def unfenced(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


def inline_code(text):
    """What is between single backticks, outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", unfenced(text))


def named_paths(text):
    """The file and folder names among the inline code of a document."""
    return [
        code
        for code in inline_code(text)
        if re.fullmatch(r"[\w.*{},/-]+", code)
        and ("/" in code or Path(code).suffix in SUFFIXES)
        and not NOT_HERE.match(code)
        and not PLACEHOLDER.search(code)
        and code not in WRITTEN
    ]


def exists(name):
    if "/" in name:
        # architecture.md names some files from the package's folder on.
        return any(any(start.glob(name.rstrip("/"))) for start in (ROOT, ROOT / "dlcourse"))
    return (ROOT / name).exists() or any((ROOT / "dlcourse").rglob(name))


def commands(text):
    """Each `dlcourse ...` and `make ...` in the code of a document, without comments."""
    indented = re.findall(r"^    (.+)$", unfenced(text), re.M)
    for code in [*inline_code(text), *indented]:
        # The handouts explain a command on its own line, after two spaces.
        code = re.split(r"\s+#|\s{2,}", code.strip())[0]
        for part in code.split("&&"):
            part = part.strip().replace("\\", "/")
            program = part.split(" ")[0].rpartition("/")[2]
            if program in ("dlcourse", "make"):  # any other line need not be a command at all
                yield [program, *shlex.split(part)[1:]]


def problem_with(command):
    """What is wrong with a command line, or None. Nothing is run."""
    program, *words = command
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
        return next((f"no target {w}" for w in words if "=" not in w and w not in targets), None)
    if words == ["--help"]:
        return None
    try:
        args, rest = build_parser().parse_known_args([w for w in words if w != "..."])
    except UsageError as error:
        # A text may name a command without its arguments.
        named_only = len(words) == 1 and "arguments are required" in str(error)
        return None if named_only else str(error)
    flags = [word for word in rest if word.startswith("-")]
    if args.command in PASSES_ON:
        known = (ROOT / "dlcourse" / "lab.py").read_text()
        flags = [flag for flag in flags if f'"{flag}"' not in known]
    return f"unknown {flags}" if flags else None


@in_documents
def test_every_path_exists(path):
    assert [
        name for name in named_paths(path.read_text(encoding="utf-8")) if not exists(name)
    ] == []


@in_documents
def test_every_link_leads_to_a_file(path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if not link.startswith("https://")]
    assert [link for link in local if not (path.parent / link).exists()] == []


@in_documents
def test_every_name_of_the_package_exists(path):
    missing = []
    for name in set(re.findall(r"\bdlcourse(?:\.\w+)+", path.read_text(encoding="utf-8"))):
        found = importlib.import_module("dlcourse")
        for part in name.split(".")[1:]:
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                found = getattr(found, part, None)
            if found is None:
                missing.append(name)
                break
    assert missing == []


@in_documents
def test_every_command_and_flag_exists(path):
    found = list(commands(path.read_text(encoding="utf-8")))
    assert [(" ".join(c), problem_with(c)) for c in found if len(c) > 1 and problem_with(c)] == []


def test_these_tests_see_what_does_not_exist():
    text = "`dlcourse/gone.py` `gone.py` `tests/gone/` `dlcourse/cli.py` `cli.py` `x/NAME.py`"
    assert [name for name in named_paths(text) if not exists(name)] == [
        "dlcourse/gone.py", "gone.py", "tests/gone/",
    ]  # fmt: skip
    text = "    dlcourse gone\n    make gone\n    dlcourse labs --gone  # why\n    dlcourse labs\n"
    assert [problem_with(command) is not None for command in commands(text)] == [1, 1, 1, 0]
    assert problem_with(["dlcourse", "run", "lab05", "--gone"])
    assert not problem_with(["dlcourse", "run", "lab05", "--tiny"])


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_python_code_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    images, labels = np.zeros((200, 1, 28, 28), np.uint8), np.arange(200) % 10
    images[np.arange(200), 0, 2 * labels] = 255  # a white row, whose height gives the class
    np.savez(
        tmp_path / "mnist.npz",
        train_images=images, train_labels=labels, test_images=images, test_labels=labels,
    )  # fmt: skip
    monkeypatch.setenv("DLCOURSE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    exec(code, {})
    out = capsys.readouterr().out
    assert re.fullmatch(r"validation: [\d.]+%\ntest:       [\d.]+%\n", out)
    assert (tmp_path / "learning_curves.png").exists()


def test_every_benchmark_has_a_row_and_every_row_a_recorded_result():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")}
    named = set(re.findall(r"`benchmarks/(\w+\.py)", text))
    assert scripts - named == {"common.py"}
    assert named <= scripts
