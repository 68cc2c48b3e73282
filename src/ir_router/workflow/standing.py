"""How an incident stands: whether somebody will still decide about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, containments

# After this an incident that still looks open has lost its execution: nobody will decide it.
_ABANDONED_SECONDS = approvals.WAIT_SECONDS + 7_200
# Longer than the workflow takes, with every retry, from the containment to the question, and from the decision to its
# end. An execution that has not come so far was aborted.
_STEPS_SECONDS = 1_800


class Standing(Enum):
    """AWAITED: a question is open or about to be asked. DECIDED: the decision is being carried out. ENDED: neither."""

    AWAITED = "awaited"
    DECIDED = "decided"
    ENDED = "ended"


def of(row: Mapping[str, Any]) -> Standing:
    """How the incident of a containment's row stands."""
    if row["phase"] != containments.OPEN or clock.now() > row["opened_at"] + _ABANDONED_SECONDS:
        return Standing.ENDED
    approval = approvals.get(approvals.id_of(row["incident"], "remediate"))
    if approval is None:
        return Standing.AWAITED if clock.now() < row["opened_at"] + _STEPS_SECONDS else Standing.ENDED
    if approval["state"] == approvals.PENDING:
        return Standing.AWAITED
    if approval["state"] == approvals.EXPIRED or clock.now() > float(approval.get("decided_at", 0)) + _STEPS_SECONDS:
        return Standing.ENDED
    return Standing.DECIDED
