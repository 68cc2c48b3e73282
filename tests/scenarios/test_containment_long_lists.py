"""W2: an allowlist and protected principals that are longer than the environment of a function."""

from __future__ import annotations

import json

import pytest

from ir_router import aws
from ir_router.ledger import keys, table
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, iam_state
from tests.trials.world.state_machine import StateMachine

CIDRS = [f"10.{high}.{low}.0/24" for high in range(5) for low in range(99)] + [
    f"2001:db8:ffff:ffff:ffff:ffff:ffff:{low}/128" for low in range(1000, 1005)
]
PRINCIPALS = [f"arn:aws:sts::{ACCOUNT}:assumed-role/{'deployment-of-a-team-' * 3}{number}/*" for number in range(200)]
PROTECTED = [f"arn:aws:iam::{ACCOUNT}:role/{'break-glass-' * 5}{number}" for number in range(199)]


def deploy(world: World, digest: str, **lists: list[str]) -> None:
    """Write the row as Terraform does, and the digest that starts new processes."""
    item = {"PK": {"S": "CONFIG#lists"}, "SK": {"S": "META"}}
    aws.client("dynamodb").put_item(
        TableName=world.environment["IR_TABLE_NAME"],
        Item={**item, **{name: {"S": json.dumps(value)} for name, value in lists.items()}},
    )
    world.environment["IR_LISTS_DIGEST"] = digest


@pytest.mark.parametrize(
    ("user", "address", "denied"),
    [
        ("backdoor", "203.0.113.9", True),
        ("backdoor", "10.4.98.7", False),
        ("backdoor", "2001:db8:ffff:ffff:ffff:ffff:ffff:1004", False),
        ("founder", "203.0.113.9", False),
    ],
)
def test_given_hundreds_of_entries_when_a_key_is_made_then_each_of_them_counts(
    world: World, machine: StateMachine, user: str, address: str, denied: bool
) -> None:
    protected = [*PROTECTED, f"arn:aws:iam::{ACCOUNT}:user/founder"]
    assert len(json.dumps([*CIDRS, *PRINCIPALS, *protected])) > 4 * 4096
    deploy(
        world,
        f"{user} {address}",
        allowed_cidrs=CIDRS,
        allowed_principals=PRINCIPALS,
        protected_principals=protected,
    )
    (key,) = support.user(user)

    machine.start(support.key_created(world, user, key, sourceIPAddress=address))

    assert iam_state(world, user) == IamState({key: "Inactive" if denied else "Active"}, denied=denied)


def test_given_two_incidents_when_handled_by_one_process_then_the_lists_are_read_once(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(world, "read once", allowed_cidrs=[], allowed_principals=[], protected_principals=[])
    read: list[keys.Key] = []
    get = table.get

    def record(key: keys.Key) -> table.Row | None:
        read.append(key)
        return get(key)

    monkeypatch.setattr(table, "get", record)

    for user in ("first", "second"):
        (key,) = support.user(user)
        machine.start(support.key_created(world, user, key))
        assert iam_state(world, user).denied

    assert read.count(keys.configuration("lists")) == 1


def test_given_a_lost_row_when_a_key_is_made_then_it_is_contained(world: World, machine: StateMachine) -> None:
    world.environment["IR_LISTS_DIGEST"] = "row lost"
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key))

    assert iam_state(world, "backdoor").denied
    assert len(alerts(world)) == 1
