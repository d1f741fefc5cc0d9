"""A batch of submissions: layouts, records, reports, resuming and likeness."""

import csv
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
from concurrent.futures import BrokenExecutor, Executor, Future

import pytest

import dlcourse
from dlcourse.check import pytest_plugin
from dlcourse.check.record import Record, TestRecord
from dlcourse.errors import GradingError, UnknownNameError, UsageError
from dlcourse.grade import batch
from dlcourse.grade.batch import Journal, environment_of, grade_folder, key_of, name_helpers
from dlcourse.grade.submissions import Submission

from support import exports, tiny

if sys.platform.startswith("linux"):
    from support import warm

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


def read(path):
    """The rows of a CSV file that begins with a byte order mark, as Excel needs it."""
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def command(folder, out, *more):
    return [sys.executable, "-m", "dlcourse", "grade", str(folder), "--lab", "lab90",
            "--out", str(out), *more]  # fmt: skip


@linux
def test_batch_gives_every_submission_a_record_and_every_report(lab, folder, tmp_path):
    out = tmp_path / "\u0142"
    for name, source in {
        "Micha\u0142": tiny.SOLUTION,
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
    (tmp_path / "late.csv").write_text("student,days_late\nMicha\u0142,1.5\n", "utf-8")
    done = subprocess.run(
        command(folder, out, "--late", str(tmp_path / "late.csv")),
        cwd=lab.root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 submissions, median 1 of 6 points\n")
    rows = {row["student"]: row for row in read(out / "details.csv")}
    assert {name: float(row["raw score"]) for name, row in rows.items()} == {
        "Micha\u0142": 6, "wrong": 1, "hanging": 0, "<b>&name": 0, "evil": 0, "stub?": 1,
        "broad": 4,
    }  # fmt: skip
    assert float(rows["Micha\u0142"]["score"]) == 4.8
    journal = [
        json.loads(line)["record"] for line in (out / "journal.jsonl").read_text().splitlines()
    ]
    outcomes = {r["extra_data"]["student"]: {t["outcome"] for t in r["tests"]} for r in journal}
    assert outcomes["hanging"] == {"import failure"}
    assert outcomes["evil"] == {"missing"}
    assert "not written" not in outcomes["stub?"]
    assert outcomes["broad"] == {"passed", "not counted", "wrong answer"}
    assert all(layer["in_force"] for layer in journal[-1]["extra_data"]["layers"][-3:])
    suites = ET.parse(out / "junit.xml").getroot()
    assert len(suites) == 7
    shown = json.loads((out / "students" / "wrong" / "results.json").read_text())
    seen = "".join(path.read_text() for path in (out / "students" / "wrong").iterdir())
    assert "expected a value" not in seen
    assert "test_add_tensors" not in seen
    assert "test_counter" in seen
    assert {"sha256"} == {name for name in shown["extra_data"] if "sha256" in name}
    assert "layers" not in seen
    assert suites[-1][-1].get("name") == "test_add_tensors"  # the instructor's
    assert shown["score"] == 1
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;&amp;name" in page
    assert "<b>&name" not in page
    before = (out / "journal.jsonl").read_bytes()
    assert len(grade_folder(folder, lab, out)) == 7
    assert (out / "journal.jsonl").read_bytes() == before


@linux
def test_batch_runs_over_a_dask_cluster(lab, folder, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install distributed")
    from dlcourse import executors

    for number in range(4):
        (folder / f"s{number}.py").write_text(f"# {number}\n{tiny.SOLUTION}")
    warm.use(monkeypatch)
    # A worker in this process, reached over TCP: all that is sent is pickled, as for another one.
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        dashboard_address=":0",
        local_directory=str(tmp_path),
    ) as cluster:
        executor = executors.connect(f"dask:{cluster.scheduler_address}")
        graded = grade_folder(folder, lab, tmp_path / "out", executor=executor)
        distributed.default_client().close()
    assert [one.record.score for one in graded] == [6.0] * 4


@linux
def test_process_that_serves_several_batches_keeps_one_fork_server(lab, tmp_path, monkeypatch):
    from dlcourse.grade import work, worker
    from dlcourse.grade.job import BatchSettings

    monkeypatch.setattr(worker, "WORKERS", {})
    job = work.proof_of(tiny.SOLUTION.encode())
    batches = [BatchSettings(lab, (tmp_path / name,)) for name in ("first", "second")]
    servers = []
    for settings in batches:
        assert sum(test.score for test in work.grade_one(settings, job)[0]) == 6
        servers.append(worker.worker(settings).fork_server)
    assert [server.process.poll() is None for server in servers] == [False, True]
    assert sum(test.score for test in work.grade_one(batches[0], job)[0]) == 6
    for settings in batches:
        worker.worker(settings).rest()


def test_unknown_executor_is_named():
    from dlcourse import executors

    with pytest.raises(UsageError, match="unknown executor 'slurm'; expected dask:ADDRESS"):
        executors.connect("slurm")


@linux
def test_killed_batch_resumes_to_the_same_grades_and_grades_none_twice(lab, folder, tmp_path):
    out = tmp_path / "out"
    for number in range(4):
        body = tiny.SOLUTION if number % 2 else tiny.SOLUTION.replace("return a + b", "pass")
        slow = "import time\ntime.sleep(0.2)\n"
        (folder / f"s{number}.py").write_text(f"# {number}\n{slow}{body}")
    process = subprocess.Popen(command(folder, out), cwd=lab.root, stderr=subprocess.DEVNULL)
    journal = out / "journal.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 1:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with journal.open("ab") as file:
        file.write(b'{"key": "torn')
    assert len(grade_folder(folder, lab, out, executor=warm.Here())) == 4
    keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 4
    scores = [float(row["raw score"]) for row in read(out / "details.csv")]
    assert scores == [1.0, 6.0] * 2


@linux
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("== 20\n", "== 21\n",
         r"the reference fails test_counter: wrong answer: Counter\(start=2\).step\(<function>\): "
         "expected 21, got 20; no batch was run"),
        ("counter = student.Counter(start=2)\n", "return\n",
         "an unwritten lab gets 1 points from test_counter; no batch was run"),
    ],
)  # fmt: skip
def test_grader_that_cannot_prove_itself_grades_nobody(lab, monkeypatch, old, new, message):
    from dlcourse.grade import work
    from dlcourse.grade.job import BatchSettings

    warm.use(monkeypatch)
    lab.tests.write_text(tiny.TESTS.replace(old, new, 1))
    with pytest.raises(GradingError, match=f"^{message}$"):
        work.prove(BatchSettings(lab))


DIED = "a process that grades died while it worked on this"


class StandIn(Executor):
    """Grades nothing: passes all but the first try of "odd" and of "lost"."""

    def __init__(self):
        self.seen = []

    def submit(self, function, setting, job=None):
        from dlcourse.grade import work
        from dlcourse.grade.job import Proof

        done = Future()
        if function is work.prove:
            done.set_result(Proof({}, []))
            return done
        name = job.source.decode()
        first = name not in self.seen
        self.seen += [name] if name else []
        if name == "lost" and first:
            done.set_exception(BrokenExecutor("exit status -9"))
        elif name == "engine" and first:
            done.set_exception(KeyError("an engine's own"))
        else:
            outcome = "could not check" if name == "odd" and first else "passed"
            done.set_result(([TestRecord("90.1", "t", 1.0, 1.0, outcome)], 0.1))
        return done


@linux
def test_submission_that_could_not_be_graded_costs_no_other_and_is_tried_again(
    lab, folder, tmp_path, capsys
):
    for name in ("engine", "fine", "lost", "odd"):
        (folder / f"{name}.py").write_text(name)
    pool = StandIn()
    graded = grade_folder(folder, lab, tmp_path / "out", executor=pool)
    assert [one.record.exit_status for one in graded] == [3, 0, 3, 3]
    assert graded[2].record.tests[0].reason == DIED
    again = "; the same command tries this submission again\n"
    said = capsys.readouterr().err
    assert f"lost: could not check t: {DIED}{again}" in said
    assert 'engine: could not check t: KeyError("an engine\'s own");' in said
    # A grade that is not known is no 0, in no file and in no median.
    rows = read(tmp_path / "out" / "details.csv")
    for column in ("score", "raw score", "task 90.1"):
        assert [row[column] for row in rows] == ["", "1", "", ""]
    summary = batch.as_text(graded, tmp_path)
    assert summary.startswith("4 submissions, median 1 of 1 points, 3 not known: see stderr")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "4 submissions, median 1 of 1 points" in page
    assert "so the score is not known; the same command tries again" in page
    assert '<i style="width: 100%">' in page  # of the one whose test ran
    own = (tmp_path / "out" / "students" / "odd" / "feedback.html").read_text()
    assert "odd: ? of 1 points" in own
    graded = grade_folder(folder, lab, tmp_path / "out", executor=pool)
    assert {one.record.tests[0].outcome for one in graded} == {"passed"}
    assert sorted(pool.seen) == ["engine"] * 2 + ["fine"] + ["lost"] * 2 + ["odd"] * 2


@linux
@pytest.mark.parametrize(("jobs", "others"), [(1, 0), (3, 2), (9, 3)])
def test_the_other_processes_start_while_one_proves_the_grader(
    lab, folder, tmp_path, monkeypatch, jobs, others
):
    asked = []

    class Recorded(StandIn):
        def __init__(self, processes):
            super().__init__()

        def submit(self, function, setting, job=None):
            asked.append(function.__name__)
            return Future() if job is None and asked[1:] else super().submit(function, setting, job)

    monkeypatch.setattr("dlcourse.grade.batch_process.processes", Recorded)
    for name in ("ada", "bob", "cleo", "dan"):
        (folder / f"{name}.py").write_text(name)
    grade_folder(folder, lab, tmp_path / "out", jobs)
    assert asked == ["prove", *["warm_up"] * others, *["grade_one"] * 5]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_case_that_could_not_run_leaves_the_test_unknown(hidden):
    outcomes = ("passed", "wrong answer", "could not check")
    for cases in itertools.permutations(outcomes):
        merged = pytest_plugin.merge(
            [TestRecord("90.1", "t", 1.0, 1.0, one, one, hidden=hidden) for one in cases]
        )
        assert merged.outcome == "could not check"
        assert merged.reason.endswith("could not check")


def test_grade_in_the_journal_counts_only_where_nothing_has_changed(lab, tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(batch, "__file__", str(package / "grade" / "batch.py"))
    seen = [environment_of(lab, allow_unsandboxed=False)]
    for path in (package / "new.py", lab.tests, lab.solution):
        with path.open("a") as file:
            file.write("# changed\n")
        seen.append(environment_of(lab, allow_unsandboxed=False))
    seen.append(environment_of(lab, allow_unsandboxed=True))
    keys = [key_of(Submission("ada", "1", b"x"), one) for one in seen]
    assert len(set(keys)) == len(keys) == 5


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
        (lambda folder, out: ((folder / "s.py").write_text("x"), out.mkdir(),
                              (out / "batch.json").write_text("{")), "is damaged"),
    ],
)  # fmt: skip
@linux
def test_bad_folders_are_one_line(lab, folder, tmp_path, change, message):
    change(folder, tmp_path / "out")
    with pytest.raises(UsageError, match=message):
        grade_folder(folder, lab, tmp_path / "out")


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
        with pytest.raises(GradingError, match="No space left on device; fix that and run"):
            full.add("c", record)
        full.close()


class Graders(StandIn):
    """Lets every file but the blank one pass."""

    def submit(self, function, settings, job=None):
        self.seen.append("odd")
        return super().submit(function, settings, job)


@linux
def test_reports_name_what_was_not_read_and_why(lab, tmp_path, capsys):
    folder = exports.make(tmp_path, "folders")
    exports.put(folder, {"zoe_LATE_1_2_lab90_sums.py": "zoe"})
    graded = grade_folder(folder, lab, tmp_path / "out", executor=Graders())
    said = capsys.readouterr().err.splitlines()
    unread = "it holds report.pdf"
    expected = "no Python file in it; expected lab90_sums.py, .ipynb or .zip"
    assert f"dan: not graded: {expected}; {unread}" in said
    assert "notes.txt: not read; expected a folder, .zip, .py or .ipynb for each student" in said
    assert said[0] == (
        "zoe: Canvas marks it LATE; counted as 1 day, a row in the --late list overrides that"
    )
    rows = read(tmp_path / "out" / "details.csv")
    assert len(rows) == len(graded) + 3
    remarks = {row["student"]: row["remarks"] for row in rows if row["student"]}
    assert remarks["dan"] == f"not graded: {expected}; {unread}"
    assert {row["remarks"].split(":")[0] for row in rows if not row["student"]} == {
        ".DS_Store", "notes.txt", "'Eve', 'eve'",
    }  # fmt: skip
    assert {row["student"]: row["days late"] for row in rows}["zoe"] == "1"
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (unread, "notes.txt: not read; expected a folder", "only lab90_sums.py is graded"):
        assert text in page
    shown = json.loads((tmp_path / "out" / "students" / "dan" / "results.json").read_text())
    assert shown["output"].splitlines()[0] == remarks["dan"]
    assert [test["output"] for test in shown["tests"]] == ["missing"]
    assert unread in (tmp_path / "out" / "students" / "dan" / "feedback.html").read_text()


@linux
def test_a_second_run_keeps_the_days_late_and_leaves_no_old_grade(lab, folder, tmp_path, capsys):
    ada, ben = (f"{name}_assignsubmission_file_" for name in ("Ada A_101", "Ben B_102"))
    for name in (ada, ben):
        exports.put(folder, {f"{name}/lab90_sums.py": name})
    sheet, late, none = (tmp_path / f"{name}.csv" for name in ("sheet", "days", "none"))
    sheet.write_text(
        "Identifier,Grade,Last modified (grade)\nParticipant 101,,-\nParticipant 102,,-\n"
    )
    late.write_text("student,days_late\n101,2\n")
    none.write_text("student,days_late\n")
    out, pool = tmp_path / "out", Graders()

    def scores(**more):
        grade_folder(folder, lab, out, executor=pool, **more)
        return [row["score"] for row in read(out / "details.csv")]

    assert scores(late=late, per_day=0.25, worksheet=sheet) == ["0.5", "1"]
    assert (out / "moodle.csv").is_file()
    capsys.readouterr()
    (folder / ben / "lab90_sums.py").unlink()
    (folder / ben).rmdir()
    assert scores(per_day=0.25) == ["0.5"]
    said = capsys.readouterr().err
    assert "late.csv: the days late of 1 submissions stay in force, and each day costs 0.25" in said
    # What stands in the folder are the grades of this run.
    assert "moodle.csv: deleted, its grades were old; give --worksheet" in said
    assert "students: deleted, as none of this name is graded now: Ben_B" in said
    assert not (out / "moodle.csv").exists()
    assert [one.name.partition("-")[0] for one in (out / "students").iterdir()] == ["Ada_A"]
    assert scores(late=none) == ["1"]
    assert scores() == ["1"]


def test_a_member_of_a_late_group_without_a_row_is_named(tmp_path, capsys):
    ada, ben, cyd, dan = (
        Submission(name, name, group=group)
        for name, group in (("ada", "g1"), ("ben", "g1"), ("cyd", "g2"), ("dan", ""))
    )
    (tmp_path / "late.csv").write_text("student,days_late\nada,2\ndan,1\n")
    found = batch.days_late_of([ada, ben, cyd, dan], tmp_path / "late.csv", tmp_path / "o", 0.1)
    assert found == {ada: 2.0, dan: 1.0}
    assert capsys.readouterr().err.splitlines() == [
        "ben: no row in late.csv, so not late; ada has one and handed in the same work"
    ]


def test_late_row_that_names_nobody_stops_the_batch_before_it_starts(lab, folder, tmp_path):
    (folder / "ada.py").write_text("x = 1")
    (tmp_path / "late.csv").write_text("student,days_late\nadda,1\n")
    message = "^late.csv, row 2: no submission is from student 'adda'; the nearest is 'ada'$"
    with pytest.raises(UsageError, match=message):
        grade_folder(folder, lab, tmp_path / "out", late=tmp_path / "late.csv")
    assert not (tmp_path / "out").exists()


def test_import_of_a_module_that_is_not_read_says_so(lab):
    reason = "lab90_sums.py does not load: ModuleNotFoundError: No module named 'utils'"
    test = TestRecord("90.1", "t", 0.0, 1.0, "import failure", reason)
    record = Record("lab90", [test], 0.1)
    name_helpers(record, Submission("ada", "ada", b"x", unread=("work/utils.py",)), lab)
    assert test.reason.endswith(
        "No module named 'utils'; only lab90_sums.py is graded and utils.py is not read: "
        "copy what you use from it into the lab's file"
    )


def test_unknown_lab_is_named_before_anything_is_read(lab, monkeypatch, capsys):
    from dlcourse import course

    with pytest.raises(UsageError, match=r"^there is no lab99; choose one of lab90$"):
        course.find_lab("lab99", lab.root)
    with pytest.raises(UnknownNameError, match="unknown lab 'lab90_sum'; did you mean 'lab90'"):
        course.find_lab("lab90_sum", lab.root)
