"""Events that join a pending approval request, and the principals that join with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from ir_router import clock
from ir_router.ledger import approvals, keys, table
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.ledger.table import Row, TransactionFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef as Change

_KEPT_SECONDS = 7 * 86_400
_COVERED_SECONDS = 14 * 86_400
# A decision covers only the events that the analyst saw. After so many events of principals that the request lists,
# further ones are only summarised. Otherwise a steady stream of events would prevent every decision.
MOST_COUNTED = 20


def note(
    approval_id: str,
    event: Mapping[str, Any],
    *,
    principal: str | None = None,
    more: Mapping[str, Set[str]] | None = None,
    with_row: Change | None = None,
) -> None:
    """Count an event that joined the approval's incident, and keep the newest one for display.

    An event counts once, by its `execution`, however often the state is retried.

    Args:
        approval_id: The approval's id.
        event: The event's `execution`, and `what` happened.
        principal: ARN of a principal that joins with its event.
        more: Values to add to further sets of the request, by the name of the set.
        with_row: The change of that principal's row, which is made in the same transaction.

    Raises:
        ContainmentBusyError: An analyst has just decided without seeing this event, or a principal is to join a
            request that does not exist yet. A retry handles the event.
    """
    execution = hashlib.sha256(str(event["execution"]).encode()).hexdigest()[:20]
    claim = table.put_item(
        keys.deduplication(f"JOINED#{approval_id}#{execution}"),
        {"expires_at": int(clock.now()) + _KEPT_SECONDS},
        "attribute_not_exists(PK)",
    )
    joins = {"joined_principals": {principal}} if principal else {}
    adds = {**joins, **{name: set(values) for name, values in (more or {}).items() if values}}
    before = int((approvals.get(approval_id) or {}).get("joined_events", 0))
    counter = "joined_events" if joins or before < MOST_COUNTED else "summarised_events"
    count = table.update_item(
        keys.approval(approval_id),
        f"ADD {counter} :one{''.join(f', {name} :{name}' for name in adds)} SET last_joined = :event",
        "#state = :pending",
        one=1,
        event=dict(event),
        pending=approvals.PENDING,
        **adds,
    )
    changes = [claim, count, *([with_row] if with_row else [])]
    try:
        table.transact(changes)
    except TransactionFailedError as failure:
        counted_before = failure.reasons[0] == "ConditionalCheckFailed"
        if with_row is not None:
            if not counted_before or not _join_again(approval_id, str(principal), with_row):
                raise ContainmentBusyError("the incident does not take this principal at this moment") from failure
            return
        if counted_before or approvals.get(approval_id) is None:
            return  # the request does not exist yet and will read the containment's row
        raise ContainmentBusyError("an analyst decided while this event was joining the incident") from failure


def remember(approval_id: str, execution: str) -> None:
    """Store the request that covers the event of an execution, for later updates of the event (`request_of`)."""
    row = {"approval_id": approval_id, "expires_at": int(clock.now()) + _COVERED_SECONDS}
    table.put(_covered(execution), row)


def request_of(execution: str) -> Row | None:
    """Return the request of an execution after its containment, or the one that its event joined."""
    row = table.get(_covered(execution))
    return approvals.get(str(row["approval_id"]) if row else approvals.id_of(execution, "remediate"))


def _covered(execution: str) -> keys.Key:
    digest = hashlib.sha256(execution.encode()).hexdigest()[:20]
    return keys.deduplication(f"COVERED#{digest}")


def _join_again(approval_id: str, principal: str, with_row: Change) -> bool:
    """Let a principal join that was released after its event had been counted. Return whether it did."""
    again = table.update_item(
        keys.approval(approval_id),
        "ADD joined_principals :principal",
        "#state = :pending",
        principal={principal},
        pending=approvals.PENDING,
    )
    try:
        table.transact([again, with_row])
    except TransactionFailedError:
        return False
    return True
