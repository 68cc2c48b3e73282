"""Let an event join the pending incident of its principal, or of its actor.

A principal joins the incident of its actor after it was contained, in one transaction with the request that covers it
(`workflow/actor_incidents.py`). Until the request exists, the event waits: the state machine retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, containments, joined_events
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.ledger.creators import Offer
from ir_router.workflow import iam, notices, request_approval, scopes, wording
from ir_router.workflow.incident import Incident, Principal, PrincipalResult
from ir_router.workflow.phase import Phase, phase_of


def joins(row: Mapping[str, Any], execution: str, principal: Principal) -> bool:
    """Whether this event joins the incident of its principal, since its decision is pending.

    Raises ContainmentBusyError while a decision is being carried out, since that decision did not cover this event.
    """
    if row.get("incident") in (None, execution):
        return False
    match phase_of(row):
        case Phase.AWAITED:
            return True
        case Phase.DECIDED:
            if not scopes.is_key_only(row):  # a denial of keys alone would not detach the policy
                iam.deny(principal)
            raise ContainmentBusyError("a decision about an earlier event is being carried out")
        case _:
            return False


def join(
    lock: Lock,
    incident: Incident,
    result: PrincipalResult,
    owners: list[str],
    creators: Mapping[str, Offer],
    *,
    added: bool,
) -> None:
    """Add this event to the approval request of the open incident.

    Owners and creators are stored with the containment first: an approval request that is just being written reads
    them there.

    Args:
        lock: The lock on the principal's containment row, which has the incident.
        incident: The event.
        result: The result for the principal, which is completed.
        owners: E-mail addresses of the users who may not decide because of this event.
        creators: The creators of keys, by their id.
        added: The principal is new in the incident.

    Raises:
        ContainmentBusyError: The request does not exist yet, or an analyst has just decided without this event.
    """
    lock.save(
        joined_owners=sorted({*lock.row.get("joined_owners", []), *owners}),
        joined_creators={**creators, **lock.row.get("joined_creators", {})},
    )
    approval_id = approvals.id_of(str(lock.row["incident"]), "remediate")
    event = {"execution": incident["execution"]["id"], "what": wording.what_happened(incident)}
    if added:
        with_row = lock.saving(
            contained_at=clock.now(),
            phase=containments.OPEN,
            deny_refused=bool(result["why"] and not result.get("keys_unknown")) or None,
            keys_unknown=result.get("keys_unknown"),
            case_id=(approvals.get(approval_id) or {}).get("case_id"),
            joined_by=event["execution"],
        )
        joined_events.note(approval_id, event, principal=lock.principal, with_row=with_row)
        lock.saved()
    else:
        joined_events.note(approval_id, event)
    joined_events.remember(approval_id, event["execution"])
    # A retry of the event that brought the principal reports the same.
    result["added"] = lock.row.get("joined_by") == event["execution"]
    result["joined_execution"] = lock.row["incident"]
    result["case_id"] = lock.row.get("case_id")
    result["approval_id"] = approval_id
    request_approval.refresh(approval_id)
    notices.publish("ApprovalRequested", {"approval_id": approval_id, "joined": True})
