"""The diagram on the demo's page shows each state of the definition and the path of the execution."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from ir_sandbox.demo import diagram

CONTAINED = [
    "Extract Event Context",
    "First Time Seen?",
    "Check Allowlist",
    "Allowlisted?",
    "Evaluate Severity",
    "Severity?",
    "Immediate Containment",
    "Open Case",
    "Contained?",
    "Alert, Audit and Ask",
    "Send Alert",
    "Write Audit Log",
    "Wait for Analyst",
    "Record Decision",
    "Decision?",
    "Delete Key Permanently",
    "Final Alert + Audit Log",
    "Everything Done?",
    "Done",
]


@pytest.fixture
def definition() -> Mapping[str, Any]:
    return diagram.definition_of_the_project()


def entered(drawn: str) -> list[str]:
    return re.findall(r'class="box \w+ entered".*?<text [^>]*>(.*?)</text>', drawn)


def test_given_an_execution_when_drawn_then_the_states_it_entered_stand_out(definition: Mapping[str, Any]) -> None:
    drawn = diagram.draw(definition, CONTAINED)

    assert {name.replace("&amp;", "&") for name in entered(drawn)} == set(CONTAINED)
    assert ">Duplicate<" in drawn
    assert ">Containment Failed<" not in drawn, "states for errors are left out"


def test_given_a_choice_when_drawn_then_only_the_way_it_took_is_marked(definition: Mapping[str, Any]) -> None:
    graph, _ = diagram.read(definition)
    taken = diagram._taken(graph, CONTAINED)

    assert ("Contained?", "Alert, Audit and Ask") in taken
    assert ("Contained?", "Final Alert + Audit Log") not in taken
    assert {("Alert, Audit and Ask", "Send Alert"), ("Send Alert", "Decision?")} <= taken


def test_given_a_failed_step_when_drawn_then_its_red_end_is_shown(definition: Mapping[str, Any]) -> None:
    way = [*CONTAINED[:7], "Report Containment Failure", "Containment Failed"]

    assert entered(diagram.draw(definition, way))[-1] == "Containment Failed"


def test_given_the_diagram_when_drawn_then_no_two_boxes_lie_on_each_other(definition: Mapping[str, Any]) -> None:
    boxes = re.findall(r'<rect x="(-?\d+)" y="(-?\d+)"', diagram.draw(definition, CONTAINED))

    assert len(boxes) == len(set(boxes)) > 25
    by_row: dict[str, list[int]] = {}
    for x, y in boxes:
        by_row.setdefault(y, []).append(int(x))
    assert all(b - a >= 190 for row in by_row.values() for a, b in pairwise(sorted(row)))


def test_given_odd_names_when_drawn_then_they_are_text(definition: Mapping[str, Any]) -> None:
    machine = {"StartAt": "<b>", "States": {"<b>": {"Type": "Pass", "End": True}}}

    assert "<b>" not in diagram.draw(machine, ["<b>"])
