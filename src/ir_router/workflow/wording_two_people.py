"""The answers to one of two people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import two_people
from ir_router.workflow import wording_decisions
from ir_router.workflow.incident import Analyst


def first_recorded(row: Mapping[str, Any], decision: str) -> str:
    """Return the answer to the first of two people."""
    return (
        f"First of {two_people.required(row, decision)} recorded: {decision}. Nothing has changed yet, because another "
        f"person must {decision} too. Until then you can withdraw."
    )


def so_far(row: Mapping[str, Any]) -> list[str]:
    """Return the assignee of a pending request and, for each decision that needs two people, who made it so far."""
    assignee = row.get("assignee")
    found = [f"{wording_decisions.decider(assignee)} is on it"] if assignee else []
    for decision, past in wording_decisions.PAST.items():
        if (number := two_people.required(row, decision)) > 1:
            by = [one["analyst"] for one in two_people.current(row) if one["decision"] == decision]
            names = f": {', '.join(map(wording_decisions.decider, by))}" if by else ""
            found.append(f"{past} by {len(by)} of {number}{names}")
    return found


def same_person(row: Mapping[str, Any], analyst: Analyst) -> str:
    """Return the answer to a person whose decision counts already."""
    own = next(one for one in two_people.current(row) if two_people.is_same_person(one["analyst"], analyst))
    by, at = wording_decisions.decider(own["analyst"]), wording_decisions.at(float(own["at"]))
    past = wording_decisions.PAST[str(own["decision"])]
    return (
        f"Decision not recorded: {by} {past} at {at}, and ir-router counts you as the same person. Another person must "
        "decide. To change a decision, withdraw it first. Two names from the command line count as one person."
    )
