"""Approval requests: pending, decided, delivered or expired.

Each execution has one row for each kind of approval. A retry of the state that requests it replaces the task token and
keeps the row. A conditional write lets the first decision win. Only the workflow writes `receipt`, the decision that it
received.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError
from ir_router.settings import settings

ApprovalKind = Literal["contain", "remediate"]
ApprovalState = Literal["pending", "decided", "delivered", "expired"]
KINDS: tuple[ApprovalKind, ...] = ("contain", "remediate")
# The decision of an analyst.
Answer = Literal["approve", "deny"]
# The `status` of the approval handler's response (docs/containment.md).
AnswerStatus = Literal[
    "already_decided",
    "already_released",
    "analyst_missing",
    "approved",
    "assigned",
    "break_glass_refused",
    "creator_not_offered",
    "creator_requested",
    "creator_requested_before",
    "denied",
    "events_joined",
    "first_recorded",
    "not_allowed",
    "not_assigned",
    "not_releasable",
    "not_withdrawn",
    "pending",
    "recorded",
    "release_started",
    "same_person",
    "too_late",
    "unknown_creator",
    "unknown_decision",
    "unknown_joined_events",
    "unknown_token",
    "withdrawn",
]
Via = Literal["cli", "slack", "step_functions"]

PENDING: Final = "pending"
DECIDED: Final = "decided"
DELIVERED: Final = "delivered"
EXPIRED: Final = "expired"
# Where a decision was made (`via` of its analyst).
CLI: Final = "cli"
SLACK: Final = "slack"
STEP_FUNCTIONS: Final = "step_functions"
# Added to a name that nothing verifies.
STATED = {
    CLI: " (name given on the command line)",
    STEP_FUNCTIONS: " (who sent the decision directly to Step Functions)",
}
WAIT_SECONDS = 86_400
_DAY = 86_400
_TOKEN_DAYS = 7


def answer_of(text: str) -> Answer | None:
    """Return the decision that a text names, in any letter case, or None for other texts."""
    match text.lower():
        case "approve" | "deny" as answer:
            return answer
        case _:
            return None


def actor(analyst: Mapping[str, Any]) -> str:
    """Return the analyst as the audit names them: `Name (address, Slack user id)`, as far as they are known."""
    known = ", ".join(str(analyst[name]) for name in ("email", "slack_user_id") if analyst.get(name))
    return f"{analyst.get('name', '')} ({known})" if known else str(analyst.get("name", ""))


def id_of(execution: str, kind: ApprovalKind) -> str:
    """Return the approval's id, which is the same for every attempt. `kind` is `contain` or `remediate`."""
    return hashlib.sha256(f"{execution}|{kind}".encode()).hexdigest()[:20]


def request(execution: str, kind: ApprovalKind, token: str, facts: Mapping[str, Any]) -> Row:
    """Create the approval request unless it exists, store its current token, and return its row.

    Args:
        execution: ARN of the execution.
        kind: `contain` or `remediate`.
        token: Task token of the current attempt (Step Functions).
        facts: Attributes that are shown to users. They never contain the token.
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
        **index_of({"approval_id": approval_id, "case_id": facts.get("case_id")}),
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
    """Return the id of the approval that a task token belongs to, or None."""
    row = table.get(keys.token_index(_token_hash(token)))
    return str(row["approval_id"]) if row and "approval_id" in row else None


def token_of(approval_id: str) -> str | None:
    """Return the approval's current task token, or None when it has expired."""
    row = table.get(keys.token(approval_id))
    return str(row["token"]) if row and "token" in row else None


def get(approval_id: str) -> Row | None:
    """Return the approval's row, or None."""
    return table.get(keys.approval(approval_id))


def open_ids(case_id: str | None = None) -> list[str]:
    """Return the ids of the approvals that the poller looks at: all, or those of one case.

    They wait for a decision or for its delivery, or have a message that may not be posted yet (`ledger/urgent.py`).
    """
    prefix = f"{case_id}#" if case_id else ""
    indexed = table.query_index(keys.OPEN_APPROVALS_INDEX, prefix)
    # Rows of earlier versions have the id alone.
    return [str(row["index_sk"]).rpartition("#")[2] for row in indexed]


def open_approvals() -> list[Row]:
    """Return the rows of the approvals that wait for a decision or for its delivery.

    They are current, although the index may lag behind.
    """
    return [row for row in rows_of(open_ids()) if is_open(row)]


def rows_of(ids: Sequence[str]) -> list[Row]:
    """Return the rows of these approvals."""
    return table.get_many([keys.approval(approval_id) for approval_id in ids])


def is_open(row: Row) -> bool:
    """Whether the approval waits for a decision or for its delivery."""
    return row["state"] in (PENDING, DECIDED)


def note_shown(approval_id: str, shown_as: str) -> None:
    """Store the digest of the messages of an approval, which the poller compares. Empty: compare the messages."""
    try:
        table.update(keys.approval(approval_id), "SET shown_as = :shown_as", "attribute_exists(PK)", shown_as=shown_as)
    except ConditionFailedError:
        return


def decide(
    row: Row,
    decision: Answer,
    analyst: Mapping[str, Any],
    notes: str,
    *,
    joined_events: int | None = None,
    once: str | None = None,
) -> bool:
    """Record the decision together with its audit record.

    Args:
        row: The approval's row.
        decision: `approve` or `deny`.
        analyst: `name` and `via`; from Slack also `slack_user_id`.
        notes: The analyst's reason; may be empty.
        joined_events: How many joined events the analyst saw. None: do not check.
        once: The name of this decision in the audit, if a repeated request must not decide.

    Returns:
        False when the approval is no longer pending, when further events joined that the analyst did not see, when this
        request was recorded before, or, if it needs two people, when the approvals that `row` has were changed.
    """
    covered = {} if joined_events is None else {"seen": joined_events}
    unseen = " AND (attribute_not_exists(joined_events) OR joined_events <= :seen)" if covered else ""
    same, before = unchanged(row, "votes") if "required" in row else ("", {})
    change = table.update_item(
        keys.approval(row["approval_id"]),
        "SET #state = :decided, decision = :decision, analyst = :analyst, notes = :notes, decided_at = :now",
        f"#state = :pending{unseen}{' AND ' if same else ''}{same}",
        **covered,
        **before,
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
        "principals": principals_of(row),
        "via": analyst.get("via"),
        # Users choose their names in Slack, but not their ids.
        "slack_user_id": analyst.get("slack_user_id"),
        "joined_events_seen": joined_events,
        "notes": notes,
    }
    if first := analyst.get("first"):
        details["first"] = actor(first)
    if analyst.get("break_glass"):
        details["break_glass"] = True
    try:
        written = audit.append("decision_recorded", actor(analyst), details, once=once, together_with=[change])
    except TransactionFailedError:
        return False
    return written is not None


def unchanged(row: Mapping[str, Any], name: Literal["release_votes", "votes"]) -> tuple[str, dict[str, Any]]:
    """Return the condition, with its values, that the row still has the approvals of persons that were read."""
    if row.get(name) is None:
        return f"attribute_not_exists({name})", {}
    return f"{name} = :before", {"before": row[name]}


def delivered(approval_id: str) -> None:
    """Record that Step Functions accepted the decision."""
    _close(approval_id, DELIVERED, DECIDED)


def too_late(approval_id: str, why: str) -> None:
    """Record that the execution ended without a decision. `why` is shown to users."""
    _close(approval_id, EXPIRED, PENDING, DECIDED, why=why)


def record_receipt(approval_id: str, decision: Answer, stated_name: str, notes: str) -> Row | None:
    """Record the decision that the workflow received, and return the row. Only the workflow calls this.

    If the approval handler recorded the same decision, its analyst stays. Any other decision was sent to Step Functions
    directly. The workflow carries it out, so it replaces the recorded one, with only the name that the sender stated.
    If the decision needs two people, the workflow does not carry it out, and None is returned.

    Args:
        approval_id: The approval's id.
        decision: `approve` or `deny`, as received.
        stated_name: Name in the received answer, which nothing verifies.
        notes: Notes in the received answer.
    """
    receipt = {"receipt": decision, "delivered": DELIVERED, "now": clock.now()}
    taken = "SET receipt = :receipt, #state = :delivered, received_at = :now"
    closed = "REMOVE index_pk, index_sk"
    try:
        return table.update(keys.approval(approval_id), f"{taken} {closed}", "decision = :receipt", **receipt)
    except ConditionFailedError as conflict:
        if int((conflict.row.get("required") or {}).get(decision, 1)) > 1:
            return None
        return table.update(
            keys.approval(approval_id),
            f"{taken}, decision = :receipt, analyst = :analyst, notes = :notes, decided_at = :now {closed}",
            "attribute_exists(PK)",
            analyst={"name": stated_name, "via": STEP_FUNCTIONS},
            notes=notes,
            **receipt,
        )


def record_expired(approval_id: str, why: str) -> None:
    """Record that the workflow stopped waiting without a decision. Does nothing for an unknown approval."""
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


def set_case(approval_id: str, case_id: str) -> bool:
    """Connect an approval with a case that was opened after it. Return whether the approval exists."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET case_id = :case_id, index_sk = :index_sk REMOVE no_case",
            "attribute_exists(PK)",
            case_id=case_id,
            index_sk=_index_sk(approval_id, case_id),
        )
    except ConditionFailedError:
        return False
    return True


def note_result(approval_id: str, result: str) -> bool:
    """Record the result of a decision that was carried out, as text. Return False for an unknown approval."""
    try:
        table.update(keys.approval(approval_id), "SET #result = :result", "attribute_exists(PK)", result=result)
    except ConditionFailedError:
        return False
    return True


def note_comment(approval_id: str, comment_hash: str) -> bool:
    """Record the hash of a case comment that repeats the approval's message in Slack, before the comment is written.

    Return False for an unknown approval.
    """
    try:
        table.update(
            keys.approval(approval_id), "ADD comment_hashes :hash", "attribute_exists(PK)", hash={comment_hash}
        )
    except ConditionFailedError:
        return False
    return True


def principals_of(row: Mapping[str, Any]) -> list[str]:
    """Return the ARNs of the principals that the approval's decision covers: its own first, then those that joined."""
    own = [str(arn) for arn in row.get("principals", [])]
    return list(dict.fromkeys([*own, *sorted(row.get("joined_principals", ()))]))


def amend(approval_id: str, **texts: Any) -> None:
    """Set texts of a pending approval request: the current effects of Approve and Deny, the owners, the principals."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in texts),
            "#state = :pending",
            pending=PENDING,
            **texts,
        )
    except ConditionFailedError:
        return


def _close(approval_id: str, state: ApprovalState, *before: ApprovalState, why: str | None = None) -> None:
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
        return  # the workflow has already recorded the decision


def index_of(row: Mapping[str, Any]) -> Row:
    """Return the attributes by which the poller finds an approval."""
    return {
        "index_pk": keys.OPEN_APPROVALS_INDEX,
        "index_sk": _index_sk(str(row["approval_id"]), row.get("case_id")),
    }


def _index_sk(approval_id: str, case_id: object) -> str:
    """Return the sort key in the index, by which a case finds its own approvals."""
    return f"{case_id or ''}#{approval_id}"


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
