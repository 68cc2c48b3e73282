"""Restrictions by others since a containment. A denial or release leaves them until an analyst decides a second time.

A key stays disabled in three cases: a call of another principal disabled it since the containment, it was active and
ir-router did not disable it, or a policy that restricts the user was attached since the containment. AWS attaches
AWSCompromisedKeyQuarantine (V2 to V4) to the user of a key that it found in public:
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.settings import settings
from ir_router.workflow import found_state, iam, wording
from ir_router.workflow.changes import State
from ir_router.workflow.detections import Detection
from ir_router.workflow.incident import Incident, Principal
from ir_router.workflow.principals import mapping, string

_DISABLED = "access_key_disabled"
QUARANTINE = "AWSCompromisedKeyQuarantine"
_RESTRICTS = re.compile(r"quarantine|deny", re.IGNORECASE)
# IAM may show the state before a call for some seconds.
_MARGIN_SECONDS = 5.0


def note_disabled(incident: Incident, event: Mapping[str, Any], found: Sequence[Detection]) -> None:
    """Store a call of another principal that disabled a key."""
    key = string(mapping(mapping(event.get("detail")).get("requestParameters")).get("accessKeyId"))
    if not key or not incident["event_time"] or not any(detection.id == _DISABLED for detection in found):
        return
    at = datetime.fromisoformat(incident["event_time"]).timestamp()
    row = {
        "by": wording.cut(wording.caller(incident)),
        "disabled_at": at,
        "expires_at": int(clock.now()) + settings().audit_retention_days * 86_400,
    }
    with suppress(ConditionFailedError):  # a newer call is stored
        table.put(keys.disabled_key(key), row, "attribute_not_exists(PK) OR disabled_at < :at", at=at)


def held(row: Mapping[str, Any], state: State) -> dict[str, str]:
    """Return the keys that a restoration must leave disabled, each with the reason as a clause.

    Args:
        row: The principal's containment row, or `recorded` alone if ir-router only disabled new keys.
        state: The principal in IAM.
    """
    recorded = row["recorded"]
    own = row.get("disabled_keys", recorded["keys"])
    policy = next((arn for arn in _added(recorded, state) if _RESTRICTS.search(arn)), "")
    since = float(row.get("found_at") or row.get("opened_at", 0)) - _MARGIN_SECONDS
    found: dict[str, str] = {}
    for key, status in sorted(recorded["keys"].items()):
        if status != iam.ACTIVE or state.keys.get(key) != iam.INACTIVE:
            continue
        call = table.get(keys.disabled_key(key))
        if call and float(call["disabled_at"]) >= since:
            found[key] = f"{call['by']} disabled it"
        elif key not in own:
            found[key] = "others disabled it"
        elif policy:
            name = policy.rpartition("/")[2]
            found[key] = f"{'AWS' if name.startswith(QUARANTINE) else 'another principal'} attached {name}"
    return found


def _added(recorded: Mapping[str, Any], state: State) -> list[str]:
    """Return the policies that were attached since the containment; none if an earlier version recorded the state."""
    before = found_state.policies_before(recorded)
    return [] if before is None else sorted(set(state.policies) - set(before))


def remember(row: Mapping[str, Any], principal: Principal, kept: Mapping[str, str]) -> None:
    """Store the keys that stay disabled, so that a later release can enable them."""
    if not kept:
        return
    before = waiting(principal["arn"]) or {}
    table.put(
        keys.held_keys(principal["arn"]),
        {
            "principal": dict(principal),
            "keys": {**before.get("keys", {}), **kept},
            "incident": row["incident"],
            "opened_at": row.get("opened_at"),
            "case_id": row.get("case_id"),
            "expires_at": int(clock.now()) + settings().audit_retention_days * 86_400,
        },
    )


def waiting(principal: str) -> Row | None:
    """Return the row of the keys that stayed disabled when the principal (ARN) was restored, or None."""
    return table.get(keys.held_keys(principal))


def forget(principal: str) -> None:
    """Delete the row of the keys that stayed disabled."""
    table.delete(keys.held_keys(principal))
