"""The function security-incident-approval-handler: deliver an analyst's decision to the waiting workflow.

The command line sends `{"task_token", "decision", "analyst", "notes"?, "joined_events"?}`. The buttons in Slack send
`{"approval_id", "decision", "analyst": {"slack_user_id", "email", "name"}, "notes"?, "joined_events"?, "request_id"}`.

Every caller with permission to invoke this function is trusted to name the analyst, and to state that the decision
came from Slack (`via`). With `joined_events` a decision counts only if no further events have joined since then.

The decision `contain_creator` decides nothing about the request. It contains the creator of the key. With
several creators, `creator` names one. The decision `withdraw` withdraws the first approval or denial of two, and
`assign` makes the analyst the request's assignee. The decision `release` lifts the containment of a request that has
ended; `principal` names one of several principals.

Every response is `{"status", "message", ...}`; docs/containment.md lists the statuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, command_lines, observability
from ir_router.cases import addresses
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, assignees, audit, creators, two_people
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import (
    approval_list,
    break_glass,
    creator_request,
    invocation,
    notices,
    release_request,
    wording,
    wording_decisions,
    wording_two_people,
)
from ir_router.workflow.incident import Analyst

_NOTES_LENGTH = 1_000
_NAME_LENGTH = 200
_MOST_EVENTS = 1_000_000_000
_LIST = "list_approvals"
# Sent by -sync, which must not write the audit.
_RECORD_CHANGE = "record_access_change"
_CHANGES = frozenset({"approvers_changed", "last_approvers", "watchers_outside"})
# The alias by which -slack invokes this function. No other caller may use it.
_SLACK_ALIAS = "slack"
_WITHDRAW, _ASSIGN = "withdraw", "assign"
_OTHERS = frozenset({_ASSIGN, _WITHDRAW, creators.CONTAIN, release_request.RELEASE})
Refusal = Literal["owner", "perhaps_owner"]
# Reason in the audit log -> message to the analyst.
_REFUSED: Mapping[Refusal, str] = {
    "owner": "you own credentials that are part of this incident, so you cannot decide about it. Ask another analyst.",
    "perhaps_owner": "the owner of these credentials cannot decide about them. ir-router cannot check whether you are "
    "the owner, because Slack does not show your e-mail address as confirmed. Confirm it in your Slack profile, or ask "
    "another analyst.",
}
# None of these errors proves that the decision was lost; the workflow's receipt decides (ledger.approvals).
_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class Answer(TypedDict):
    """The response to the caller. If the approval is known, it also has the fields after `message`."""

    status: AnswerStatus
    message: str
    approval_id: NotRequired[str]
    kind: NotRequired[str]
    decision: NotRequired[str]
    decided_by: NotRequired[str | None]
    slack_user_id: NotRequired[str]
    first_slack_user_id: NotRequired[str]
    decided_at: NotRequired[str]


# The decision that this invocation recorded, as attributes of the row; None if another decision came first.
Own = Mapping[str, Any] | None


def handle(event: Mapping[str, Any], context: Any) -> Answer | dict[str, Any] | None:
    """List the requests, or record a decision and deliver it to Step Functions.

    The first decision wins; an undelivered one is retried.
    """
    if event.get("task") == _LIST:
        return approval_list.pending()
    if event.get("task") == _RECORD_CHANGE:
        _record_change(event)
        return None
    wanted = str(event.get("decision", "")).strip()
    decision = approvals.answer_of(wanted)
    other = wanted.lower() if wanted.lower() in _OTHERS else ""
    if decision is None and not other:
        return {
            "status": "unknown_decision",
            "message": "Decision not recorded: `decision` must be approve, deny, withdraw, assign, contain_creator or "
            f"release, not {str(event.get('decision'))[:50]!r}.",
        }
    analyst = _analyst(event.get("analyst"))
    if analyst is None:
        return {"status": "analyst_missing", "message": "Decision not recorded: `analyst` is required."}
    seen = event.get("joined_events")
    if seen is not None and not (type(seen) is int and 0 <= seen <= _MOST_EVENTS):
        return {
            "status": "unknown_joined_events",
            "message": "Decision not recorded: `joined_events` must be the number of joined events that you reviewed, "
            "for example 0. The message in the queue and the task list_approvals show the number.",
        }
    approval_id = _approval_id(event)
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        return {
            "status": "unknown_token",
            "message": "Nothing was done: no approval request has this token or id. Copy taskToken from the body of "
            "the message in the queue, or list the pending requests with the task list_approvals.",
        }
    observability.correlate(str(row.get("execution_name", row["approval_id"])))
    request_id = str(event.get("request_id") or getattr(context, "aws_request_id", ""))
    notes = str(event.get("notes") or "")[:_NOTES_LENGTH]
    if "required" in row and invocation.alias(context) != _SLACK_ALIAS:
        # Only -slack knows who pressed a button. Every other caller can state any user.
        analyst = {"name": analyst["name"], "via": approvals.CLI}
    refused = _refusal(row, analyst)
    if refused is not None:
        _record_refusal(row, decision or other, analyst, refused, request_id)
        return _answer(row, "not_allowed", f"Decision not recorded: {_REFUSED[refused]}")
    if "break_glass" in event or invocation.alias(context) == break_glass.ALIAS:
        if why_not := break_glass.refusal(row, decision or other, event, context):
            return _answer(row, "break_glass_refused", why_not)
        notes = break_glass.record(row, decision or other, analyst, event, request_id)
        analyst = {**analyst, "break_glass": True}
    if other == release_request.RELEASE:
        status, message = release_request.carry_out(row, str(event.get("principal") or ""), analyst, notes, request_id)
        if status in ("first_recorded", "release_started"):
            _publish("ApprovalRequested", row)
        return _answer(row, status, message)
    if other in (_ASSIGN, _WITHDRAW):
        return _change_request(row, other, analyst, event, request_id)
    if decision is None:
        status, message = creator_request.carry_out(row, str(event.get("creator") or ""), analyst)
        _publish("ApprovalRequested", row)
        return _answer(row, status, message)
    outcome, by = two_people.decide(row, decision, analyst, notes, seen, request_id)
    won = outcome == "decided"
    own = {"decision": decision, "analyst": by} if won else None
    row = approvals.get(row["approval_id"]) or row
    if outcome == "first_recorded":
        _publish("ApprovalRequested", row)
        return _answer(row, "first_recorded", wording_two_people.first_recorded(row, decision))
    if outcome == "same_person":
        return _answer(row, "same_person", wording_two_people.same_person(row, analyst))
    if seen is not None and row["state"] == approvals.PENDING:
        return _answer(row, "events_joined", _events_joined_message(row, seen, analyst))
    answer = _deliver(row, own) if row["state"] == approvals.DECIDED else _current_answer(row, own)
    if won:
        logger.info("approval.decision_recorded", extra={"approval_id": row["approval_id"], "status": answer["status"]})
        _publish("ApprovalDecided", row)
    return answer


def _change_request(row: Row, change: str, analyst: Analyst, event: Mapping[str, Any], request_id: str) -> Answer:
    """Withdraw the analyst's approval or denial, or make the analyst the assignee of the request."""
    if change == _ASSIGN:
        if row["state"] != approvals.PENDING:
            return _current_answer(row, None)
        if not assignees.assign(str(row["approval_id"]), analyst, _number(event.get("pressed_at"))):
            row = approvals.get(row["approval_id"]) or row
            if row["state"] != approvals.PENDING:
                return _current_answer(row, None)
            if row["assignee"].get("slack_user_id") != analyst.get("slack_user_id"):
                who, at = wording_decisions.decider(row["assignee"]), wording_decisions.at(row["assignee"]["at"])
                return _answer(row, "not_assigned", f"Nothing was changed: {who} has taken the request since, {at}.")
        answer = _answer(row, "assigned", f"{wording_decisions.decider(analyst)} is on it. Reminders go to this user.")
    elif not two_people.withdraw(row, analyst, _number(event.get("until")), request_id):
        return _answer(row, "not_withdrawn", "Nothing was withdrawn: you have no approval or denial that still waits.")
    else:
        answer = _answer(row, "withdrawn", "Your decision is withdrawn.")
    _publish("ApprovalRequested", row)
    return answer


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _record_change(event: Mapping[str, Any]) -> None:
    """Record in the audit that others changed who may decide or read (`sync.access_changes`)."""
    action, details = str(event.get("action")), event.get("details")
    if action in _CHANGES and isinstance(details, Mapping):
        audit.append(action, wording.AUDIT_ACTOR, dict(details), once=str(event.get("once")))


def _deliver(row: Row, own: Own) -> Answer:
    """Send the recorded decision to Step Functions. Only an accepted one is reported as approved or denied."""
    token = approvals.token_of(row["approval_id"])
    if token is None:
        return _undelivered(row, "the token has expired", own)
    try:
        aws.client("stepfunctions").send_task_success(taskToken=token, output=json.dumps(_output(row)))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        logger.warning(
            "approval.delivery_rejected: Step Functions did not accept the decision",
            extra={"approval_id": row["approval_id"], "code": code},
        )
        return _undelivered(row, code, own) if code in _GONE else _current_answer(row, own)
    except BotoCoreError as error:
        logger.warning(
            "approval.delivery_uncertain: Step Functions did not respond", extra={"error": type(error).__name__}
        )
        return _current_answer(row, own)
    approvals.delivered(row["approval_id"])
    return _current_answer({**row, "state": approvals.DELIVERED}, own)


def _undelivered(row: Row, why: str, own: Own) -> Answer:
    """Settle a decision whose token Step Functions rejects: the workflow's receipt or the execution's status counts."""
    status = _execution_status(row)
    row = approvals.get(row["approval_id"]) or row
    if row["state"] == approvals.DECIDED and status in ("ABORTED", "TIMED_OUT", "FAILED", "SUCCEEDED"):
        status = status.lower().replace("_", " ")
        approvals.too_late(row["approval_id"], f"the workflow had already ended ({status}, {why})")
        row = approvals.get(row["approval_id"]) or row
        _publish("ApprovalTimedOut", row)
    return _current_answer(row, own)


def _execution_status(row: Row) -> str:
    """Return the execution's status, or UNKNOWN if Step Functions does not respond."""
    try:
        # The status alone needs no permission to decrypt the execution's input.
        found = aws.client("stepfunctions").describe_execution(
            executionArn=row["execution"], includedData="METADATA_ONLY"
        )
        return str(found["status"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "ABORTED" if code == "ExecutionDoesNotExist" else "UNKNOWN"
    except BotoCoreError:
        return "UNKNOWN"


def _current_answer(row: Row, own: Own) -> Answer:
    """Return the response for the row's current state. The row may hold another decision than the caller's own."""
    state, decision = row["state"], str(row.get("decision", ""))
    who = wording_decisions.decider(row.get("analyst"))
    if state == approvals.EXPIRED:
        return _answer(
            row, "too_late", f"Too late: {row.get('why', 'the workflow no longer waits for it')}. {_aftermath(row)}"
        )
    if not decision:
        return _answer(row, "pending", "No decision has been made yet.")
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
        f"Decision recorded: {decision}, by {who}, {when}. It has NOT taken effect yet, because it has not reached the "
        "workflow. ir-router retries the delivery automatically.",
    )


def _aftermath(row: Row) -> str:
    """Return the current state after the deadline, and the action that an analyst can take."""
    if row["kind"] == "contain":
        was, it = ("were", "them") if len(row.get("listed", ())) > 1 else ("was", "it")
        return f"{row.get('who', 'The principal')} {was} NOT contained. Contain {it} by hand now."
    command = command_lines.release_request(row["approval_id"])
    return f"The containment stays until you release it. To release it, run: {command}"


def _answer(row: Row, status: AnswerStatus, message: str) -> Answer:
    answer: Answer = {"status": status, "message": message, "approval_id": row["approval_id"], "kind": row["kind"]}
    if row.get("decision"):
        answer["decision"] = row["decision"]
        analyst = row.get("analyst") or {}
        answer["decided_by"] = analyst.get("name")
        if analyst.get("slack_user_id"):
            answer["slack_user_id"] = analyst["slack_user_id"]
        if (analyst.get("first") or {}).get("slack_user_id"):
            answer["first_slack_user_id"] = analyst["first"]["slack_user_id"]
    if "decided_at" in row:
        answer["decided_at"] = wording_decisions.at(row["decided_at"])
    return answer


def _publish(detail_type: str, row: Row) -> None:
    """Announce the decision to Slack. A failure must not fail the decision: the workflow's receipt announces again."""
    try:
        notices.publish(detail_type, {"approval_id": row["approval_id"], "decision": row.get("decision")})
    except (BotoCoreError, ClientError, UncertainError) as error:
        logger.error(
            "approval.announcement_failed: the decision stands, but Slack was not notified",
            extra={"error": type(error).__name__},
        )


def _output(row: Row) -> dict[str, Any]:
    """Return the output for the waiting state. Address and reason stay out of the execution's history."""
    return {
        "approval_id": row["approval_id"],
        "decision": row["decision"],
        "analyst": _without_address(row["analyst"]),
        "decided_at": wording_decisions.iso(row["decided_at"]),
    }


def _without_address(analyst: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in analyst.items() if name != "email"}
    return {**found, "first": _without_address(found["first"])} if "first" in found else found


def _approval_id(event: Mapping[str, Any]) -> str | None:
    token = event.get("task_token")
    if isinstance(token, str) and token:
        return approvals.find_by_token(token)
    approval_id = event.get("approval_id")
    return approval_id if isinstance(approval_id, str) and approval_id else None


def _analyst(value: object) -> Analyst | None:
    """Return the analyst: a name from the command line, or a Slack user."""
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


def _refusal(row: Row, analyst: Analyst) -> Refusal | None:
    """Return the key in `_REFUSED` if this analyst may not decide, else None.

    A name from the command line is not an e-mail address, so it is never compared with the owners.
    """
    named = [str(owner) for owner in row.get("owners", [])]
    owners = {addresses.same_mailbox(owner) or owner for owner in named}
    email = addresses.same_mailbox(str(analyst.get("email", "")))
    if {email, analyst.get("slack_user_id")} & set(row.get("last_approvers") or ()):
        return None  # no other approver is left
    if email in owners or analyst.get("slack_user_id") in {*named, *row.get("owner_ids", [])}:
        return "owner"
    if owners and not email and analyst["via"] == approvals.SLACK:
        return "perhaps_owner"
    return None


def _events_joined_message(row: Row, seen: int, analyst: Analyst) -> str:
    """Return the message for an analyst who has not seen the latest events."""
    count = int(row.get("joined_events", 0))
    more = f"{count - seen} more {'event' if count - seen == 1 else 'events'} joined since you opened this"
    if analyst["via"] == approvals.SLACK:
        return f"Decision not recorded: {more}. Review the updated message, then press the button again."
    return f"Decision not recorded: {more}. Run the task list_approvals, then decide with joined_events {count}."


def _record_refusal(row: Row, decision: str, analyst: Analyst, reason: Refusal, request: str) -> None:
    """Write the refusal to the audit log, once for each request, however often Lambda retries it."""
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "decision": decision,
        "reason": reason,
        "via": analyst["via"],
        "slack_user_id": analyst.get("slack_user_id"),
    }
    once = f"{row['approval_id']}/refused/{request}" if request else None
    audit.append("decision_refused", approvals.actor(analyst), details, once=once)
