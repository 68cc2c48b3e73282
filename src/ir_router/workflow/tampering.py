"""Events that change a contained principal: a re-enabled key, a new console password, a policy.

Such an event belongs to the incident of its target. The severity of its detection does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.errors import IrRouterError
from ir_router.ledger import contained_names
from ir_router.observability import logger
from ir_router.workflow import identity, invocation, origin, reading, sessions
from ir_router.workflow.detections import Detection
from ir_router.workflow.identity import OwnerNotShownError, Target
from ir_router.workflow.incident import Incident, Principal
from ir_router.workflow.principals import mapping, string

_REMOVING = frozenset(
    {"DetachUserPolicy", "DetachRolePolicy", "DeleteUserPolicy", "DeleteRolePolicy", "RemoveUserFromGroup"}
)
_WITH_STATUS = frozenset({"UpdateSSHPublicKey", "UpdateSigningCertificate", "UpdateServiceSpecificCredential"})
DETACHED = "deny_policy_detached"
"""The detection of a call that detaches the deny policy."""


def contained_target(
    incident: Incident, event: Mapping[str, Any], found: Sequence[Detection], context: Any
) -> Principal | None:
    """Return the contained principal that the event changed after its containment, or None.

    Args:
        incident: The facts of the event.
        event: The event as EventBridge delivered it.
        found: The detections that match the event.
        context: Lambda's context.
    """
    if not any(detection.tampering for detection in found):
        return None
    partition, own_account = invocation.own_account(context)
    target, key = reading.target(event, partition)
    if target["kind"] not in ("user", "role") or not target["name"]:
        return None
    if not target["account"] == invocation.contained_account(incident, context) == origin.of(event, own_account):
        return None
    try:
        principal = identity.resolve(Target(target, None, [key] if key else []))
    except OwnerNotShownError:
        return None
    except ClientError as error:
        if int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500:
            raise
        code = error.response["Error"]["Code"]
        logger.warning("containment.target_not_read: the event is handled like any other", extra={"code": code})
        return None
    row = contained_names.row_of(principal["arn"], principal.get("id")) if principal else None
    if row is None or "incident" not in row or "contained_at" not in row:
        return None
    moment = datetime.fromisoformat(incident["event_time"]).timestamp() if incident["event_time"] else None
    # The times of events have no fractions of a second, and a call can come between two changes of a containment.
    return principal if moment is None or moment >= int(row["opened_at"]) else None


def only_removes(event: Mapping[str, Any]) -> bool:
    """Return whether the call takes a policy, a group or a credential from a principal.

    The response team does that while it cleans up. The detection of a detached deny policy contains by itself.
    """
    detail = mapping(event.get("detail"))
    name, status = detail.get("eventName"), mapping(detail.get("requestParameters")).get("status")
    return name in _REMOVING or (name in _WITH_STATUS and status == "Inactive")


def only_detaches(found: Sequence[Detection]) -> bool:
    """Return whether the event would contain a principal only because the deny policy was detached from it."""
    return {detection.id for detection in found if detection.contains} == {DETACHED}


def is_of_others(event: Mapping[str, Any], found: Sequence[Detection], context: Any) -> bool:
    """Return whether the event detaches AWSDenyAll from a principal that ir-router has certainly not contained.

    Without a certain answer of IAM and of the ledger, the event is a change to a contained principal.
    """
    if not only_detaches(found):
        return False
    request = mapping(mapping(event.get("detail")).get("requestParameters"))
    if string(request.get("policyArn")) != sessions.deny_policy_arn():
        return False
    target, key = reading.target(event, invocation.own_account(context)[0])
    try:
        principal = identity.resolve(Target(target, None, [key] if key else []))
        if principal is None:
            return False
        names = [(principal["arn"], principal.get("id")), (target["arn"], None)]
        rows = [contained_names.row_of(arn, unique_id) for arn, unique_id in names]
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.warning("containment.target_not_known", extra={"error": type(error).__name__})
        return False
    return not any(row and "incident" in row for row in rows)
