"""The table of the outcomes of a containment and their consequences. Pure.

The states after "Immediate Containment" read this table. A test compares the Choice states of state-machine.asl.json
with the table and with the types below (tests/unit/test_workflow_outcomes.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ir_router.ledger.approvals import ApprovalKind

ContainmentOutcome = Literal[
    "contained", "limit_reached", "ask_first", "refused", "joined", "dry_run", "off", "gone", "closed"
]
CaseEffect = Literal["open", "open_first", "comment", "none"]
Decided = Literal["approve", "deny", "timed_out", "not_asked"]
EndState = Literal["done", "not_contained", "undone"]
Repetition = Literal["none", "counted", "tells"]


@dataclass(frozen=True)
class Consequences:
    """The consequences of an outcome.

    Attributes:
        case: `open` opens a case. `open_first` opens one for the first event of a kind in an hour, and counts the later
            ones. `comment` adds a comment to the case of the open incident. `none` does nothing.
        headline: The alert's first sentence; `{who}` stands for the principals.
        needed: The alert's second sentence, about the action that is required. May be empty.
        approval: The kind of approval request that follows, or None.
        contained: Whether the deny policy is attached to the principal afterwards.
        end: The end state of an execution that completed all its steps, unless an analyst denied.
    """

    case: CaseEffect
    headline: str
    needed: str
    approval: ApprovalKind | None
    contained: bool
    end: EndState


# The outcome that needs the most attention comes first. For several principals, that outcome counts.
OUTCOMES: Mapping[ContainmentOutcome, Consequences] = {
    "contained": Consequences(
        case="open",
        headline="{who} contained.",
        needed="Approve or deny within 24 hours.",
        approval="remediate",
        contained=True,
        end="done",
    ),
    "limit_reached": Consequences(
        case="open_first",
        headline="{who} NOT contained yet: the hourly limit for containments is reached.",
        needed="Approve or deny the containment now.",
        approval="contain",
        contained=False,
        end="not_contained",
    ),
    "ask_first": Consequences(
        case="open_first",
        headline="{who} NOT contained yet: this role needs an approval before its containment.",
        needed="Approve or deny the containment now.",
        approval="contain",
        contained=False,
        end="not_contained",
    ),
    "refused": Consequences(
        case="open_first",
        headline="{who} NOT contained.",
        needed="You must act by hand now.",
        approval=None,
        contained=False,
        end="done",
    ),
    "joined": Consequences(
        case="comment",
        headline="{who} already contained. This event joined the open incident.",
        needed="The decision about the incident is pending.",
        approval=None,
        contained=True,
        end="done",
    ),
    "dry_run": Consequences(
        case="none",
        headline="Dry run: {who} would have been contained.",
        needed="Nothing was changed.",
        approval=None,
        contained=False,
        end="done",
    ),
    "off": Consequences(
        case="none",
        headline="{who} not contained: containment is switched off.",
        needed="Contain it by hand.",
        approval=None,
        contained=False,
        end="done",
    ),
    "gone": Consequences(
        case="none",
        headline="Nothing to contain: {who} no longer exists.",
        needed="",
        approval=None,
        contained=False,
        end="done",
    ),
    "closed": Consequences(
        case="none",
        headline="{who} not contained: its account is closed.",
        needed="",
        approval=None,
        contained=False,
        end="done",
    ),
}
_BY_ATTENTION = tuple(OUTCOMES)


def gravest(outcomes: Iterable[ContainmentOutcome]) -> ContainmentOutcome:
    """Return the outcome that needs the most attention. Raises ValueError if there is no outcome."""
    return min(outcomes, key=_BY_ATTENTION.index)
