"""The approval message in Slack: every fact is shown, however long the facts are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ir_router.sync import approval_message


def row(**changes: Any) -> dict[str, Any]:
    return {
        "approval_id": "abc",
        "state": "pending",
        "kind": "remediate",
        "headline": "user backdoor contained",
        "decide_by": 1_800_000_000,
        "what": "CreateAccessKey for backdoor, by bert-jan from 192.0.2.1",
        "done": ["key AKIA...PKAZ disabled (verified)", "deny policy attached (verified)"],
        "seconds_from_event": 4.2,
        "approve_does": "permanently deletes the key.",
        "deny_does": "restores the user as found.",
        "severity": "HIGH",
        "title": "Access key created",
        "event_id": "e-1",
        "execution_name": "x-1",
        "case_id": "1234567890",
        **changes,
    }


def shown(message: Any) -> str:
    return "\n".join(block["text"]["text"] for block in message.blocks if block["type"] == "section")


def test_given_an_open_approval_when_shown_then_it_says_how_fast_the_key_was_contained() -> None:
    assert "deny policy attached (verified) · 4 s after the event" in shown(approval_message.message(row()))


@pytest.mark.parametrize("length", [10, 590, 5_000])
def test_given_facts_of_any_length_when_shown_then_both_answers_are_shown_and_no_escape_is_cut(length: int) -> None:
    message = approval_message.message(row(what="&" * length, done=["<" * length] * 4))

    text = shown(message)
    assert "*Approve*  permanently deletes the key." in text
    assert "*Deny*  restores the user as found." in text
    for block in message.blocks:
        if block["type"] == "section":
            assert len(block["text"]["text"]) <= 3_000
            assert not re.search(r"&(?!(amp|lt|gt);)", block["text"]["text"])


@pytest.mark.parametrize(
    ("via", "shown_behind"),
    [
        ("slack", ","),
        ("cli", " (name given on the command line),"),
        ("step_functions", " (who sent the decision directly to Step Functions),"),
    ],
)
def test_given_a_decision_when_shown_then_a_name_without_a_verified_source_says_where_it_is_from(
    via: str, shown_behind: str
) -> None:
    decided = row(
        state="delivered", decision="deny", decided_at=1_800_000_000, analyst={"name": "Jane Smith", "via": via}
    )

    assert approval_message.message(decided).text.startswith(f"Denied by Jane Smith{shown_behind}")
