"""State "Extract Event Context": read the event and check whether another execution already handles it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from botocore.exceptions import ClientError

from ir_router import aws, json_text
from ir_router.ledger import unavailable
from ir_router.ledger.unavailable import LedgerUnavailableError
from ir_router.observability import logger
from ir_router.workflow import (
    accounts,
    continuing,
    creators,
    detections,
    event_claims,
    invocation,
    origin,
    reading,
    severity,
    third_parties,
    trimming,
)
from ir_router.workflow.detections import Detection
from ir_router.workflow.event_claims import Claim, Content
from ir_router.workflow.incident import INSTEAD_OF, Execution, Facts, Incident, Severity, Unclaimed

# A field in the input of an execution that handles one of several entities of an event: keys of an AWS Health event,
# actors of an attack sequence. The name is older than the actors.
_ENTITY_FIELD = "ir_router_access_key_id"
# Events that do not wait for the ledger, after this number of retries.
_GO_ON: frozenset[Severity] = frozenset({"HIGH", "CRITICAL"})
_RETRIES = 3


class Read(NamedTuple):
    """The facts of an event, its detections and their highest severity, and the name and content of its claim."""

    facts: Facts
    found: list[Detection]
    band: Severity
    name: str
    content: Content


def run_task(task: Mapping[str, Any], context: Any) -> Incident:
    """Return the incident that the event describes.

    Raises:
        InvalidInputError: The event cannot be read.
        EventNotBelievedError: The detail names another account than the one that the event comes from.
        LedgerUnavailableError: The ledger is unavailable, and the event is not grave or was not retried yet.
    """
    event, execution = task["event"], task["execution"]
    if creators.is_start(event):
        return accounts.with_names(_requested(event, execution), context)
    facts, found, band, name, content = read(event, context)
    claim, missing = _claim(name, content, event, task, goes_on=band in _GO_ON)
    duplicate = claim.handled is not None
    if _ENTITY_FIELD not in event:
        # Also for a duplicate: an update of a known event may name further entities.
        _start_for_further_entities(event, execution)
    incident = cast("Incident", {**facts, "execution": execution, "duplicate": duplicate, "band": band})
    if missing is not None:
        return accounts.with_names({**incident, "unclaimed": missing}, context)
    with unavailable.reported():
        third_parties.note_disabled(incident, event, found)
    if claim.conflict is not None:
        event_claims.report_conflict(incident, name, claim.conflict)
    if claim.handled is not None:
        continuing.report(incident, event, name, claim.handled)
        return incident
    return accounts.with_names(incident, context)


def read(event: Any, context: Any) -> Read:
    """Return the facts of an event. Raises InvalidInputError or EventNotBelievedError as `run_task` does."""
    partition, account = invocation.own_account(context)
    chosen = event.get(_ENTITY_FIELD) if isinstance(event, Mapping) else None
    found = detections.matching(event) if isinstance(event, Mapping) else []
    contained = severity.whom(found)
    facts = reading.read(event, partition=partition, entity=chosen, whom=contained)
    contains = contained is not None
    origin.check(event, facts, account, contains=contains)
    band = severity.band(found, facts.get("quiet"))
    name = event_claims.name_of(event, facts["event_id"], band, origin.member_of(facts, account))
    return Read(facts, found, band, name, event_claims.content_of(facts, contains=contains))


def _claim(
    name: str, content: Content, event: Mapping[str, Any], task: Mapping[str, Any], *, goes_on: bool
) -> tuple[Claim, Unclaimed | None]:
    """Claim the event. If the ledger stays unavailable, a grave event goes on without a claim, which is returned too.

    Raises LedgerUnavailableError for all other events. The state machine retries for ten days.
    """
    execution: Execution = task["execution"]
    try:
        with unavailable.reported():
            return event_claims.claim(name, content, execution["id"], event.get(INSTEAD_OF, execution["id"])), None
    except LedgerUnavailableError:
        if not goes_on or int(task.get("retries", 0)) < _RETRIES:
            raise
        logger.error("event.not_claimed: the ledger is unavailable", extra={"event": name})
        return Claim(None), event_claims.unclaimed(name, content)


def _requested(event: Mapping[str, Any], execution: Execution) -> Incident:
    """Return the incident of a creator whose containment an analyst requested."""
    facts, request = creators.read(event)
    name = event_claims.name_of(event, f"{facts['event_id']}#{request['creator']}", "HIGH")
    content = event_claims.content_of(facts, contains=True)
    claim = event_claims.claim(name, content, execution["id"], event.get(INSTEAD_OF, execution["id"]))
    given = {"execution": execution, "duplicate": claim.handled is not None, "band": "HIGH", "requested": request}
    return cast("Incident", {**facts, **given})


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
                input=json_text.written(trimming.fitting({**event, _ENTITY_FIELD: entity})),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
