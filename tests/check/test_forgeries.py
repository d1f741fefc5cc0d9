"""No object earns a point by what it says of itself: tests judge values that they can compute."""

from collections import defaultdict

import pytest

from dlcourse import course

from support import forgeries, mistakes

BY_LAB = defaultdict(list)
for name in forgeries.FORGERIES:
    BY_LAB[f"lab{int(name.partition('.')[0]):02d}"].append(name)


@pytest.mark.parametrize("lab", BY_LAB)
def test_objects_that_claim_what_they_do_not_do_earn_nothing(lab, tmp_path):
    solution = course.find_lab(lab).solution.read_text(encoding="utf-8")
    sources = {name: forgeries.source(name, solution) for name in BY_LAB[lab]}
    rights = {f"{name.split()[0]} right": solution for name in BY_LAB[lab]}
    found = mistakes.verdicts(lab, sources | rights, tmp_path, hidden=True)
    assert [t for name in rights for t in found.pop(name) if not t.passed] == []
    assert {name: sum(test.score for test in tests) for name, tests in found.items()} == (
        dict.fromkeys(sources, 0)
    )
    assert not {test.outcome for tests in found.values() for test in tests} & {
        "could not check", "import failure", "missing",
    }  # fmt: skip
