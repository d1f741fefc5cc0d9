"""A page for each experiment of the lectures, with the verdicts that are recorded of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import figure

from dlcourse.compare.lectures.catalog import EXPERIMENTS
from dlcourse.compare.lectures.experiment import Experiment

__all__ = ["experiment_page", "write"]

# The records of benchmarks/compare_experiments.py, by size.
RECORDS = {"full": "compare_experiments_full.json", "tiny": "compare_experiments.json"}
NOW = "Expected outcome "  # how a verdict begins since version 0.2.0


def write(root: Path, source: Path, extra: Path) -> None:
    """Write the pages of all experiments, and their list, to source/experiments."""
    folder = source / "experiments"
    folder.mkdir(parents=True)
    (extra / "experiments").mkdir()
    results = root / "benchmarks" / "results"
    records = {
        size: json.loads((results / name).read_text(encoding="utf-8"))
        for size, name in RECORDS.items()
        if (results / name).is_file()
    }
    for picture in sorted((root / "docs" / "experiments").glob("*.png")):
        shutil.copy(picture, folder)
        shutil.copy(picture, extra / "experiments")
    rows = []
    for one in EXPERIMENTS.values():
        text = experiment_page(one, records, root)
        (folder / f"{one.name}.md").write_text(text, encoding="utf-8")
        outcomes = " | ".join(outcome(records, size, one.name) for size in RECORDS)
        rows.append(f"| [{one.name}]({one.name}.md) | {one.lecture} | {outcomes} |")
    lines = [
        "# The lectures' experiments",
        "",
        "Each experiment states what a lecture claims, runs it with several seeds, and ends with a "
        "verdict. [Experiments and studies](../compare.md) says how a verdict is reached and how "
        "to run an experiment of your own.",
        "",
        "| experiment | lecture | full size | tiny size |",
        "|---|---|---|---|",
        *rows,
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *EXPERIMENTS,
        "```",
        "",
    ]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")


def outcome(records: Mapping[str, Any], size: str, name: str) -> str:
    """ "confirmed", "not confirmed" or "not decided", or why there is none."""
    found = records.get(size, {}).get("result", {}).get(name)
    if found is None:
        return "no record yet"
    if not found["verdict"].startswith(NOW):
        return "recorded under an older rule"
    verdict: str = found["verdict"].removeprefix(NOW).partition(":")[0]
    return f"{verdict}, at a smaller size" if found.get("smaller") else verdict


def experiment_page(one: Experiment, records: Mapping[str, Any], root: Path) -> str:
    """The page of an experiment in MyST Markdown.

    records: what benchmarks/compare_experiments.py recorded, by size. root: of the repository.
    """
    lines = [
        f"# {one.name}",
        "",
        f"Lecture {one.lecture}.",
        "",
        f"**Expected:** {one.expected}",
        "",
        f"    dlcourse compare {one.name} --tiny    # a small size, about half a minute on 2 cores",
        f"    dlcourse compare {one.name}           # the full size",
        "",
        "## Settings",
        "",
        "| setting | full size | tiny size |",
        "|---|---|---|",
    ]
    for name in {**one.grid, **one.tiny}:
        full, tiny = (cell({**one.grid, **changed}.get(name)) for changed in ({}, one.tiny))
        lines.append(f"| `{name}` | {full} | {tiny if tiny != full else 'the same'} |")
    for size in RECORDS:
        lines += [
            "",
            f"## Recorded at {size} size",
            "",
            *recorded(one, size, records.get(size), root),
        ]
    return "\n".join(lines) + "\n"


def cell(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    words = {"None": "none", "True": "true", "False": "false"}
    return ", ".join(f"`{words.get(str(one), one)}`" for one in values)


def recorded(one: Experiment, size: str, record: Mapping[str, Any] | None, root: Path) -> list[str]:
    found = record["result"].get(one.name) if record else None
    if record is None or found is None:
        return [f"No run at {size} size is recorded yet."]
    versions = record["versions"]
    lines = [
        f"Recorded on {found.get('date', record['date'])} with version {versions['dlcourse']} "
        f"and PyTorch {versions['torch'].partition('+')[0]} on {record['hardware']['cores']} cores "
        f"({record['hardware']['cpu']}), in {found['seconds']:g} s.",
        "",
    ]
    if changed := found.get("smaller"):
        told = ", ".join(f"`{name}` {value}" for name, value in changed.items())
        lines += [f"The full size was out of reach there; it ran with {told}.", ""]
    if one.grid["data"] == "cifar10":
        lines += ["CIFAR-10's pixels went through JPEG, so accuracies are a little too low.", ""]
    if found.get("synthetic"):
        lines += ["The data were synthetic: they replaced the real ones.", ""]
    if not found["verdict"].startswith(NOW):
        lines += [
            "The verdict was reached by the rule of version 0.1.0, which ignored the spread over "
            "seeds. It counts no longer; the numbers are shown as they were.",
            "",
        ]
    lines += ["```text", *found["verdict"].replace("; ", ";\n").splitlines(), "```"]
    if "table" in found:
        lines += ["", "```text", *found["table"], "```"]
    for picture in found.get("figures", []):
        lines += ["", figure(root / "docs" / "experiments" / picture["file"], picture["caption"])]
    return lines
