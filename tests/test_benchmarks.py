"""Every benchmark imports: what it calls is still there under that name."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from dlcourse import course

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_benchmark_imports(path, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    # Imports inside functions are tried too, if they are the package's own.
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dlcourse"):
            home = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(home, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_what_another_machine_measured_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER)
    common, path = importlib.import_module("common"), tmp_path / "speed.json"
    assert common.recorded(path) == {}
    common.record("speed", {"slow": 2}, path)
    assert common.recorded(path) == {"slow": 2}
    monkeypatch.setattr(common, "cpu_name", lambda: "another")
    assert common.recorded(path) == {}
    assert "speed.json: slow: measured on " in capsys.readouterr().err


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("benchmark_table", FOLDER / "table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def script(monkeypatch):
    """The benchmark of a name as a module."""
    monkeypatch.syspath_prepend(FOLDER)

    def load(name):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_recorded_run_of_a_lab_computes_with_one_thread(monkeypatch, tmp_path, script):
    module, started = script("labs"), []

    def start(command, **_):
        started.append(command)
        return subprocess.CompletedProcess(command, 0, "a line\n")

    monkeypatch.setattr(module.subprocess, "run", start)
    lines, _ = module.run(course.find_lab("lab03"), ["--seed", "1"], str(tmp_path))
    assert lines == ["a line"]
    assert started[0][-4:] == ["--threads", "1", "--seed", "1"]


def test_the_estimate_for_many_workers_is_the_sum_of_its_parts(script):
    estimate = script("scale_out").estimate
    # 200 runs in 67 rounds of 3 workers: 200 x 0.05 s to plan, 6 s to start, 67 x 36 s to run
    found = estimate(3, 200, run_s=36.0, start_s=6.0, plan_s=0.05, parent_s=2.0)
    assert found["hours"] == round((10 + 6 + 67 * 36) / 3600, 2) == 0.67
    assert found["efficiency"] == round(200 * 36 / (3 * 2428), 3)
    assert found["workers_kept_busy"] == 18
    # With 50 workers the parent decides: 200 x 2 s are more than 4 rounds of 36 s.
    found = estimate(50, 200, run_s=36.0, start_s=6.0, plan_s=0.05, parent_s=2.0)
    assert found["hours"] == round((10 + 6 + 400) / 3600, 2)
    assert found["efficiency"] == round(200 * 36 / (50 * 416), 3)


def test_the_summary_of_speed_divides_by_the_time_without_any_setting(script, monkeypatch):
    speed = script("speed")
    monkeypatch.setattr(speed.runtime, "has_bf16", lambda device: False)
    monkeypatch.setattr(speed.execution, "has_compiler", lambda device: True)
    seconds = {"none of them": [3.0, 2.0], "fused": [1.6, 5.0], "memory": [4.0, 4.0]}
    monkeypatch.setattr(
        speed, "interleave_apart",
        lambda makers, rounds: {one: seconds.get(one, [1.0]) for one in makers},
    )  # fmt: skip
    lines = speed.as_table(speed.summary(2, "cpu")).splitlines()
    cells = {line[:14].strip(): line[14:].split() for line in lines[1:]}
    assert cells == {
        "none of them": ["1.00"] * 3,
        "channels_last": ["-", "2.00", "2.00"],
        "fused": ["1.25"] * 3,
        "memory": ["0.50"] * 3,
        "bf16": ["-"] * 3,
        "compile": ["2.00"] * 3,
        "fit by itself": ["2.00"] * 3,
    }


def a_record(cpu="AMD EPYC", device=None, **result):
    record = {"date": "2026-01-02", "hardware": {"cpu": cpu, "cores": 2}, "versions": {}}
    if device:
        result["device"], record["versions"] = device, {"gpu": "NVIDIA H200"}
    return record | {"result": result}


def test_the_tables_of_the_documents_are_those_that_the_records_give(table):
    for path, parts in table.tables(table.load(table.RESULTS)).items():
        text = path.read_text(encoding="utf-8")
        assert table.filled(text, parts) == text, "python benchmarks/table.py --write"


def test_a_row_of_the_tables_follows_its_record(table):
    row = table.Row("speed", "one", "{a, b/times:.1f} times; {min x/*/s} to {max x/*/s} s")
    record = a_record(**{"a, b": {"times": 2.04}, "x": {"p": {"s": 3}, "q": {"s": 1}}})
    assert table.lines_of([row], {"one": record})[2:] == [
        "| speed | 2.0 times; 1 to 3 s | `benchmarks/one.py` |"
    ]
    record["result"]["a, b"]["times"] = 3.06
    assert "3.1 times" in table.lines_of([row], {"one": record})[2]


def test_a_row_without_a_record_says_so(table):
    row = table.Row("speed", "gone", "{times}")
    assert table.lines_of([row], {})[2:] == ["| speed | not recorded yet | `benchmarks/gone.py` |"]


def test_a_row_whose_record_lacks_its_field_is_refused_by_name(table):
    row = table.Row("speed", "one", "{times}")
    with pytest.raises(ValueError, match="record 'one' has no field 'times' for the row 'speed'"):
        table.lines_of([row], {"one": a_record(time=1)})


def test_what_is_added_to_a_figure_goes_with_a_newer_record(table):
    row = table.Row("speed", "one", "{times}", before=("2026-01-02", "by the old rule"))
    record = a_record(times=2)
    assert "| 2 (by the old rule) |" in table.lines_of([row], {"one": record})[2]
    record["date"] = "2026-01-03"
    assert "| 2 |" in table.lines_of([row], {"one": record})[2]


def test_records_of_a_gpu_add_rows_that_name_it(table):
    rows = [table.Row("speed", "one", "{times}"), table.Row("size", "two", "{size}", "two.py -x")]
    records = {"one": a_record("Intel(R) Xeon(R) CPU @ 2.2GHz", times=2), "two": a_record(size=1)}
    assert "none was measured on a GPU yet" in " ".join(table.where(records))
    records |= {"one_gpu": a_record(device="cuda", times=9), "two_gpu": a_record(size=5)}
    assert table.lines_of(rows, records) == [
        "| what | result | machine | command |",
        "|---|---|---|---|",
        "| speed | 2 | Intel Xeon, 2 cores | `benchmarks/one.py` |",
        "| speed | 9 | NVIDIA H200 | `benchmarks/one.py` |",
        "| size | 1 | AMD EPYC, 2 cores | `benchmarks/two.py -x` |",
        "| size | 5 | GPU | `benchmarks/two.py -x` |",
    ]
    said = " ".join(table.where(records))
    assert "NVIDIA H200" in said
    assert "yet" not in said


def test_a_curve_of_costs_is_told_by_its_largest_size(table):
    rows = [
        {"runs": 10, "cpu_s": 1, "memory_mb": 1},
        {"runs": 1000, "cpu_s": 2.5, "memory_mb": 30.4},
    ]
    curve = {"rows": rows, "exponent": 1.02}
    assert table.cost_of("runs")(curve) == "largest 1,000: 2.5 s, 30 MB; power 1.02"
    both = table.cost_of("runs", "plan", "resume")({"plan": curve, "resume": curve})
    assert both.startswith("plan 1,000: 2.5 s, 30 MB; power 1.02; resume 1,000: ")


def test_texts_are_told_by_their_largest_size(table):
    row = {"megabytes": 2000, "million_tokens_per_s": 5.26, "memory_over_file": 2.04}
    curve = {"rows": [row | {"megabytes": 10}, row], "exponent": 1.0}
    assert table.cost_of_texts({"words": curve}) == (
        "words 2,000 MB: 5.3 million tokens a second, memory 2.0 times the file; power 1.0"
    )


def test_text_around_the_tables_stays(table):
    text = "Before.\n<!-- generated: x -->\n<!-- end -->\nAfter.\n"
    once = table.filled(text, {"x": ["| a |"]})
    assert once == "Before.\n<!-- generated: x -->\n\n| a |\n\n<!-- end -->\nAfter.\n"
    assert table.filled(once, {"x": ["| a |"]}) == once
    with pytest.raises(ValueError, match="generated: y"):
        table.filled(text, {"y": []})


def test_every_record_has_a_row(table):
    rows = {row.record for rows in table.TABLES.values() for row in rows}
    records = {name.removesuffix("_gpu") for name in table.load(table.RESULTS)}
    assert records - rows == set()
