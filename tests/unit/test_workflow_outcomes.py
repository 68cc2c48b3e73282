"""Test that the outcomes of a containment and the Choice states of the state machine match, value by value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from ir_router.cases import containment_steps
from ir_router.ledger import approvals
from ir_router.ledger.approvals import AnswerStatus, ApprovalKind
from ir_router.workflow.incident import Action
from ir_router.workflow.outcomes import (
    OUTCOMES,
    ContainmentOutcome,
    Decided,
    EndState,
    Repetition,
    gravest,
)
from tests.support.state_machine import ALL

ROOT = Path(__file__).parents[2]

# Every variable that a Choice state compares with texts, and the type of its values.
TYPES: Mapping[str, Any] = {
    "$.incident.action": Action,
    "$.case.answer.repetition": Repetition,
    "$.containment.answer.outcome": ContainmentOutcome,
    "$.response.decision.decision": Decided,
    "$.permission.answer.decision": Decided,
    "$.final.answer.result": EndState,
}
# The next state for each value.
AFTER_APPROVAL_KIND: Mapping[str | None, str] = {
    "remediate": "Alert, Audit and Ask",
    "contain": "Page: Limit Reached",
    None: "Final Alert + Audit Log",
}
AFTER: Mapping[str, Mapping[str, str]] = {
    "$.incident.action": {"contain": "Immediate Containment", "alert": "Alert Only", "log": "Log & Exit"},
    "$.case.answer.repetition": {"tells": "Collect for an Hour", "counted": "Alerted"},
    "$.containment.answer.outcome": {
        outcome: AFTER_APPROVAL_KIND[found.approval] for outcome, found in OUTCOMES.items()
    },
    "$.response.decision.decision": {
        "approve": "Delete Key Permanently",
        "deny": "Re-enable Key, Remove Deny Policy",
        "timed_out": "Keep Containment",
        "not_asked": "Keep Containment",
    },
    "$.permission.answer.decision": {
        "approve": "Contain With Permission",
        "deny": "Final Alert + Audit Log",
        "timed_out": "Final Alert + Audit Log",
        "not_asked": "Final Alert + Audit Log",
    },
    "$.final.answer.result": {
        "done": "Done",
        "not_contained": "Not Contained",
        "undone": "Finished With Something Undone",
    },
}
# The variable that a Choice state compares first, with a value that does not decide.
BEFORE: Mapping[str, Mapping[str, str]] = {"$.containment.answer.outcome": {"$.case.answer.repetition": "none"}}
# Fields that Pass states and payloads set, and the type of their values.
FIELDS: Mapping[str, Any] = {"decision": Decided, "repetition": Repetition, "kind": ApprovalKind}


CHOICES = {name: state for name, state in ALL.items() if state["Type"] == "Choice"}
RULES = [(name, rule) for name, state in CHOICES.items() for rule in state["Choices"] if "StringEquals" in rule]


def chosen(state: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Return the next state that a Choice state selects for these values."""
    for rule in state["Choices"]:
        if values.get(rule["Variable"]) == rule["StringEquals"]:
            return str(rule["Next"])
    return str(state["Default"])


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Return the texts in a JSON value, each with the name of its field."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str):
                yield name, inner
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def test_given_the_table_when_read_then_every_outcome_has_its_row() -> None:
    assert set(OUTCOMES) == set(get_args(ContainmentOutcome))


def test_given_the_timeline_of_a_case_when_read_then_it_words_every_outcome_and_decision() -> None:
    assert set(containment_steps._OUTCOMES) == set(OUTCOMES)
    assert set(containment_steps._DECISIONS) == {
        (kind, answer) for kind in get_args(ApprovalKind) for answer in get_args(approvals.Answer)
    }


def test_given_the_definition_when_its_choices_are_read_then_every_variable_and_value_is_typed() -> None:
    for name, rule in RULES:
        assert rule["Variable"] in TYPES, f"{name}: {rule['Variable']} has no type"
        assert rule["StringEquals"] in get_args(TYPES[rule["Variable"]]), f"{name}: {rule['StringEquals']}"
    assert {rule["Variable"] for _, rule in RULES} == set(TYPES)


@pytest.mark.parametrize("variable", TYPES)
def test_given_every_value_when_a_choice_is_made_then_the_state_of_the_table_follows(variable: str) -> None:
    choices = {name for name, rule in RULES if rule["Variable"] == variable}
    assert choices
    for name in choices:
        for value in set(get_args(TYPES[variable])) - ({"none"} if variable.endswith("repetition") else set()):
            assert value in AFTER[variable], f"{value} of {variable} has no next state"
            values = {**BEFORE.get(variable, {}), variable: value}
            assert chosen(CHOICES[name], values) == AFTER[variable][value], f"{name}: {value}"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_given_an_outcome_when_its_event_was_counted_then_no_approval_is_requested(
    outcome: ContainmentOutcome,
) -> None:
    for repetition, following in AFTER["$.case.answer.repetition"].items():
        values = {"$.containment.answer.outcome": outcome, "$.case.answer.repetition": repetition}
        assert chosen(CHOICES["Contained?"], values) == following


def test_given_the_definition_when_its_texts_are_read_then_results_and_payloads_have_typed_values() -> None:
    found = [
        (name, field, value)
        for name, state in ALL.items()
        for part in ("Result", "Parameters")
        for field, value in texts(state.get(part, {}))
        if field in FIELDS
    ]
    assert {field for _, field, _ in found} == set(FIELDS)
    assert [entry for entry in found if entry[2] not in get_args(FIELDS[entry[1]])] == []


def test_given_the_kinds_of_approval_when_the_definition_is_read_then_a_state_asks_for_each() -> None:
    asked = {dict(texts(state.get("Parameters", {}))).get("kind") for state in ALL.values()} - {None}
    assert asked == set(get_args(ApprovalKind)) == {found.approval for found in OUTCOMES.values()} - {None}


def test_given_the_outcomes_of_several_principals_when_reduced_then_the_one_that_needs_attention_is_kept() -> None:
    assert gravest(["gone", "contained", "refused"]) == "contained"
    assert gravest(["dry_run", "joined"]) == "joined"
    for outcome in OUTCOMES:
        assert gravest([outcome]) == outcome


def test_given_the_table_when_read_then_only_a_containment_that_was_due_and_is_missing_ends_red() -> None:
    for outcome, found in OUTCOMES.items():
        assert not (found.contained and found.end == "not_contained"), outcome
        assert (found.approval == "contain") == (found.end == "not_contained"), outcome
        assert found.approval is None or found.case in ("open", "open_first"), outcome


def test_given_the_approval_handlers_statuses_when_the_page_is_read_then_each_is_explained() -> None:
    page = (ROOT / "docs" / "containment.md").read_text("utf-8")
    assert [status for status in get_args(AnswerStatus) if f"`{status}`" not in page] == []
    workflow = ROOT / "src" / "ir_router" / "workflow"
    source = "".join(
        (workflow / name).read_text("utf-8") for name in ("approval.py", "creator_request.py", "release_request.py")
    )
    assert [status for status in get_args(AnswerStatus) if not re.search(rf'"{status}"', source)] in (
        [],
        ["approved", "denied"],  # from wording_decisions.PAST
    )
