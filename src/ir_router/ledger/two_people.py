"""Decisions that need two people: the approvals so far, who counts as another person, and withdrawals.

The rules are those of docs/containment.md, "Two people". A model of them is explored in
tests/properties/test_two_people.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ir_router import clock
from ir_router.cases import addresses
from ir_router.ledger import approvals, audit, keys, table
from ir_router.ledger.table import Row, TransactionFailedError

Outcome = Literal["closed", "decided", "events_joined", "first_recorded", "same_person"]
Votes = Literal["release_votes", "votes"]
# Concurrent decisions about one request. Each failed write means that another one was recorded.
_TRIES = 10
_WHO = ("name", "via", "slack_user_id", "email")


def required(row: Mapping[str, Any], decision: str) -> int:
    """Return how many people the decision `approve`, `deny` or `release` needs. Requests keep their first number."""
    return int((row.get("required") or {}).get(decision, 1))


def is_same_person(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two analysts may be one person, as far as it can be known.

    Nothing verifies a name from the command line, so two such names count as one person.
    """
    if one["via"] == other["via"] == approvals.CLI:
        return True
    ids = one.get("slack_user_id"), other.get("slack_user_id")
    if all(ids):
        return ids[0] == ids[1] or bool(_addresses(one) & _addresses(other))
    return _folded(one) == _folded(other) or bool(_addresses(one) & _addresses(other))


def current(row: Mapping[str, Any]) -> list[Row]:
    """Return the approvals and denials that count: their persons saw every event that has joined."""
    joined = int(row.get("joined_events", 0))
    return [one for one in row.get("votes") or () if int(one["seen"]) >= joined]


def has_own(row: Mapping[str, Any], name: Votes, user_id: str, since: float) -> bool:
    """Whether an approval, denial or release of this Slack user counts that was made since then."""
    votes = current(row) if name == "votes" else row.get("release_votes") or ()
    return any(one["analyst"].get("slack_user_id") == user_id and float(one["at"]) >= since for one in votes)


def decide(
    row: Row, decision: approvals.Answer, analyst: Mapping[str, Any], notes: str, seen: int | None, request_id: str
) -> tuple[Outcome, dict[str, Any] | None]:
    """Record one person's decision. The one that completes the number decides, in the same write.

    Args:
        row: The approval's row.
        decision: `approve` or `deny`.
        analyst: The analyst.
        notes: The analyst's reason; may be empty.
        seen: How many joined events the analyst saw. None: those that had joined by now.
        request_id: Is the same if the request is repeated. A repeated one must not undo a withdrawal.

    Returns:
        The outcome, and the analyst of a decision as the row names them, or None.
    """
    for _ in range(_TRIES):
        if row["state"] != approvals.PENDING:
            return "closed", None
        if seen is not None and seen < int(row.get("joined_events", 0)):
            return "events_joined", None
        once = _once(row, request_id)
        if once is not None and audit.recorded(once) is not None:
            return "first_recorded", None
        counted = [] if analyst.get("break_glass") else current(row)
        if any(is_same_person(one["analyst"], analyst) for one in counted):
            return "same_person", None
        agreeing = [one for one in counted if one["decision"] == decision]
        if analyst.get("break_glass") or len(agreeing) + 1 >= required(row, decision):
            by = _together(agreeing, analyst)
            known = [value for value in (seen, *(int(one["seen"]) for one in agreeing)) if value is not None]
            if approvals.decide(row, decision, by, notes, joined_events=min(known, default=None), once=once):
                return "decided", by
        elif _record(row, decision, analyst, notes, seen, once):
            return "first_recorded", None
        row = approvals.get(row["approval_id"]) or row
    return "closed", None


def _once(row: Row, request_id: str) -> str | None:
    """Return the name of a person's decision in the audit; None if one person is enough."""
    return f"{row['approval_id']}/by-one/{request_id}" if "required" in row and request_id else None


def withdraw(row: Row, analyst: Mapping[str, Any], until: float | None, request_id: str) -> bool:
    """Withdraw the person's approval or denial, or their release of an ended request. Return False if there is none.

    A repeated request must not withdraw a later one, so only those that were made `until` then are withdrawn. It
    returns True if the first one withdrew something.
    """
    once = f"{row['approval_id']}/withdrawn/{request_id}" if request_id else None
    for _ in range(_TRIES):
        name: Votes = "votes" if row["state"] == approvals.PENDING else "release_votes"
        before: list[Row] = list(row.get(name) or ())
        kept = [
            one
            for one in before
            if not _is_own(one["analyst"], analyst) or (until is not None and float(one["at"]) > until)
        ]
        if len(kept) == len(before):
            return once is not None and audit.recorded(once) is not None
        if _replace(row, name, kept, "decision_withdrawn", analyst, {}, once=once):
            return True
        row = approvals.get(row["approval_id"]) or row
    return False


def release(
    row: Row, principals: Sequence[str], analyst: Mapping[str, Any], reason: str, request_id: str
) -> list[str] | None:
    """Record one person's release, and return the principals that enough people have released by now.

    Return None if nothing was recorded: the request has expired, or it changed with every attempt.
    """
    for _ in range(_TRIES):
        before: list[Row] = list(row.get("release_votes") or ())
        alone = bool(analyst.get("break_glass"))
        own = [] if alone else [one for one in before if is_same_person(one["analyst"], analyst)]
        missing = set(principals) - {arn for one in own for arn in one["principals"]}
        once = _once(row, request_id)
        if not missing or (once is not None and audit.recorded(once) is not None):
            return [arn for arn in principals if is_released_by_enough(row, arn)]
        vote = {"analyst": _known(analyst), "principals": list(principals), "reason": reason, "at": clock.now()}
        details = {"principals": list(principals), "reason": reason}
        others = [one for one in before if one not in own]
        kept = [{**one, "principals": [arn for arn in one["principals"] if arn not in principals]} for one in own]
        after = [*others, *(one for one in kept if one["principals"]), vote]
        if _replace(row, "release_votes", after, "release_requested_by_one", analyst, details, once=once):
            row = {**row, "release_votes": after}
            return [arn for arn in principals if is_released_by_enough(row, arn)]
        row = approvals.get(row["approval_id"]) or row
    return None


def with_first_release(row: Row, principal: str, analyst: Mapping[str, Any]) -> dict[str, Any]:
    """Return the analyst whose release takes effect, with the person who released the principal before, if any."""
    if required(row, "release") < 2 or analyst.get("break_glass"):
        return dict(analyst)
    votes = [one for one in row.get("release_votes") or () if principal in one["principals"]]
    return _together([one for one in votes if not is_same_person(one["analyst"], analyst)], analyst)


def is_released_by_enough(row: Mapping[str, Any], principal: str) -> bool:
    """Whether enough people, or a break-glass release, have released the principal."""
    votes = [one for one in row.get("release_votes") or () if principal in one["principals"]]
    if required(row, "release") < 2 or any(one["analyst"].get("break_glass") for one in votes):
        return True
    return any(not is_same_person(one["analyst"], votes[0]["analyst"]) for one in votes)


def _together(first: Sequence[Row], analyst: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second analyst, with the first one."""
    return {**analyst, **({"first": dict(first[0]["analyst"])} if first else {})}


def _record(
    row: Row, decision: str, analyst: Mapping[str, Any], notes: str, seen: int | None, once: str | None
) -> bool:
    seen = int(row.get("joined_events", 0)) if seen is None else seen
    vote = {"decision": decision, "analyst": _known(analyst), "notes": notes, "seen": seen, "at": clock.now()}
    # An earlier one of the same person no longer counts, since events joined.
    others = [one for one in row.get("votes") or () if not is_same_person(one["analyst"], analyst)]
    details = {"decision": decision, "notes": notes, "joined_events_seen": seen}
    return _replace(row, "votes", [*others, vote], "decision_recorded_first", analyst, details, seen=seen, once=once)


def _replace(
    row: Row,
    name: Votes,
    after: list[Row],
    action: str,
    analyst: Mapping[str, Any],
    details: Mapping[str, Any],
    seen: int | None = None,
    once: str | None = None,
) -> bool:
    """Replace the approvals that were read, together with the audit record. Return False if they have changed."""
    condition, values = approvals.unchanged(row, name)
    if name == "votes":
        condition += " AND #state = :pending"
        values["pending"] = approvals.PENDING
    else:  # a request that has expired must not get a row without its other attributes
        condition += " AND attribute_exists(PK)"
    if seen is not None:
        condition += " AND (attribute_not_exists(joined_events) OR joined_events <= :seen)"
        values["seen"] = seen
    change = table.update_item(
        keys.approval(row["approval_id"]), f"SET {name} = :after", condition, after=after, **values
    )
    record = {"approval_id": row["approval_id"], "execution": row["execution"], "kind": row["kind"], **details}
    record |= {"via": analyst.get("via"), "slack_user_id": analyst.get("slack_user_id")}
    try:
        audit.append(action, approvals.actor(analyst), record, once=once, together_with=[change])
    except TransactionFailedError:
        return False
    return True


def _known(analyst: Mapping[str, Any]) -> dict[str, Any]:
    return {name: analyst[name] for name in (*_WHO, "break_glass") if analyst.get(name)}


def _addresses(analyst: Mapping[str, Any]) -> set[str]:
    # Users choose their names in Slack, so only a name from the command line may be an address.
    names = ("email", "name") if analyst["via"] == approvals.CLI else ("email",)
    found = (addresses.same_mailbox(str(analyst.get(name) or "")) for name in names)
    return {address for address in found if address}


def _is_own(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a recorded analyst is this one. A name from the command line must not withdraw the approval of a user."""
    return bool(one["via"] == other["via"] and one.get("slack_user_id") == other.get("slack_user_id"))


def _folded(analyst: Mapping[str, Any]) -> str:
    return " ".join(str(analyst.get("name", "")).casefold().split())
