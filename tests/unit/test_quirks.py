"""Test that the local Slack's code reads every quirk of its lists."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path

import pytest

from ir_sandbox import slack
from ir_sandbox.demo.quirks import of_demo
from ir_sandbox.slack.quirks import QUIRKS, bookmarks, errors, files, identity, messages
from ir_sandbox.slack.quirks.quirk import Quirk
from tests.trials.proof.part import Run
from tests.trials.proof.quirks import _jobs
from tests.trials.world.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
_AREAS = (bookmarks, errors, files, identity, messages)
_FOLDER = Path(inspect.getfile(slack)).parent
_CONSTANTS = {
    value.name: constant for area in _AREAS for constant, value in vars(area).items() if isinstance(value, Quirk)
}


@cache
def _names_read() -> frozenset[str]:
    """Return each name and attribute that the local Slack's code reads outside the lists and its imports."""
    files = [file for file in _FOLDER.rglob("*.py") if "quirks" not in file.relative_to(_FOLDER).parts]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(names | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


@pytest.mark.parametrize("name", sorted(QUIRKS))
def test_given_a_quirk_of_the_lists_when_the_code_is_searched_then_the_local_slack_reads_it(name: str) -> None:
    assert name in _CONSTANTS, "a quirk needs a constant in its module"
    assert _CONSTANTS[name] in _names_read()


def test_given_the_areas_when_their_constants_are_counted_then_each_is_in_its_list() -> None:
    assert sorted(_CONSTANTS) == sorted(QUIRKS)
    assert all(importlib.import_module(area.__name__).QUIRKS for area in _AREAS)


def test_given_the_docs_when_read_then_their_numbers_of_quirks_and_jobs_are_current() -> None:
    pages = {page.stem: " ".join(page.read_text("utf-8").split()) for page in (ROOT / "docs").glob("*.md")}
    assert f"{len(QUIRKS)} named quirks" in pages["local-cloud"]
    assert f"the {len(list(of_demo()))} that pass by themselves" in pages["local-cloud"]
    assert f"The {len(_jobs(Run('full'))):,} jobs" in pages["reliability"]
    scenarios = {scenario.name for scenario in SCENARIOS}
    assert {job.scenario for job in _jobs(Run("short"))} <= scenarios
    assert {quirk for job in _jobs(Run("short")) for quirk in job.quirks} == set(QUIRKS)
