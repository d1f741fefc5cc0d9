"""Make what is handed out: the student bundle, and an autograder for Gradescope for each lab.

The zip files of the same course are equal byte for byte. Nothing is handed out that holds a line
of an answer in its own lab, a hidden test anywhere, or a whole answer anywhere. The package is an
exception that a test has to name: the labs import it, so a student has it and may read it, as one
reads torch. If the package holds a task's answer word for word (the reference LeNet-5), the task
must forbid it, `forbidden=("dlcourse.models*",)`; students can then read it, but not call it. What
a visible test needs as an oracle can be read too: write it in another way than the answer, or hide
the test.
"""

from __future__ import annotations

import ast
import contextlib
import fnmatch
import functools
import re
import zipfile
from pathlib import Path

from dlcourse import course, quiz
from dlcourse.course import TASK, Lab
from dlcourse.errors import UsageError
from dlcourse.files import atomic_path
from dlcourse.grade.student_version import BEGIN, END, generate, surviving_lines

__all__ = ["release", "visible_tests"]

LEAST = 40  # characters; what is shorter is idiom, not an answer
MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
BESIDE = (
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "environment.yml",
    "constraints.txt",
    "datasets/README.md",
)

UNUSED_MODELS = (
    "alexnet", "autoencoder", "cifar_resnet", "conv_autoencoder", "dcgan", "denoising_autoencoder",
    "feedforward_lm", "gan", "glo", "googlenet", "logistic_regression", "pca", "perceptron",
    "seq2seq", "text_classifier",
)  # fmt: skip
# What only an instructor or a lecturer runs, and what no lab uses. The commands, and
# `models.build`, say what the student bundle lacks.
NOT_IN_BUNDLE = (
    "dlcourse/compare/*",
    "dlcourse/data/augment.py",
    "dlcourse/data/caption_importer.py",
    "dlcourse/data/importer.py",
    "dlcourse/executors.py",
    "dlcourse/extensions.py",
    "dlcourse/grade/*",
    "dlcourse/init.py",
    "dlcourse/instructor.py",
    *(f"dlcourse/models/{name}.py" for name in UNUSED_MODELS),
    "dlcourse/models/padding.py",
    "dlcourse/models/summary.py",
    "dlcourse/page*",
    "dlcourse/process_pool.py",
    "dlcourse/recipes/*",
    "dlcourse/train/averaging.py",
    "dlcourse/train/batch_norm.py",
    "dlcourse/train/checkpoint.py",
    "dlcourse/train/gan.py",
    "dlcourse/train/loggers.py",
    "dlcourse/train/lr_range.py",
    "dlcourse/train/reconstruction.py",
    "dlcourse/work_folder.py",
)

Files = dict[str, str | bytes]  # what a zip holds, by path
# Files that stand in the bundle, or in an autograder, under another name.
HANDED_OUT = Path(__file__).parent / "handed_out"
BUNDLED = {
    "Makefile": "Makefile",
    "gitignore": ".gitignore",
    "settings.json": ".vscode/settings.json",
    "check.yml": ".github/workflows/check.yml",
}


def release(root: Path, out: Path) -> list[Path]:
    """Write `course.zip`, and `gradescope_<lab>.zip` for each lab, to `out`; return the paths.

    Raises UsageError, and writes nothing, if an answer or a hidden test would be handed out.
    """
    labs = [lab for lab in course.labs(root) if lab.solution.is_file()]
    if not labs:
        raise UsageError(f"no solutions in {root}; a release is made from the whole course")
    bundle: Files = {
        name: text
        for name, text in package_files(root).items()
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in NOT_IN_BUNDLE)
    }
    readme = root / "docs" / "student" / "README.md"
    if readme.is_file():
        bundle["README.md"] = readme.read_text(encoding="utf-8")
    for lab in labs:
        solution = lab.solution.read_text(encoding="utf-8")
        bundle[f"labs/{lab.name}.py"] = generate(solution, lab.solution.name)
        if questions := quiz.read(solution, lab.solution.name):
            bundle[lab.quiz.relative_to(root).as_posix()] = quiz.pack(questions)
        # What `check` knows of the tasks, whatever the student does to the file in labs/.
        handed_out = lab.handed_out.relative_to(root).as_posix()
        bundle[handed_out] = generate(solution, lab.solution.name, hints=True)
        if lab.tests.is_file():
            bundle[f"tests/labs/{lab.tests.name}"] = visible_tests(lab)
    for path in sorted((root / "handouts").glob("*")):
        content = path.read_text("utf-8") if path.suffix == ".md" else path.read_bytes()
        bundle[f"handouts/{path.name}"] = content
    bundle |= {place: packaged(name) for name, place in BUNDLED.items()}
    conftest = root / "tests" / "labs" / "conftest.py"
    if conftest.is_file():
        bundle["tests/labs/conftest.py"] = conftest.read_text(encoding="utf-8")
    for lab in labs:
        refuse_leaks(lab, bundle)
    archives: dict[str, Files] = {"course.zip": bundle}
    for lab in labs:
        archives[f"gradescope_{lab.short}.zip"] = autograder(root, lab)
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [write_zip(out / name, files) for name, files in archives.items()]
    except OSError as error:
        raise UsageError(f"cannot write into --out {out}: {error.strerror}") from None


def packaged(name: str) -> str:
    return (HANDED_OUT / name).read_text(encoding="utf-8")


def package_files(root: Path) -> dict[str, str]:
    """The package and what stands next to it: text by path."""
    package = sorted(
        path
        for path in (root / "dlcourse").rglob("*")
        if path.suffix in (".py", ".jinja", ".mplstyle") or path.name == "py.typed"
    )
    paths = [*package, *(root / name for name in BESIDE)]
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file()
    }


def autograder(root: Path, lab: Lab) -> Files:
    """The course for one lab in the layout that Gradescope asks for. For instructors only."""
    files = package_files(root)
    for path in (lab.solution, lab.tests):
        files[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    return {
        "setup.sh": packaged("setup.sh"),
        "run_autograder": packaged("run_autograder").replace("LAB", lab.short),
        **{f"course/{name}": text for name, text in files.items()},
    }


def hides(node: ast.AST) -> bool:
    """Whether `node` is a call with `hidden=True`, or with a `hidden` that is not a constant."""
    return isinstance(node, ast.Call) and any(
        word.arg == "hidden" and not (isinstance(word.value, ast.Constant) and not word.value.value)
        for word in node.keywords
    )


@functools.cache
def hides_a_test(source: str) -> bool:
    return any(map(hides, ast.walk(ast.parse(source))))


def hidden_tests(tree: ast.Module) -> list[ast.FunctionDef]:
    """The test functions whose decorators hide them."""
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(map(hides, node.decorator_list))
    ]


def visible_tests(lab: Lab) -> str:
    """The tests of `lab` without the hidden ones and without what only those use."""
    source = lab.tests.read_text(encoding="utf-8")
    tree = ast.parse(source)
    used = {node: used_in(node) for node in tree.body}
    gone: list[ast.stmt] = [*hidden_tests(tree)]
    while more := [
        node for node in tree.body if node not in gone and serves_only(node, gone, used)
    ]:
        gone += more
    lines = source.split("\n")
    for node in sorted(gone, key=lambda node: -node.lineno):
        first = min(part.lineno for part in [node, *getattr(node, "decorator_list", [])]) - 1
        while first and lines[first - 1].startswith("#"):
            first -= 1
        del lines[first : node.end_lineno]
    text = re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).rstrip()
    worth = {task.id: task.points for task in lab.tasks}
    return (
        f"{text}\n\n\n# What each task is worth; not all of its tests are here.\nPOINTS = {worth}\n"
    )


def serves_only(node: ast.stmt, gone: list[ast.stmt], used: dict[ast.stmt, set[str]]) -> bool:
    """Whether what `node` defines is used in `gone`, and by no other statement.

    used: for each statement of the file, the names that it uses.
    """
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        names = {node.name}
    else:
        names = bound_in(node) if isinstance(node, ast.Assign | ast.AnnAssign) else set()
    users = [other for other in used if other is not node and names & used[other]]
    return bool(users) and all(other in gone for other in users)


def bound_in(node: ast.stmt) -> set[str]:
    """The names that `node` binds: variables and arguments."""
    parts = list(ast.walk(node))
    return {part.arg for part in parts if isinstance(part, ast.arg)} | {
        part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def used_in(node: ast.stmt) -> set[str]:
    """The names that `node` reads, or asks pytest for, as an argument or in a string."""
    parts = list(ast.walk(node))
    read = {part.id for part in parts if isinstance(part, ast.Name)}
    if isinstance(node, ast.FunctionDef):
        read -= bound_in(node)
        if node.decorator_list:
            read |= {argument.arg for argument in node.args.args}
    return read | {
        part.value
        for part in parts
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def answers(source: str) -> list[tuple[str, list[str]]]:
    """(task id, lines of code) of every answer in a solution that is too long to be an idiom."""
    found: list[tuple[str, list[str]]] = []
    task = ""
    block: list[str] | None = None
    for line in source.splitlines():
        if match := TASK.match(line):
            task = match["id"]
        if line.strip() == BEGIN:
            block = []
        elif line.strip() == END and block is not None:
            code = code_lines("\n".join(block))
            if len("".join(code)) >= LEAST:
                found.append((task, code))
            block = None
        elif block is not None:
            block.append(line)
    return found


@functools.cache  # each file of the bundle is compared with the answers of each lab
def code_lines(text: str) -> list[str]:
    """The lines of `text` without indentation, blank lines, and comments (`#` after a space)."""
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def forbidden_in(tests: str) -> dict[str, list[str]]:
    """What the decorators of `tests` forbid by task, as far as it is a literal or a constant."""
    tree = ast.parse(tests)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "points":
            words = {word.arg: word.value for word in node.keywords}
            if "forbidden" in words and "task" in words:
                names = constants.get(getattr(words["forbidden"], "id", ""), words["forbidden"])
                # A value that is computed is not known here; it forbids nothing.
                with contextlib.suppress(ValueError):
                    found.setdefault(ast.literal_eval(words["task"]), []).extend(
                        ast.literal_eval(names)
                    )
    return found


def refuse_leaks(lab: Lab, bundle: Files) -> None:
    """Raise UsageError if `bundle` holds an answer to `lab` or one of its hidden tests."""
    solution = lab.solution.read_text(encoding="utf-8")
    tests = lab.tests.read_text(encoding="utf-8") if lab.tests.is_file() else ""
    hidden = [node.name for node in hidden_tests(ast.parse(tests))]
    forbidden = forbidden_in(tests)
    answer_lines = answers(solution)
    own = f"labs/{lab.name}.py"
    texts = {name: text for name, text in bundle.items() if isinstance(text, str)}
    for name in (own, lab.handed_out.relative_to(lab.root).as_posix()):
        if lines := surviving_lines(texts[name], solution):
            raise UsageError(f"{name} would hand out the answer {lines[0]!r}; nothing was written")
    for name, text in texts.items():
        for test in hidden:
            if test in text:
                raise UsageError(f"{name} would hand out the hidden {test}; nothing was written")
        if name.startswith("tests/") and hides_a_test(text):
            raise UsageError(f"{name} would hand out a hidden test; nothing was written")
        there = "\n".join(["", *code_lines(text), ""])
        module = name.removesuffix(".py").replace("/", ".")
        for task, code in answer_lines:
            if any(fnmatch.fnmatchcase(module, name) for name in forbidden.get(task, [])):
                continue
            if "\n".join(["", *code, ""]) in there:
                package = ".".join(module.split(".")[:2])
                also = (
                    f", or forbid it: forbidden=('{package}*',)"
                    if name.startswith("dlcourse/")
                    else ""
                )
                raise UsageError(
                    f"{name} would hand out the answer to task {task}, {code[0]!r} and on; "
                    f"write it in another way{also}; nothing was written"
                )


def write_zip(path: Path, files: Files) -> Path:
    """Write `files` to the zip `path` with fixed dates and rights, so that it is reproducible."""
    with atomic_path(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every system
            content = files[name]
            data = content.encode() if isinstance(content, str) else content
            entry.external_attr = (0o100755 if data.startswith(b"#!") else 0o100644) << 16
            archive.writestr(entry, data)
    return path
