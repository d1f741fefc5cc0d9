"""What is handed out: the same bundle twice, without answers or hidden tests."""

import zipfile

import pytest

from dlcourse import course
from dlcourse.check.run import check as check_lab
from dlcourse.errors import UsageError
from dlcourse.grade.release import release, visible_tests

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
        rf"otherwise{ban}; nothing was written$",
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


def test_this_course_can_be_handed_out(tmp_path):
    assert (tmp_path / "course.zip") in release(course.find_course(), tmp_path)
