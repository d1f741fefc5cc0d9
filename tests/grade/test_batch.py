"""A batch of submissions: layouts, records, reports, resuming and likeness."""

import csv
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
from concurrent.futures import Executor, Future

import pytest

import dlcourse
from dlcourse.check.record import Record, TestRecord
from dlcourse.errors import GradingError, UnknownNameError, UsageError
from dlcourse.grade import late, submissions
from dlcourse.grade.batch import grade_folder
from dlcourse.grade.journal import Journal
from dlcourse.grade.similar import similar
from dlcourse.grade.submissions import Submission, find_submissions

from support import tiny

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox needs Linux")


@pytest.fixture
def lab(tmp_path):
    return tiny.make_course(tmp_path / "course")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "submissions"
    made.mkdir()
    return made


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def command(folder, out, *more):
    return [sys.executable, "-m", "dlcourse", "grade", str(folder), "--lab", "lab90",
            "--out", str(out), *more]  # fmt: skip


@linux
def test_batch_gives_every_submission_a_record_and_every_report(lab, folder, tmp_path):
    out = tmp_path / "out"
    for name, source in {
        "right": tiny.SOLUTION,
        "wrong": tiny.SOLUTION.replace("a + b", "a - b"),
        "hanging": "while True: pass",
        "<b>&name": "raise ValueError('\x1b[2J\\ud800')",
        "stub\u202e": tiny.SOLUTION.replace("a + b", "a - b")
        + 'if 0:\n    raise NotImplementedError("task 90.1: \x01")\n',
        "broad": tiny.SOLUTION.replace(
            "a + b", "a + b if isinstance(a, int) else torch.zeros(2**22, 1)"
        ),
    }.items():
        (folder / name).mkdir()
        (folder / name / "lab90_sums.py").write_text(source)
        (folder / name / "conftest.py").write_text("raise SystemExit(0)")
    zipped(folder / "evil.zip", {"../lab90_sums.py": tiny.SOLUTION})
    # A test that looks at no shapes; of the broad one's values it makes 8 GB.
    lab.tests.write_text(
        tiny.TESTS.replace("20.0", "500.0").replace(
            "assert_close(student.add(a, b), a + b)",
            "assert (student.add(a, b) - (a + b)).abs().max() == 0",
        )
    )
    (tmp_path / "late.csv").write_text("student,days_late\nright,1.5\n")
    done = subprocess.run(
        command(folder, out, "--late", str(tmp_path / "late.csv")),
        cwd=lab.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 submissions, median 1.5 of 6 points\n")
    with (out / "grades.csv").open(newline="") as file:
        rows = {row["Student"]: row for row in csv.DictReader(file)}
    assert {name: float(row["raw score"]) for name, row in rows.items()} == {
        "right": 6, "wrong": 1.5, "hanging": 0, "<b>&name": 0, "evil": 0, "stub?": 1.5, "broad": 5,
    }  # fmt: skip
    assert float(rows["right"]["lab90_sums"]) == 4.8
    journal = [
        json.loads(line)["record"] for line in (out / "journal.jsonl").read_text().splitlines()
    ]
    outcomes = {r["extra_data"]["student"]: {t["outcome"] for t in r["tests"]} for r in journal}
    assert outcomes["hanging"] == {"time"}
    assert outcomes["evil"] == {"missing"}
    assert "not written" not in outcomes["stub?"]
    assert outcomes["broad"] == {"passed", "wrong answer"}
    assert all(layer["in_force"] for layer in journal[-1]["extra_data"]["layers"][-3:])
    suites = ET.parse(out / "junit.xml").getroot()
    assert len(suites) == 7
    shown = json.loads((out / "students" / "wrong" / "results.json").read_text())
    seen = "".join(path.read_text() for path in (out / "students" / "wrong").iterdir())
    assert "expected a value" not in seen
    assert "test_add_tensors" not in seen
    assert "test_counter" in seen
    assert suites[-1][-1].get("name") == "test_add_tensors"  # the instructor's
    assert shown["score"] == 1.5
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;&amp;name" in page
    assert "<b>&name" not in page
    before = (out / "journal.jsonl").read_bytes()
    assert len(grade_folder(folder, lab, out)) == 7
    assert (out / "journal.jsonl").read_bytes() == before


@linux
def test_batch_runs_over_a_dask_cluster(lab, folder, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install distributed")
    dask = pytest.importorskip("dask")
    from dlcourse import executors

    for number in range(4):
        (folder / f"s{number}.py").write_text(f"# {number}\n{tiny.SOLUTION}")
    # A busy machine takes its time to start a worker.
    patient = {"distributed.comm.timeouts.connect": "600s", "distributed.comm.timeouts.tcp": "600s"}
    with (
        dask.config.set(patient),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
    ):
        executor = executors.connect(f"dask:{cluster.scheduler_address}")
        graded = grade_folder(folder, lab, tmp_path / "out", executor=executor)
        distributed.default_client().close()
    assert [one.record.score for one in graded] == [6.0] * 4


def test_unknown_executor_is_named():
    from dlcourse import executors

    with pytest.raises(UsageError, match="unknown executor 'slurm'; expected dask:ADDRESS"):
        executors.connect("slurm")


@linux
def test_killed_batch_resumes_to_the_same_grades_and_grades_none_twice(lab, folder, tmp_path):
    out = tmp_path / "out"
    for number in range(8):
        body = tiny.SOLUTION if number % 2 else tiny.SOLUTION.replace("return a + b", "pass")
        slow = "import time\ntime.sleep(0.2)\n"
        (folder / f"s{number}.py").write_text(f"# {number}\n{slow}{body}")
    process = subprocess.Popen(command(folder, out), cwd=lab.root, stderr=subprocess.DEVNULL)
    journal = out / "journal.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with journal.open("ab") as file:
        file.write(b'{"key": "torn')
    subprocess.run(command(folder, out), cwd=lab.root, capture_output=True, check=True)
    keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 8
    with (out / "grades.csv").open(newline="") as file:
        scores = [float(row["raw score"]) for row in csv.DictReader(file)]
    assert scores == [1.0, 6.0] * 4


@linux
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("== 20\n", "== 21\n",
         "the reference fails test_counter: wrong answer: expected 21, got 20; no batch was run"),
        ("counter = student.Counter(start=2)\n", "return\n",
         "an unwritten lab gets 1 points from test_counter; no batch was run"),
    ],
)  # fmt: skip
def test_grader_that_cannot_prove_itself_grades_nobody(
    lab, fork_server, monkeypatch, old, new, message
):
    from dlcourse.grade import worker

    monkeypatch.setattr(worker.Worker, "start_fork_server", lambda self: fork_server)
    lab.tests.write_text(tiny.TESTS.replace(old, new, 1))
    with pytest.raises(GradingError, match=f"^{message}$"):
        worker.prove(worker.BatchSettings(lab))


@pytest.fixture(scope="module")
def fork_server():
    from dlcourse.grade.sandbox.process import ForkServer

    made = ForkServer()
    yield made
    made.close()


class StandIn(Executor):
    """Grades nothing: passes all but the first try of "odd" and of "lost"."""

    def __init__(self):
        self.seen = []

    def submit(self, function, setting, job=None):
        from dlcourse.grade import worker

        done = Future()
        if function is worker.prove:
            done.set_result(worker.Proof({}, []))
            return done
        name = job.source.decode()
        first = name not in self.seen
        self.seen += [name] if name else []
        if name == "lost" and first:
            done.set_exception(GradingError("the sandbox ended"))
        else:
            outcome = "could not check" if name == "odd" and first else "passed"
            done.set_result(([TestRecord("90.1", "t", 1.0, 1.0, outcome)], 0.1))
        return done


@linux
def test_submission_that_could_not_be_graded_costs_no_other_and_is_tried_again(
    lab, folder, tmp_path
):
    for name in ("fine", "lost", "odd"):
        (folder / f"{name}.py").write_text(name)
    pool = StandIn()
    message = (
        "^1 of 3 submissions could not be graded, lost: the sandbox ended; run the same command "
        "again: what is graded stays$"
    )
    with pytest.raises(GradingError, match=message):
        grade_folder(folder, lab, tmp_path / "out", executor=pool)
    graded = grade_folder(folder, lab, tmp_path / "out", executor=pool)
    assert {one.record.tests[0].outcome for one in graded} == {"passed"}
    assert sorted(pool.seen) == ["fine", "lost", "lost", "odd", "odd"]


def test_batch_off_linux_says_so(lab, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(GradingError, match="needs Linux; `dlcourse check` runs anywhere"):
        grade_folder(folder, lab, tmp_path / "out")


def test_batch_is_imported_where_there_is_no_unix(monkeypatch):
    monkeypatch.setattr(dlcourse, "grade", dlcourse.grade)  # importing anew would replace it
    for name in [name for name in sys.modules if name.startswith("dlcourse.grade")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("resource", "fcntl"):
        monkeypatch.setitem(sys.modules, name, None)
    importlib.import_module("dlcourse.grade.batch")


def test_layouts_of_gradescope_moodle_and_canvas(lab, folder):
    (folder / "submission_77").mkdir()
    (folder / "submission_77" / "lab90_sums.py").write_text("g")
    (folder / "submission_metadata.yml").write_text(
        "submission_77:\n  :submitters:\n  - :name: Ada L\n    :email: a@b.c\n"
    )
    moodle = folder / "Ben M_4711_assignsubmission_file_"
    moodle.mkdir()
    zipped(moodle / "work.zip", {"work/lab90_sums.py": "m", "work/notes.txt": ""})
    (folder / "cyd_LATE_12_345_lab90_sums.py").write_text("c")
    zipped(folder / "dan.zip", {"main.py": "z", "__MACOSX/main.py": "junk"})
    found = {s.student: (s.id, s.source) for s in find_submissions(folder, lab)}
    assert found == {
        "Ada L": ("77", b"g"),
        "Ben M": ("4711", b"m"),
        "cyd": ("12", b"c"),
        "dan": ("dan", b"z"),
    }


def damaged(path):
    """Flip a bit of what is compressed, and say that the sum still holds."""
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)


def test_submission_that_cannot_be_read_has_a_problem(lab, folder):
    zipped(folder / "climbs.zip", {"../lab90_sums.py": ""})
    zipped(folder / "bomb.zip", {"lab90_sums.py": "0" * 10**7})
    zipped(folder / "empty.zip", {"notes.txt": "", "lab90_sums.ipynb": "{}"})
    zipped(folder / "many.zip", {f"{n:0200}": "" for n in range(8000)})
    zipped(folder / "flipped.zip", {"lab90_sums.py": tiny.SOLUTION})
    damaged(folder / "flipped.zip")
    (folder / "torn.zip").write_bytes(b"PK\x03\x04")
    (folder / "linked.py").symlink_to(lab.solution)
    os.mkfifo(folder / "pipe.py")
    (folder / "two").mkdir()
    (folder / "two" / "a.py").touch()
    (folder / "two" / "b.py").touch()
    (folder / "link").mkdir()
    (folder / "link" / "lab90_sums.py").symlink_to(lab.solution)
    found = {s.student: s.problem for s in find_submissions(folder, lab)}
    assert found.pop("flipped")
    nothing = "no Python file in it; expected lab90_sums.py"
    assert found == {
        "climbs": "a zip with the path '../lab90_sums.py'",
        "bomb": "lab90_sums.py is larger than 1,048,576 bytes",
        "empty": nothing,
        "many": "a zip of more than 2000 entries",
        "torn": "File is not a zip file",
        "pipe": nothing,
        "two": "2 files could be lab90_sums.py: a.py, b.py",
        "link": nothing,
    }


def test_of_a_zip_only_the_lab_is_read(lab, folder, monkeypatch):
    files = {f"{number}.py": "0" * 10**6 for number in range(50)}
    zipped(folder / "bulk.zip", {**files, "lab90_sums.py": "mine"})
    read = []
    capped = submissions.capped
    monkeypatch.setattr(submissions, "capped", lambda f, name: read.append(name) or capped(f, name))
    assert [s.source for s in find_submissions(folder, lab)] == [b"mine"]
    assert read == ["lab90_sums.py"]


def test_two_students_of_one_name_stay_two(lab, folder):
    for number in (1, 2):
        made = folder / f"Ben M_{number}_assignsubmission_file_"
        made.mkdir()
        (made / "lab90_sums.py").write_text("same")
    found = find_submissions(folder, lab)
    assert [s.student for s in found] == ["Ben M (1)", "Ben M (2)"]
    assert len({s.slug for s in found}) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder, out: folder.rmdir(), "no folder"),
        (lambda folder, out: None, "no submission in"),
        (lambda folder, out: ((folder / "s.py").touch(), out.mkdir(),
                              (out / "batch.json").write_text('{"lab": "lab91"}')),
         "holds the grades of lab91; name another folder"),
        (lambda folder, out: ((folder / "s.py").touch(), out.mkdir(), (out / "thesis").touch()),
         "holds other files; name an empty or a new folder"),
    ],
)  # fmt: skip
@linux
def test_bad_folders_are_one_line(lab, folder, tmp_path, change, message):
    change(folder, tmp_path / "out")
    with pytest.raises(UsageError, match=message):
        grade_folder(folder, lab, tmp_path / "out")


def test_plain_names_for_files():
    assert Submission("ada.l", "1").slug == "ada.l"
    assert Submission("../x", "1").slug.startswith("x-")
    assert Submission("a b", "1").slug != Submission("a_b", "1").slug


def test_journal_keeps_whole_lines_only_and_says_when_the_disk_is_full(tmp_path):
    record = Record("lab90", [TestRecord("90.1", "t", 1.0, 2.0, "partial")], 0.5)
    journal = Journal(tmp_path / "journal")
    journal.add("a", record)
    journal.close()
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"key": "old", "record": {}}\n{"key": "b", "rec')
    again = Journal(tmp_path / "journal")
    again.close()
    assert again.records == {"a": record}
    if os.path.exists("/dev/full"):
        full = Journal(tmp_path / "journal")
        full.close()
        full.file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        with pytest.raises(GradingError, match="No space left on device; mend that and run"):
            full.add("c", record)
        full.close()


def test_late_penalty_applies_to_raw_scores(tmp_path):
    assert late.penalized(10, 0) == 10
    assert late.penalized(10, 0.1, per_day=0.2) == 8
    assert late.penalized(10, 99) == 0
    (tmp_path / "late.csv").write_text("who,when\n")
    (tmp_path / "bad.csv").write_text("student,days_late\nada,soon\n")
    with pytest.raises(UsageError, match="expected columns student,days_late"):
        late.read_days(tmp_path / "bad.csv")


def test_copies_are_found_through_renaming_and_honest_work_is_not(lab):
    copied = tiny.SOLUTION.replace("result", "x").replace("value", "item").replace("count", "c")
    other = tiny.SOLUTION.replace(
        "    result = 0\n    for value in values:\n        result = add(result, value)\n"
        "    return result\n",
        "    if not values:\n        return 0\n    head, *tail = values\n"
        "    return head if not tail else add(head, total(tail))\n",
    )
    submissions = [
        Submission("ada", "1", tiny.SOLUTION.encode()),
        Submission("bob", "2", f"# mine\n{copied}".encode()),
        Submission("cyd", "3", other.encode()),
        Submission("dan", "4", lab.student.read_bytes()),
        Submission("eve", "5", b"def broken(:"),
    ]
    pairs = similar(submissions, lab.student.read_bytes())
    assert (pairs[0].first, pairs[0].second, pairs[0].share) == ("ada", "bob", 1.0)
    assert all(pair.share <= 0.5 for pair in pairs[1:])
    assert {pair.first for pair in pairs} | {pair.second for pair in pairs} <= {"ada", "bob", "cyd"}


def test_unknown_lab_is_named_before_anything_is_read(lab, monkeypatch, capsys):
    from dlcourse import course

    with pytest.raises(UnknownNameError, match="unknown lab 'lab99'; did you mean 'lab90'"):
        course.find_lab("lab99", lab.root)
