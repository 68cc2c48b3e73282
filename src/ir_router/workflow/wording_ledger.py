"""The texts of alerts while the ledger is unavailable. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.workflow import wording, wording_alerts
from ir_router.workflow.incident import ContainmentResult, EarlierState, Incident, Principal

_FIND = (
    "Find the cause now: run make verify, and look for calls of DisableKey, ScheduleKeyDeletion, PutKeyPolicy and "
    "DeleteTable in CloudTrail."
)
_WAITS = (
    "No analyst can decide yet. ir-router verifies the containment every five minutes. When the ledger is back, it "
    "sends the approval request. It waits for ten days."
)
_BY_HAND = (
    "To restore the principal by hand before that, stop the execution first. Then enable the keys that were active and "
    "detach the deny policy, unless it was attached before."
)
UNCERTAIN = (
    "ir-router could not complete the containment, and retries it. Check in IAM that the deny policy is attached and "
    "that the keys are disabled."
)
_NOT_CONTAINED_YET = "ir-router handles the event when the ledger is back. It waits for ten days."
_NOT_RECORDED = (
    "ir-router records the event and sends the regular alert when the ledger is back. It waits for ten days."
)


def contained(
    incident: Incident, states: Sequence[tuple[Principal, EarlierState]], result: ContainmentResult | None, cause: str
) -> str:
    """Return the text of an alert about a containment without the ledger.

    Args:
        incident: The incident.
        states: The principals that ir-router contains, with their state before.
        result: The result, or None if it is uncertain.
        cause: DynamoDB's error.
    """
    done = wording.actions(result["principals"]) if result else []
    reasons = [wording.reason(part) for part in result["principals"] if part["why"]] if result else []
    return wording.lines(
        wording.outcome_of(result) if result else UNCERTAIN,
        _unavailable(cause),
        *([_WAITS, _BY_HAND, *(_before(*state) for state in states)] if states else [_NOT_CONTAINED_YET]),
        "",
        *wording.facts(incident),
        f"Done: {'; '.join(done)}" if done else "",
        *reasons,
        *wording.ids(incident),
    )


def alerted(incident: Incident, cause: str) -> str:
    """Return the text of an alert about an event that is not contained."""
    return wording.lines(_unavailable(cause), _NOT_RECORDED, "", wording_alerts.alert_only(incident, grouped=False))


def _unavailable(cause: str) -> str:
    return f"{cause or 'The ledger is unavailable'}. {_FIND}".replace("..", ".")


def _before(principal: Principal, state: EarlierState) -> str:
    keys = [f"{key} {status.lower()}" for key, status in state["keys"].items()]
    keys += ["access keys unknown"] if "unlisted" in state else []
    denied = f"the deny policy was {'attached' if state['denied'] else 'not attached'}"
    return f"Before the containment of {wording.name_of(principal)}: {', '.join([*keys, denied])}."
