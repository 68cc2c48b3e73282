"""Attacks by watchers: outsiders who are added to a case, and watchers who remove others or close the case."""

from __future__ import annotations

import json

import pytest

from ir_router.commands import people
from tests.support.commands import case, type_command
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

_INSIDE = {"email": "carol@example.com", "name": "Carol"}
_OUTSIDE = {"email": "mallory@evil.example", "name": "Jane Smith"}


def case_of(world: World, *watchers: dict[str, str]) -> str:
    people.forget_groups()
    case_id = world.create_case(watchers=list(watchers))
    world.settle()
    return case_id


@pytest.mark.parametrize("domains", ["[]", '["example.com"]', '["*"]'])
def test_given_a_watcher_with_an_outside_address_when_the_case_is_copied_then_only_a_variable_has_them_invited(
    world: World, security_channel: str, domains: str
) -> None:
    world.environment["IR_WATCHER_DOMAINS"] = domains
    mallory = world.workspace.create_user("mallory", email="mallory@evil.example", real_name="Jane Smith")
    carol = world.workspace.create_user("carol", email="carol@example.com", real_name="Carol")
    case_id = case_of(world, _INSIDE, _OUTSIDE)

    found = world.workspace.store.channels[world.channel_of(case_id)].members
    assert carol.id in found
    assert (mallory.id in found) == (domains == '["*"]')
    if domains == '["*"]':
        return
    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert len([text for text in said if "a watcher with an outside address: mallory@evil.example" in text]) == 1
    (row,) = [row for row in audit_rows() if row["action"] == "watchers_outside"]
    assert json.loads(row["details"]) == {"case_id": case_id, "watcher": "mallory@evil.example"}
    world.workspace.store.channels[world.channel_of(case_id)].members.append(mallory.id)
    assert "You don't have permission" in type_command(world, mallory, case_id, "update-title Harmless")[0]


@pytest.mark.parametrize("command", ["close", "update-status Closed", "remove-watcher dave@example.com"])
def test_given_a_watcher_when_closing_or_removing_a_watcher_then_they_are_refused(world: World, command: str) -> None:
    carol = world.workspace.create_user("carol", email="carol@example.com", real_name="Carol")
    case_id = case_of(world, _INSIDE, {"email": "dave@example.com", "name": "Dave"})

    assert "You don't have permission" in type_command(world, carol, case_id, command)[0]
    assert len(case(world, case_id)["watchers"]) == 2
    assert "Case title updated" in type_command(world, carol, case_id, "update-title Leaked key")[0]


def test_given_an_outside_address_when_it_is_added_from_slack_then_the_case_stays_as_it_is(world: World) -> None:
    carol = world.workspace.create_user("carol", email="carol@example.com", real_name="Carol")
    case_id = case_of(world, _INSIDE)

    answer = type_command(world, carol, case_id, "add-watcher mallory@evil.example")[0]

    assert "mallory@evil.example is outside of the allowed domains" in answer
    assert len(case(world, case_id)["watchers"]) == 1
