"""State "Extract Event Context": read the event and check whether another execution already handles it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import continuing, creators, detections, invocation, reading, severity
from ir_router.workflow.incident import INSTEAD_OF, Execution, Incident, Severity

_KEPT_DAYS = 14
# A field in the input of an execution that handles one of several entities of an event: keys of an AWS Health event,
# actors of an attack sequence. The name is older than the actors.
_ENTITY_FIELD = "ir_router_access_key_id"


def run_task(task: Mapping[str, Any], context: Any) -> Incident:
    """Return the incident that the event describes. Raises InvalidInputError if the event cannot be read."""
    event, execution = task["event"], task["execution"]
    if creators.is_start(event):
        return _requested(event, execution)
    partition, _account = invocation.own_account(context)
    chosen = event.get(_ENTITY_FIELD) if isinstance(event, Mapping) else None
    found = detections.matching(event) if isinstance(event, Mapping) else []
    facts = reading.read(event, partition=partition, entity=chosen, whom=severity.whom(found))
    band = severity.band(found, facts.get("quiet"))
    name = _name(event, facts["event_id"], band)
    handled = _handled(name, execution["id"], event.get(INSTEAD_OF, execution["id"]))
    duplicate = handled is not None
    if chosen is None:
        # Also for a duplicate: an update of a known event may name further entities.
        _start_for_further_entities(event, execution)
    incident = cast("Incident", {**facts, "execution": execution, "duplicate": duplicate, "band": band})
    if handled is not None:
        continuing.report(incident, event, name, handled)
    return incident


def _requested(event: Mapping[str, Any], execution: Execution) -> Incident:
    """Return the incident of a creator whose containment an analyst requested."""
    facts, request = creators.read(event)
    name = _name(event, f"{facts['event_id']}#{request['creator']}", "HIGH")
    duplicate = _handled(name, execution["id"], event.get(INSTEAD_OF, execution["id"])) is not None
    given = {"execution": execution, "duplicate": duplicate, "band": "HIGH", "requested": request}
    return cast("Incident", {**facts, **given})


def _name(event: Mapping[str, Any], event_id: str, band: Severity) -> str:
    """Return the name of the event's row.

    Each severity and containment mode is handled once: a GuardDuty finding keeps its id when its severity rises, and an
    event of a dry run must be contained later. The source is part of the name: only AWS can send sources that begin
    with `aws.`, so other senders cannot use up the id of an AWS event.
    """
    return f"{event.get('source')}#{band}#{settings().containment_mode}#{event_id}"


def _handled(name: str, execution_id: str, instead_of: str) -> Row | None:
    """Return the event's row if another execution handles it. If none does, this execution does, also when retried.

    Args:
        name: The event's name.
        execution_id: This execution.
        instead_of: The failed execution that this one replaces, or this execution.
    """
    try:
        table.put(
            keys.detection(name),
            {"execution": execution_id, "expires_at": int(clock.now()) + _KEPT_DAYS * 86_400},
            "attribute_not_exists(PK) OR execution IN (:execution, :instead_of)",
            execution=execution_id,
            instead_of=instead_of,
        )
    except ConditionFailedError as conflict:
        logger.info("event.duplicate: another execution handles it", extra={"other": conflict.row.get("execution")})
        return conflict.row
    return None


def _start_for_further_entities(event: Mapping[str, Any], execution: Execution) -> None:
    """Start one execution for each further entity of the event. This execution handles the first one."""
    for entity in reading.entities(event)[1:]:
        digest = hashlib.sha256(f"{execution['id']}|{entity}".encode()).hexdigest()[:16]
        client = aws.client("stepfunctions")
        try:
            client.start_execution(
                stateMachineArn=execution["state_machine"],
                # The same name for the same entity, so that a retry of the state starts nothing twice.
                name=f"{execution['name'][:60]}-{digest}",
                input=json.dumps({**event, _ENTITY_FIELD: entity}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
