"""What is handed out: the same bundle twice, without answers or hidden tests."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dlcourse import course
from dlcourse.check.run import check as check_lab
from dlcourse.cli import main
from dlcourse.errors import UsageError
from dlcourse.grade.release import RUN, release, visible_tests

from support import tiny

QUICK = (
    "labs",
    "check",
    "hint",
    "quiz",
    "notebook",
)  # the commands that take less than a few seconds


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
        ".github/workflows/check.yml", "labs/lab90_sums.py", "tests/labs/test_lab90_sums.py",
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
        + (made if graded else "echo 'dlcourse: the sandbox lacks seccomp' >&2; exit 3")
    )
    python.chmod(0o755)
    places = {"/tmp/": f"{folder}/tmp/", "/autograder/": f"{folder}/"}
    script = re.sub("/tmp/|/autograder/", lambda match: places[match[0]], RUN.format(lab="lab90"))
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


def dlcourse_in(bundle, *arguments):
    code = "from dlcourse.cli import main; sys.exit(main(sys.argv[1:]))"
    return in_bundle(bundle, code, *arguments)


SEVERAL = """
import contextlib, io, json
from dlcourse.cli import main
done = []
for argv in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(argv)
        except SystemExit as end:
            status = end.code
    done.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""


def several_in(bundle, *commands):
    """The exit status, stdout and stderr of each command; one process, which imports torch once."""
    done = in_bundle(bundle, SEVERAL, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_bundle_holds_nothing_of_the_instructors(bundle):
    package = [path for path in (bundle / "dlcourse").rglob("*") if path.is_file()]
    parts = {path.relative_to(bundle / "dlcourse").parts[0] for path in package}
    assert not parts & {"grade", "compare", "recipes", "instructor.py"}
    assert "solutions" not in {path.name for path in bundle.iterdir()}


def test_bundle_is_small_enough_to_read(bundle):
    sources = list((bundle / "dlcourse").rglob("*.py"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources) <= 11_700


def test_bundle_lists_and_builds_the_models_that_it_holds(bundle):
    listed, built, missing = several_in(
        bundle, ["models", "--json"], ["models", "lenet5"], ["models", "vgg16"]
    )
    names = {row["name"] for row in json.loads(listed[1])}
    assert {"lenet5", "mlp", "ngram", "lstm_lm", "conv_autoencoder"} <= names
    assert not names & {"vgg16", "resnet20", "dcgan"}
    assert built[0] == 0
    assert missing == [2, "", "dlcourse: model 'vgg16' is not in the student bundle\n"]


@pytest.mark.parametrize(
    "arguments",
    [["grade"], ["grade", "x", "--lab", "5", "--out", "y"], ["release"], ["similar", "x"],
     ["new", "lab99_x"], ["compare", "--list"], ["train"]],
    ids=" ".join,
)  # fmt: skip
def test_command_that_the_bundle_lacks_says_so_in_one_line(bundle, arguments):
    done = dlcourse_in(bundle, *arguments)
    assert done.returncode == 2
    assert done.stderr == (
        f"dlcourse: {arguments[0]!r} is a command for instructors; "
        "the student bundle does not contain it\n"
    )


def test_part_of_a_command_that_the_bundle_lacks_says_so_in_one_line(bundle):
    done = dlcourse_in(bundle, "labs", "--write")
    assert done.returncode == 2
    assert done.stderr == (
        "dlcourse: this is for instructors; the student bundle does not contain dlcourse.grade\n"
    )


def test_bundle_does_what_a_student_does(bundle, tmp_path):
    helped, listed, written, run, checked = several_in(
        bundle,
        ["--help"],
        ["labs"],
        ["notebook", "lab05", "--out", str(tmp_path / "lab05.ipynb")],
        ["run", "--help"],
        ["check", "lab01"],
    )
    assert "similar" not in helped[1]
    assert listed[::2] == [0, ""]
    assert "lab05" in listed[1]
    assert written[::2] == [0, ""]
    assert run[0] == 0
    assert checked[::2] == [1, ""]
    assert "not written" in checked[1]


def test_every_lab_of_the_bundle_imports_what_the_bundle_holds(bundle):
    code = "from dlcourse import course; [course.load_script(lab.student) for lab in course.labs()]"
    done = in_bundle(bundle, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_students_readme_is_true_in_the_bundle(bundle, monkeypatch, capsys):
    monkeypatch.chdir(bundle)
    readme = Path("README.md").read_text(encoding="utf-8")
    assert readme.startswith("# The labs\n")
    lines = re.findall(r"^    dlcourse (.+?)(?:  +#.*)?$", readme, re.MULTILINE)
    assert lines == [
        "doctor", "labs", "check lab05", "check lab05 --task 5.2", "hint 5.2",
        "run lab05 --tiny", "run lab05", "quiz lab05", "notebook lab05",
    ]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nq\n"))
    statuses = {line: main(line.split()) for line in lines if line.split()[0] in QUICK}
    assert statuses == {
        "labs": 0, "check lab05": 1, "check lab05 --task 5.2": 1, "hint 5.2": 0, "quiz lab05": 0,
        "notebook lab05": 0,
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "not written" in said
    assert "of 1 answers are right" in said
    paths = re.findall(r"`(\w+/\w+\.py)`", readme)
    assert paths
    assert all(Path(path).is_file() for path in paths)
