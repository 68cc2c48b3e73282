"""The phase of an incident: whether its decision is still awaited, being carried out, or over."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, containments

# An incident that is still open after this time has lost its execution, so no decision can come.
_ABANDONED_SECONDS = approvals.WAIT_SECONDS + 7_200
# Longer than the workflow needs, with every retry, from the containment to the approval request and from the decision
# to its end. An execution that has not come so far was aborted.
_STEPS_SECONDS = 1_800


class Phase(Enum):
    """AWAITED: an approval request is open or about to be sent. DECIDED: the decision is being carried out."""

    AWAITED = "awaited"
    DECIDED = "decided"
    ENDED = "ended"


def phase_of(row: Mapping[str, Any]) -> Phase:
    """Return the phase of the incident in a containment row of the ledger."""
    if row["phase"] != containments.OPEN or clock.now() > row["opened_at"] + _ABANDONED_SECONDS:
        return Phase.ENDED
    approval = approvals.get(approvals.id_of(row["incident"], "remediate"))
    if approval is None:
        return Phase.AWAITED if clock.now() < row["opened_at"] + _STEPS_SECONDS else Phase.ENDED
    if approval["state"] == approvals.PENDING:
        return Phase.AWAITED
    if approval["state"] == approvals.EXPIRED or clock.now() > float(approval.get("decided_at", 0)) + _STEPS_SECONDS:
        return Phase.ENDED
    return Phase.DECIDED
