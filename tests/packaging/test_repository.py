"""The files that a release and its contributors rely on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ir_router import __version__

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_given_the_changelog_when_read_then_this_version_has_the_first_section() -> None:
    versions = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)

    assert versions[0] == __version__
    assert versions[-1] == "0.1.0"
    assert f"| {__version__.rpartition('.')[0]} | yes |" in read("SECURITY.md")


@pytest.mark.parametrize(
    "file", [".pre-commit-config.yaml", *(str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.yml"))]
)
def test_given_a_configuration_when_read_then_it_is_yaml(file: str) -> None:
    assert isinstance(yaml.safe_load(read(file)), dict)


def test_given_the_workflow_when_read_then_it_runs_what_the_repository_runs() -> None:
    steps = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["steps"]

    assert steps[-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_given_the_contribution_guide_when_read_then_its_targets_and_folders_are_there() -> None:
    guide = read("CONTRIBUTING.md")
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+)", guide))
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))}

    assert named <= targets
    assert {"check", "test", "busy", "release"} <= named
    assert folders == set(re.findall(r"^\| `tests/(\w+)` \|", guide, re.MULTILINE))
