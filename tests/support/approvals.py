"""Approvals as people meet them in Slack: messages with buttons, for the scenarios of containment."""

from __future__ import annotations

import json
from typing import Any

from ir_local.slack.people import Person
from ir_local.world.state_machine import StateMachine
from ir_router.commands import people
from tests.support.world import World


def make_approver(world: World) -> Person:
    """Jane, a member of the response team."""
    people.forget_groups()
    team = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in ("jane", "ann")]
    world.security_ir.set_response_team(team)
    return world.workspace.create_user("jane.smith", email="jane@example.com", real_name="Jane Smith")


def approvals_in(world: World, channel: str) -> list[dict[str, Any]]:
    """The app's messages about approvals in a channel."""
    messages = world.workspace.channel_messages(channel)
    return [message for message in messages if "approval " in json.dumps(message.get("blocks", []))]


def case_channel(world: World) -> str:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return world.channel_of(case["caseId"])


def buttons(message: dict[str, Any]) -> list[str]:
    found = [block for block in message["blocks"] if block["type"] == "actions"]
    return [element["action_id"] for block in found for element in block["elements"]]


def press(world: World, machine: StateMachine, person: Person, channel: str, action: str) -> None:
    (message,) = approvals_in(world, channel)
    person.press(channel, message["ts"], action)
    world.settle()
    machine.advance()
    world.settle()
