"""P9: each day's audit records are copied once to a bucket with Object Lock, also when functions die."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from ir_router.ledger import audit
from tests.support.world import World
from tests.trials.world.incidents import alerts, audit_rows

BUCKET = "example-audit"
HOUR, DAY = 3_600, 86_400


def make_bucket() -> None:
    boto3.client("s3").create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)


@pytest.fixture
def bucket(world: World) -> str:
    make_bucket()
    world.environment["IR_AUDIT_EXPORT_BUCKET"] = BUCKET
    return BUCKET


def write(world: World, count: int = 1) -> None:
    """Write records as the workflow's function does, some of them in another chain."""
    world.become("workflow")
    for number in range(count):
        audit._writer.chain = number % 3
        audit.append("tried", "test", {"number": number})
    audit.forget()


def upkeep(world: World) -> Any:
    return world.invoke("workflow", {"task": "witness_audit"})["exported"]


def stored() -> dict[str, list[str]]:
    """Return the versions of each object, oldest first."""
    client = boto3.client("s3")
    found: dict[str, list[str]] = {}
    for version in client.list_object_versions(Bucket=BUCKET).get("Versions", []):
        found.setdefault(version["Key"], []).append(version["VersionId"])
    return found


def lines(name: str) -> list[dict[str, Any]]:
    text = boto3.client("s3").get_object(Bucket=BUCKET, Key=name)["Body"].read().decode()
    return [json.loads(line) for line in text.splitlines()]


def today(world: World) -> str:
    return f"{datetime.fromtimestamp(world.now(), UTC):%Y-%m-%d}"


def test_given_no_export_bucket_when_days_end_then_only_the_hash_is_sent(world: World) -> None:
    write(world)
    world.advance(DAY)
    answer = world.invoke("workflow", {"task": "witness_audit"})
    assert (answer["exported"], len(alerts(world))) == ([], 1)


def test_given_a_bucket_when_days_end_then_each_day_is_one_locked_object_with_its_records_and_ends(
    world: World, bucket: str
) -> None:
    """The days are the last two of a month and the first of the next one."""
    while datetime.fromtimestamp(world.now() + 2 * DAY, UTC).day != 1:
        world.advance(DAY)
    first = today(world)
    write(world, 4)
    assert len(upkeep(world)) == 1  # yesterday, without records
    world.advance(DAY)
    write(world, 2)
    world.advance(2 * DAY)
    names = upkeep(world)
    assert upkeep(world) == []
    write(world)
    rows = audit_rows()

    assert names[0] == f"security-incident/us-east-1/{first[:4]}/{first[5:7]}/{first}.jsonl"
    assert [len(lines(name)) - 1 for name in names] == [5, 2, 0]  # the first with the record that ties the chains
    header, *records = lines(names[0])
    assert (header["day"], header["records"]) == (first, 5)
    assert {audit.digest(record) == record["hash"] for record in records} == {True}
    assert {record["hash"] for record in records} == {row["hash"] for row in rows if row["at"].startswith(first)}
    newest = {chain: audit.Position.read(end).hash for chain, end in lines(names[1])[0]["ends"].items()}
    assert set(newest) == {"0", "1", "2"}
    assert lines(names[2])[0]["ends"].keys() == newest.keys()
    # A month's closing hashes are the ends of its last day.
    closing = {row["PK"]: row["chain_hash"] for row in closings()}
    last = next(lines(name)[0] for name in names if lines(name)[0]["closes_month"])
    assert closing["AUDIT#closing"] == audit.Position.read(last["ends"]["0"]).hash
    assert {len(versions) for versions in stored().values()} == {1}
    stored_object = boto3.client("s3").head_object(Bucket=bucket, Key=names[0])
    assert stored_object["ObjectLockMode"] == "COMPLIANCE"
    assert (stored_object["ObjectLockRetainUntilDate"] - datetime.fromtimestamp(world.now(), UTC)).days >= 398


def test_given_a_day_that_has_just_ended_when_exported_then_ten_minutes_are_left_for_its_last_records(
    world: World, bucket: str
) -> None:
    upkeep(world)
    world.advance(DAY - world.now() % DAY + 590)
    assert upkeep(world) == []
    world.advance(11)
    (name,) = upkeep(world)
    yesterday = f"{datetime.fromtimestamp(world.now() - DAY, UTC):%Y-%m-%d}"
    assert name.endswith(f"/{yesterday}.jsonl")


def closings() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    return [row for row in items if row["PK"].startswith("AUDIT#closing")]


@pytest.mark.parametrize(
    ("service", "operation", "side"),
    [("s3", "PutObject", "before"), ("s3", "PutObject", "after"), ("dynamodb", "PutItem", "before")],
)
def test_given_a_function_that_dies_while_it_exports_then_the_next_run_leaves_one_object_a_day(
    world: World, bucket: str, service: str, operation: str, side: Any
) -> None:
    write(world)
    upkeep(world)
    world.advance(DAY + HOUR)
    world.advance(DAY)
    before = len(stored())
    world.wire.kill_on(service, operation, side)
    world.try_invoke("workflow", {"task": "witness_audit"})
    assert world.wire.died_at is not None
    world.wire.spare()

    upkeep(world)

    assert len(stored()) > before
    assert {len(versions) for versions in stored().values()} == {1}
    assert upkeep(world) == []


def test_given_a_bucket_that_does_not_exist_when_days_end_then_one_alert_a_day_and_nothing_is_lost(
    world: World,
) -> None:
    world.environment["IR_AUDIT_EXPORT_BUCKET"] = BUCKET
    write(world)
    world.advance(DAY)
    subjects = []
    for _ in range(3):
        assert upkeep(world) == []
        subjects += [alert["Subject"] for alert in alerts(world)]
    day = datetime.fromtimestamp(world.now() - DAY, UTC)
    wanted = f"FIX the audit export: bucket {BUCKET} refuses the records of {day:%Y-%m-%d}"
    assert [subject for subject in subjects if "audit of" not in subject] == [wanted]

    make_bucket()
    (name,) = upkeep(world)
    assert lines(name)[0]["records"] == 1
