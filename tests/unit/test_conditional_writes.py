"""Every condition of the ledger's writes: the write that must not happen does not, and the one that must does."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router import clock
from ir_router.ledger import allowlist, approvals, audit, claims, deciders, groups, joined_events, keys, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from ir_router.sync import failures
from ir_router.workflow import event_claims
from ir_router.workflow.event_claims import Content
from tests.support.world import World

FACTS = {"headline": "h", "owners": [], "principals": [], "approve_does": "a", "deny_does": "d"}
NEVER = "never-asked"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def all_rows() -> list[dict[str, Any]]:
    return list(boto3.resource("dynamodb").Table("ledger").scan()["Items"])


def asked(execution: str = "one", token: str = "token-1", **changes: Any) -> str:
    return str(approvals.request(execution, "remediate", token, FACTS | changes)["approval_id"])


def row_of(approval_id: str) -> dict[str, Any]:
    return approvals.get(approval_id) or {}


def test_given_an_approval_when_it_is_asked_again_then_its_row_stays_and_the_new_token_counts(world: World) -> None:
    first = asked()
    began = row_of(first)
    world.advance(100)

    assert asked(token="token-2", headline="other") == first
    assert row_of(first) == began
    assert (began["decide_by"] - began["created_at"], began["state"]) == (86_400, "pending")
    assert approvals.token_of(first) == "token-2"
    assert [approvals.find_by_token(token) for token in ("token-1", "token-2", "x")] == [first, first, None]
    assert approvals.open_ids() == [first]
    assert {round((int(row["expires_at"]) - clock.now()) / 86_400) for row in all_rows() if "token" in row} == {7}
    assert approvals.id_of("one", "contain") != first == approvals.id_of("one", "remediate")


def test_given_an_approval_that_was_never_asked_when_something_is_noted_then_no_row_is_made() -> None:
    before = all_rows()
    assert not approvals.note_result(NEVER, "done")
    assert not approvals.note_comment(NEVER, "hash")
    approvals.record_expired(NEVER, "too late")
    approvals.amend(NEVER, approve_does="a", owners=[])
    approvals.too_late(NEVER, "gone")
    with pytest.raises(ConditionFailedError):
        approvals.record_receipt(NEVER, "approve", "Jane", "")
    assert all_rows() == before

    approval_id = asked()
    assert approvals.note_result(approval_id, "done")
    assert approvals.note_comment(approval_id, "hash-1")
    assert approvals.note_comment(approval_id, "hash-2")
    assert (row_of(approval_id)["result"], row_of(approval_id)["comment_hashes"]) == ("done", {"hash-1", "hash-2"})


def test_given_a_recorded_decision_when_the_workflow_took_the_same_or_another_then_the_row_says_who_made_it() -> None:
    same, other = asked("same"), asked("other", "token-2")
    jane = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}
    assert approvals.decide(row_of(same), "approve", jane, "sure")
    assert approvals.decide(row_of(other), "approve", jane, "sure")
    assert not approvals.decide(row_of(same), "deny", jane, "")  # the first one wins

    kept = approvals.record_receipt(same, "approve", "stated", "ignored")
    replaced = approvals.record_receipt(other, "deny", "stated", "mine")

    assert kept
    assert replaced
    assert (kept["analyst"], kept["notes"], kept["decision"]) == (jane, "sure", "approve")
    assert replaced["analyst"] == {"name": "stated", "via": "step_functions"}
    assert (replaced["notes"], replaced["decision"], replaced["receipt"]) == ("mine", "deny", "deny")
    assert {kept["state"], replaced["state"]} == {"delivered"}
    assert approvals.open_ids() == []


def test_given_more_events_than_were_seen_when_decided_then_the_decision_is_not_taken() -> None:
    approval_id = asked()
    jane = {"name": "Jane", "via": "slack"}
    for execution in ("x", "y"):
        joined_events.note(approval_id, {"execution": execution, "what": execution})

    assert not approvals.decide(row_of(approval_id), "approve", jane, "", joined_events=1)
    assert row_of(approval_id)["state"] == "pending"
    assert approvals.decide(row_of(approval_id), "approve", jane, "", joined_events=2)
    assert row_of(approval_id)["state"] == "decided"


def test_given_an_approval_when_it_ends_then_only_from_the_states_before_and_the_workflows_word_stays() -> None:
    pending, decided, ended = asked("1", "t1"), asked("2", "t2"), asked("3", "t3")
    approvals.decide(row_of(decided), "deny", {"name": "Jane", "via": "cli"}, "")
    approvals.record_expired(ended, "nobody decided")

    approvals.delivered(pending)
    assert row_of(pending)["state"] == "pending"
    approvals.delivered(decided)
    assert row_of(decided)["state"] == "delivered"
    approvals.too_late(decided, "gone")
    assert row_of(decided)["state"] == "delivered"
    approvals.too_late(ended, "gone")
    assert (row_of(ended)["why"], row_of(ended)["receipt"]) == ("nobody decided", "expired")
    approvals.too_late(pending, "gone")
    assert (row_of(pending)["state"], row_of(pending)["why"]) == ("expired", "gone")
    assert "closed_at" in row_of(pending)
    assert approvals.open_ids() == []


# The audit


def test_given_two_writers_of_the_audit_when_they_meet_then_both_records_are_in_one_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert audit.append("one", "me", {}) is not None
    transact = table.transact

    def after_another(items: Any) -> None:
        monkeypatch.setattr(table, "transact", transact)
        audit.append("two", "other", {})
        transact(items)

    monkeypatch.setattr(table, "transact", after_another)
    third = audit.append("three", "me", {})

    assert third is not None
    assert third.sequence == 3
    rows = sorted((row for row in all_rows() if "previous" in row), key=lambda row: int(row["sequence"]))
    assert [row["action"] for row in rows] == ["one", "two", "three"]
    assert [row["previous"] for row in rows] == [None, rows[0]["hash"], rows[1]["hash"]]
    assert [audit.digest(table.get(keys.audit_record(row["month"], int(row["sequence"]))) or {}) for row in rows] == [
        row["hash"] for row in rows
    ]


def test_given_two_first_writers_of_the_audit_when_they_meet_then_there_is_one_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transact = table.transact

    def after_another(items: Any) -> None:
        monkeypatch.setattr(table, "transact", transact)
        audit.append("first", "other", {})
        transact(items)

    monkeypatch.setattr(table, "transact", after_another)
    second = audit.append("second", "me", {})
    assert second is not None
    assert second.sequence == 2


def test_given_a_head_that_was_lost_when_the_audit_is_written_then_no_record_is_overwritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audit.append("one", "me", {})
    before = [row for row in all_rows() if "previous" in row]
    table.delete(keys.audit_head())
    with pytest.raises(audit.AuditContendedError):
        audit.append("two", "me", {})
    assert [row for row in all_rows() if "previous" in row] == before


def test_given_a_month_that_ended_when_the_audit_goes_on_then_its_closing_is_written_once_and_never_again(
    world: World,
) -> None:
    first = audit.append("one", "me", {})
    assert first is not None
    world.advance(40 * 86_400)
    second = audit.append("two", "me", {})
    assert second is not None
    assert (second.month > first.month, second.sequence) == (True, 1)
    closing = table.get(keys.audit_closing(first.month)) or {}
    assert (closing["chain_hash"], closing["sequence"]) == (first.hash, 1)
    assert "expires_at" not in closing

    head = {name: value for name, value in (table.get(keys.audit_head()) or {}).items() if name not in ("PK", "SK")}
    table.put(keys.audit_head(), {**head, "month": first.month})
    table.delete(keys.audit_record(second.month, 1))
    with pytest.raises(audit.AuditContendedError):
        audit.append("three", "me", {})
    assert table.get(keys.audit_closing(first.month)) == closing


def test_given_a_record_with_a_name_when_it_is_written_again_then_it_is_not_and_other_conditions_are_told(
    world: World,
) -> None:
    assert audit.append("one", "me", {}, once="x") is not None
    assert audit.append("one", "me", {}, once="x") is None
    assert audit.append("one", "me", {}, once="y") is not None
    (days,) = {round((int(row["expires_at"]) - clock.now()) / 86_400) for row in all_rows() if set(row) == ONCE}
    assert days == 30
    failing = table.delete_item(keys.allowlist("ip", "x"), "attribute_exists(PK)")
    with pytest.raises(TransactionFailedError):
        audit.append("two", "me", {}, together_with=[failing])
    assert sum("previous" in row for row in all_rows()) == 2


ONCE = {"PK", "SK", "month", "sequence", "chain", "expires_at"}


def test_given_an_allowlist_when_an_entry_is_removed_twice_then_the_second_finds_none_and_records_nothing() -> None:
    allowlist.add("ip", "198.51.100.7/32", "office", "Jane", None)
    assert allowlist.remove("ip", "198.51.100.7/32", "moved", "Jane")
    assert not allowlist.remove("ip", "198.51.100.7/32", "moved", "Jane")
    actions = [(row["action"], json.loads(row["details"])["value"]) for row in all_rows() if "previous" in row]
    assert sorted(actions) == [
        ("allowlist_added", "198.51.100.7/32"),
        ("allowlist_removed", "198.51.100.7/32"),
    ]


def test_given_entries_that_expire_when_listed_then_those_that_have_are_not(world: World) -> None:
    now = int(clock.now())
    allowlist.add("ip", "a", "r", "Jane", now + 50)
    allowlist.add("ip", "b", "r", "Jane", None)
    allowlist.add("principal", "c", "r", "Jane", now + 5_000)
    assert [row["value"] for row in allowlist.entries()] == ["a", "b", "c"]
    world.advance(51)
    assert [row["value"] for row in allowlist.entries()] == ["b", "c"]


# Groups of events


def test_given_a_group_when_others_enter_within_the_hour_then_the_first_keeps_it_and_counts_each_once(
    world: World,
) -> None:
    group = groups.name_of("kind", "principal")
    assert group != groups.name_of("kind", "other")
    assert groups.enter(group, "one")["execution"] == "one"
    assert groups.enter(group, "two")["execution"] == "one"
    for execution in ("two", "two", "three"):
        groups.count("one", execution)
    assert (groups.counted("one") or {})["events"] == 2
    assert groups.counted("two") is None
    assert {round((int(row["expires_at"]) - clock.now()) / 3600) for row in all_rows()} == {26}

    assert groups.annotate(group, "one", "SET x = :x", x=1)["x"] == 1
    with pytest.raises(ConditionFailedError):
        groups.annotate(group, "two", "SET x = :x", x=2)
    assert groups.enter(group, "four", instead_of="nobody")["execution"] == "one"
    assert groups.enter(group, "four", instead_of="one")["execution"] == "four"
    world.advance(groups.SECONDS - 5)
    assert groups.enter(group, "five")["execution"] == "four"
    world.advance(6)
    assert groups.enter(group, "five")["execution"] == "five"


def test_given_an_event_when_another_execution_gets_it_then_it_is_a_duplicate_and_a_retry_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"source": "aws.iam"}
    content = Content("same", "same", finding=False)
    monkeypatch.setattr(event_claims, "_handles", lambda _execution: True)

    def is_first(event: dict[str, str], event_id: str, band: Any, execution: str) -> bool:
        name = event_claims.name_of(event, event_id, band)
        return event_claims.claim(name, content, execution, execution).handled is None

    world.become("workflow")

    assert is_first(event, "e1", "HIGH", "one")
    assert is_first(event, "e1", "HIGH", "one")
    assert not is_first(event, "e1", "HIGH", "two")
    assert is_first(event, "e1", "CRITICAL", "two")
    assert is_first(event, "e2", "HIGH", "two")
    assert is_first({"source": "own"}, "e1", "HIGH", "two")
    world.environment["IR_CONTAINMENT_MODE"] = "dry_run"
    world.become("workflow")
    assert is_first(event, "e1", "HIGH", "two")


def test_given_an_event_that_was_counted_when_it_is_claimed_in_a_transaction_then_the_first_claim_stays() -> None:
    content = Content("same", "same", finding=False)
    table.transact([event_claims.claiming("event-1", content, "one")])
    with pytest.raises(TransactionFailedError):
        table.transact([event_claims.claiming("event-1", content, "two")])
    row = table.get(keys.detection("event-1")) or {}
    assert row["execution"] == "one"
    assert round((row["expires_at"] - clock.now()) / 86_400, 3) == event_claims._KEPT_DAYS


# Claims as part of transactions


def test_given_a_claim_that_was_taken_over_or_done_when_confirmed_in_a_transaction_then_it_fails(world: World) -> None:
    key = keys.note("1234567890", "x")
    zombie = claims.take(key, settle_after=clock.now())
    world.advance(1)
    second = claims.take(key, settle_after=clock.now())
    assert isinstance(zombie, Claim)
    assert isinstance(second, Claim)

    with pytest.raises(TransactionFailedError):
        table.transact([claims.confirm_item(zombie, {"ts": "1"})])
    table.transact([claims.confirm_item(second, {"ts": "2"})])
    with pytest.raises(TransactionFailedError):
        table.transact([claims.confirm_item(second, {"ts": "3"})])
    with pytest.raises(claims.ClaimLostError):
        claims.note(second, x=1)
    with pytest.raises(claims.ClaimLostError):
        claims.refused(second)
    row = table.get(key) or {}
    assert (row["ts"], row["state"]) == ("2", "done")
    assert "refused" not in row


# Rows in and out


def test_given_rows_when_queried_then_order_limit_and_prefix_hold_and_numbers_come_back_as_they_were() -> None:
    case = "1234567890"
    for number in range(5):
        table.put(keys.note(case, f"n{number}"), {"number": number, "half": number + 0.5, "deep": {"list": [1.5, 2]}})
    pk, prefix = keys.note(case, "").pk, keys.note(case, "n").sk
    assert [row["number"] for row in table.query(pk, prefix)] == [0, 1, 2, 3, 4]
    assert [row["number"] for row in table.query(pk, prefix, descending=True, limit=2)] == [4, 3]
    assert [row["number"] for row in table.query(pk, prefix, limit=5)] == [0, 1, 2, 3, 4]
    assert list(table.query(pk, prefix + "9")) == []
    row = table.get(keys.note(case, "n3")) or {}
    assert (row["half"], row["deep"]) == (3.5, {"list": [1.5, 2]})
    assert type(row["number"]) is int
    table.delete(keys.note(case, "n3"), "half = :half", half=3.5)
    assert table.get(keys.note(case, "n3")) is None
    with pytest.raises(ConditionFailedError) as found:
        table.delete(keys.note(case, "n4"), "half = :half", half=3.5)
    assert found.value.row["half"] == 4.5


def test_given_a_case_and_its_messages_that_fail_in_one_outage_when_reported_then_only_the_first_kind_is(
    world: World,
) -> None:
    def reported(*kinds: bool) -> list[bool]:
        return [failures._is_reported_for_outage("1", of_case=of_case) for of_case in kinds]

    assert reported(False, False, True) == [True, True, False]
    assert failures._is_reported_for_outage("2", of_case=True)
    world.advance(failures._OUTAGE_SECONDS - 5)
    assert reported(True) == [False]
    world.advance(10)
    assert reported(True, True, False) == [True, True, False]


def test_given_approvers_of_a_request_when_stored_again_then_the_first_ones_stay_and_an_unknown_one_gets_no_row() -> (
    None
):
    approval_id = asked()

    deciders.freeze(approval_id, ["U1"])
    deciders.freeze(approval_id, ["U1", "U2"])
    deciders.freeze(NEVER, ["U3"])

    assert row_of(approval_id)["approvers"] == ["U1"]
    assert approvals.get(NEVER) is None
