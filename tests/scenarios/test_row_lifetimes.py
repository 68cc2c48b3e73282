"""The lifetimes of the ledger's rows. docs/containment.md states most of them under "The ledger's rows"."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import boto3

from ir_sandbox.slack.people import Person
from tests.support.commands import type_command
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.state_machine import Execution, StateMachine

HOUR, DAY = 3600, 86_400
# By the beginning of the key, with the parts that differ as `*`. All other rows stay.
LIFETIMES = {
    "APPROVAL#* META": 400 * DAY,
    "AUDIT#*-* *": 400 * DAY,
    "AUDIT#once#* META": 30 * DAY,
    "COMMAND#*.*.* META": DAY,
    "DEDUP#ALERT#* META": 26 * HOUR,
    "CONTAINMENT#arn:aws:iam::*:user/backdoor DONE#*": 7 * DAY,
    "DEDUP#SLACK-ALERT#* MESSAGE": 14 * DAY,
    "DEDUP#SLACK-ALERT#* META": 14 * DAY,
    "DETECTION#aws.iam#CRITICAL#enforce#* META": 14 * DAY,
    "DETECTION#aws.iam#HIGH#enforce#* META": 14 * DAY,
    "TOKEN#* META": 7 * DAY,
}


def lifetimes(world: World) -> dict[str, set[int]]:
    """Return the remaining hours of the rows that expire, by their key."""
    found = defaultdict(set)
    rows: Any = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    for row in rows:
        if "expires_at" in row:
            key = re.sub(r"[0-9a-f]{8}[0-9a-f-]*|\d{4,}|(?<=\.)\d+|(?<=-)\d\d(?= )", "*", f"{row['PK']} {row['SK']}")
            found[re.sub(r"DONE#.*", "DONE#*", key)].add(round((float(row["expires_at"]) - world.now()) / HOUR))
    return found


def test_given_an_incident_to_its_end_when_its_rows_are_read_then_each_is_kept_as_long_as_documented(
    world: World, machine: StateMachine, contained: tuple[Execution, str], jane: Person, case_id: str
) -> None:
    type_command(world, jane, case_id, "update-title Another title")
    incidents.decide(world, incidents.asked(world)[0]["taskToken"], "deny", notes="expected")
    machine.start(incidents.root_call(world, "CreateAccessKey"))
    world.advance(130)
    machine.advance()
    world.settle()

    assert lifetimes(world) == {key: {lifetime // HOUR} for key, lifetime in LIFETIMES.items()}
