"""pip's, conda's and the pinned requirements name the same packages."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def requirements():
    """The `dependencies` of pyproject.toml (tomllib came with Python 3.11, so read as text)."""
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.S | re.M).group(1)
    return re.findall(r'"([^"]+)",', block), block


def test_conda_environment_has_the_same_dependencies():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    conda = [line.strip()[2:] for line in lines if line.startswith("      - ")]
    assert sorted(conda) == sorted([*requirements()[0], "--editable ."])


def test_every_dependency_has_its_reason_beside_it():
    bare = [line for line in requirements()[1].splitlines() if not re.search(r"# \w", line)]
    assert not bare


def test_every_dependency_is_pinned_in_the_constraints():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    named = [re.match(r"[\w-]+", requirement).group() for requirement in requirements()[0]]
    # pip freeze writes Jinja2 where a requirement may say jinja2: names ignore case.
    assert {name.lower() for name in named} <= {name.lower() for name in pinned}


def test_the_lock_of_uv_is_of_these_requirements():
    """`uv lock` writes it anew after a change of pyproject.toml."""
    text = (ROOT / "uv.lock").read_text()
    block = re.search(r'^name = "dlcourse".*?^requires-dist = \[\n(.*?)^\]', text, re.S | re.M)
    locked = re.findall(r'name = "([^"]+)", specifier = "([^"]+)"', block.group(1))
    named = [re.match(r"([\w-]+)(.*)", requirement).groups() for requirement in requirements()[0]]
    assert {(name.lower(), version) for name, version in named} <= set(locked)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_the_text_reading_above_is_what_toml_says():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert requirements()[0] == project["dependencies"]
