"""Approval messages in Slack, for the scenarios of containment."""

from __future__ import annotations

import json
import re
from typing import Any

from ir_router.commands import people
from ir_router.sync.approval_message import APPROVE_FORM
from ir_sandbox.slack.people import Person
from tests.support.world import World
from tests.trials.world.state_machine import StateMachine


def make_approver(world: World) -> Person:
    """Create Jane, a member of the response team."""
    people.forget_groups()
    team = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in ("jane", "ann")]
    world.security_ir.set_response_team(team)
    return world.workspace.create_user("jane.smith", email="jane@example.com", real_name="Jane Smith")


def approvals_in(world: World, channel: str) -> list[dict[str, Any]]:
    """Return the app's approval messages in a channel, without reminders."""
    messages = world.workspace.channel_messages(channel)
    found = [message for message in messages if re.search(r"approval [0-9a-f]{20}", json.dumps(message.get("blocks")))]
    others = ("Still waiting for a decision", "No decision yet: ")
    return [message for message in found if not any(text in message["text"] for text in others)]


def as_shown(blocks: object) -> str:
    """Return blocks as JSON, with the names of users and roles in place of the links to them."""
    text = json.dumps(blocks, ensure_ascii=False)
    return re.sub(r"<https://console\.[^|>]*/iam/[^|>]*\|([^>]*)>", r"\1", text)


def case_channel(world: World) -> str:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return world.channel_of(case["caseId"])


def buttons(message: dict[str, Any]) -> list[str]:
    """Return the action ids of the buttons that decide about the request."""
    return [name for name in _actions(message) if name.startswith("approval_")]


def creator_buttons(message: dict[str, Any]) -> list[str]:
    """Return the action ids of the buttons that contain the creator of a key."""
    return [name for name in _actions(message) if name.startswith("creator_contain")]


def _actions(message: dict[str, Any]) -> list[str]:
    found = [block for block in message["blocks"] if block["type"] == "actions"]
    return [element["action_id"] for block in found for element in block["elements"]]


def press(world: World, machine: StateMachine, person: Person, channel: str, action: str) -> None:
    """Press a button of the only approval message. The form behind Approve is submitted too."""
    (message,) = approvals_in(world, channel)
    press_message(world, person, channel, message["ts"], action)
    machine.advance()
    world.settle()


def press_message(world: World, person: Person, channel: str, ts: str, action: str) -> None:
    """Press a button of one message. The form behind Approve is submitted too."""
    before = {view.id for view in person.views()}
    person.press(channel, ts, action)
    world.settle()
    for view in person.views():
        if view.id not in before and view.body["submit"] and view.body["callback_id"] == APPROVE_FORM:
            person.submit(view.id, {})
    world.settle()
