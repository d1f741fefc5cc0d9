"""The claims of an experiment are compared, printed and saved as they are."""

import functools
import json

from dlcourse.findings import Findings


def printed(capsys):
    return capsys.readouterr().out.splitlines()


def test_each_claim_says_whether_it_holds_and_which_task_decides_it(tmp_path, capsys):
    findings = Findings(tmp_path)
    findings.claim("regions of 2 layers", 4, "=", 44, "g", task="2.8", exact=True)
    findings.claim("momentum", 83, "<", 220, "g")
    findings.report()
    _, heading, wrong, right, advice = printed(capsys)
    assert heading == "what this run shows"
    assert " ".join(wrong.split()) == "NO regions of 2 layers 4, expected 44; see task 2.8"
    assert " ".join(right.split()) == "yes momentum 83 < 220"
    assert advice == "What fails with one seed may hold on average: try --seed 1 and --seed 2 too."
    saved = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert [claim["left"] for claim in saved] == [[4], [83]]


def test_over_seeds_the_means_decide_and_the_seeds_are_counted(tmp_path, capsys):
    findings = Findings(tmp_path)
    findings.claim("dropout", [0.9, 0.8, 0.7], ">", [0.5, 0.6, 0.75], ".1%")
    findings.claim("constant", [3, 1], ">", 2, "g")
    findings.report()
    dropout, constant = (" ".join(line.split()) for line in printed(capsys)[2:4])
    assert dropout == "yes dropout 80.0% > 61.7% (2 of 3 seeds)"
    assert constant == "NO constant 2, expected more than 2 (1 of 2 seeds)"


def test_a_number_that_is_not_finite_fulfils_nothing_but_more_than(tmp_path):
    findings = Findings(tmp_path)
    for relation in "<>=":
        findings.claim("diverged", float("nan"), relation, 1)
    findings.claim("diverged", float("inf"), ">", 1)
    assert [claim.holds for claim in findings.claims] == [False, False, False, True]


def test_a_claim_on_a_task_in_doubt_is_not_confirmed(tmp_path, capsys):
    findings = Findings(tmp_path, doubts=(["2.3", "2.4"], ["2.7"]))
    claim = functools.partial(findings.claim, form="g")
    claim("trained", 2, ">", 1, task="2.1")
    for task in ("2.1", "2.2 or 2.3", "2.7", ""):
        claim("exact", 1, "=", 1, task=task, exact=True)
        claim("not exact", 2, "=", 1, task=task, exact=True)
    findings.report()
    lines = [" ".join(line.split()) for line in printed(capsys)[2:]]
    assert lines[:9] == [
        "? trained 2 > 1; see task 2.3 or 2.4",
        "yes exact 1 = 1",
        "NO not exact 2, expected 1; see task 2.3 or 2.4",  # 2.1 passed its tests
        "? exact 1 = 1; see task 2.3",
        "NO not exact 2, expected 1; see task 2.3",
        "? exact 1 = 1",
        "NO not exact 2, expected 1; see task 2.3 or 2.4",
        "? exact 1 = 1; see task 2.3 or 2.4",
        "NO not exact 2, expected 1; see task 2.3 or 2.4",
    ]
    assert lines[9].startswith("?: it seems so, but a task behind it failed its last check")


def test_a_tiny_run_shows_only_what_is_exact(tmp_path, capsys):
    findings = Findings(tmp_path, tiny=True)
    findings.claim("exact", 1, "=", 1, exact=True)
    findings.claim("needs a long run", 1, ">", 2)
    findings.report()
    lines = printed(capsys)
    assert "exact" in lines[2]
    assert lines[3:] == ["A --tiny run is too small for the other 1 claims of this lab."]
