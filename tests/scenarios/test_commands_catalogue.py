"""Test each sub-command against its entry in the catalogue: permission, place, and whether it changes a case."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.commands.catalogue import SUB_COMMANDS
from ir_router.ledger import keys, table
from ir_sandbox.slack.people import Person
from tests.support.command_examples import EXAMPLES, Example
from tests.support.commands import answers, case, case_with_channel, type_command
from tests.support.world import World

CHANGING = [name for name, entry in SUB_COMMANDS.items() if entry.changes]
WATCHERS = [
    {"email": "jane.smith@example.com", "name": "Jane Smith"},
    {"email": "carol@example.com", "name": "Carol"},
]


def example(name: str) -> Example:
    assert name in EXAMPLES, f"{name} has no example in tests/support/command_examples.py"
    return EXAMPLES[name]


def a_case(world: World) -> tuple[str, Person]:
    world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    case_id, jane = case_with_channel(world, watchers=WATCHERS)
    world.poll()
    world.settle()
    return case_id, jane


def shown(world: World, case_id: str) -> Any:
    """Return the case without the time of its last change, and its comments."""
    fields = {name: value for name, value in case(world, case_id).items() if name != "lastUpdatedDate"}
    return fields, world.comments(case_id)


@pytest.mark.parametrize("name", SUB_COMMANDS)
def test_given_a_sub_command_when_a_watcher_types_it_then_one_answer_comes_and_the_case_changes_as_the_catalogue_says(
    world: World, name: str
) -> None:
    case_id, jane = a_case(world)
    before = shown(world, case_id)

    replies = type_command(world, jane, case_id, f"{name} {example(name).argument}")

    assert len(replies) == 1 or jane.views()
    assert all(example(name).answer in answer and "❌" not in answer for answer in replies)
    assert (shown(world, case_id) != before) is (SUB_COMMANDS[name].changes and not example(name).asks)


@pytest.mark.parametrize("name", CHANGING)
def test_given_a_sub_command_that_changes_a_case_when_a_stranger_types_it_then_it_is_refused_and_in_the_audit(
    world: World, name: str
) -> None:
    case_id, jane = a_case(world)
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(world.channel_of(case_id), mallory.id)
    before = shown(world, case_id)

    (answer,) = type_command(world, mallory, case_id, f"{name} {example(name).argument}")

    assert answer.startswith("❌")
    assert shown(world, case_id) == before
    month = f"{world.security_ir.call('GetCase', {'caseId': case_id})['createdDate']:%Y-%m}"
    records = table.query(keys.audit_record(month, 0).pk)
    assert [record["action"] for record in records] == ["command_refused"]


@pytest.mark.parametrize("name", SUB_COMMANDS)
def test_given_a_sub_command_when_typed_outside_a_cases_channel_then_the_catalogue_says_whether_it_works(
    world: World, name: str
) -> None:
    a_case(world)
    bob = world.workspace.create_user("bob.b", email="bob.b@example.com", real_name="Bob B")
    elsewhere = world.workspace.create_channel("general-talk", [bob]).id
    bob.command(elsewhere, "/security-ir", f"{name} {example(name).argument}")
    world.settle()

    refused = [answer for answer in answers(world, bob) if "can only be used in" in answer]
    assert bool(refused) is not SUB_COMMANDS[name].anywhere, answers(world, bob)


@pytest.mark.parametrize("name", [name for name, entry in SUB_COMMANDS.items() if entry.asks_for])
def test_given_a_sub_command_that_needs_an_argument_when_typed_without_then_the_answer_asks_for_it(
    world: World, name: str
) -> None:
    case_id, jane = a_case(world)
    before = shown(world, case_id)

    (answer,) = type_command(world, jane, case_id, name)

    assert SUB_COMMANDS[name].usage in answer
    assert shown(world, case_id) == before
