"""The project's metadata: one version everywhere, valid files for citation, CI and pre-commit."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import dlcourse

ROOT = Path(__file__).parents[1]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    changelog = re.search(r"^## \[(.+?)\] - \d{4}-\d{2}-\d{2}$", read("CHANGELOG.md"), re.M)[1]
    pyproject = re.search(r'^version = "(.+)"$', read("pyproject.toml"), re.M)[1]
    citation = yaml.safe_load(read("CITATION.cff"))["version"]
    assert {changelog, pyproject, citation} == {dlcourse.__version__}


def test_changelog_has_the_headings_of_keep_a_changelog_and_the_newest_version_first():
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d{2}-\d{2}$", text, re.M)
    assert text.count("\n## ") == len(versions) >= 2
    assert sorted(versions, reverse=True) == versions
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= kinds


def test_citation_file_has_the_fields_that_its_format_requires():
    # https://github.com/citation-file-format/citation-file-format, schema 1.2.0
    citation = yaml.safe_load(read("CITATION.cff"))
    required = {"cff-version", "message", "title", "authors"}
    optional = {"type", "version", "license", "abstract", "keywords", "date-released"}
    assert required <= set(citation) <= required | optional
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    assert all(set(author) == {"name"} for author in citation["authors"])
    texts = [value for key, value in citation.items() if key not in ("authors", "keywords")]
    assert all(isinstance(value, str) for value in [*texts, *citation["keywords"]])


def test_license_names_its_holder_and_every_file_names_the_same_license():
    assert read("LICENSE").startswith("MIT License\n\nCopyright (c) 2026 the dlcourse authors\n")
    assert yaml.safe_load(read("CITATION.cff"))["license"] == "MIT"
    assert re.search(r'^license = "(.+)"$', read("pyproject.toml"), re.M)[1] == "MIT"


def test_every_part_named_in_dlcourse_exists_and_others_are_refused():
    assert set(dlcourse.__all__) <= set(dir(dlcourse))
    for name in dlcourse.__all__:
        assert getattr(dlcourse, name) is not None
    with pytest.raises(AttributeError, match="module 'dlcourse' has no attribute 'trian'"):
        dlcourse.trian  # noqa: B018 (the attribute access is the test)


def test_ci_runs_the_supported_pythons_on_three_systems_with_the_checks_of_make():
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    supported = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', read("pyproject.toml"))
    assert matrix["python"] == supported
    assert f'requires-python = ">={supported[0]}"' in read("pyproject.toml")
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    checks = re.search(r"^check: .*\n((?:\t.*\n)+)", read("Makefile"), re.M)[1]
    for check in re.findall(r"\$\(BIN\)/(.+)", checks):
        assert check in steps
    assert "python -m pytest" in steps


@pytest.fixture
def make(tmp_path):
    """Run `make -n`, which prints the commands and runs none, where nothing is installed yet."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)

    def run(*words):
        command = ["make", "--dry-run", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_make_installs_torch_and_torchvision_of_one_index_before_the_package(make):
    installs = [
        line
        for line in make("install", "TORCH=cpu", "CONSTRAINTS=c.txt").stdout.splitlines()
        if line.strip().startswith(".venv/bin/pip install")
    ]
    assert [line.split() for line in installs] == [
        [
            ".venv/bin/pip", "install", "torch", "torchvision", "--index-url",
            "https://download.pytorch.org/whl/cpu", "--constraint", "c.txt",
        ],
        [".venv/bin/pip", "install", "--editable", "'.[dev]'", "--constraint", "c.txt"],
    ]  # fmt: skip


def test_make_uses_the_usual_index_unless_told_otherwise(make):
    assert "--index-url" not in make("install").stdout
    assert ".venv/bin/pip install --editable '.[dev]'" in make("install").stdout


def test_make_refuses_another_kind_of_torch_by_name(make):
    done = make("install", "TORCH=gpu")
    assert done.returncode == 2
    assert "TORCH=gpu is not known; use TORCH=cpu for PyTorch without CUDA, or" in done.stderr


def test_the_container_installs_with_a_target_of_make(make):
    container = json.loads(read(".devcontainer/devcontainer.json"))
    program, *words = container["postCreateCommand"].split()
    assert program == "make"
    assert make(*words).returncode == 0


def test_pre_commit_runs_the_same_tools():
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [hook["entry"] for hook in repository["hooks"]] == [
        "ruff check --fix", "ruff format", "mypy",
    ]  # fmt: skip


def test_the_issue_template_has_the_fields_that_github_requires():
    form = yaml.safe_load(read(".github/ISSUE_TEMPLATE/problem.yml"))
    assert {"name", "description", "body"} <= set(form)
    kinds = {"textarea", "checkboxes", "input", "dropdown", "markdown"}
    assert all(field["type"] in kinds and field["attributes"] for field in form["body"])
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
