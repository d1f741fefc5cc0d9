"""`dlcourse check`: what it says to a student, and what it gives points for."""

import cProfile
import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch

from dlcourse import course
from dlcourse.check import assert_close, expect, student_host, table
from dlcourse.check.run import check as check_lab
from dlcourse.check.source import defined_twice
from dlcourse.cli import main
from dlcourse.errors import GradingError, UnknownNameError, UsageError

from support import exports, tiny


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tiny.make_course(tmp_path)


@pytest.fixture
def check(lab):
    """Check the solution with one piece of it replaced."""

    def checked(old="", new="", task=None):
        assert old in tiny.SOLUTION
        lab.student.write_text(tiny.SOLUTION.replace(old, new, 1))
        return check_lab(lab, task=task)

    return checked


def test_solution_scores_full(lab):
    record = check_lab(lab, lab.solution)
    assert (record.score, record.max_score, record.exit_status) == (6, 6, 0)
    assert all(test.outcome == "passed" for test in record.tests)


def test_notebook_is_checked_as_a_script(lab, tmp_path):
    path = tmp_path / "mine.ipynb"
    path.write_text(exports.notebook("%matplotlib inline", tiny.SOLUTION, "main([])"))
    assert check_lab(lab, path).score == 6


def test_a_line_of_a_notebook_is_named_by_its_cell(lab, tmp_path):
    path = tmp_path / "mine.ipynb"
    start, add, *rest = tiny.SOLUTION.split("\n\n\n")
    start = f"from __future__ import annotations\n{start}"
    line = add.splitlines().index("    return a + b") + 1

    def told(*cells):
        path.write_text(exports.notebook(*cells))
        tests = check_lab(lab, path).tests
        return tests[0].reason + tests[0].traceback + tests[0].where

    # Cell 1 is text, cell 2 holds the imports.
    loads = told(start, add, *rest, "x = 1\n\ny = x / 0")
    assert "mine.ipynb does not load: ZeroDivisionError, cell 6, line 3: division" in loads
    assert f"mine.ipynb, cell 3, line {line}, in add" in told(start, add.replace("+", "/"), *rest)
    forbidden = add.replace("def", "add = torch.add\n\n\ndef")
    assert told(start, forbidden, *rest).endswith("cell 3, line 1")


def test_what_is_defined_twice_is_named_with_both_lines(lab):
    twice = tiny.SOLUTION.replace("class Counter", "def add(a, b):\n    pass\n\n\nclass Counter")
    lab.student.write_text(twice)
    first, last = (n for n, line in enumerate(twice.splitlines(), 1) if line.startswith("def add"))
    said = f"add is defined twice, in line {first} and line {last}: only the last one counts; "
    shown = " ".join(table.as_text(check_lab(lab), lab).split())  # as wide as the terminal
    assert said + "delete the other one" in shown
    lab.student.write_text(tiny.SOLUTION)
    assert "twice" not in table.as_text(check_lab(lab), lab)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("class A:\n    def f(self): pass\n    async def f(self): pass", ["f"]),
        ("@no_grad()\ndef f(): pass\nclass f: pass\ndef f(): pass", ["f", "f"]),
        ("if x:\n    def f(): pass\nelse:\n    def f(): pass", []),
        ("class A:\n    def f(self): pass\nclass B:\n    def f(self): pass", []),
        ("class A:\n    @property\n    def f(s): pass\n    @f.setter\n    def f(s, v): pass", []),
        ("@typing.overload\ndef f(a): ...\ndef f(a): pass", []),
        ("@g.register\ndef _(a): pass\n@g.register(int)\ndef _(a): pass", []),
        ("def f(: pass", []),
    ],
)
def test_only_what_a_later_definition_replaces_is_defined_twice(source, names):
    assert [line.split()[0] for line in defined_twice(source.encode())] == names


def test_file_in_another_encoding_is_refused_by_name(lab):
    lab.student.write_bytes(tiny.SOLUTION.encode("utf-16"))
    with pytest.raises(UsageError, match=r"^lab90_sums\.py is UTF-16; save it as UTF-8$"):
        check_lab(lab)


def test_untouched_lab_is_told_what_is_not_written(lab):
    record = check_lab(lab)
    assert (record.score, record.max_score, record.exit_status) == (0, 6, 1)
    assert [verdict.worst.reason for verdict in record.verdicts()] == [
        "task 90.1: add is not written yet",
        "task 90.2: total is not written yet",
        "task 90.3: Counter is not written yet",
    ]
    assert "Traceback" not in table.as_text(record, lab)


def test_half_written_class_scores_nothing_and_names_the_method(check):
    old = "        self.count = function(self.count)\n        return self.count\n"
    record = check(old, '        raise NotImplementedError("task 90.3: Counter.step")\n')
    (verdict,) = [verdict for verdict in record.verdicts() if verdict.task == "90.3"]
    assert (verdict.score, verdict.outcome) == (0, "not written")
    assert verdict.worst.reason == "task 90.3: Counter.step is not written yet"


@pytest.mark.parametrize(
    "answer", ["return a - b", "return (\n        a\n        - b\n    )\n\n    # the old line:"]
)
def test_a_stub_below_an_answer_that_returns_is_no_missing_answer(check, lab, answer):
    stub = 'raise NotImplementedError("task 90.1: add")'
    record = check("return a + b\n", f"{answer}\n    {stub}\n")
    verdict = record.verdicts()[0]
    assert (verdict.task, verdict.outcome) == ("90.1", "wrong answer")
    assert check("return a + b\n", f"return a + b\n    {stub}\n").verdicts()[0].score == 2
    assert "90.1" not in lab.unwritten()
    # A stub that can be reached is one: in a branch, or after a function inside that returns.
    for above in ("if a:\n        return a", "def twice(x):\n        return x"):
        assert check("return a + b\n", f"{above}\n    {stub}\n").verdicts()[0].outcome == (
            "not written"
        )


def test_wrong_answer_names_expected_got_where_and_hint(check, lab):
    record = check("return a + b", "return a - b")
    cases, tensors = record.tests[0], record.tests[-1]
    assert cases.score == 0  # a half of them is right, but the hidden test of the task fails
    assert cases.reason == "2 of 4 cases passed; then: add(1, 2): expected 3, got -1"
    assert tensors.reason == (
        "add(<tensor (20,)>, <tensor (20,)>): "
        "19 of 20 values differ, most at [19]: expected 380, got -342"
    )
    assert (cases.where, tensors.where) == ("", "")
    text = table.as_text(record, lab)
    assert "hint: add, not subtract" in text
    assert "wrong answer" in text


def test_failed_task_leaves_those_that_need_it_unreached(check):
    record = check("return a + b", "return None")
    total = record.tests[1]
    assert (total.outcome, total.reason) == ("not reached", "task 90.1 comes first")
    assert record.tests[-1].reason == (
        "add(<tensor (20,)>, <tensor (20,)>): your function returned None; is a `return` missing?"
    )


def test_award_gives_part_of_the_points(check):
    record = check("result = 0", "result = 0 if len(values) < 3 else 1")
    total = record.tests[1]
    assert (total.score, total.outcome, total.reason) == (2.0, "partial", "2 of 3 sums are right")


def test_exception_shows_the_students_own_lines_only(check):
    test = check("result = add(result, value)", "result = value / 0").tests[1]
    assert (test.outcome, test.reason) == ("exception", "ZeroDivisionError: division by zero")
    line = tiny.SOLUTION.splitlines().index("        result = add(result, value)") + 1
    assert test.traceback == (
        f"labs/lab90_sums.py, line {line}, in total\n    result = value / 0\n"
    )
    assert test.where == "total([1])"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("import torch\n(", "SyntaxError, line 4: '(' was never closed"),
        ("import no_such_thing", "ModuleNotFoundError, line 3: No module named 'no_such_thing'"),
        ("import sys; sys.exit(0)", "your code called sys.exit() while loading, line 3"),
        (
            "input('name? ')",
            "EOFError, line 3: nobody types while a lab is checked; take values from the arguments",
        ),
        ("x = 1 / 0", "ZeroDivisionError, line 3: division by zero"),
        (
            "<<<<<<< HEAD",
            "SyntaxError, line 3: remove <<<<<<<, which a merge or a notebook has left here",
        ),
        (
            "%%time",
            "SyntaxError, line 3: remove %%time, which a merge or a notebook has left here",
        ),
    ],
)
def test_file_that_does_not_load_says_so_for_every_task(check, new, reason):
    record = check("import torch", new)
    assert record.score == 0
    assert {test.reason for test in record.tests} == {f"labs/lab90_sums.py does not load: {reason}"}
    assert {test.outcome for test in record.tests} == {"import failure"}


@pytest.mark.parametrize(
    ("new", "outcome", "reason"),
    [
        ("raise SystemExit", "exception", "your code called sys.exit()"),
        ("return input()", "exception",
         "EOFError: nobody types while a lab is checked; take values from the arguments"),
        ("print('x' * 2_000_000)", "output", "your code printed more than 1,048,576 characters"),
        ("return open('/proc/1/mem')", "wrong answer", None),
        ("return lambda: 0", "wrong answer", None),
    ],
)  # fmt: skip
def test_code_that_leaves_prints_or_asks_fails_its_task_alone(check, new, outcome, reason):
    if "proc" in new:
        new = "return object()"
    record = check("self.count = function(self.count)", new)
    assert record.score == 5
    assert record.tests[2].outcome == outcome
    if reason:
        assert record.tests[2].reason == reason


@pytest.mark.parametrize(
    "act",
    [
        "type('Late', (), {'__del__': lambda self: 1 / 0})()",
        "import threading; t = threading.Thread(target=exit); t.start(); t.join()",
        "import threading; t = threading.Thread(target=int, args=('x',)); t.start(); t.join()",
    ],
)
def test_error_in_a_destructor_or_thread_costs_no_points(check, capfd, act):
    assert check("return a + b", f"{act}\n    return a + b").score == 6
    assert capfd.readouterr().err == ""


def test_ctrl_c_stops_one_test_and_the_others_go_on(check):
    record = check("self.count = function(self.count)", "raise KeyboardInterrupt")
    assert record.score == 5
    stopped = record.tests[2]
    assert stopped.outcome == "time"
    assert stopped.reason == "stopped by Ctrl-C after 0 s; does a loop never end?"
    assert "raise KeyboardInterrupt" in stopped.traceback


def test_second_ctrl_c_at_once_ends_the_check_without_a_verdict(check):
    with pytest.raises(KeyboardInterrupt):
        check("return a + b", "raise KeyboardInterrupt")


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "while True:\n            try: add(1, 2)\n            except Exception: pass",
        "while True: function(self.count)",  # most of the time a function of the test runs
    ],
    ids=["empty", "catches exceptions", "calls back"],
)
def test_loop_that_never_ends_is_stopped_and_the_other_tests_go_on(check, monkeypatch, loop):
    monkeypatch.setattr(student_host, "LIMIT_S", 0.3)
    record = check("self.count = function(self.count)", loop)
    assert record.score == 5
    stopped = record.tests[2]
    assert (stopped.outcome, stopped.where) == ("time", "Counter(start=2).step(<function>)")
    assert stopped.reason == "stopped after 0 s; does a loop never end?"
    assert "in step" in stopped.traceback


def test_file_that_never_finishes_loading_is_loaded_once(check, monkeypatch, tmp_path):
    monkeypatch.setattr(student_host, "LIMIT_S", 0.3)
    loads = tmp_path / "loads"
    loads.mkdir()
    source = f"import tempfile, torch; tempfile.mkdtemp(dir={str(loads)!r})\nwhile True: pass"
    record = check("import torch", source)
    assert len(list(loads.iterdir())) == 1
    assert {test.reason for test in record.tests} == {
        "labs/lab90_sums.py does not load: TimeLimitError, line 4: "
        "stopped after 0 s; does a loop never end?"
    }


def test_missing_function_is_named(check):
    record = check("def total", "def totals")
    assert record.tests[1].outcome == "missing"
    assert record.tests[1].reason == "total is missing from your file"


def test_prints_are_shown_beside_a_failure_and_break_nothing(check, capsys):
    record = check("return a + b", "print('adding', a)\n    return a - b")
    assert record.tests[0].printed == "adding 1\n"
    assert capsys.readouterr().out == ""


def test_one_task_is_checked_alone(check):
    record = check(task="90.3")
    assert [test.task for test in record.tests] == ["90.3"]
    with pytest.raises(UnknownNameError, match=r"unknown task '90.4'; did you mean '90.3'\?"):
        check(task="90.4")


def test_arguments_cross_as_copies(check):
    record = check("return a + b", "a += b\n    return a")
    assert record.score == record.max_score


def test_test_that_breaks_could_not_check(lab):
    lab.tests.write_text(tiny.TESTS.replace("counter = student", "1 / 0\n    counter = student"))
    record = check_lab(lab, lab.solution)
    assert (record.tests[2].outcome, record.exit_status) == ("could not check", 3)
    assert "ZeroDivisionError: division by zero" in record.tests[2].reason


def test_failure_in_a_helper_that_hides_itself_shows_the_line_that_called_it(lab):
    helper = "\ndef broken():\n    __tracebackhide__ = True\n    1 / 0\n"
    tests = tiny.TESTS.replace("counter = student.Counter(start=2)", "broken()")
    lab.tests.write_text(tests + helper)
    assert check_lab(lab, lab.solution).tests[2].where == "broken()"


def test_tests_that_do_not_load_could_not_grade(lab):
    lab.tests.write_text("import nothing_there")
    with pytest.raises(GradingError, match=r"test_lab90_sums.py holds no tests that can run: .*"):
        check_lab(lab, lab.solution)


def test_json_is_the_same_record_in_gradescopes_names(lab, capsys):
    assert main(["check", "lab90", "--solution", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["score"], shown["max_score"], len(shown["tests"])) == (6, 6, 4)
    assert set(shown["tests"][0]) == {
        "number", "name", "score", "max_score", "status", "output", "visibility", "extra_data",
    }  # fmt: skip
    assert shown["extra_data"]["lab"] == "lab90"


def test_hidden_failure_keeps_its_values_from_a_student(check):
    record = check("return a + b", "return a - b")
    hidden = record.as_dict(hidden_too=False)["tests"][-1]
    assert (hidden["name"], hidden["visibility"]) == ("hidden test", "visible")
    assert record.as_dict()["tests"][-1]["name"] == "test_add_tensors"
    assert record.as_dict()["tests"][-1]["visibility"] == "hidden"
    assert hidden["output"] == "failed\nhint: elementwise"
    assert "380" in record.as_dict()["tests"][-1]["output"]


@pytest.mark.parametrize(
    "tell",
    [
        "ValueError(SEEN)",
        "NotImplementedError(f'task 90.1: {SEEN}')",
        "NotImplementedError(f'task {SEEN}: add')",
        "AttributeError('gone', name=f'{SEEN}', obj=sys.modules[__name__])",
        "SyntaxError(SEEN)",
        "PermissionError(SEEN)",
        "MemoryError(SEEN)",
    ],
)
def test_code_that_repeats_all_it_saw_carries_no_hidden_input_out(check, tell):
    spy = f"""SEEN.append(str(a))
    print(SEEN)
    import sys
    raise {tell}


SEEN = []"""
    record = check("return a + b", spy)
    assert "tensor(" in json.dumps(record.as_dict())
    assert "tensor(" not in json.dumps(record.as_dict(hidden_too=False))


def test_time_that_is_shown_is_that_of_the_visible_tests(check):
    record = check()
    for number, test in enumerate(record.tests):
        test.seconds = 10.0**number
    assert record.tests[-1].hidden
    assert record.as_dict(hidden_too=False)["execution_time"] == 111
    assert record.as_dict()["execution_time"] == round(record.execution_time, 3)


def test_a_check_under_a_profiler_gives_the_same_verdict(check):
    with cProfile.Profile():
        assert {test.outcome for test in check().tests} == {"passed"}


def test_no_folder_above_the_tests_is_searched(check, lab, monkeypatch):
    searched = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: searched.append(Path(path)) or scan(path))
    check()
    assert set(searched) <= {lab.tests.parent}


def test_loaded_tests_of_another_course_are_not_taken_for_those_of_the_lab(check, monkeypatch):
    other = types.ModuleType("tests.labs.test_lab90_sums")
    monkeypatch.setitem(sys.modules, other.__name__, other)
    assert len(check().tests) == 4


def test_missing_file_is_misuse(lab):
    with pytest.raises(UsageError, match=r"^no file nothing.py; `dlcourse labs` lists"):
        check_lab(lab, "nothing.py")


@pytest.mark.parametrize("lab", course.labs(), ids=lambda lab: lab.name)
def test_points_of_the_tests_are_those_of_the_tasks(lab):
    # That the solution scores full is what tests/labs says: every test of the lab passes on it.
    record = check_lab(lab, lab.student)
    assert {v.task: v.max_score for v in record.verdicts()} == {t.id: t.points for t in lab.tasks}
    assert record.score == 0


def test_visible_points_count_only_if_the_hidden_tests_of_the_task_pass(check):
    # What the visible tests of task 90.1 expect, played back.
    known = "{(2, 0): 2, (0, 0): 0, (1, 2): 3, (4, 4): 8}"
    record = check("return a + b", f"return {known}.get((a, b)) if isinstance(a, int) else a")
    assert record.score == 1
    by_name = {test.name: test for test in record.tests}
    visible, hidden = by_name["test_add"], by_name["test_add_tensors"]
    assert (visible.score, visible.outcome) == (0.0, "not counted")
    assert visible.reason == "task 90.1: a hidden test failed; then visible tests do not count"
    assert hidden.outcome != "passed"
    (first, *_) = record.verdicts()
    assert (first.task, first.score, first.worst) == ("90.1", 0.0, hidden)


def test_table_says_how_many_points_are_visible(lab, check):
    whole = check("", "")
    assert "visible" not in table.as_text(whole, lab)
    alone = '@points(1, task="90.1", hint="elementwise", hidden=True)'
    # As in a student bundle: without the hidden test, with the points of the tasks.
    worth = {"90.1": 2.0, "90.2": 3.0, "90.3": 1.0}
    lab.tests.write_text(f"{tiny.TESTS.replace(alone, '')}\nPOINTS = {worth}\n")
    said = " ".join(table.as_text(check("", ""), lab).split())
    assert said.endswith(
        "5 of 5 visible points; 1 more are graded by hidden tests, which try other inputs. The "
        "visible points of a task count only if all its hidden tests pass."
    )


def test_object_that_is_no_tensor_is_not_asked_for_its_shape(check, lab):
    lab.tests.write_text(
        tiny.TESTS.replace(
            "assert student.add(a, b) == a + b", "assert student.add(a, b).numel() == 1"
        )
    )
    lie = "class Lie:\n        def numel(self): return 1\n    return Lie()"
    test = check("return a + b", lie).tests[0]
    assert (test.outcome, test.reason) == ("wrong answer", "add(2, 0): expected a tensor, got Lie")


def test_tensors_without_numbers_are_never_close():
    empty = torch.zeros(3, 0)
    for compare in (assert_close, expect):
        with pytest.raises(AssertionError, match="leave no numbers to compare"):
            compare(empty, empty)
        with pytest.raises(AssertionError, match="leave no numbers to compare"):
            compare((torch.ones(1), [{"a": empty}]), (torch.ones(1), [{"a": empty}]))
        compare(torch.ones(2), torch.ones(2))


def test_table_names_every_function_of_a_task():
    assert table.shown(["LeNet5.__init__"]) == "LeNet5"
    assert table.shown(["elman_step", "lstm_step"]) == "elman_step, lstm_step"
    assert table.shown(["Net.__init__", "Net.forward", "loss_of"]) == "Net, loss_of"
