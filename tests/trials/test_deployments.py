"""Test the figures that the part `deployments` of `make proof` reads from pytest's report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trials.proof import deployments


def reported(folder: Path, source: str) -> Path:
    """Run pytest on these tests and return its report."""
    (folder / "test_them.py").write_text(source)
    report = folder / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "--rootdir=."],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    return report


def test_given_a_failure_an_error_and_a_skip_when_read_then_each_breaks_the_bound(tmp_path: Path) -> None:
    source = """
import pytest

@pytest.fixture
def broken():
    raise ValueError

def test_good(): pass
def test_bad(): assert False
def test_error(broken): pass
def test_left_out(): pytest.skip("no reason")
"""

    figures = deployments.figures_of(reported(tmp_path, source))

    assert figures == {"tests": 4, "failed": ["test_bad", "test_error", "test_left_out"]}
    assert "test_bad failed: make proof PARTS=deployments ONLY='test_bad'" in deployments.broken(figures)
    assert deployments.rows(figures) == [("deployments: tests passed", "1 of 4", "all")]


@pytest.mark.parametrize(("source", "holds"), [("def test_good(): pass", True), ("", False)], ids=["one", "none"])
def test_given_no_failure_when_read_then_the_bound_holds_only_if_a_test_ran(
    tmp_path: Path, source: str, holds: bool
) -> None:
    figures = deployments.figures_of(reported(tmp_path, source))

    assert (deployments.broken(figures) == []) == holds
