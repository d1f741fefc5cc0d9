"""The web site's generator: links, pages of labs, models and experiments, docstrings."""

import importlib
import re
from pathlib import Path

import pytest

from dlcourse import course, models
from dlcourse.grade import student_version

ROOT = Path(__file__).parents[1]
LABS = [lab for lab in course.labs() if lab.solution.is_file()]


@pytest.fixture(scope="module")
def part():
    """Import a file of docs/site by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs" / "site")
        yield importlib.import_module


def test_links_lead_to_pages_and_other_files_are_copied(part, tmp_path):
    rewritten = part("links").rewritten
    text = (
        "[a](docs/grading.md#the-layers) [b](handouts/lab05.md) [c](https://example.org/x.md)\n"
        "![d](docs/picture.png) `[e](gone.md)`\n\n    [f](gone.md)\n"
    )
    assert rewritten(text, "CONTRIBUTING.md", ROOT, tmp_path) == (
        "[a](grading.md#the-layers) [b](labs/lab05.md) [c](https://example.org/x.md)\n"
        "![d](files/docs/picture.png) `[e](gone.md)`\n\n    [f](gone.md)\n"
    )
    assert (tmp_path / "files/docs/picture.png").is_file()
    up = rewritten("[a](../../benchmarks/README.md)", "docs/student/README.md", ROOT, tmp_path)
    assert up == "[a](../benchmarks.md)"
    with pytest.raises(ValueError, match=r"docs/training\.md: the link gone\.png leads to no file"):
        rewritten("[a](gone.png)", "docs/training.md", ROOT, tmp_path)


def test_a_dead_link_or_anchor_of_the_site_is_found(part, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/b.html#there">1</a><a href="sub/b.html#gone">2</a><img src="gone.png">'
        '<a href="https://example.org/gone">3</a><a href="#gone">4</a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<p id="there"></p><a href="../index.html">5</a>')
    assert part("links").broken(tmp_path) == [
        "index.html: sub/b.html#gone", "index.html: gone.png", "index.html: #gone",
    ]  # fmt: skip


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.short)
def test_a_lab_page_has_every_task_with_folded_hints_and_no_answer(lab, part):
    page = part("lab_pages").lab_page(lab, "owner/name")
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    for task in lab.tasks:
        assert shown.count(f"### Task {task.id}: `{task.name}`") == 1
        assert page.count(f" for task {task.id}</summary>") == len(task.hints)
        assert f" for task {task.id}</summary>" not in shown
    assert "is right." not in shown
    assert page.count("<summary>Answer to question ") == page.count("**Question ")
    solution = lab.solution.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.S))
    assert "NotImplementedError" in code
    assert student_version.surviving_lines(solution, code) == []
    assert f"name/blob/gh-pages/notebooks/{lab.name}.ipynb" in page
    assert "colab" not in part("lab_pages").lab_page(lab, "")


def test_a_lab_without_a_record_and_figures_says_so(part, tmp_path):
    (tmp_path / "solutions").mkdir()
    text = LABS[0].solution.read_text(encoding="utf-8")
    lab = course.Lab(LABS[0].name, tmp_path)
    lab.solution.write_text(text, encoding="utf-8")
    assert "No run of this lab is recorded yet." in part("lab_pages").lab_page(lab, "")


def test_figures_have_the_captions_of_the_docstring(part):
    lab = course.find_lab("lab05")
    (path,) = [p for p in part("lab_pages").figures(lab) if p.stem == "lab05_confusion"]
    assert "\n\nHow often LeNet-5 takes each digit" in part("lab_pages").figure_part(path)


def test_every_model_is_on_one_page(part):
    groups = part("model_pages").grouped()
    named = [name for entries in groups.values() for name, _ in entries]
    assert sorted(named) == sorted(models.MODELS)
    pages = [part("model_pages").page_name(function) for function in groups]
    assert len(set(pages)) == len(pages)


def test_a_model_page_has_drawing_size_paper_and_code(part, tmp_path):
    pages = part("model_pages")
    (name, entry) = ("lenet5", models.MODELS["lenet5"])
    rows = {row["name"]: row for row in models.registry.as_dicts({name: entry})}
    text = pages.page(entry.function, [(name, entry)], rows, tmp_path)
    assert "| `lenet5` | 1 x 28 x 28 | 61,706 |" in text
    assert "Paper: LeCun, Bottou, Bengio & Haffner 1998." in text
    assert "Differs from the paper: ReLU for tanh" in text
    assert ":alt: lenet5 from left to right. input, 1 by 28 by 28; conv 5x5, 6 by 28 by 28" in text
    assert (tmp_path / "lenet5.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert "```{literalinclude} ../files/dlcourse/models/lenet.py" in text


def test_a_model_that_cannot_be_run_yet_says_why(part, tmp_path):
    lines = part("model_pages").drawing("ngram", models.MODELS["ngram"], tmp_path)
    assert "call fit(tokens) first" in lines[0]


def test_an_experiment_page_says_which_record_is_missing_and_which_is_outdated(part):
    pages = part("experiment_pages")
    one = pages.EXPERIMENTS["width"]
    about = {
        "date": "2026-01-02", "hardware": {"cpu": "a cpu", "cores": 2},
        "versions": {"dlcourse": "0.1.0", "torch": "2.15.0+cu"},
    }  # fmt: skip
    old = {**about, "result": {"width": {"seconds": 3.0, "verdict": "It came: x"}}}
    new = {**about, "result": {"width": {"seconds": 3.0, "verdict": "Expected outcome confirmed: x",
                                         "table": ["a b"]}}}  # fmt: skip
    text = pages.experiment_page(one, {"tiny": old}, ROOT)
    assert "No run at full size is recorded yet." in text
    assert "It counts no longer" in text
    assert "| `epochs` | `200` | `50` |" in text
    text = pages.experiment_page(one, {"full": new}, ROOT)
    assert "Expected outcome confirmed: x\n```\n\n```text\na b\n```" in text
    records = {"full": new, "tiny": old}
    assert pages.outcome(records, "full", "width") == "confirmed"
    assert pages.outcome(records, "tiny", "width") == "recorded under an older rule"
    assert pages.outcome(records, "tiny", "depth") == "no record yet"
    depth = {"full": {**new, "result": {"depth": new["result"]["width"]}}}
    assert "went through JPEG" in pages.experiment_page(pages.EXPERIMENTS["depth"], depth, ROOT)
    records["full"]["result"]["width"]["smaller"] = {"epochs": "2"}
    assert pages.outcome(records, "full", "width") == "confirmed, at a smaller size"


def test_a_docstring_becomes_text_items_code_and_references(part):
    names = {"fit": "dlcourse.train.fit", "UsageError": "dlcourse.errors.UsageError"}
    lines = [
        "Return `a` and *b*, see `fit()`.", "", "a: the first. b, c: others;", "    and last_.",
        "Raises UsageError.", "", "    x   y", "", ">>> 1 + 1", "2",
    ]  # fmt: skip
    made = part("docstrings").as_rst(lines, ["a", "b", "c"], names.get)
    assert [line for line in made if line] == [
        r"Return \ ``a`` and \*b\*, see \ :py:obj:`fit() <dlcourse.train.fit>`\ .",
        "- **a**: the first.", r"- **b**, **c**: others; and last\_.",
        r"Raises \ :py:obj:`UsageError <dlcourse.errors.UsageError>`\ .",
        "::", "    x   y", ">>> 1 + 1", "2",
    ]  # fmt: skip


def test_the_reference_has_every_public_name(part):
    pages = part("api_pages")
    found = pages.documented()
    assert {"dlcourse.train.fit", "dlcourse.data.load", "dlcourse.errors.UsageError"} <= set(found)
    assert ".. autofunction:: dlcourse.train.fit\n" in pages.page("dlcourse.train")
    assert ".. autoclass:: dlcourse.train.EarlyStopping\n" in pages.page("dlcourse.train")
    assert "``perplexity``" in pages.page("dlcourse.train")
    assert "The type ``dict[str, list[str]]``." in pages.page("dlcourse.course")
    names = set(found)
    assert pages.resolved("fit", "dlcourse.train", names) == "dlcourse.train.fit"
    assert pages.resolved("train.fit", "dlcourse.data", names) == "dlcourse.train.fit"
    assert pages.resolved("gone", "dlcourse.data", names) is None


def test_axe_and_a_phone_find_nothing_on_any_page(part):
    html = ROOT / "build" / "site" / "html"
    check = part("check_pages")
    if not (html / "index.html").is_file():
        pytest.skip("the site is not built: make site")
    if check.find_axe() is None or check.find_chromium() is None:
        pytest.skip("needs chromium, and axe-core from `npm install axe-core`")
    assert check.check(html, check.find_axe()) == []
