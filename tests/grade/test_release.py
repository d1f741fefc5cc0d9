"""What is handed out: the same bundle twice, without answers or hidden tests."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from dlcourse import course, models
from dlcourse.check.run import check as check_lab
from dlcourse.cli import main
from dlcourse.errors import UsageError
from dlcourse.grade import image
from dlcourse.grade.release import HANDED_OUT, release, visible_tests

from support import tiny


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path / "course")


def test_release_is_the_same_twice_and_holds_no_answer_or_hidden_test(lab, tmp_path):
    first = release(lab.root, tmp_path / "a")
    second = release(lab.root, tmp_path / "b")
    assert [path.name for path in first] == ["course.zip", "gradescope_lab90.zip"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    with zipfile.ZipFile(first[0]) as archive:
        text = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(text) == {
        ".github/workflows/check.yml", ".gitignore", ".vscode/settings.json", "Makefile",
        "labs/lab90_sums.py", "tests/labs/lab90_sums.py", "tests/labs/test_lab90_sums.py",
    }  # fmt: skip
    assert "result = add(result, value)" not in "".join(text.values())
    assert "hidden" not in "".join(text.values())
    assert "test_total" in text["tests/labs/test_lab90_sums.py"]
    with zipfile.ZipFile(first[1]) as archive:
        assert {"setup.sh", "run_autograder", "course/solutions/lab90_sums.py"} <= set(
            archive.namelist()
        )
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Gradescope runs Linux")
@pytest.mark.parametrize("graded", [True, False])
def test_autograder_leaves_a_results_file_whatever_happens(tmp_path, graded):
    folder = tmp_path / "autograder"
    for name in ("submission", "results", "source/course", "venv/bin", "tmp"):
        (folder / name).mkdir(parents=True)
    student = folder / "tmp" / "graded" / "students" / "student"
    made = f"mkdir -p {student}; echo '{{}}' > {student}/results.json"
    python = folder / "venv" / "bin" / "python"
    python.write_text(
        f"#!/bin/bash\nif [ $1 = - ]; then exec {sys.executable} -; fi\n"
        "if [ $2 = dlcourse.grade.image ]; then exit 0; fi\n"
        + (made if graded else "echo 'dlcourse: the sandbox lacks seccomp' >&2; exit 3")
    )
    python.chmod(0o755)
    places = {"/tmp/": f"{folder}/tmp/", "/autograder/": f"{folder}/"}
    text = (HANDED_OUT / "run_autograder").read_text()
    script = re.sub("/tmp/|/autograder/", lambda match: places[match[0]], text)
    subprocess.run(["bash", "-c", script], check=True, capture_output=True)
    results = json.loads((folder / "results" / "results.json").read_text())
    assert results == (
        {}
        if graded
        else {
            "score": 0,
            "output": "This was not graded; tell your instructor. "
            "dlcourse: the sandbox lacks seccomp",
        }
    )


def stand_in(path, text):
    """An executable script at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Gradescope runs Linux")
@pytest.mark.parametrize(
    ("newest", "status", "expected"),
    [
        ("3.9", 1, []),
        ("3.10", 0, ["install torch torchvision --index-url CPU", "install COURSE"]),
        ("3.12", 0, ["install torch torchvision --index-url CPU --constraint COURSE/TESTED",
                     "install COURSE --constraint COURSE/TESTED"]),
    ],
)  # fmt: skip
def test_setup_installs_wheels_for_the_cpu_or_says_that_python_is_too_old(
    tmp_path, newest, status, expected
):
    stand_in(tmp_path / "bin" / "apt-get", "")
    # It answers `sys.exit(sys.version_info < (3, N))`.
    number = newest.split(".")[1]
    stand_in(
        tmp_path / "bin" / "python3",
        f'if [ "$1" = -c ]; then [[ "$2" =~ ([0-9]+)\\)\\)$ ]]; '
        f"[ {number} -ge ${{BASH_REMATCH[1]}} ]; exit; fi\necho Python {newest}",
    )
    log = tmp_path / "log"
    for name in ("pip", "python"):
        stand_in(tmp_path / "autograder" / "venv" / "bin" / name, f'echo "$@" >> {log}')
    text = (HANDED_OUT / "setup.sh").read_text().replace("/autograder", f"{tmp_path}/autograder")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text], env={**os.environ, "PATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    if status:
        assert done.stderr == (
            "Python 3.9 is too old: choose Ubuntu 22.04 or newer as the base image\n"
        )
        return
    said = log.read_text().replace(f"{tmp_path}/autograder/source/course", "COURSE")
    said = said.replace("https://download.pytorch.org/whl/cpu", "CPU")
    said = said.replace("constraints.txt", "TESTED").splitlines()
    assert said == [*expected, "-m dlcourse.grade.image"]


def test_an_image_that_cannot_grade_says_why(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal:       16000000 kB\nMemFree: 1 kB\n")
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("1500000000\n")
    where = str(tmp_path / "meminfo")
    assert image.memory_limit((str(tmp_path / "max"),), where) == 16_384_000_000
    limit = image.memory_limit((str(tmp_path / "limit"), str(tmp_path / "none")), where)
    monkeypatch.setattr(image, "probe_layers", list)
    assert image.problems(limit) == [
        "the container has 1.5 GB of memory, grading needs 2.5 GB; choose the size with 3 GB in "
        "the settings of the autograder",
        "the sandbox lacks limits, no_new_privs, seccomp, hidden folders, read-only root or "
        "landlock, separate uid or pid namespace in this container; grade an export on a machine "
        "of your own with `dlcourse grade`",
    ]
    monkeypatch.setattr(image, "missing", lambda reports: [])
    assert image.problems(3 * 10**9) == []


def git(folder, *arguments):
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="the workflow runs in bash on Linux")
def test_workflow_checks_the_labs_that_a_push_changes(tmp_path):
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, which jupytext brings")
    workflow = yaml.safe_load((HANDED_OUT / "check.yml").read_text())
    (job,) = workflow["jobs"].values()
    installs = [step["run"] for step in job["steps"] if "pip install" in step.get("run", "")]
    assert len(installs) == 2  # once for all labs
    assert all("--constraint constraints.txt" in line for line in installs)
    stand_in(tmp_path / "bin" / "dlcourse", 'echo "checked $*"; [ "$2" != lab02 ]')
    repo, summary = tmp_path / "repo", tmp_path / "summary"
    for name in (
        "labs/lab01_a.py",
        "labs/lab02_b.py",
        "lab03_c.ipynb",
        "tests/labs/test_lab01_a.py",
    ):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("1")
    git(repo, "init", "-q")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "first")
    first = git(repo, "rev-parse", "HEAD")
    (repo / "labs" / "lab01_a.py").write_text("2")
    (repo / "tests" / "labs" / "test_lab01_a.py").write_text("2")
    git(repo, "commit", "-qam", "second")
    second = git(repo, "rev-parse", "HEAD")

    def run(before):
        summary.write_text("")
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", job["steps"][-1]["run"]], cwd=repo, check=False,
            capture_output=True,
            env={**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
                 "BEFORE": before, "GITHUB_STEP_SUMMARY": str(summary)},
        )  # fmt: skip
        return done.returncode, re.findall("checked check (.*)", summary.read_text())

    assert run(first) == (0, ["lab01 --file labs/lab01_a.py"])
    assert run("0" * 40) == (
        1, ["lab03 --file lab03_c.ipynb", "lab01 --file labs/lab01_a.py",
            "lab02 --file labs/lab02_b.py"],
    )  # fmt: skip
    assert run(second) == (0, [])
    assert summary.read_text() == "This push changes no lab.\n"


def test_release_refuses_to_hand_out_a_hidden_test(lab, tmp_path):
    lab.tests.write_text(tiny.TESTS + "\n# as test_add_tensors has it\n")
    with pytest.raises(UsageError, match="would hand out the hidden test_add_tensors; nothing was"):
        release(lab.root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


HELPERS = """
LARGE = 20
SMALL, SHARED = 3, 4


def oracle(a, b):
    return [x + y for x, y in zip(a, b)]


@pytest.fixture
def sample():
    return torch.arange(LARGE), oracle


def shown(values):
    sample = 1
    return [value for value in values if SHARED]


# What the hidden one is after.
@points(1, task="90.1", hidden=True)
def test_add_long(student, sample):
    assert shown(sample) and SMALL
"""


def test_visible_tests_run_on_their_own_without_what_only_hidden_ones_use(lab):
    lab.tests.write_text(
        tiny.TESTS.replace("values) ==", "shown(values)) ==").replace(
            "award, points\n", f"award, points\n{HELPERS}"
        )
    )
    lab.tests.write_text(visible_tests(lab))
    text = lab.tests.read_text()
    gone = ["LARGE", "SMALL", "oracle", "fixture", "after", "test_add_long", "test_add_tensors"]
    assert [word for word in gone if word in text] == ["SMALL"]  # bound together with SHARED
    assert "SHARED" in text
    assert [t.outcome for t in check_lab(lab, lab.solution).tests] == ["passed"] * 3


ANSWER = """
def sums(values):
    result = 0  # from nothing
    for value in values:

        result = add(result, value)
    return result
"""


@pytest.mark.parametrize("name", ["dlcourse/models/sums.py", "README.md", "datasets/README.md"])
def test_release_refuses_a_whole_answer_wherever_it_stands(lab, tmp_path, name):
    path = lab.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ANSWER)
    ban = r", or forbid it: forbidden=\('dlcourse.models\*',\)" if name.startswith("dlc") else ""
    with pytest.raises(
        UsageError,
        match=rf"^{name} would hand out the answer to task 90.2, 'result = 0' and on; write it "
        rf"in another way{ban}; nothing was written$",
    ):
        release(lab.root, tmp_path / "out")
    path.write_text(ANSWER.replace("result", "summed"))
    release(lab.root, tmp_path / "out")


def test_release_hands_out_a_module_that_the_answers_task_bans(lab, tmp_path):
    path = lab.root / "dlcourse" / "models" / "sums.py"
    path.parent.mkdir(parents=True)
    path.write_text(ANSWER)
    lab.tests.write_text(
        tiny.TESTS.replace('task="90.2"', 'task="90.2", forbidden=("dlcourse.models*",)')
    )
    release(lab.root, tmp_path / "out")
    lab.tests.write_text(
        tiny.TESTS.replace('task="90.3"', 'task="90.3", forbidden=("dlcourse.models*",)')
    )
    with pytest.raises(UsageError, match=r"would hand out the answer to task 90\.2"):
        release(lab.root, tmp_path / "out")


@pytest.mark.parametrize(
    "hiding",
    ["class TestAdd:\n    @points(1, task='90.1', hidden=True)\n    def test(self): pass",
     "HIDE = True\nhard = points(1, task='90.1', hidden=HIDE)"],
)  # fmt: skip
def test_release_refuses_a_hidden_test_that_it_cannot_take_out(lab, tmp_path, hiding):
    lab.tests.write_text(f"{tiny.TESTS}\n\n{hiding}\n")
    with pytest.raises(
        UsageError, match=r"^tests/labs/test_lab90_sums.py would hand out a hidden test; nothing"
    ):
        release(lab.root, tmp_path / "out")


def test_release_reads_bans_from_a_constant_and_takes_no_others_word(lab, tmp_path):
    path = lab.root / "dlcourse" / "models" / "sums.py"
    path.parent.mkdir(parents=True)
    path.write_text(ANSWER)
    banning = tiny.TESTS.replace('task="90.2"', 'task="90.2", forbidden=MODELS')
    lab.tests.write_text(f"MODELS = ('dlcourse.models*',)\n{banning}")
    release(lab.root, tmp_path / "out")
    lab.tests.write_text(f"MODELS = tuple(['dlcourse.models*'])\n{banning}")
    with pytest.raises(UsageError, match=r"would hand out the answer to task 90\.2"):
        release(lab.root, tmp_path / "out")


def test_release_refuses_one_labs_answer_in_another_lab_or_its_tests(lab, tmp_path):
    other = tiny.make_course(
        lab.root,
        tiny.SOLUTION.replace("90.", "91.").replace("result", "r"),
        name="lab91_more",
        tests=tiny.TESTS.replace("90.", "91."),
    )
    release(lab.root, tmp_path / "out")
    other.tests.write_text(other.tests.read_text() + ANSWER)
    with pytest.raises(UsageError, match=r"^tests/labs/test_lab91_more.py would hand out the ans"):
        release(lab.root, tmp_path / "out")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The student bundle of this course, unpacked."""
    out = tmp_path_factory.mktemp("release")
    assert (out / "course.zip") in release(course.find_course(), out)
    with zipfile.ZipFile(out / "course.zip") as archive:
        archive.extractall(out / "course")
    return out / "course"


def in_bundle(bundle, code, *arguments):
    """Run `code` where the only dlcourse is the bundle's."""
    # An editable install of the whole course would find what the bundle lacks.
    alone = "import sys; sys.meta_path = [f for f in sys.meta_path if 'ditable' not in repr(f)]; "
    return subprocess.run(
        [sys.executable, "-B", "-c", alone + code, *arguments],
        cwd=bundle, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(bundle)},
    )  # fmt: skip


RUN_ALL = """
import contextlib, io, json, shlex
from dlcourse import course, models
from dlcourse.cli import main

found = {}
for line in sys.argv[1:]:
    sys.stdin, out, err = io.StringIO("a\\nq\\n"), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(shlex.split(line))
        except SystemExit as error:
            status = error.code
    found[line] = status, out.getvalue(), err.getvalue()
for lab in course.labs():
    course.load_script(lab.student)
print(json.dumps(found))
"""
INSTRUCTORS = (
    "grade", "grade x --lab 5 --out y", "release", "similar x", "new lab99_x", "compare --list",
    "train",
)  # fmt: skip


@pytest.fixture(scope="module")
def readme(bundle):
    return (bundle / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ran(bundle, readme):
    """{command: (exit status, stdout, stderr)}, all run in one process, in the order of its day.

    The process imports every lab as well.
    """
    day = re.findall(r"^    dlcourse (.+?)(?:  +#.*)?$", readme, re.MULTILINE)
    day.remove("check lab05 --watch")  # never ends; tests/check/test_watch.py tests it
    more = (
        "models --json",
        "models lenet5",
        "models alexnet",
        "--help",
        "run --help",
        "labs --write",
    )
    done = in_bundle(bundle, RUN_ALL, *day, *more, *INSTRUCTORS)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_bundle_holds_nothing_of_the_instructors(bundle):
    package = [path for path in (bundle / "dlcourse").rglob("*") if path.is_file()]
    parts = {path.relative_to(bundle / "dlcourse").parts[0] for path in package}
    assert not parts & {"grade", "compare", "recipes", "instructor.py"}
    assert "solutions" not in {path.name for path in bundle.iterdir()}


def test_bundle_is_small_enough_to_read(bundle):
    sources = list((bundle / "dlcourse").rglob("*.py"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources) <= 15_500


def test_bundle_holds_the_models_that_the_labs_use(bundle):
    """Only these: `models.NAME` of a class, or the name given to `models.build`."""
    labs = "".join(lab.solution.read_text(encoding="utf-8") for lab in course.labs())
    built = set(re.findall(r'models\.build\(\s*"(\w+)"', labs))
    used = {models.MODELS[name].function.__module__.rpartition(".")[2] for name in built}
    used |= {models.HOME.get(name, name) for name in re.findall(r"\bmodels\.(\w+)", labs)}
    assert {"vgg", "spatial_transformer", "ngram"} <= used
    held = {path.stem for path in (bundle / "dlcourse" / "models").glob("*.py")}
    shared = {"__init__", "cache_lm", "cells", "checks", "language_model", "registry"}
    assert held - shared == used - shared


def test_bundle_lists_and_builds_the_models_that_it_holds(ran):
    names = {row["name"] for row in json.loads(ran["models --json"][1])}
    assert {"lenet5", "mlp", "ngram", "lstm_lm", "vgg19"} <= names
    assert not names & {"alexnet", "resnet20", "dcgan"}
    assert ran["models lenet5"] == [
        2, "", "dlcourse: this is for instructors; the student bundle does not contain "
        "dlcourse.models.summary\n",
    ]  # fmt: skip
    said = "dlcourse: model 'alexnet' is not in the student bundle\n"
    assert ran["models alexnet"] == [2, "", said]


def test_command_that_the_bundle_lacks_says_so_in_one_line(ran):
    for line in INSTRUCTORS:
        assert ran[line] == [
            2, "", f"dlcourse: {line.split()[0]!r} is a command for instructors; "
            "the student bundle does not contain it\n",
        ]  # fmt: skip
    assert ran["labs --write"] == [
        2, "",
        "dlcourse: this is for instructors; the student bundle does not contain dlcourse.grade\n",
    ]  # fmt: skip


def test_every_command_of_the_students_readme_runs_in_the_bundle(bundle, readme, ran):
    assert readme.startswith("# The labs\n")
    unwritten = 2  # the experiment of a lab that is not written yet
    expected = {
        "doctor": 0, "labs": 0, "check lab05": 1, "check lab05 --task 5.2": 1, "hint 5.2": 0,
        "run lab05 --tiny": unwritten, "run lab05": unwritten, "quiz lab05": 0, "notebook lab05": 0,
    }  # fmt: skip
    day = list(ran)[: len(expected)]
    assert {line: ran[line][0] for line in day} == expected
    assert "task 5.5 LeNet5 is not written yet; `dlcourse check lab05` shows" in ran["run lab05"][2]
    assert "Traceback" not in "".join(ran[line][2] for line in ran)
    assert "not written" in ran["check lab05"][1]
    assert "lab05" in ran["labs"][1]
    assert "of 1 answers are right" in ran["quiz lab05"][1]
    assert "similar" not in ran["--help"][1]
    assert ran["run --help"][0] == 0
    assert (bundle / "lab05_convnets.ipynb").is_file()
    paths = re.findall(r"`(\w+/\w+\.py)`", readme)
    assert paths
    assert all((bundle / path).is_file() for path in paths)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_the_targets_of_the_students_makefile_call_the_course(bundle, readme):
    targets = re.findall(r"^    make ?(.*?)(?:  +#.*)?$", readme, re.MULTILINE)
    assert targets == ["", "check LAB=lab05"]
    shown = ""
    for target in [*targets, "run LAB=lab05", "TORCH="]:
        done = subprocess.run(
            ["make", "-n", *target.split()], cwd=bundle, capture_output=True, text=True, check=True
        )
        shown += f"{target}: {done.stdout}"
    assert "check LAB=lab05: " in shown
    for line in ("dlcourse check lab05", "dlcourse run lab05", "pip install --editable ."):
        assert line in shown


def test_the_pages_of_the_labs_are_in_the_bundle_with_their_figures(bundle):
    pages = sorted((bundle / "handouts").glob("*.md"))
    assert len(pages) == len(course.labs(bundle))
    for page in pages:
        links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).is_file()] == []
    image = (bundle / "handouts" / "lab05_edges.png").read_bytes()
    assert image == (course.find_course() / "handouts" / "lab05_edges.png").read_bytes()


def test_the_editor_and_pytest_test_the_students_own_file(bundle):
    settings = json.loads((bundle / ".vscode" / "settings.json").read_text())
    assert settings["python.testing.pytestArgs"] == ["tests/labs"]
    mine = bundle / "labs" / "lab01_perceptron.py"
    before = mine.read_text(encoding="utf-8")
    mine.write_text(course.find_lab("lab01").solution.read_text(encoding="utf-8"))
    try:
        tests = ["tests/labs/test_lab01_perceptron.py", "tests/labs/test_lab02_backprop.py"]
        code = "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        done = in_bundle(bundle, code, "-q", "--tb=no", "-p", "no:cacheprovider", *tests)
    finally:
        mine.write_text(before)
    assert "tested: labs/lab01_perceptron.py\ntested: labs/lab02_backprop.py" in done.stdout
    failed = re.findall(r"^FAILED (\S+)::", done.stdout, re.MULTILINE)
    assert set(failed) == {tests[1]}


def test_check_states_visible_and_hidden_points_and_labs_what_is_passed(
    bundle, monkeypatch, capsys
):
    monkeypatch.chdir(bundle)
    lab = course.find_lab("lab01")
    whole = course.find_lab("lab01", course.find_course(bundle.parent))
    assert {task.id: task.points for task in lab.tasks} == {
        task.id: task.points for task in whole.tasks
    }
    total = sum(task.points for task in lab.tasks)
    before = lab.student.read_text(encoding="utf-8")
    lab.student.write_text(whole.solution.read_text(encoding="utf-8"))
    try:
        assert main(["check", "lab01"]) == 0
        said = capsys.readouterr().out
        numbers = re.search(r"([\d.]+) of ([\d.]+) visible points; ([\d.]+) more are graded", said)
        scored, visible, hidden = map(float, numbers.groups())
        assert scored == visible
        assert visible + hidden == total
        main(["labs"])
        shown = capsys.readouterr().out.split("lab02")[0]
        assert shown.count("passed") == len(lab.tasks)
        lab.student.write_text(before)
        main(["labs"])
        shown = capsys.readouterr().out.split("lab02")[0]
        assert shown.count("to do") == len(lab.tasks)
    finally:
        lab.student.write_text(before)
        lab.memory.unlink()


def test_pytest_in_the_whole_course_tests_the_solution_until_a_student_writes(lab):
    conftest = course.load_script(course.find_course() / "tests" / "labs" / "conftest.py")
    assert conftest.file_under_test(lab) == lab.solution
    lab.student.write_text(lab.student.read_text().replace("task 90.1", "task 90.1 "))
    assert conftest.file_under_test(lab) == lab.student
    lab.solution.unlink()
    assert conftest.file_under_test(lab) == lab.student
