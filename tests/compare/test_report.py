"""The page of a study: whole in one file, and what a real browser makes of it."""

import json
import re
import shutil
import subprocess

import pytest

from dlcourse.cli import main
from dlcourse.compare import report, table
from dlcourse.compare.lectures.experiment import Answer, Claim

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
        assert f">{cell.mean:.4g}</td>" in page
    assert page.count('src="data:image/png;base64,') == 3
    assert "w ~ N(0, 2 / (n_in + n_out))" in page
    assert "blobs from" in page


def test_the_page_asks_for_nothing_from_anywhere(crossed):
    page = report.write_report(crossed).read_text()
    sources = re.findall(r'(?:src=|href=|url\()"?([^"]{0,20})', page)
    assert sources
    assert all(source.startswith("data:image/png") for source in sources)
    assert "default-src 'none'" in page


def test_what_users_typed_cannot_break_the_page(grid):
    study = grid(init=["zeros", "xavier"])
    study.about["command"] = "<script>alert(1)</script>"
    page = report.write_report(
        study, title="<b>", expected="a < b", verdict=Answer([Claim("<i>", [-1.0, -1.0])], "<b>")
    )
    assert "<script>" not in page.read_text()
    assert "<h1>&lt;b&gt;</h1>" in page.read_text()
    assert "Expected outcome not confirmed:</strong> &lt;i&gt;: no" in page.read_text()


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
    assert seen["text"] > 500
    assert seen["small"] >= 16


def test_a_study_that_is_there_is_drawn_anew(crossed, capsys):
    assert main(["compare", "--report", str(crossed.folder)]) == 0
    assert capsys.readouterr().out == f"{crossed.folder / 'report.html'}\n"
    assert main(["compare", "--report", "nowhere"]) == 2
    assert "no study in 'nowhere'" in capsys.readouterr().err
