"""Decisions asked of people: pending, decided, delivered or expired.

One row for each execution and kind of question; a retry of the asking state replaces the token and keeps the row.
The first decision wins by a conditional write. What the workflow itself took is written by the workflow (`receipt`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError
from ir_router.settings import settings

PENDING, DECIDED, DELIVERED, EXPIRED = "pending", "decided", "delivered", "expired"
# How a decision came (`via` of its analyst).
CLI, SLACK, STEP_FUNCTIONS = "cli", "slack", "step_functions"
# What is said behind a name that anybody may give.
STATED = {CLI: " (name as given at the command line)", STEP_FUNCTIONS: " (who answered Step Functions directly)"}
WAIT_SECONDS = 86_400
_DAY = 86_400
_TOKEN_DAYS = 7


def id_of(execution: str, kind: str) -> str:
    """The approval's id: the same for every attempt of the asking state. `kind` is `contain` or `remediate`."""
    return hashlib.sha256(f"{execution}|{kind}".encode()).hexdigest()[:20]


def request(execution: str, kind: str, token: str, facts: Mapping[str, Any]) -> Row:
    """Make the approval, or keep it as it is, and remember `token` as the way to answer it. Returns the row.

    `facts` are shown to people; they never hold the token.
    """
    approval_id = id_of(execution, kind)
    now = clock.now()
    row = {
        **facts,
        "approval_id": approval_id,
        "execution": execution,
        "kind": kind,
        "state": PENDING,
        "created_at": now,
        "decide_by": now + WAIT_SECONDS,
        "expires_at": int(now) + max(settings().audit_retention_days, _TOKEN_DAYS) * _DAY,
        "index_pk": keys.OPEN_APPROVALS_INDEX,
        "index_sk": approval_id,
    }
    try:
        table.put(keys.approval(approval_id), row, "attribute_not_exists(PK)")
    except ConditionFailedError as conflict:
        row = {name: value for name, value in conflict.row.items() if name not in ("PK", "SK")}
    expires_at = int(now) + _TOKEN_DAYS * _DAY
    table.put(keys.token(approval_id), {"token": token, "expires_at": expires_at})
    table.put(keys.token_index(_token_hash(token)), {"approval_id": approval_id, "expires_at": expires_at})
    return row


def find_by_token(token: str) -> str | None:
    """The id of the approval that the token answers, or None."""
    row = table.get(keys.token_index(_token_hash(token)))
    return str(row["approval_id"]) if row and "approval_id" in row else None


def token_of(approval_id: str) -> str | None:
    """The token that answers the approval now, or None when it has expired."""
    row = table.get(keys.token(approval_id))
    return str(row["token"]) if row and "token" in row else None


def get(approval_id: str) -> Row | None:
    """The approval's row, or None."""
    return table.get(keys.approval(approval_id))


def open_ids() -> list[str]:
    """The ids of approvals that wait for a decision or for its delivery."""
    return [str(row["index_sk"]) for row in table.query_index(keys.OPEN_APPROVALS_INDEX)]


def open_approvals() -> Iterator[Row]:
    """The rows of open approvals, as they are now (the index may lag behind)."""
    for approval_id in open_ids():
        row = get(approval_id)
        if row and row["state"] in (PENDING, DECIDED):
            yield row


def decide(
    row: Row, decision: str, analyst: Mapping[str, Any], notes: str, *, joined_events: int | None = None
) -> bool:
    """Record the decision, with its audit record, in one write. False when the approval is not pending any more.

    `joined_events`: as many had joined by what its maker saw. False, too, when more have by now.
    """
    covered = {} if joined_events is None else {"seen": joined_events}
    unseen = " AND (attribute_not_exists(joined_events) OR joined_events <= :seen)" if covered else ""
    change = table.update_item(
        keys.approval(row["approval_id"]),
        "SET #state = :decided, decision = :decision, analyst = :analyst, notes = :notes, decided_at = :now",
        f"#state = :pending{unseen}",
        **covered,
        decided=DECIDED,
        pending=PENDING,
        decision=decision,
        analyst=dict(analyst),
        notes=notes,
        now=clock.now(),
    )
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "kind": row["kind"],
        "decision": decision,
        "principal": row.get("principal"),
        "via": analyst.get("via"),
        # Names in Slack are chosen by their owners; the id is not.
        "slack_user_id": analyst.get("slack_user_id"),
        "joined_events_seen": joined_events,
        "notes": notes,
    }
    try:
        audit.append("decision_recorded", str(analyst.get("name", "")), details, together_with=[change])
    except TransactionFailedError:
        return False
    return True


def delivered(approval_id: str) -> None:
    """Step Functions took the decision."""
    _close(approval_id, DELIVERED, DECIDED)


def too_late(approval_id: str, why: str) -> None:
    """The execution is gone and did not take any decision; `why` is told to people."""
    _close(approval_id, EXPIRED, PENDING, DECIDED, why=why)


def record_receipt(approval_id: str, decision: str, stated_name: str, notes: str) -> Row:
    """The workflow's own word on which decision it took, whoever sent it; written by the workflow alone. The row.

    Who made it is what the approval handler recorded with the same decision. Any other was sent to Step Functions
    directly: it is carried out, so it takes the place of what was recorded, with no more than the name that it states.
    """
    receipt = {"receipt": decision, "delivered": DELIVERED, "now": clock.now()}
    taken = "SET receipt = :receipt, #state = :delivered, received_at = :now"
    closed = "REMOVE index_pk, index_sk"
    try:
        return table.update(keys.approval(approval_id), f"{taken} {closed}", "decision = :receipt", **receipt)
    except ConditionFailedError:
        return table.update(
            keys.approval(approval_id),
            f"{taken}, decision = :receipt, analyst = :analyst, notes = :notes, decided_at = :now {closed}",
            "attribute_exists(PK)",
            analyst={"name": stated_name, "via": STEP_FUNCTIONS},
            notes=notes,
            **receipt,
        )


def record_expired(approval_id: str, why: str) -> None:
    """The workflow's own word that it took no decision and waits no longer. An approval never asked stays unknown."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET receipt = :expired, #state = :expired, received_at = :now, why = :why REMOVE index_pk, index_sk",
            "attribute_exists(PK)",
            expired=EXPIRED,
            now=clock.now(),
            why=why,
        )
    except ConditionFailedError:
        return


def note_result(approval_id: str, result: str) -> bool:
    """What became of the decision, in words, once it is carried out. False for an approval that was never asked."""
    try:
        table.update(keys.approval(approval_id), "SET #result = :result", "attribute_exists(PK)", result=result)
    except ConditionFailedError:
        return False
    return True


def note_comment(approval_id: str, comment_hash: str) -> bool:
    """A comment that tells on the case what the approval's message shows in Slack, before it is written.

    `comment_hash` is that of its text. False for an approval that was never asked.
    """
    try:
        table.update(
            keys.approval(approval_id), "ADD comment_hashes :hash", "attribute_exists(PK)", hash={comment_hash}
        )
    except ConditionFailedError:
        return False
    return True


def note_joined(approval_id: str, event: Mapping[str, Any]) -> None:
    """One more event belongs to the incident that the approval is about; the newest one is kept to show.

    `event` names its `execution`: each is counted once, however often its state is tried again. Raises
    ContainmentBusyError when somebody decided meanwhile: they did not see this event, which is handled by itself, once
    the decision is carried out.
    """
    execution = hashlib.sha256(str(event["execution"]).encode()).hexdigest()[:20]
    claim = table.put_item(
        keys.deduplication(f"JOINED#{approval_id}#{execution}"),
        {"expires_at": int(clock.now()) + _TOKEN_DAYS * _DAY},
        "attribute_not_exists(PK)",
    )
    count = table.update_item(
        keys.approval(approval_id),
        "ADD joined_events :one SET last_joined = :event",
        "#state = :pending",
        one=1,
        event=dict(event),
        pending=PENDING,
    )
    try:
        table.transact([claim, count])
    except TransactionFailedError as failure:
        if failure.reasons[0] == "ConditionalCheckFailed" or get(approval_id) is None:
            return  # counted before; or the approval is about to be asked, and reads the containment's row then
        raise ContainmentBusyError("a decision was made while this event was joining") from failure


def amend(approval_id: str, approve_does: str, deny_does: str, owners: list[str]) -> None:
    """What the answers will do now, and who may not decide; an approval that waits no longer stays as it is."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET approve_does = :approve_does, deny_does = :deny_does, owners = :owners",
            "#state = :pending",
            approve_does=approve_does,
            deny_does=deny_does,
            owners=owners,
            pending=PENDING,
        )
    except ConditionFailedError:
        return


def _close(approval_id: str, state: str, *before: str, why: str | None = None) -> None:
    allowed = " OR ".join(f"#state = :before{number}" for number in range(len(before)))
    values: dict[str, Any] = {f"before{number}": name for number, name in enumerate(before)}
    expression = "SET #state = :state, closed_at = :now"
    if why is not None:
        expression += ", why = :why"
        values["why"] = why
    try:
        table.update(
            keys.approval(approval_id),
            f"{expression} REMOVE index_pk, index_sk",
            allowed,
            state=state,
            now=clock.now(),
            **values,
        )
    except ConditionFailedError:
        return  # the workflow's own word stands already


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
