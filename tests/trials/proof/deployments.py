"""Complete deployments on the local cloud: the tests marked `deployments`, which take minutes and rarely break.

They are ordinary tests, so one of them can also be run alone:

    python -m pytest -m deployments -k rotated
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict
from xml.etree import ElementTree

from tests.trials.proof.part import Row, Run, progress

SECTION = "deployments"


class Figures(TypedDict):
    """The section `deployments` of `build/proof.json`: the number of tests, and the names of those that failed."""

    tests: int
    failed: list[str]


def measure(run: Run) -> Figures:
    """Run the tests whose names contain `run.only`. `run.size` changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "deployments", f"--junitxml={report}", *_selected(run)]
        # Its output is progress, as that of the other parts' jobs.
        ended = subprocess.run(command, stdout=sys.stderr, env=dict(os.environ), check=False)
        if not report.exists():
            raise RuntimeError(f"pytest ended with {ended.returncode} before any test ran; see its output above")
        return figures_of(report)


def _selected(run: Run) -> list[str]:
    # Tests have no spaces in their names, so the text of `ONLY` is one term of pytest's expression.
    return ["-k", run.only] if run.only else []


def figures_of(report: Path) -> Figures:
    """Read pytest's JUnit report: https://docs.pytest.org/en/stable/how-to/output.html#creating-junitxml-format-files."""
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case.get("name", "") for case in cases if any(case.find(end) is not None for end in _BAD_ENDS)]
    progress(f"{SECTION}: {len(cases) - len(failed)} of {len(cases)} passed")
    return {"tests": len(cases), "failed": failed}


_BAD_ENDS = ("failure", "error", "skipped")


def broken(figures: Figures) -> list[str]:
    """Return a sentence for each failed test, and one if there was no test."""
    if not figures["tests"]:
        return ["No test of deployments ran: make proof PARTS=deployments"]
    return [f"{name} failed: make proof PARTS=deployments ONLY='{name}'" for name in figures["failed"]]


def rows(figures: Figures) -> list[Row]:
    """Return the rows of the printed table."""
    return [("deployments: tests passed", f"{figures['tests'] - len(figures['failed'])} of {figures['tests']}", "all")]
