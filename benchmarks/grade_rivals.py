"""Compare submissions graded per minute with gradescope-utils, otter-grader and bare pytest.

    python -m venv rivals && rivals/bin/pip install gradescope-utils otter-grader ipykernel pytest
    python benchmarks/grade_rivals.py --rivals rivals/bin/python

All grade the same lab of three tests, and the submission imports torch. The other graders start one
process for each submission, without isolation, as their autograders do. dlcourse runs one worker
with every layer in force. The Python of the other graders takes torch from the packages of this
one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import common

from dlcourse import course
from dlcourse.check.run import check
from dlcourse.grade import student_version, work
from dlcourse.grade.job import BatchSettings, Job

ASKED = {"gradescope-utils": 25, "otter run": 100}
SOLUTION = '''"""Lab 91: three sums."""

import torch


def add(a, b):
    # Task 91.1 (1 point).
    # BEGIN SOLUTION
    return a + b
    # END SOLUTION


def total(values):
    # Task 91.2 (1 point).
    # BEGIN SOLUTION
    return sum(values)
    # END SOLUTION


def length(values):
    # Task 91.3 (1 point).
    # BEGIN SOLUTION
    return torch.tensor(values).norm().item()
    # END SOLUTION
'''
CASES = {"add(2, 3)": 5, "total([1, 2, 3])": 6, "length([3.0, 4.0])": 5.0}


def our_tests() -> str:
    tests = ["from dlcourse.check import points\n"]
    for number, (call, value) in enumerate(CASES.items(), start=1):
        tests.append(
            f'@points(1, task="91.{number}")\ndef test_{number}(student):\n'
            f"    assert student.{call} == {value}\n"
        )
    return "\n".join(tests)


def bare_tests() -> str:
    return "import submission\n" + "".join(
        f"def test_{number}():\n    assert submission.{call} == {value}\n"
        for number, (call, value) in enumerate(CASES.items(), start=1)
    )


def gradescope_tests() -> str:
    methods = "".join(
        f"    @weight(1)\n    def test_{number}(self):\n"
        f"        self.assertEqual(submission.{call}, {value})\n"
        for number, (call, value) in enumerate(CASES.items(), start=1)
    )
    return (
        "import unittest, submission\n"
        "from gradescope_utils.autograder_utils.decorators import weight\n"
        "from gradescope_utils.autograder_utils.json_test_runner import JSONTestRunner\n"
        f"class Tests(unittest.TestCase):\n{methods}"
        "if __name__ == '__main__':\n"
        "    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Tests)\n"
        "    with open('results.json', 'w') as file:\n"
        "        JSONTestRunner(stream=file).run(suite)\n"
    )


def make_rivals(place: Path) -> None:
    (place / "submission.py").write_text(SOLUTION)
    (place / "test_submission.py").write_text(bare_tests())
    (place / "run_tests.py").write_text(gradescope_tests())
    with zipfile.ZipFile(place / "autograder.zip", "w") as archive:
        archive.writestr("otter_config.json", "{}")
        for number, (call, value) in enumerate(CASES.items(), start=1):
            case = {"code": f">>> {call}\n{value}", "hidden": False, "locked": False}
            suite = {
                "cases": [case],
                "scored": True,
                "setup": "",
                "teardown": "",
                "type": "doctest",
            }
            test = {"name": f"q{number}", "points": 1, "suites": [suite]}
            archive.writestr(f"tests/q{number}.py", f"OK_FORMAT = True\ntest = {test!r}\n")
    checks = "".join(f'grader.check("q{number}")\n' for number in range(1, len(CASES) + 1))
    notebook = f"import otter\ngrader = otter.Notebook()\n{SOLUTION}\n{checks}"
    (place / "otter_submission.py").write_text(notebook)


def make_lab(root: Path) -> course.Lab:
    for folder in ("labs", "solutions", "tests/labs"):
        (root / folder).mkdir(parents=True)
    (root / "solutions" / "lab91_sums.py").write_text(SOLUTION)
    (root / "tests" / "labs" / "test_lab91_sums.py").write_text(our_tests())
    student_version.write(course.labs(root))
    return course.find_lab("lab91", root)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument(
        "--rivals", type=Path, required=True, help="the Python that has the other graders"
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        make_rivals(place)
        settings = BatchSettings(make_lab(place / "course"), (place / "course",))
        proof = work.prove(settings)
        assert all(layer["in_force"] for layer in proof.layers), proof.layers
        job = Job(SOLUTION.encode(), proof.limits_s)
        python = args.rivals.absolute()
        env = {
            **os.environ,
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": sysconfig.get_paths()["purelib"],
        }

        def rival(*command: object, env: dict[str, str] = env) -> None:
            words = [str(word) for word in command]
            subprocess.run(words, cwd=place, env=env, check=True, capture_output=True)

        def ours() -> None:
            for _ in range(20):
                tests, _ = work.grade_one(settings, job)
                assert all(test.passed for test in tests)

        seconds = common.interleave(
            {
                "dlcourse": ours,
                "gradescope-utils": lambda: rival(python, "run_tests.py"),
                "otter run": lambda: rival(
                    python.parent / "otter", "run", "otter_submission.py",
                    "-a", "autograder.zip", "-o", ".",
                ),
                "bare pytest": lambda: rival(python, "-m", "pytest", "-q", "test_submission.py"),
            },
            args.rounds,
        )  # fmt: skip
        results = json.loads((place / "results.json").read_text())
        assert sum(test.get("score") or 0 for test in results["tests"]) == 3
        seconds["dlcourse"] = [second / 20 for second in seconds["dlcourse"]]
        inside = check(settings.lab, settings.lab.solution)
        tests_s = sum(test.seconds for test in inside.tests)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    common.record(
        "grade_rivals",
        {
            "seconds_a_submission": {n: common.spread(v) for n, v in seconds.items()},
            "submissions_a_minute": {n: round(60 / value, 1) for n, value in median.items()},
            "times_faster_than": {
                n: round(value / median["dlcourse"], 1) for n, value in median.items()
            },
            "asked": ASKED,
            "overhead_ms": round(1000 * (median["dlcourse"] - tests_s), 1),
            "layers": [layer["layer"] for layer in proof.layers],
            "rivals": [
                line
                for line in subprocess.run(
                    [args.rivals, "-m", "pip", "list", "--format=freeze"],
                    capture_output=True, text=True, check=True,
                ).stdout.split()
                if line.startswith(("gradescope", "otter", "pytest="))
            ],
        },
        args.out,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
