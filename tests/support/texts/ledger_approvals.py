"""Requests about approvals and principals that the ledger sends to DynamoDB, and their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ir_router.ledger import (
    approvals,
    assignees,
    contained_names,
    containments,
    creators,
    deciders,
    mentions,
    releases,
    two_people,
)
from ir_router.ledger.containments import Lock
from tests.support.requests_to_aws import NOW, CancelledError, conflict, requests

USER = "arn:aws:iam::111122223333:user/carol"
FAILED, HELD, MOVED = "ConditionalCheckFailed", "None", "TransactionConflict"
ROW: dict[str, Any] = {
    "approval_id": "a1", "execution": "x1", "kind": "remediate", "state": "pending", "principal": USER,
    "principals": [f"{USER}2", USER], "joined_principals": {f"{USER}4", f"{USER}3", USER}, "case_id": "12",
}  # fmt: skip
TWO = {**ROW, "required": {"approve": 2, "release": 2}}
JANE = {"name": "Jane", "email": "jane@example.com", "slack_user_id": "U1", "via": "slack"}
JOE = {"name": "Joe", "slack_user_id": "U2", "via": "slack"}
VOTE = {"decision": "approve", "analyst": JOE, "notes": "n", "seen": 3, "at": NOW - 9}
HEAD = {"month": "2026-01", "sequence": 7, "chain_hash": "h7", "record_expires_at": 1_900_000_000}

Cases = dict[str, tuple[Callable[[], Any], list[Any]]]


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    cases = _approvals() | _decisions() | _people() | _principals()
    return {name: requests(call, *answers) for name, (call, answers) in cases.items()}


def _approvals() -> Cases:
    facts = {"headline": "h", "case_id": "12"}
    id_ = approvals.id_of("x1", "contain")
    stored = conflict(PK="p", SK="s", approval_id=id_, state="decided")
    return {
        "request": (lambda: approvals.request("x1", "contain", "t", facts), []),
        "request without a case": (lambda: approvals.request("x1", "remediate", "t", {}), []),
        "request that exists": (lambda: approvals.request("x1", "contain", "t", facts), [stored]),
        "find by token": (lambda: approvals.find_by_token("t"), [{"approval_id": "a1"}]),
        "find by another token": (lambda: [approvals.find_by_token("t"), approvals.find_by_token("t")], [{"a": 1}]),
        "token": (lambda: approvals.token_of("a1"), [{"token": "t"}]),
        "no token": (lambda: [approvals.token_of("a1"), approvals.token_of("a1")], [{"a": 1}]),
        "open ids": (approvals.open_ids, [[{"index_sk": "12#a1"}, {"index_sk": "a2"}, {"index_sk": "#a3"}]]),
        "open ids of a case": (lambda: approvals.open_ids("12"), [[{"index_sk": "12#a1"}]]),
        "open": (
            lambda: [approvals.is_open({"state": one}) for one in ("pending", "decided", "delivered", "expired")],
            [],
        ),
        "shown": (lambda: approvals.note_shown("a1", "d"), []),
        "shown, unknown": (lambda: approvals.note_shown("a1", "d"), [conflict()]),
        "delivered": (lambda: approvals.delivered("a1"), []),
        "delivered before": (lambda: approvals.delivered("a1"), [conflict()]),
        "too late": (lambda: approvals.too_late("a1", "why"), []),
        "receipt": (lambda: approvals.record_receipt("a1", "approve", "Jo", "n"), [{"a": 1}]),
        "receipt of another": (lambda: approvals.record_receipt("a1", "deny", "Jo", "n"), [conflict(), {"a": 1}]),
        "receipt by one of two": (
            lambda: approvals.record_receipt("a1", "approve", "Jo", "n"),
            [conflict(required={"approve": 2})],
        ),
        "receipt by one of one": (
            lambda: approvals.record_receipt("a1", "deny", "Jo", "n"),
            [conflict(required={"approve": 2, "deny": 1})],
        ),
        "expired": (lambda: approvals.record_expired("a1", "why"), []),
        "expired, unknown": (lambda: approvals.record_expired("a1", "why"), [conflict()]),
        "case": (lambda: approvals.set_case("a1", "12"), []),
        "case, unknown": (lambda: approvals.set_case("a1", "12"), [conflict()]),
        "result": (lambda: approvals.note_result("a1", "r"), []),
        "result, unknown": (lambda: approvals.note_result("a1", "r"), [conflict()]),
        "comment": (lambda: approvals.note_comment("a1", "h"), []),
        "comment, unknown": (lambda: approvals.note_comment("a1", "h"), [conflict()]),
        "amend": (lambda: approvals.amend("a1", approve_does="a", deny_does="d"), []),
        "amend, decided": (lambda: approvals.amend("a1", approve_does="a"), [conflict()]),
        "principals": (lambda: [approvals.principals_of(ROW), approvals.principals_of({})], []),
        "names": (lambda: [approvals.actor(one) for one in (JANE, JOE, {"name": "a"}, {"email": "e"}, {})], []),
        "answers": (lambda: [approvals.answer_of(one) for one in ("Approve", "DENY", "approved", "")], []),
        "assign": (lambda: assignees.assign("a1", {**JANE, "more": 1}, NOW - 5), []),
        "assign later": (lambda: assignees.assign("a1", {"name": "a", "via": ""}, NOW + 5), []),
        "assign now": (lambda: assignees.assign("a1", JANE, None), [conflict()]),
        "approvers": (lambda: deciders.freeze("a1", ["U1"]), [conflict()]),
        "owners": (lambda: deciders.note_owners("a1", ["o"], ["U1"], ["U2"]), [conflict()]),
        "forget": (lambda: deciders.forget("a1"), [conflict()]),
        "mentions": (lambda: mentions.freeze("a1", ("U1",)), [conflict()]),
        "mentions in the case": (lambda: mentions.move_to_case("a1"), []),
    }


def _decisions() -> Cases:
    seen = {**ROW, "joined_events": 3, "votes": [VOTE]}
    breaks = {**JANE, "break_glass": True}
    known = {**TWO, "votes": [VOTE], "joined_events": 3}
    by_two: Any = {**JANE, "first": JOE, "break_glass": True}
    return {
        "decide": (lambda: approvals.decide(ROW, "approve", JANE, "n"), []),
        "decide with all": (
            lambda: approvals.decide(known, "deny", by_two, "", joined_events=3, once="o"),
            [HEAD],
        ),
        "decide of two, the first": (lambda: approvals.decide(TWO, "deny", {"name": "a"}, ""), []),
        "decide too late": (
            lambda: approvals.decide(ROW, "deny", JANE, ""),
            [None, CancelledError(FAILED, HELD, HELD)],
        ),
        "decide once more": (
            lambda: approvals.decide(ROW, "deny", JANE, "", once="o"),
            [HEAD, CancelledError(HELD, HELD, HELD, FAILED)],
        ),
        "one person": (lambda: two_people.decide(ROW, "approve", JANE, "n", None, "r"), []),
        "one person who saw less": (lambda: two_people.decide(seen, "approve", JANE, "n", 2, "r"), []),
        "one person who saw all": (lambda: two_people.decide(seen, "deny", JANE, "n", 3, ""), []),
        "first of two": (lambda: two_people.decide({**TWO, "joined_events": 2}, "approve", JANE, "n", None, "r"), []),
        "first of two, then again": (
            lambda: two_people.decide(known, "approve", JANE, "n", 4, ""),
            [None, CancelledError(FAILED, HELD, HELD), {**known, "state": "decided"}],
        ),
        "second of two": (lambda: two_people.decide(known, "approve", JANE, "n", 4, "r"), []),
        "second of two, repeated": (
            lambda: two_people.decide(known, "approve", JANE, "n", 4, "r"),
            [{"month": "2026-01", "sequence": 5, "chain": 2}, {"hash": "h"}],
        ),
        "the same of two": (lambda: two_people.decide(known, "approve", JOE, "n", 4, ""), []),
        "break glass": (lambda: two_people.decide(known, "approve", breaks, "n", None, ""), []),
        "withdraw": (
            lambda: two_people.withdraw({**known, "votes": [VOTE, {**VOTE, "analyst": JANE}]}, JOE, None, "r"),
            [],
        ),
        "withdraw none": (lambda: two_people.withdraw(known, JANE, None, ""), []),
        "withdraw an earlier one": (
            lambda: two_people.withdraw(known, JOE, NOW - 9.1, "r"),
            [{"sequence": 1, "month": "m", "chain": 0}, {"a": 1}],
        ),
        "withdraw one of then": (lambda: two_people.withdraw(known, JOE, NOW - 9, ""), []),
        "withdraw a release": (
            lambda: two_people.withdraw({**TWO, "state": "expired", "release_votes": [VOTE]}, JOE, None, ""),
            [],
        ),
        "release": (lambda: two_people.release({**TWO, "state": "expired"}, [USER], JANE, "r", "q"), []),
        "release of the second": (
            lambda: two_people.release(
                {**TWO, "state": "expired", "release_votes": [{"analyst": JOE, "principals": [USER], "at": 1}]},
                [USER, "p2"],
                JANE,
                "r",
                "",
            ),
            [],
        ),
        "release of the same": (
            lambda: two_people.release(
                {**TWO, "state": "expired", "release_votes": [{"analyst": JANE, "principals": [USER, "p3"], "at": 1}]},
                [USER, "p2"],
                JANE,
                "r",
                "",
            ),
            [],
        ),
        "release by break glass": (
            lambda: two_people.release({**TWO, "state": "expired"}, [USER], breaks, "r", ""),
            [],
        ),
        "release that expired": (
            lambda: two_people.release({**TWO, "state": "expired"}, [USER], JANE, "r", ""),
            [None, CancelledError(FAILED, HELD, HELD), None] * 10,
        ),
        "first releases": (
            lambda: [
                two_people.with_first_release({**row, "release_votes": votes}, USER, who)
                for row in (ROW, TWO)
                for who in (JANE, breaks)
                for votes in ([], [{"analyst": JOE, "principals": [USER]}], [{"analyst": JOE, "principals": []}])
            ],
            [],
        ),
        "end of a release": (lambda: releases.end(_lock(), "a1", "Jane"), []),
        "end of a release that expired": (lambda: releases.end(_lock(), "a1", "Jane"), [CancelledError(HELD, FAILED)]),
    }


def _people() -> Cases:
    offer: Any = {"who": "w", "arn": USER, "note": "n", "does": "d", "facts": {"a": 1}}
    row = {**ROW, "creators": {"c1": offer}}
    held = {"creator_c1": {"analyst": JANE}}
    options: list[dict[str, Any]] = [{"a": 1}, {"creator_result_c1": "r"}, {"creators": {"c2": {}}}, {"creators": None}]
    return {
        "creator": (lambda: creators.request(row, "c1", JANE), []),
        "creator, requested": (lambda: creators.request(row, "c1", {}), [None, CancelledError(FAILED, HELD, HELD)]),
        "creators": (lambda: creators.add("a1", {"c1": offer}), [conflict()]),
        "creators, of the permission": (
            lambda: creators.carried_over("x1"),
            [{**held, "creator_result_c1": "r", "a": 1}],
        ),
        "creators, without a permission": (lambda: creators.carried_over("x1"), []),
        "creators, results": (lambda: creators.note_result("x1", "c1", "text"), [conflict()]),
        "creators, results of both": (lambda: creators.note_result("x1", "c1", "text"), []),
        "creators, requested": (
            lambda: [
                creators.requested_row({**ROW, **held}, "c1"),
                creators.requested_row(ROW, "c1"),
                creators.requested_row({**ROW, "kind": "contain"}, "c1"),
                creators.requested_row({**ROW, "kind": "contain"}, "c1"),
            ],
            [held],
        ),
        "creators, offered": (
            lambda: [
                [*creators.offered({**row, "kind": kind, "decision": decision, **more})]
                for kind in approvals.KINDS
                for decision in ("approve", "deny", None)
                for more in options
            ],
            [],
        ),
    }


def _lock() -> Lock:
    return Lock(USER, "own", {})


def _hold(arn: str, unique_id: str | None) -> Any:
    with contained_names.locked(arn, unique_id, NOW + 60) as lock:
        return [lock.principal, lock.row]


def _principals() -> Cases:
    other = {"incident": "x1", "principal": {"id": "AIDA2", "name": "n"}}
    row = {"PK": f"CONTAINMENT#{USER}#AIDA1", **other}
    saved = {"scope": "key", "undone": None, "held": None, "named_keys": ["k"]}
    counted = {"recent": {f"{USER}2": NOW - 3_599, "arn:aws:iam::2:user/a": NOW - 1, USER: NOW - 3_601}, "version": 3}
    return {
        "lock": (lambda: containments.take(USER, NOW + 60), [{"a": 1}]),
        "lock, busy": (lambda: containments.take(USER, NOW + 60), [conflict()]),
        "lock, released": (lambda: containments.release(_lock()), [{}]),
        "lock, released in an incident": (lambda: containments.release(_lock()), [{"incident": 1}]),
        "lock, taken over": (lambda: containments.release(_lock()), [conflict()]),
        "lock, released and taken": (lambda: containments.release(_lock()), [{}, conflict()]),
        "save": (lambda: _lock().save(**saved), []),
        "save, lost": (lambda: _lock().save(scope=None), [conflict()]),
        "saving": (lambda: _lock().saving(**saved), []),
        "saved": (lambda: _lock().saved(), [{"lock_holder": "own"}]),
        "saved, lost": (lambda: _lock().saved(), []),
        "clear": (lambda: _lock().clear(), []),
        "annotate": (lambda: containments.annotate(USER, "x1", a=1, b=2), []),
        "annotate, ended": (lambda: containments.annotate(USER, "x1", a=1), [conflict()]),
        "admit": (lambda: containments.admit(USER, 3, 2), [counted]),
        "admit, after another": (lambda: containments.admit(USER, 3), [None, conflict(), counted]),
        "names, locked": (lambda: _hold(USER, None), [{"a": 1}, {}]),
        "names, of an id": (lambda: _hold(USER, "AIDA2"), [{"arn": f"{USER}9"}, other, {}]),
        "names, of another": (lambda: _hold(USER, "AIDA1"), [{"arn": USER}, other, {"incident": 1}, {}, {"a": 1}]),
        "names, row": (lambda: contained_names.row_of(USER, "AIDA2"), [other]),
        "names, row without an id": (lambda: contained_names.row_of(USER, None), [other]),
        "names, no row": (lambda: contained_names.row_of("", None), []),
        "names, row of an earlier name": (lambda: contained_names.row_of(USER, "AIDA1"), [other, {"arn": "arn:old"}]),
        "names, row of another": (lambda: contained_names.row_of(USER, "AIDA1"), [other]),
        "names, row without an incident": (lambda: contained_names.row_of(USER, "AIDA1"), [{"a": 1}]),
        "names, caller": (lambda: contained_names.row_of_caller(USER, "AIDA1"), [{"arn": "arn:old"}]),
        "names, unknown caller": (lambda: contained_names.row_of_caller("", "AIDA1"), []),
        "names, caller without an id": (lambda: contained_names.row_of_caller(USER, None), [{"a": 1}]),
        "names, renamed": (lambda: contained_names.rename(row, "new"), [conflict()]),
        "names, arn": (lambda: contained_names.arn_of(row), []),
    }
