"""The decision `contain_creator`: start the execution that contains the creator of a key, exactly once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from botocore.exceptions import ClientError

from ir_router import aws
from ir_router.ledger import approvals
from ir_router.ledger import creators as offers
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import creators, wording_decisions
from ir_router.workflow.incident import Analyst

_EXISTS, _MISSING = "ExecutionAlreadyExists", "ExecutionDoesNotExist"


def carry_out(row: Row, wanted: str, analyst: Analyst) -> tuple[AnswerStatus, str]:
    """Record the analyst's request and start the containment.

    A repeated request starts nothing new: the execution's name is that of the incident and the creator. It does start
    an execution whose start failed the first time.

    Args:
        row: The approval request.
        wanted: The creator's id or ARN. Empty if the request has only one.
        analyst: The analyst.

    Returns:
        The response's status and message.
    """
    known = offers.of(row)
    chosen = [name for name, one in known.items() if wanted in ("", name, one["arn"])]
    if len(chosen) != 1:
        listed = ", ".join(one["arn"] for one in known.values()) or "none"
        return "unknown_creator", f"Nothing was contained: `creator` must be one of the creators: {listed}."
    creator_id = chosen[0]
    offer = known[creator_id]
    before = offers.requested_row(row, creator_id)
    if before is not None:
        return "creator_requested_before", _again(before, creator_id)
    if "facts" not in offer:
        return "creator_not_offered", f"Nothing was contained: ir-router may not contain this creator. {offer['note']}"
    if creator_id not in offers.offered(row):
        why = "this request was denied" if row.get("decision") == "deny" else "a newer request has this offer"
        return "creator_not_offered", f"Nothing was contained, because {why}."
    if not offers.request(row, creator_id, analyst):
        return "creator_requested_before", _again(approvals.get(row["approval_id"]) or row, creator_id)
    _start(row, creator_id)
    return "creator_requested", f"ir-router now {offer['does']}"


def _again(row: Row, creator_id: str) -> str:
    """Start the containment if its start failed the first time; return who requested it, when, and the result.

    A denial found the event harmless, so nothing starts after it.
    """
    by = _by(row, creator_id)
    if became := offers.result(row, creator_id):
        return f"{by}: {became}"
    if row.get("decision") != "deny":
        _start(row, creator_id)
    elif not _has_started(row, creator_id):
        return f"{by}, but it was never started, and this request was denied. Nothing was contained."
    return f"{by}."


def _name(row: Row, creator_id: str) -> str:
    digest = hashlib.sha256(f"{row['execution']}|{creator_id}".encode()).hexdigest()[:16]
    return f"{str(row['execution_name'])[:50]}-creator-{digest}"


def _has_started(row: Row, creator_id: str) -> bool:
    # The execution of the request itself belongs to the same state machine.
    arn = f"{str(row['execution']).rpartition(':')[0]}:{_name(row, creator_id)}"
    try:
        # The status alone needs no permission to decrypt the execution's input.
        aws.client("stepfunctions").describe_execution(executionArn=arn, includedData="METADATA_ONLY")
    except ClientError as error:
        if error.response["Error"]["Code"] != _MISSING:
            raise
        return False
    return True


def _start(row: Row, creator_id: str) -> None:
    try:
        aws.client("stepfunctions").start_execution(
            stateMachineArn=settings().require("state_machine_arn"),
            name=_name(row, creator_id),
            input=json.dumps(creators.start_of(row["approval_id"], creator_id)),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != _EXISTS:
            raise
    logger.info("creator.containment_started", extra={"approval_id": row["approval_id"], "creator": creator_id})


def _by(row: Mapping[str, object], creator_id: str) -> str:
    """Return who requested the containment and when."""
    request = offers.requested(row, creator_id) or {}
    who = wording_decisions.decider(request.get("analyst"))
    return f"Already requested by {who}, {wording_decisions.at(float(request.get('requested_at', 0)))}"
