"""Claims of events: one execution handles each event, and no other event can use up its id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock
from ir_router.errors import IrRouterError
from ir_router.ledger import approvals, audit, groups, joined_events, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import notices, wording
from ir_router.workflow.incident import Facts, Incident, Severity, Unclaimed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_KEPT_DAYS = 14
_IDENTITY = ("event_name", "account", "subject", "access_key_id")
# With these, the allowlist decides about the containment.
_CALLER = ("actor", "source_ip", "vpc_endpoint_id", "addresses")
_OF_CALLS = ("event_source", "event_time", "region", "read_only", "error_code")
COUNTED = "counted by the intake"
"""In the row of an event that no execution handles, because the intake counted it (`workflow/intake.py`)."""
_CONFLICT = "Two events have the same id and different content"


@dataclass(frozen=True)
class Content:
    """Digests of the content of an event.

    `identity`: the action and its principal. `caller`: the facts that the allowlist uses, and for API calls all others.
    An update of a GuardDuty finding keeps `identity`, and may have another `caller`.
    """

    identity: str
    caller: str
    finding: bool


@dataclass(frozen=True)
class Claim:
    """The result of a claim.

    `handled` is the event's row if another execution handles it, else None. `conflict` is the execution of an event
    with the same id and another identity.
    """

    handled: Row | None
    conflict: str | None = None


def name_of(event: Mapping[str, Any], event_id: str, band: Severity, member: str = "") -> str:
    """Return the name of the event's row.

    Each severity and containment mode is handled once: a GuardDuty finding keeps its id when its severity rises, and an
    event of a dry run must be contained later. `member` is the event's account if it is not this one, so that no
    account can use up the ids of another. For this account, the rows of earlier versions stay valid.
    """
    source = "#".join(filter(None, (str(event.get("source")), member)))
    return f"{source}#{band}#{settings().containment_mode}#{event_id}"


def content_of(facts: Facts, *, contains: bool) -> Content:
    """Return the digests of an event.

    Args:
        facts: The facts of the event.
        contains: Whether a detection contains a principal. The caller of a finding matters only then, because an
            allowlist entry can stop a containment and no alert.
    """
    finding = facts.get("finding", False)
    caller = (_CALLER if contains else ()) if finding else (*_CALLER, *_OF_CALLS)
    return Content(_digest(facts, _IDENTITY), _digest(facts, caller), finding)


def claim(name: str, content: Content, execution_id: str, instead_of: str) -> Claim:
    """Claim an event for this execution, also when its state is retried.

    An event with the same id and other content gets a claim of its own. A claim ends with an execution that was
    stopped, timed out or failed before the event was handled.

    Args:
        name: The event's name.
        content: The event's content.
        execution_id: This execution.
        instead_of: The failed execution that this one replaces, or this execution.

    Raises:
        ClientError: DynamoDB or Step Functions refused a call.
    """
    first = _take(name, content, execution_id, instead_of)
    if first is None or _is_same(first, content):
        return Claim(first)
    other = _take(f"{name}#{content.identity}{content.caller}", content, execution_id, instead_of)
    conflict = str(first["execution"]) if first["identity"] != content.identity or not content.finding else None
    return Claim(other, conflict)


def claiming(name: str, content: Content, execution_id: str) -> TransactWriteItemTypeDef:
    """Return the claim of an event as an item of a transaction, which fails if another execution has claimed it.

    `execution_id` is the execution that will handle the event, or COUNTED if none will.
    """
    row = {"execution": execution_id, "expires_at": int(clock.now()) + _KEPT_DAYS * 86_400, **asdict(content)}
    return table.put_item(keys.detection(name), row, "attribute_not_exists(PK)")


def is_counted(row: Row, content: Content) -> bool:
    """Return whether the row shows that the intake has counted this event."""
    return row["execution"] == COUNTED and _is_same(row, content)


def unclaimed(name: str, content: Content) -> Unclaimed:
    """Return a claim that the ledger could not store."""
    return {"name": name, "content": asdict(content)}


def claim_later(missing: Unclaimed, execution_id: str) -> None:
    """Claim an event whose claim the ledger could not store. If another execution handles it, both go on."""
    claim(missing["name"], Content(**missing["content"]), execution_id, execution_id)


def report_conflict(incident: Incident, name: str, other: str) -> None:
    """Report two events with one id in an alert and the audit, once an hour for each id. A failure is only logged."""
    execution = incident["execution"]
    text = wording.lines(
        f"{_CONFLICT}. One of them is forged: a user or role started the workflow with an invented event.",
        "ir-router handles both. Compare the inputs of the two executions, and find the caller of StartExecution in "
        "CloudTrail.",
        "",
        *wording.facts(incident),
        f"Execution of the other event: {other}",
        *wording.ids(incident),
    )
    try:
        if groups.enter(groups.name_of("conflict", name), execution["id"])["execution"] != execution["id"]:
            return
        subject = f"FIND the sender of a forged event: {_CONFLICT[0].lower()}{_CONFLICT[1:]}"
        notices.alert_everywhere(
            Alert(f"{execution['name']}/conflict", "HIGH", subject, text, execution=execution["id"])
        )
        details = wording.record(incident) | {"other": other}
        audit.append("event_conflict", wording.AUDIT_ACTOR, details, once=f"{execution['id']}/conflict")
    except (IrRouterError, BotoCoreError, ClientError) as error:
        # The containment must not wait for this report.
        logger.error("event.conflict_not_reported", extra={"error": type(error).__name__, "other": other})


def _take(name: str, content: Content, execution_id: str, instead_of: str) -> Row | None:
    """Return the event's row if another execution handles it. If none does, this execution does."""
    row = {
        "execution": execution_id,
        "expires_at": int(clock.now()) + _KEPT_DAYS * 86_400,
        **asdict(content),
    }
    try:
        table.put(
            keys.detection(name),
            row,
            "attribute_not_exists(PK) OR execution IN (:execution, :instead_of)",
            execution=execution_id,
            instead_of=instead_of,
        )
    except ConditionFailedError as conflict:
        holder = str(conflict.row["execution"])
        if _handles(holder):
            logger.info("event.claimed_before: another execution has this id", extra={"other": holder})
            return conflict.row
        logger.warning("event.claim_released: the other execution did not handle it", extra={"other": holder})
        return _take(name, content, execution_id, holder)
    return None


def _handles(execution: str) -> bool:
    """Return whether an execution handles its event, or has handled it. A failed one has if an analyst decided.

    The status needs no permission on the encryption key:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    """
    if execution == COUNTED:
        return True
    client = aws.client("stepfunctions")
    try:
        status = client.describe_execution(executionArn=execution, includedData="METADATA_ONLY")["status"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return True  # Step Functions has deleted its history
        raise
    if status == "FAILED":
        return any(_is_decided(approvals.get(approvals.id_of(execution, kind))) for kind in approvals.KINDS)
    return status not in ("ABORTED", "TIMED_OUT")


def _is_decided(row: Row | None) -> bool:
    return row is not None and (
        row["state"] == approvals.DECIDED or approvals.answer_of(str(row.get("receipt"))) is not None
    )


def _is_same(row: Row, content: Content) -> bool:
    """Return whether the row is that of the same event. Rows of older versions have no content."""
    if "identity" not in row:
        return True
    if row["identity"] != content.identity:
        return False
    if row["caller"] == content.caller:
        return True
    # The finding led to a request, so its principal is contained, or an analyst has decided about it.
    return content.finding and joined_events.request_of(str(row["execution"])) is not None


def _digest(facts: Facts, names: tuple[str, ...]) -> str:
    # Most facts have no `addresses`.
    chosen = {name: facts[name] for name in names if name in facts}  # type: ignore[literal-required]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:24]
