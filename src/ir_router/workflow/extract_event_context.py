"""State "Extract Event Context": read the event, and find out whether another execution already handles it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import detections, invocation, reading
from ir_router.workflow.incident import Execution, Incident

_KEPT_DAYS = 14
# Input of an execution that handles one of several keys of an AWS Health event.
_KEY_FIELD = "ir_router_access_key_id"


def handle(task: Mapping[str, Any], context: Any) -> Incident:
    """The incident that the event describes. Raises InvalidInputError when the event cannot be read."""
    event, execution = task["event"], task["execution"]
    partition, _account = invocation.own_account(context)
    chosen = event.get(_KEY_FIELD) if isinstance(event, Mapping) else None
    facts = reading.read(event, partition=partition, access_key_id=chosen)
    found = detections.matching(event)
    band = found[0].severity if found else "NONE"
    duplicate = not _is_first(event, facts["event_id"], band, execution["id"])
    if not duplicate and chosen is None:
        _start_for_further_keys(event, execution)
    return cast("Incident", {**facts, "execution": execution, "duplicate": duplicate, "band": band})


def _is_first(event: Mapping[str, Any], event_id: str, band: str, execution_id: str) -> bool:
    """Whether this execution handles the event: nobody does yet, or this very execution (a retry of the state).

    A GuardDuty finding keeps its id when it becomes graver, and what a dry run let pass must be contained later: each
    severity and containment mode is handled once. The source is part of the key, since whoever may put events of an own
    source must not be able to use up the id of an event of AWS ("aws." is refused to them).
    """
    key = keys.detection(f"{event.get('source')}#{band}#{settings().containment_mode}#{event_id}")
    try:
        table.put(
            key,
            {"execution": execution_id, "expires_at": int(clock.now()) + _KEPT_DAYS * 86_400},
            "attribute_not_exists(PK) OR execution = :execution",
            execution=execution_id,
        )
    except ConditionFailedError as conflict:
        logger.info("another execution handles this event", extra={"other": conflict.row.get("execution")})
        return False
    return True


def _start_for_further_keys(event: Mapping[str, Any], execution: Execution) -> None:
    """AWS Health may name several keys in one event: each gets an execution of its own, this one has the first."""
    for access_key_id in reading.exposed_keys(event)[1:]:
        digest = hashlib.sha256(f"{execution['id']}|{access_key_id}".encode()).hexdigest()[:16]
        client = aws.client("stepfunctions")
        try:
            client.start_execution(
                stateMachineArn=execution["state_machine"],
                # The same name for the same key: a retry of the state starts nothing twice.
                name=f"{execution['name'][:60]}-{digest}",
                input=json.dumps({**event, _KEY_FIELD: access_key_id}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
