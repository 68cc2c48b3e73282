"""X8: the audit has a hash chain, can be verified, and stays complete with concurrent writers."""

from __future__ import annotations

import threading
from typing import Any

import boto3
import pytest

from ir_router.ledger import audit
from ir_router.ledger.audit import AuditDamagedError
from tests.support.tasks import run
from tests.support.world import World
from tests.trials.world.incidents import alerts, asked, audit_actions, audit_rows, contain, iam_state
from tests.trials.world.state_machine import StateMachine


def ledger() -> Any:
    return boto3.resource("dynamodb").Table("ledger")


def write(world: World, count: int) -> None:
    """Write some records, as the workflow's deployment."""
    run(world, "allowlist_list")
    for number in range(count):
        audit.append("tried", "test", {"number": number, "text": "ä", "nothing": None, "half": 0.5})


def test_given_an_audit_when_verified_then_it_is_valid(world: World) -> None:
    write(world, 5)

    answer = run(world, "verify_audit")

    assert answer["verified"], answer
    assert answer["records"] == 5


def test_given_no_audit_when_verified_then_it_is_valid(world: World) -> None:
    assert run(world, "verify_audit")["verified"]


@pytest.mark.parametrize("field", ["details", "actor", "at", "action", "expires_at"])
def test_given_a_record_that_was_changed_when_verified_then_it_is_named(world: World, field: str) -> None:
    write(world, 5)
    row = audit_rows()[2]
    ledger().put_item(Item=row | {field: 1 if field == "expires_at" else "changed"})

    answer = run(world, "verify_audit")

    assert answer["broken"] == {
        "month": row["month"],
        "sequence": 3,
        "why": "the record was changed after it was written",
        "chain": 0,
    }


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_given_a_record_that_was_removed_when_verified_then_it_is_named(world: World, sequence: int) -> None:
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

    assert (broken["sequence"], broken["why"]) == (4, "the record comes after the chain's end")


def test_given_a_head_that_was_removed_when_the_month_before_is_closed_then_it_is_named(world: World) -> None:
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
        except BaseException as error:  # noqa: BLE001 - the test reports it
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


def test_given_an_audit_that_takes_nothing_when_a_principal_is_contained_then_people_are_asked_all_the_same(
    world: World, machine: StateMachine
) -> None:
    world.expect(AuditDamagedError)
    boto3.client("dynamodb").put_item(TableName="ledger", Item={"PK": {"S": "AUDIT#head"}, "SK": {"S": "META"}})

    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor").keys == {key: "Inactive"}
    assert len(asked(world)) == 1
    assert any("Write Audit Log failed" in alert["Message"] for alert in alerts(world))
