"""E2: under load, writers of the audit use further chains. The main chain ties them, and their order can be proved."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Literal

import boto3
import pytest

from ir_router.ledger import audit, keys, table
from ir_router.ledger.audit import AuditContendedError, AuditDamagedError
from ir_router.ledger.table import TransactionFailedError
from tests.support.tasks import run
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

OTHER = 3


def write(world: World, *chains: int) -> list[audit.Record]:
    """Write a record in each of these chains, as the workflow's deployment, and return the records."""
    run(world, "allowlist_list")
    records = []
    for number, chain in enumerate(chains):
        audit._writer.chain = chain
        record = audit.append("tried", "test", {"number": number})
        assert record
        records.append(record)
    audit.forget()
    return records


def tie(world: World) -> None:
    world.invoke("workflow", {"task": "witness_audit"})


def broken(world: World) -> tuple[int, int, str]:
    answer = run(world, "verify_audit")
    assert not answer["verified"]
    return answer["broken"]["chain"], answer["broken"]["sequence"], answer["broken"]["why"]


def ledger() -> Any:
    return boto3.resource("dynamodb").Table("ledger")


def row_of(record: audit.Record) -> dict[str, Any]:
    return table.get(keys.audit_record(record.month, record.sequence, record.chain)) or {}


def replace(record: audit.Record, **values: Any) -> dict[str, Any]:
    """Change a record and give it the hash of its new content, as an attacker would."""
    row = {**row_of(record), **values}
    row["hash"] = audit.digest(row)
    table.put(keys.audit_record(record.month, record.sequence, record.chain), row)
    return row


def with_head(chain: int, row: dict[str, Any]) -> None:
    """Let the head of a chain name this record, as an attacker would."""
    head = {"month": row["month"], "sequence": row["sequence"], "chain_hash": row["hash"]}
    table.put(keys.audit_head(chain), {**head, "record_expires_at": row["expires_at"]})


def test_given_records_in_several_chains_when_tied_then_all_verify_and_the_main_chain_names_each(world: World) -> None:
    records = write(world, 0, OTHER, 0, OTHER, 7)

    tie(world)
    tie(world)

    answer = run(world, "verify_audit")
    assert (answer["verified"], answer["records"]) == (True, 6), answer
    (tied,) = [row for row in audit_rows() if row["action"] == audit.TIED]
    assert audit.heads_of(tied) == {
        chain: audit.Position(record.month, record.sequence, record.hash)
        for chain, record in ((OTHER, records[3]), (7, records[4]))
    }
    assert [row_of(record).get("after", "").endswith(records[0].hash) for record in records[:2]] == [False, True]


def test_given_a_tie_when_other_chains_grow_then_the_next_names_only_these(world: World) -> None:
    write(world, 0, OTHER, 7)
    tie(world)
    write(world, 7)
    tie(world)

    ties = [audit.heads_of(row).keys() for row in audit_rows() if row["action"] == audit.TIED]
    assert ties == [{OTHER, 7}, {7}]
    assert run(world, "verify_audit")["verified"]


def test_given_writers_that_are_always_faster_when_a_record_is_written_then_it_goes_to_another_chain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(world, 0)
    transact = table.transact
    tried: list[int] = []

    def overtaken(items: Any) -> None:
        audit_items = [item["Put"]["Item"] for item in items]
        chain = int(audit_items[0].get("chain", {"N": "0"})["N"])
        tried.append(chain)
        if chain == audit.MAIN:
            raise TransactionFailedError(["ConditionalCheckFailed", "ConditionalCheckFailed"])
        transact(items)

    monkeypatch.setattr(random, "randrange", lambda _chains: OTHER)
    monkeypatch.setattr(table, "transact", overtaken)
    first, second = audit.append("tried", "test", {}), audit.append("tried", "test", {})

    assert tried == [0, 0, 0, OTHER, OTHER]
    assert first
    assert second
    assert [(record.chain, record.sequence) for record in (first, second)] == [(OTHER, 1), (OTHER, 2)]


@pytest.mark.parametrize("lost", [0, OTHER])
def test_given_a_lost_head_when_a_record_is_written_then_the_chain_is_not_begun_a_second_time(
    world: World, lost: int
) -> None:
    write(world, lost)
    rows = audit_rows()
    table.delete(keys.audit_head(lost))
    audit._writer.chain = lost

    with pytest.raises(AuditContendedError):
        audit.append("tried", "test", {})

    assert audit_rows() == rows
    assert broken(world) == (lost, 1, "the head is missing")


def test_given_a_tied_chain_whose_head_is_lost_when_tied_then_the_task_fails(world: World) -> None:
    write(world, 0, OTHER)
    tie(world)
    table.delete(keys.audit_head(OTHER))
    world.expect(AuditDamagedError)

    assert world.try_invoke("workflow", {"task": "witness_audit"}).error is not None


def _changed(records: list[audit.Record]) -> None:
    row = {**row_of(records[1]), "actor": "someone else"}
    table.put(keys.audit_record(row["month"], row["sequence"], OTHER), row)


def _rewritten_to_the_end(records: list[audit.Record]) -> None:
    first = replace(records[1], actor="someone else")
    with_head(OTHER, replace(records[2], previous=first["hash"]))


def _end_removed(records: list[audit.Record]) -> None:
    with_head(OTHER, row_of(records[1]))
    table.delete(keys.audit_record(records[2].month, 2, OTHER))


def _all_removed(records: list[audit.Record]) -> None:
    for key in (
        keys.audit_record(records[1].month, 1, OTHER),
        keys.audit_record(records[2].month, 2, OTHER),
        keys.audit_head(OTHER),
    ):
        table.delete(key)


def _moved_to_another_chain(records: list[audit.Record]) -> None:
    row = {name: value for name, value in row_of(records[1]).items() if name not in ("PK", "SK")}
    table.put(keys.audit_record(records[1].month, 1, 5), row)
    with_head(5, row_of(records[1]))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (_changed, (OTHER, 1, "the record was changed after it was written")),
        (_rewritten_to_the_end, (OTHER, 2, "record 2 of the main chain in 2026-01 names another record here")),
        (_end_removed, (OTHER, 2, "the main chain names this record, but it is missing")),
        (_all_removed, (OTHER, 2, "the head is missing")),
        (_moved_to_another_chain, (5, 1, f"the record belongs to chain {OTHER}")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_given_a_tied_chain_when_it_is_damaged_then_the_first_broken_link_is_named(
    world: World, damage: Callable[[list[audit.Record]], None], expected: tuple[int, int, str]
) -> None:
    records = write(world, 0, OTHER, OTHER)
    tie(world)
    assert run(world, "verify_audit")["verified"]

    damage(records)

    found = broken(world)
    assert (found[:2], found[2].replace(records[0].month, "2026-01")) == (expected[:2], expected[2])


@pytest.mark.parametrize("damage", [_end_removed, _all_removed])
def test_given_missing_tied_records_when_their_chain_goes_on_in_a_later_month_then_they_are_still_named(
    world: World, damage: Callable[[list[audit.Record]], None]
) -> None:
    records = write(world, 0, OTHER, OTHER)
    tie(world)
    damage(records)

    world.advance(31 * 86_400)
    write(world, 0, OTHER)
    found = run(world, "verify_audit")["broken"]
    tie(world)

    expected = (OTHER, records[2].month, 2, "the main chain names this record, but it is missing")
    assert (found["chain"], found["month"], found["sequence"], found["why"]) == expected
    assert broken(world) == (OTHER, 2, expected[3])


def test_given_a_chain_set_back_to_an_earlier_month_when_it_goes_on_then_the_missing_month_is_named(
    world: World,
) -> None:
    before = write(world, 0, OTHER)[1]
    tie(world)
    world.advance(31 * 86_400)
    missing = write(world, 0, OTHER)[1]
    tie(world)
    for key in (keys.audit_record(missing.month, 1, OTHER), keys.audit_closing(before.month, OTHER)):
        table.delete(key)
    with_head(OTHER, row_of(before))

    world.advance(31 * 86_400)
    write(world, OTHER)

    found = run(world, "verify_audit")["broken"]
    assert (found["chain"], found["month"], found["sequence"]) == (OTHER, missing.month, 1)


@pytest.mark.parametrize("chain", [audit.MAIN, OTHER])
def test_given_a_record_added_to_the_end_of_a_past_month_when_verified_then_it_is_named(
    world: World, chain: int
) -> None:
    (last,) = write(world, chain)
    world.advance(31 * 86_400)
    write(world, chain, chain)

    added = row_of(last) | {"sequence": 2, "previous": last.hash, "actor": "someone else"}
    added["hash"] = audit.digest(added)
    table.put(keys.audit_record(last.month, 2, chain), added)

    assert broken(world) == (chain, 2, "the record comes after the chain's end")


def test_given_records_written_during_the_verification_when_a_month_ends_then_they_are_no_break(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(world, 0)
    read = table.query
    has_ended: list[bool] = []

    def query(*arguments: Any, **options: Any) -> Any:
        """Before the records are read, add one to the month whose end is known, and one to the next month."""
        rows = read(*arguments, **options)
        if str(arguments[0]).startswith("AUDIT#2") and not has_ended:
            has_ended.append(True)
            write(world, 0)
            world.advance(31 * 86_400)
            write(world, 0)
        return rows

    monkeypatch.setattr(table, "query", query)

    assert run(world, "verify_audit")["verified"]
    assert has_ended


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("{month} 2 {tie}", "the record claims to follow a record of the main chain that already names it"),
        ("{month} 9 {tie}", "the record claims to follow a record of the main chain that already names it"),
        ("{month} 1 other", "the record follows another record of the main chain"),
    ],
)
def test_given_a_record_with_another_place_in_the_order_when_verified_then_it_is_named(
    world: World, after: str, why: str
) -> None:
    (main, other) = write(world, 0, OTHER)
    tie(world)
    (tied,) = [row for row in audit_rows() if row["action"] == audit.TIED]

    row = replace(other, after=after.format(month=main.month, tie=tied["hash"]))
    with_head(OTHER, row)
    # The tie itself names the changed record, as if the attacker could change that too.
    heads = {str(OTHER): f"{row['month']} 1 {row['hash']}"}
    tied_row = table.get(keys.audit_record(main.month, 2)) or {}
    tied_row["details"] = json.dumps({"heads": heads})
    tied_row["hash"] = audit.digest(tied_row)
    table.put(keys.audit_record(main.month, 2), tied_row)
    with_head(audit.MAIN, tied_row)

    assert broken(world) == (OTHER, 1, why)


def test_given_an_untied_record_that_follows_what_does_not_exist_when_verified_then_it_is_named(world: World) -> None:
    (main, other) = write(world, 0, OTHER)

    with_head(OTHER, replace(other, after=f"{main.month} 9 {main.hash}"))

    assert broken(world) == (OTHER, 1, "the record follows a record of the main chain that does not exist")


def test_given_months_gone_by_when_records_of_all_chains_expired_then_they_still_verify(world: World) -> None:
    for _month in range(3):
        write(world, 0, OTHER, 7, OTHER)
        tie(world)
        world.advance(31 * 86_400)
    world.advance(345 * 86_400)  # records are kept for 400 days, so the first months are gone
    write(world, 0, OTHER)
    tie(world)
    for row in audit_rows():
        if row["expires_at"] <= world.now():
            ledger().delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    assert 3 <= len(audit_rows()) < 12

    answer = run(world, "verify_audit")

    assert answer["verified"], answer


def test_given_a_function_that_dies_when_it_ties_then_the_next_run_ties(world: World) -> None:
    moments: tuple[Literal["before", "after"], ...] = ("before", "after")
    for ties, moment in enumerate(moments, start=1):
        write(world, 0, OTHER)
        world.wire.kill_on("dynamodb", "TransactWriteItems", moment)
        world.try_invoke("workflow", {"task": "witness_audit"})
        assert world.wire.died_at is not None
        world.wire.spare()

        tie(world)

        assert [row["action"] for row in audit_rows()].count(audit.TIED) == ties
    assert run(world, "verify_audit")["verified"]


def test_given_a_process_in_another_chain_when_a_minute_passes_then_its_next_record_follows_the_new_main_head(
    world: World,
) -> None:
    (main, _other) = write(world, 0, OTHER)
    audit._writer.chain = OTHER
    second = audit.append("tried", "test", {})
    audit._writer.chain = audit.MAIN
    newer = audit.append("tried", "test", {})
    audit._writer.main = audit.Position(main.month, main.sequence, main.hash)  # another process wrote the newer one
    audit._writer.chain = OTHER
    third = audit.append("tried", "test", {})
    world.advance(61)
    fourth = audit.append("tried", "test", {})

    assert second
    assert newer
    assert third
    assert fourth
    assert [row_of(record)["after"].split()[2] for record in (third, fourth)] == [main.hash, newer.hash]
