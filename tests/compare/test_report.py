"""The page of a study: whole in one file, and what a real browser makes of it."""

import dataclasses
import json
import math
import re
import shutil
import subprocess

import pytest
from matplotlib.figure import Figure

from dlcourse import compare
from dlcourse.cli import main
from dlcourse.compare import live, report, runner, table
from dlcourse.compare.lectures.experiment import Answer, Claim
from dlcourse.compare.result import Result
from dlcourse.compare.study import Study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# What the page says of itself once it is laid out, written where --dump-dom shows it.
LOOK = """<script>
const images = [...document.images];
document.title = "SEEN " + JSON.stringify({
  images: images.length,
  drawn: images.filter(i => i.complete && i.naturalWidth > 300).length,
  inside: document.documentElement.scrollWidth <= innerWidth,
  loaded: performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).length,
  text: document.body.innerText.length, small: parseFloat(getComputedStyle(document.body).fontSize),
});
</script></body>"""


def test_the_page_holds_every_cell_its_figures_and_what_the_names_mean(crossed):
    page = report.write_report(crossed).read_text()
    for cell in table.cells_of(crossed):
        assert f">{cell.mean:.0f}</td>" in page  # 120 images: a binomial error of some points
    assert page.count('src="data:image/png;base64,') == 3
    assert "w ~ N(0, 2 / (n_in + n_out))" in page
    assert "blobs from" in page


def test_a_heat_map_too_large_to_be_read_is_left_to_the_table(crossed):
    """Its image would also be too large for a file, at the end of a study of days."""
    results = [
        dataclasses.replace(result, settings={**result.settings, "init": "zeros", "width": width})
        for result in crossed.results
        for width in range(1, 82)
    ]
    study = dataclasses.replace(crossed, results=results)
    assert "Every cell" in report.study_figures(crossed)
    assert "Every cell" not in report.study_figures(study)
    _, rows = report.results_table(study)
    assert {row[0] for row in rows} == {str(width) for width in range(1, 82)}
    assert len(rows) == 2 * 81


def test_a_watch_gets_the_results_in_the_order_of_the_grid(small, tmp_path):
    """They finish in another one, because runs with the same optimizer train as one model."""
    seen = []

    def watch(study, state):
        seen.append([(one.settings["seed"], one.settings["optimizer"]) for one in study.results])

    settings = {**small, "optimizer": ["sgd", "adam", "rmsprop"], "seeds": [3, 1]}
    study = compare.grid(tmp_path / "study", **settings, watch=watch)
    order = [(one.settings["seed"], one.settings["optimizer"]) for one in study.results]
    assert [len(some) for some in seen] == [1, 2, 3, 4, 5, 6]
    assert all(some == [one for one in order if one in some] for some in seen)


def test_the_page_asks_for_nothing_from_anywhere(crossed):
    page = report.write_report(crossed).read_text()
    sources = re.findall(r'(?:src=|href=|url\()"?([^"]{0,20})', page)
    assert sources
    assert all(source.startswith("data:image/png") for source in sources)
    assert "default-src 'none'" in page


def test_the_page_states_verdict_criterion_figure_and_table_in_this_order(grid):
    study = grid(init=["zeros", "xavier"], seeds=2)
    answer = Answer([Claim("one claim", [1.0, 2.0])], "numbers", {"The figure": Figure()})
    page = report.write_report(
        study, expected="what is expected", verdict=answer, more=answer.figures
    ).read_text()
    order = [
        "Expected outcome not decided.", "one claim: not decided", "Criterion: each claim",
        "<figcaption>The figure", "<h2>Results</h2>", "<summary>More figures",
        "<summary>The curves as numbers", "<summary>How it was made", "<summary>Defaults",
    ]  # fmt: skip
    places = [page.index(text) for text in order]
    assert places == sorted(places)


def test_the_page_of_a_running_study_reloads_itself_until_the_study_ends(small, tmp_path):
    shown, pages = [], []

    class Watched(live.LivePage):
        def write(self, study, state, stopped=False):
            path = super().write(study, state, stopped)
            pages.append(path.read_text())
            return path

    page = Watched("The title", "the expected outcome", lambda address: shown.append(address))
    page.next_time = -1.0
    settings = {**small, "lr": [0.1, 0.2], "together": False}
    study = compare.grid(tmp_path / "s", **settings, watch=page)
    assert shown == [(tmp_path / "s" / "report.html").resolve().as_uri()]
    assert len(pages) == 1  # the next one came too soon
    assert '<meta http-equiv="refresh"' in pages[0]
    assert "1 of 2 runs done, 1 running, 0 left, best " in pages[0]
    assert re.search(r"about \d+ s left\.", pages[0])
    assert "<h1>The title</h1>" in pages[0]
    assert "Expected: the expected outcome" in pages[0]
    page.stop()
    assert "refresh" not in pages[1]
    assert "Stopped: 2 of 2 runs done. The same command continues." in pages[1]
    assert "refresh" not in report.write_report(study).read_text()


def test_compare_opens_the_page_and_stops_it_after_an_interrupt(
    data_dir, tmp_path, monkeypatch, capsys
):
    addresses = []
    monkeypatch.setattr("webbrowser.open", lambda address: addresses.append(address))
    argv = ["compare", "--data", "blobs", "--data-dir", data_dir, "--device", "cpu", "--epochs"]
    argv += ["1", "--lr", "0.1,0.2", "--no-together", "--open", "--out", str(tmp_path / "s")]
    add = runner.Progress.add

    def interrupted(self, result):
        add(self, result)
        if self.done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(runner.Progress, "add", interrupted)
    assert main(argv) == 130
    page = (tmp_path / "s" / "report.html").read_text()
    assert "Stopped: 1 of 2 runs done. The same command continues." in page
    assert "refresh" not in page
    assert len(addresses) == 1
    assert "no browser can be started here; open" in capsys.readouterr().err
    monkeypatch.setattr(runner.Progress, "add", add)
    assert main(argv) == 0
    assert "Stopped" not in (tmp_path / "s" / "report.html").read_text()


def test_figures_are_exported_into_the_folder_in_the_form_that_is_asked_for(crossed, capsys):
    argv = ["compare", "--report", str(crossed.folder), "--figures"]
    assert main([*argv, "svg"]) == 0
    files = {path.name for path in crossed.folder.glob("*.svg")}
    assert files == {"every_cell.svg", "train_loss.svg", "val_accuracy.svg"}
    assert "<svg" in (crossed.folder / "every_cell.svg").read_text(encoding="utf-8")
    assert main([*argv, "gif"]) == 2
    assert "unknown FORM 'gif'; choose one of (png, svg, pdf)" in capsys.readouterr().err


def test_what_users_typed_cannot_break_the_page(grid):
    study = grid(init=["zeros", "xavier"])
    study.about["command"] = "<script>alert(1)</script>"
    page = report.write_report(
        study, title="<b>", expected="a < b", verdict=Answer([Claim("<i>", [-1.0, -1.0])], "<b>")
    )
    assert "<script>" not in page.read_text()
    assert "<h1>&lt;b&gt;</h1>" in page.read_text()
    assert "Expected outcome not confirmed.</strong> a &lt; b" in page.read_text()
    assert "<li>&lt;i&gt;: no" in page.read_text()


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "screen"])
def test_a_browser_draws_every_figure_within_the_width_of(width, crossed, tmp_path):
    page = report.write_report(crossed).read_text()
    copy = tmp_path / "copy.html"
    copy.write_text(page.replace(POLICY, "connect-src 'none'").replace("</body>", LOOK))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", copy.as_uri(),
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    seen = json.loads(re.search(r"<title>SEEN (.*?)</title>", told).group(1))
    assert seen["images"] == seen["drawn"] == 3
    assert seen["inside"]
    assert seen["loaded"] == 0
    assert seen["text"] > 300
    assert seen["small"] >= 16


def test_a_study_that_is_there_is_drawn_anew(crossed, capsys):
    assert main(["compare", "--report", str(crossed.folder)]) == 0
    assert capsys.readouterr().out == f"{crossed.folder / 'report.html'}\n"
    assert main(["compare", "--report", "nowhere"]) == 2
    assert "no study in 'nowhere'" in capsys.readouterr().err


def test_a_table_of_curves_keeps_each_number_under_its_epoch(tmp_path):
    runs = {
        "adam": [{"val_f1": math.nan, "train_loss": 0.7}, {"val_f1": 0.5, "train_loss": 0.6}],
        "sgd": [{"val_f1": 0.25, "train_loss": 0.9}],
    }
    results = [
        Result({"optimizer": name, "monitor": "f1", "seed": 0}, "done", {"test_f1": 0.5}, epochs)
        for name, epochs in runs.items()
    ]
    grid = {"optimizer": list(runs), "monitor": ["f1"], "seed": [0]}
    head, rows = report.curve_table(Study(tmp_path, grid, results))
    assert head[2:] == ["epoch 1", "epoch 2"]
    assert [row[2:] for row in rows] == [["0.7", "0.6"], ["0.9", "-"], ["-", "0.5"], ["0.25", "-"]]


def test_the_best_curves_are_the_lowest_of_a_metric_that_is_better_low(tmp_path):
    settings = [{"width": width, "monitor": "gap", "seed": 0} for width in range(1, 21)]
    results = [
        Result(
            one, "done", {"test_gap": float(one["width"])}, [{"val_gap": 1.0}],
            used={**one, "mode": "min"},
        )
        for one in settings
    ]  # fmt: skip
    results[0] = Result(settings[0], "failed", message="no memory")
    grid = {"width": list(range(1, 21)), "monitor": ["gap"], "seed": [0]}
    groups = report.curve_groups(Study(tmp_path, grid, results))
    assert [name.split("=")[-1].split()[-1] for name in groups] == [
        str(width) for width in range(2, 2 + report.MOST_CURVES)
    ]
