"""X8, X12, W2, W6: the tasks that people run, and the audit that nobody can change unseen."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import Any

import boto3
import pytest

from ir_local.world import FunctionDiedError
from ir_local.world import incidents as support
from ir_local.world.incidents import alerts, asked, audit_actions, audit_rows, contain, decide, iam_state
from ir_local.world.state_machine import StateMachine
from ir_router.errors import InvalidInputError, UnknownEventError
from ir_router.ledger import audit
from tests.support.world import ACCOUNT, World

USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor"


def run(world: World, task: str, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = world.invoke("workflow", {"task": task, **fields})
    return answer


def release(world: World, **changes: Any) -> dict[str, Any]:
    return run(world, "release", **{"principal": USER, "released_by": "Jane", "reason": "checked"} | changes)


# Tasks


def test_given_an_unknown_task_when_run_then_the_known_ones_are_named(world: World) -> None:
    with pytest.raises(UnknownEventError, match="list_approvals"):
        run(world, "delete_everything")


def test_given_allowlist_entries_when_listed_and_removed_then_both_kinds_show_and_only_added_ones_go(
    world: World,
) -> None:
    world.environment["IR_ALLOWED_CIDRS"] = '["10.0.0.0/8"]'
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office"}
    added = run(world, "allowlist_add", **entry, added_by="Jane", expires_at="2099-01-01T00:00:00Z")

    listed = run(world, "allowlist_list")["entries"]
    assert [row["value"] for row in listed] == ["10.0.0.0/8", "192.0.2.7/32"]
    assert added["entry"]["expires_at"] == "2099-01-01T00:00:00Z"

    removal = {"kind": "ip", "removed_by": "Jane", "reason": "office moved"}
    run(world, "allowlist_remove", value="192.0.2.7", **removal)
    assert [row["value"] for row in run(world, "allowlist_list")["entries"]] == ["10.0.0.0/8"]
    with pytest.raises(InvalidInputError, match="There is no ip entry"):
        run(world, "allowlist_remove", value="10.0.0.0/8", **removal)
    assert audit_actions() == ["allowlist_added", "allowlist_removed"]
    assert "office moved" in audit_rows()[-1]["details"]


def test_given_an_audit_that_takes_no_record_when_the_allowlist_is_changed_then_it_is_not(world: World) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office"}
    run(world, "allowlist_add", **entry, added_by="Jane")

    for task, fields in (
        ("allowlist_add", {**entry, "value": "192.0.2.8", "added_by": "Jane"}),
        ("allowlist_remove", {**entry, "removed_by": "Jane"}),
    ):
        world.wire.kill_on("dynamodb", "TransactWriteItems", "before")
        with pytest.raises(FunctionDiedError):
            run(world, task, **fields)

    assert [row["value"] for row in run(world, "allowlist_list")["entries"]] == ["192.0.2.7/32"]
    assert audit_actions() == ["allowlist_added"]


def test_given_no_reason_when_an_entry_is_removed_then_it_is_asked_for_and_the_entry_stays(world: World) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7"}
    run(world, "allowlist_add", **entry, reason="office", added_by="Jane")

    with pytest.raises(InvalidInputError, match="needs the field reason"):
        run(world, "allowlist_remove", **entry, removed_by="Jane")

    assert len(run(world, "allowlist_list")["entries"]) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": "0.0.0.0/0"}, "would allow every address"),
        ({"value": "::/0"}, "would allow every address"),
        ({"value": "10.0.0.0/7"}, "too many addresses"),
        ({"value": "2001::/31"}, "too many addresses"),
        ({"value": "example.com"}, "neither an IP address"),
        ({"value": ""}, "needs the field value"),
        ({"reason": " "}, "needs the field reason"),
        ({"added_by": None}, "needs the field added_by"),
        ({"reason": "x" * 1001}, "more than 1000 characters"),
        ({"kind": "host"}, "kind is ip or principal"),
        ({"kind": "principal", "value": "mallory"}, "no full ARN"),
        ({"kind": "principal", "value": "*"}, "no full ARN"),
        ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:*"}, "every principal"),
        ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:user/*"}, "every principal"),
        ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:user/*y"}, "every principal"),
        ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:u*"}, "every principal"),
        ({"kind": "principal", "value": "arn:aws:iam::*:user/mallory"}, "no full ARN"),
        ({"expires_at": "tomorrow"}, "expires_at is a time"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "in the past"),
    ],
)
def test_given_a_wrong_entry_when_added_then_the_answer_tells_the_mend(
    world: World, changes: dict[str, Any], said: str
) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office", "added_by": "Jane"}

    with pytest.raises(InvalidInputError, match=said):
        run(world, "allowlist_add", **entry | changes)

    assert run(world, "allowlist_list")["entries"] == []


def test_given_somebody_who_is_not_contained_when_released_then_it_is_refused(world: World) -> None:
    with pytest.raises(InvalidInputError, match="is not contained"):
        release(world)


def test_given_a_pending_decision_when_released_then_it_is_refused(world: World, machine: StateMachine) -> None:
    contain(world, machine)

    with pytest.raises(InvalidInputError, match="still awaited"):
        release(world)

    assert iam_state(world, "backdoor").denied


def test_given_nobody_decided_when_released_then_all_is_as_before_and_on_record_and_on_the_case(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    world.advance(86_401)
    machine.advance()

    answer = release(world)

    assert answer["actions"] == [f"key {key} enabled", "deny policy detached"]
    state = iam_state(world, "backdoor")
    assert (state.keys, state.denied) == ({key: "Active"}, False)
    assert audit_actions()[-1] == "released"
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any("Released by Jane" in comment for comment in world.comments(case["caseId"]))
    with pytest.raises(InvalidInputError, match="is not contained"):
        release(world)


def test_given_a_release_that_dies_anywhere_when_run_again_then_who_and_why_are_on_record_and_people_are_told(
    world: World, machine: StateMachine
) -> None:
    deaths = 0
    for number in itertools.count(1):
        name = f"user-{number}"
        _execution, key = contain(world, machine, name)
        world.advance(86_401)
        machine.advance()
        alerts(world)
        principal = f"arn:aws:iam::{ACCOUNT}:user/{name}"
        world.wire.kill_at(number, "before")
        try:
            release(world, principal=principal, reason=f"checked {number}")
        except FunctionDiedError:
            deaths += 1
            world.advance(300)  # the dead one's lock
            with suppress(InvalidInputError):  # the last thing that a release does is forget
                release(world, principal=principal, reason=f"checked {number}")
        else:
            world.wire.spare()
            break
        state = iam_state(world, name)
        assert (state.keys, state.denied) == ({key: "Active"}, False), number
        records = [row for row in audit_rows() if f'checked {number}"' in row["details"]]
        assert [row["action"] for row in records] == ["release_requested", "released"], number
        assert {row["actor"] for row in records} == {"Jane"}
        assert any(alert["Subject"].startswith("Released by Jane") for alert in alerts(world)), number
    assert deaths > 10


def test_given_an_approved_containment_when_released_then_the_deleted_key_stays_deleted(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine, keys=2)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    release(world)

    state = iam_state(world, "backdoor")
    assert key not in state.keys
    assert list(state.keys.values()) == ["Active"]
    assert not state.denied


# The case


def test_given_a_high_incident_when_contained_then_its_case_says_what_was_done_and_how_it_ended(
    world: World, machine: StateMachine
) -> None:
    execution, _key = contain(world, machine)
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    case = world.security_ir.call("GetCase", {"caseId": row["caseId"]})
    tags = world.security_ir.call("ListTagsForResource", {"resourceArn": row["caseArn"]})["tags"]

    assert row["title"] == "HIGH: Access key created - user backdoor"
    assert case["description"].startswith("user backdoor contained.\n\nWhat: CreateAccessKey for user backdoor")
    assert "deny policy attached (verified)" in case["description"]
    assert row["title"] not in case["description"]
    assert "decision" not in case["description"].lower()  # it stands there when all is decided
    assert tags == {"severity": "High", "execution": execution.arn}
    (message,) = asked(world)
    assert message["caseId"] == row["caseId"]

    decide(world, message["taskToken"], "deny", "jane", notes="planned rotation")
    machine.advance()

    (comment,) = world.comments(row["caseId"])
    assert "Denied by jane" in comment
    assert "planned rotation" in comment


def test_given_no_membership_when_contained_then_all_else_works(world: World, machine: StateMachine) -> None:
    memberships = world.security_ir.call("ListMemberships", {})["items"]
    world.security_ir.call("CancelMembership", {"membershipId": memberships[0]["membershipId"]})

    execution, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys


def test_given_a_security_ir_that_does_not_answer_when_contained_then_the_end_is_red_and_says_so(
    world: World, machine: StateMachine
) -> None:
    world.security_ir.faults.reset_connection("CreateCase", times=None)
    execution, key = contain(world, machine)
    assert execution.path[-1] == "Wait for Analyst"

    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert key not in iam_state(world, "backdoor").keys
    assert "Missing: Open Case" in support.alerts(world)[-1]["Message"]


# The audit


def ledger() -> Any:
    return boto3.resource("dynamodb").Table("ledger")


def write(world: World, count: int) -> None:
    """Some records, as the workflow's deployment."""
    run(world, "allowlist_list")
    for number in range(count):
        audit.append("tried", "test", {"number": number, "text": "ä", "nothing": None, "half": 0.5})


def test_given_an_audit_when_verified_then_it_is_whole(world: World) -> None:
    write(world, 5)

    answer = run(world, "verify_audit")

    assert answer["verified"], answer
    assert answer["records"] == 5


def test_given_no_audit_when_verified_then_it_is_whole(world: World) -> None:
    assert run(world, "verify_audit")["verified"]


@pytest.mark.parametrize("field", ["details", "actor", "at", "action", "expires_at"])
def test_given_a_record_that_somebody_changed_when_verified_then_it_is_named(world: World, field: str) -> None:
    write(world, 5)
    row = audit_rows()[2]
    ledger().put_item(Item=row | {field: 1 if field == "expires_at" else "changed"})

    answer = run(world, "verify_audit")

    assert answer["broken"] == {
        "month": row["month"],
        "sequence": 3,
        "why": "the record was changed after it was written",
    }


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_given_a_record_that_somebody_removed_when_verified_then_it_is_named(world: World, sequence: int) -> None:
    write(world, 5)
    row = audit_rows()[sequence - 1]
    ledger().delete_item(Key={"PK": row["PK"], "SK": row["SK"]})

    broken = run(world, "verify_audit")["broken"]

    assert "missing" in broken["why"]


def test_given_a_record_rewritten_with_a_new_hash_when_verified_then_the_next_link_is_named(world: World) -> None:
    write(world, 5)
    row = audit_rows()[2]
    forged = row | {"actor": "nobody"}
    plain = {
        name: int(value) if name in ("sequence", "expires_at", "previous_expires_at") else value
        for name, value in forged.items()
    }
    ledger().put_item(Item=plain | {"hash": audit.digest(plain)})

    broken = run(world, "verify_audit")["broken"]

    assert (broken["sequence"], broken["why"]) == (4, "the record does not follow the one before it")


def test_given_a_record_added_by_hand_when_verified_then_it_is_named(world: World) -> None:
    write(world, 3)
    row = audit_rows()[2]
    ledger().put_item(Item=row | {"SK": f"{4:012d}", "sequence": 4})

    broken = run(world, "verify_audit")["broken"]

    assert (broken["sequence"], broken["why"]) == (4, "the record stands after the chain's end")


def test_given_a_head_that_somebody_removed_when_the_month_before_is_closed_then_it_is_named(world: World) -> None:
    write(world, 2)
    world.advance(40 * 86_400)
    write(world, 2)
    ledger().delete_item(Key={"PK": "AUDIT#head", "SK": "META"})

    assert run(world, "verify_audit")["broken"]["why"] == "the head is missing"


def test_given_months_gone_by_when_records_expired_then_the_chain_still_verifies(world: World) -> None:
    for _month in range(3):
        write(world, 3)
        world.advance(31 * 86_400)
    world.advance(310 * 86_400)
    write(world, 2)
    now = world.now()
    for row in audit_rows():
        if row["expires_at"] <= now:
            ledger().delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    assert 2 < len(audit_rows()) < 11

    answer = run(world, "verify_audit")

    assert answer["verified"], answer


@pytest.mark.parametrize("removed", [[5], [4, 5], [1, 2, 3, 4, 5]])
def test_given_a_head_that_claims_that_removed_records_expired_when_verified_then_they_are_missed(
    world: World, removed: list[int]
) -> None:
    write(world, 5)
    rows = audit_rows()
    for sequence in removed:
        ledger().delete_item(Key={"PK": rows[sequence - 1]["PK"], "SK": rows[sequence - 1]["SK"]})
    head = ledger().get_item(Key={"PK": "AUDIT#head", "SK": "META"})["Item"]
    ledger().put_item(Item=head | {"record_expires_at": 1})

    broken = run(world, "verify_audit")["broken"]

    assert broken["why"] == f"records {removed[0]} to 5 are missing"


def test_given_a_closing_that_claims_that_a_month_expired_when_verified_then_it_is_missed(world: World) -> None:
    write(world, 2)
    world.advance(40 * 86_400)
    write(world, 2)
    first, second, *_later = audit_rows()
    for row in (first, second):
        ledger().delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    closing = ledger().get_item(Key={"PK": "AUDIT#closing", "SK": first["month"]})["Item"]
    ledger().put_item(Item=closing | {"record_expires_at": 1})

    broken = run(world, "verify_audit")["broken"]

    assert (broken["month"], broken["why"]) == (first["month"], "records 1 to 2 are missing")


def test_given_nothing_written_for_longer_than_the_retention_when_all_expired_then_the_chain_still_verifies(
    world: World,
) -> None:
    write(world, 2)
    world.advance(500 * 86_400)
    for row in audit_rows():
        ledger().delete_item(Key={"PK": row["PK"], "SK": row["SK"]})

    assert run(world, "verify_audit")["verified"]


def test_given_the_quietest_log_level_when_something_is_recorded_then_its_hash_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    write(world, 1)

    (row,) = audit_rows()
    (line,) = [vars(entry) for entry in caplog.records if entry.name == "ir-router-audit"]
    assert (line["month"], line["sequence"], line["hash"]) == (row["month"], 1, row["hash"])
    assert not {"details", "actor"} & set(line)


def test_given_many_writers_at_once_when_all_have_written_then_the_chain_has_not_forked(world: World) -> None:
    run(world, "allowlist_list")
    failures: list[BaseException] = []

    def writer(number: int) -> None:
        try:
            for step in range(4):
                audit.append("tried", f"writer {number}", {"step": step})
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    answer = run(world, "verify_audit")
    assert answer["verified"], answer
    assert answer["records"] == 20


def test_given_a_record_made_once_when_made_again_then_there_is_one(world: World) -> None:
    run(world, "allowlist_list")
    assert audit.append("tried", "test", {}, once="the same") is not None
    assert audit.append("tried", "test", {}, once="the same") is None

    assert audit_actions() == ["tried"]
