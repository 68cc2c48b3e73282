"""The function security-incident-approval-handler: a person's decision reaches the waiting workflow.

Payloads: `{"task_token", "decision", "analyst", "notes"?, "joined_events"?}` as documented for the command line, or
`{"approval_id", "decision", "analyst": {"slack_user_id", "email", "name"}, "notes"?, "joined_events"?, "request_id"}`
from the buttons in Slack. Whoever may invoke this function is trusted to say who decides: that an analyst is recorded
as of Slack (`via`) is the caller's word too. With `joined_events` a decision counts only if no more events have joined
than its maker saw.

Every answer is `{"status", "message", ...}`; see docs/containment.md for the statuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, observability
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, audit
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import notices, wording_decisions
from ir_router.workflow.incident import Analyst

_DECISIONS = ("approve", "deny")
_NOTES_LENGTH = 1_000
_NAME_LENGTH = 200
_MOST_EVENTS = 1_000_000_000
# Who may not decide, as the audit and as people are told.
_REFUSED = {
    "owner": "the owner of the contained credentials, or of those that caused the incident, cannot decide about them.",
    "perhaps_owner": "these credentials have an owner, who may not decide, and Slack does not show your e-mail "
    "address, so that nobody can tell whether it is you. Add an e-mail address to your profile, or let somebody else "
    "decide.",
}
# None of these proves that the decision was lost: the workflow's own word does (approvals, `receipt`).
_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})

Answer = dict[str, Any]
# The decision that this invocation recorded, as attributes of the row; None when somebody was first.
Own = Mapping[str, Any] | None


def handle(event: Mapping[str, Any], context: Any) -> Answer:
    """Record the decision (the first one wins) and deliver it; one that was not delivered yet is delivered again."""
    decision = str(event.get("decision", "")).strip().lower()
    if decision not in _DECISIONS:
        return {
            "status": "unknown_decision",
            "message": f"Nothing was decided: decision is approve or deny, not {str(event.get('decision'))[:50]!r}.",
        }
    analyst = _analyst(event.get("analyst"))
    if analyst is None:
        return {"status": "analyst_missing", "message": "Nothing was decided: say who decides in the field analyst."}
    seen = event.get("joined_events")
    if seen is not None and not (type(seen) is int and 0 <= seen <= _MOST_EVENTS):
        return {
            "status": "unknown_joined_events",
            "message": "Nothing was decided: joined_events is how many events had joined when you looked, for example "
            "0; the message in the queue and the task list_approvals tell it.",
        }
    approval_id = _approval_id(event)
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        return {
            "status": "unknown_token",
            "message": "Nothing was decided: no approval belongs to this token. Take taskToken from the body of the "
            "message in the queue, or ask for what is pending with the task list_approvals.",
        }
    observability.correlate(str(row.get("execution_name", row["approval_id"])))
    refused = _refusal(row, analyst)
    if refused is not None:
        request = str(event.get("request_id") or getattr(context, "aws_request_id", ""))
        _record_refusal(row, decision, analyst, refused, request)
        return _answer(row, "not_allowed", f"Nothing was decided: {_REFUSED[refused]}")
    notes = str(event.get("notes") or "")[:_NOTES_LENGTH]
    pending = row["state"] == approvals.PENDING
    won = pending and approvals.decide(row, decision, analyst, notes, joined_events=seen)
    own = {"decision": decision, "analyst": dict(analyst)} if won else None
    row = approvals.get(row["approval_id"]) or row
    if seen is not None and row["state"] == approvals.PENDING:
        return _answer(row, "events_joined", _joined(row, seen, analyst))
    answer = _deliver(row, own) if row["state"] == approvals.DECIDED else _told(row, own)
    if won:
        logger.info("decision recorded", extra={"approval_id": row["approval_id"], "status": answer["status"]})
        _publish("ApprovalDecided", row)
    return answer


def _deliver(row: Row, own: Own) -> Answer:
    """Send the recorded decision to Step Functions; "approved" or "denied" is said only when it was taken."""
    token = approvals.token_of(row["approval_id"])
    if token is None:
        return _undelivered(row, "the token has expired", own)
    try:
        aws.client("stepfunctions").send_task_success(taskToken=token, output=json.dumps(_output(row)))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        logger.warning("the decision was not taken", extra={"approval_id": row["approval_id"], "code": code})
        return _undelivered(row, code, own) if code in _GONE else _told(row, own)
    except BotoCoreError as error:
        logger.warning("no answer to the decision", extra={"error": type(error).__name__})
        return _told(row, own)
    approvals.delivered(row["approval_id"])
    return _told({**row, "state": approvals.DELIVERED}, own)


def _undelivered(row: Row, why: str, own: Own) -> Answer:
    """Step Functions does not know the token: what the workflow itself says, or whether it runs at all, decides."""
    status = _execution_status(row)
    row = approvals.get(row["approval_id"]) or row
    if row["state"] == approvals.DECIDED and status in ("ABORTED", "TIMED_OUT", "FAILED", "SUCCEEDED"):
        approvals.too_late(row["approval_id"], f"the workflow ended before ({status.lower().replace('_', ' ')}, {why})")
        row = approvals.get(row["approval_id"]) or row
        _publish("ApprovalTimedOut", row)
    return _told(row, own)


def _execution_status(row: Row) -> str:
    """The execution's status, or UNKNOWN when Step Functions does not tell."""
    try:
        return str(aws.client("stepfunctions").describe_execution(executionArn=row["execution"])["status"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "ABORTED" if code == "ExecutionDoesNotExist" else "UNKNOWN"
    except BotoCoreError:
        return "UNKNOWN"


def _told(row: Row, own: Own) -> Answer:
    """The answer for the row as it stands, which may hold another decision than the caller's own by now."""
    state, decision = row["state"], str(row.get("decision", ""))
    who = wording_decisions.decider(row.get("analyst"))
    if state == approvals.EXPIRED:
        return _answer(row, "too_late", f"Too late: {row.get('why', 'the workflow waits no longer')}. {_left(row)}")
    if not decision:
        return _answer(row, "pending", "Nothing was decided yet.")
    when = wording_decisions.at(row["decided_at"]) if "decided_at" in row else "already"
    past = wording_decisions.PAST[decision]
    if state == approvals.DELIVERED:
        if own is None or any(row.get(name) != value for name, value in own.items()):
            return _answer(row, "already_decided", f"Already {past} by {who}, {when}.")
        does = row.get(f"{decision}_does", "")
        return _answer(row, past, f"{past.capitalize()} by {who}. The workflow now {does}")
    return _answer(
        row,
        "recorded",
        f"Recorded: {decision} by {who}, {when}. It has not reached the workflow yet and is delivered again by itself.",
    )


def _left(row: Row) -> str:
    """How it stands when it is too late to decide, and what a person can do."""
    if row["kind"] == "contain":
        return f"{row.get('who', 'The principal')} was NOT contained. Act by hand if it must be."
    commands = wording_decisions.release_commands(row.get("principals", []))
    return f"The containment stays until someone releases it. To release: {commands}"


def _answer(row: Row, status: str, message: str) -> Answer:
    answer: Answer = {"status": status, "message": message, "approval_id": row["approval_id"], "kind": row["kind"]}
    if row.get("decision"):
        answer["decision"] = row["decision"]
        analyst = row.get("analyst") or {}
        answer["decided_by"] = analyst.get("name")
        if analyst.get("slack_user_id"):
            answer["slack_user_id"] = analyst["slack_user_id"]
    if "decided_at" in row:
        answer["decided_at"] = wording_decisions.at(row["decided_at"])
    return answer


def _publish(detail_type: str, row: Row) -> None:
    """Tell Slack. A failure must not fail a decision that stands; the workflow's receipt tells once more."""
    try:
        notices.publish(detail_type, {"approval_id": row["approval_id"], "decision": row["decision"]})
    except (BotoCoreError, ClientError, UncertainError) as error:
        logger.error("the decision was not announced", extra={"error": type(error).__name__})


def _output(row: Row) -> dict[str, Any]:
    """What the waiting state gets as its result."""
    return {
        "approval_id": row["approval_id"],
        "decision": row["decision"],
        "analyst": row["analyst"],
        "notes": row.get("notes", ""),
        "decided_at": wording_decisions.iso(row["decided_at"]),
    }


def _approval_id(event: Mapping[str, Any]) -> str | None:
    token = event.get("task_token")
    if isinstance(token, str) and token:
        return approvals.find_by_token(token)
    approval_id = event.get("approval_id")
    return approval_id if isinstance(approval_id, str) and approval_id else None


def _analyst(value: object) -> Analyst | None:
    """Who decides: a name from the command line, or a person as Slack knows them."""
    if isinstance(value, str) and value.strip():
        return {"name": value.strip()[:_NAME_LENGTH], "via": approvals.CLI}
    if isinstance(value, Mapping):
        name = str(value.get("name") or value.get("email") or value.get("slack_user_id") or "").strip()
        if not name:
            return None
        analyst: Analyst = {
            "name": name[:_NAME_LENGTH],
            "via": approvals.SLACK if value.get("slack_user_id") else approvals.CLI,
        }
        if value.get("slack_user_id"):
            analyst["slack_user_id"] = str(value["slack_user_id"])
        if value.get("email"):
            analyst["email"] = str(value["email"])
        return analyst
    return None


def _refusal(row: Row, analyst: Analyst) -> str | None:
    """Why this person may not decide (of `_REFUSED`), or None. A name from the command line is no e-mail address."""
    owners = {str(owner).casefold() for owner in row.get("owners", [])}
    email = str(analyst.get("email", "")).casefold()
    if email in owners:
        return "owner"
    if owners and not email and analyst["via"] == approvals.SLACK:
        return "perhaps_owner"
    return None


def _joined(row: Row, seen: int, analyst: Analyst) -> str:
    """Why nothing was decided: events that the person did not see; and what to do."""
    now = int(row.get("joined_events", 0))
    more = f"{now - seen} more {'event' if now - seen == 1 else 'events'} joined since you opened this"
    if analyst["via"] == approvals.SLACK:
        return f"Nothing was decided: {more}. Look at the message again, then press."
    return f"Nothing was decided: {more}. Look at the task list_approvals, then decide with joined_events {now}."


def _record_refusal(row: Row, decision: str, analyst: Analyst, reason: str, request: str) -> None:
    """Leave it in the audit, once for each request, however often Lambda carries it out."""
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "decision": decision,
        "reason": reason,
        "via": analyst["via"],
        "slack_user_id": analyst.get("slack_user_id"),
    }
    once = f"{row['approval_id']}/refused/{request}" if request else None
    audit.append("decision_refused", analyst["name"], details, once=once)
