"""Calls of contained principals: denied calls are counted on the incident, and a call that succeeds is reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ir_router import clock
from ir_router.cases.after_containment import ALWAYS_ALLOWED, APPLIED_SECONDS
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, contained_names, containments, groups, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError
from ir_router.observability import logger
from ir_router.workflow import invocation, notices, reapplication, scopes, wording
from ir_router.workflow.incident import Incident
from ir_router.workflow.phase import Phase, phase_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# A call after the containment that was denied, one that succeeded in spite of it, or any other call.
Kind = Literal["denied", "succeeded", "unrelated"]

REPORT_SECONDS = 300
_KEPT_SECONDS = 7 * 86_400
_DENIED = "denied_call"


def handle(incident: Incident, context: Any) -> bool:
    """Count a denied call of a contained principal, or report a call that succeeded.

    Returns:
        True if the call was counted and needs no alert of its own.
    """
    row = contained_names.row_of_caller(incident["actor"]["arn"], incident["actor"].get("id"))
    kind = kind_of(incident, row)
    if row is None or kind == "unrelated":
        return False
    arn = contained_names.arn_of(row)
    if kind == "denied":
        return _count(incident, arn, row)
    _report_success(incident, arn, row, context)
    return False


def kind_of(incident: Incident, row: Row | None) -> Kind:
    """Classify a call by the containment of its caller. `row` is the row of the caller."""
    if row is None or "incident" not in row or row["phase"] == containments.FAILED or "contained_at" not in row:
        return "unrelated"
    if scopes.is_key_only(row) and incident["actor"]["access_key_id"] not in row["named_keys"]:
        return "unrelated"
    moment = _moment(incident)
    if moment < float(row["contained_at"]):
        return "unrelated"
    if _DENIED in incident["detections"]:
        return "denied"
    late = moment > float(row["contained_at"]) + APPLIED_SECONDS
    return "succeeded" if late and not incident["error_code"] else "unrelated"


def counting(incidents: Sequence[Incident], arn: str, row: Row) -> TransactWriteItemTypeDef:
    """Return the counting of denied calls, oldest first, as an item of a transaction. It fails after the incident."""
    newest = incidents[-1]
    last = {
        "call": newest["event_name"],
        "at": newest["event_time"],
        "address": newest["source_ip"] or "an unknown address",
    }
    return table.update_item(
        keys.containment(arn),
        "ADD attempts :calls SET last_attempt = :last, last_attempt_at = :moment",
        "incident = :incident",
        calls=len(incidents),
        last=last,
        moment=_moment(newest),
        incident=row["incident"],
    )


def report(arn: str) -> None:
    """Write the number of denied calls to the case, at most every five minutes.

    A run that dies before the comment leaves the number unreported, and the next verification reports it.
    """
    row = containments.get(arn) or {}
    attempts, now = int(row.get("attempts", 0)), clock.now()
    if attempts == int(row.get("attempts_reported", 0)) or not row.get("case_id"):
        return
    if now < float(row.get("attempts_reported_at", 0)) + REPORT_SECONDS or not _is_ours(arn, row, now):
        return
    last = row["last_attempt"]
    text = (
        f"{wording.name_of(row['principal'])}: {attempts} denied {'call' if attempts == 1 else 'calls'} since the "
        f"containment. Last: {last['call']} at {wording.clock_time(last['at'])} from {last['address']}."
    )
    try:
        notices.comment(str(row["case_id"]), f"attempts-{row['incident']}-{arn}-{attempts}", text)
    except RefusedError as error:
        # A retry cannot help: a closed case accepts no comments.
        logger.warning("case.comment_rejected: the case has no count", extra={"code": error.code})
    containments.annotate(arn, str(row["incident"]), attempts_reported=attempts)


def _is_ours(arn: str, row: Row, now: float) -> bool:
    """Return whether this run reports the number, and no other run that saw the same row."""
    try:
        table.update(
            keys.containment(arn),
            "SET attempts_reported_at = :now",
            "incident = :incident AND (attribute_not_exists(attempts_reported_at) OR attempts_reported_at = :before)",
            now=now,
            before=row.get("attempts_reported_at", 0),
            incident=row["incident"],
        )
    except ConditionFailedError:
        return False
    return True


def _moment(incident: Incident) -> float:
    return datetime.fromisoformat(incident["event_time"]).timestamp() if incident["event_time"] else 0.0


def _count(incident: Incident, arn: str, row: Row) -> bool:
    execution = incident["execution"]["id"]
    mark = table.put_item(
        keys.deduplication(f"ATTEMPT#{groups.name_of(execution)}"),
        {"expires_at": int(clock.now()) + _KEPT_SECONDS},
        "attribute_not_exists(PK)",
    )
    try:
        table.transact([mark, counting([incident], arn, row)])
    except TransactionFailedError as failure:
        if failure.reasons[0] != "ConditionalCheckFailed":
            return False  # the incident has ended
    logger.info("containment.call_denied", extra={"incident": row["incident"], "event_id": incident["event_id"]})
    report(arn)
    return True


def _report_success(incident: Incident, arn: str, row: Row, context: Any) -> None:
    """Send an alert about the first successful call of an hour, and verify the containment."""
    execution = incident["execution"]
    if incident["event_name"] in ALWAYS_ALLOWED:
        return
    if groups.enter(groups.name_of("succeeded", arn), execution["id"])["execution"] != execution["id"]:
        return
    who = wording.name_of(row["principal"])
    headline = f"A call of the contained {who} succeeded: {incident['event_name']}. You must act by hand now."
    text = wording.lines(
        headline,
        "Check in IAM that the deny policy is attached and that all keys are disabled. Look for further credentials of "
        "this principal.",
        "",
        *wording.facts(incident),
        wording.case_line(row.get("case_id")),
        *wording.ids(incident),
    )
    name = f"{execution['name']}/succeeded"
    subject = f"ACT by hand now: {who}, its call {incident['event_name']} succeeded despite the containment"
    notices.mail(Alert(name, "HIGH", subject, text))
    notices.mention_approvers(approvals.id_of(str(row["incident"]), "remediate"), name, text)
    with containments.locked(arn, invocation.lock_until(context)) as lock:
        if lock.row.get("incident") == row["incident"] and phase_of(lock.row) is Phase.AWAITED:
            reapplication.reapply(lock)
    notices.page(name, headline, text)
