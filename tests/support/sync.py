"""Looking at both sides of a case, for the scenarios of the synchronisation."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ir_local.slack.people import Person
from tests.support.world import World

JANE = {"email": "jane.smith@example.com", "name": "Jane Smith"}


def make_jane(world: World) -> Person:
    """Jane, who is in the workspace and in the response team."""
    return world.workspace.create_user("jane.smith", email=JANE["email"], real_name=JANE["name"])


def settled_case(world: World, **changes: Any) -> str:
    """A case whose channel is there, and a poller that has run; what comes next comes in another second."""
    case_id = world.create_case(**changes)
    world.settle()
    world.poll()
    world.settle()
    world.advance(1)
    return case_id


def shown(message: dict[str, Any]) -> str:
    """All that a message shows, as people read it."""
    return html.unescape(json.dumps(message.get("blocks", []), ensure_ascii=False) + message.get("text", ""))


def said(world: World, case_id: str) -> list[str]:
    """What the app said in the case's channel, oldest first."""
    return [shown(message) for message in world.said(case_id)]


def lines_with(world: World, case_id: str, text: str) -> list[str]:
    """What the app said that holds `text`."""
    return [line for line in said(world, case_id) if text in line]


def from_slack(world: World, case_id: str) -> list[str]:
    """The case's comments that came from Slack."""
    return [body for body in world.comments(case_id) if body.startswith("[Slack Update]")]


def system_comments(world: World, case_id: str) -> list[str]:
    """What the system wrote on the case about itself."""
    return [body for body in world.comments(case_id) if body.startswith("[AWS Security IR Update]")]


def attachments(world: World, case_id: str) -> list[dict[str, Any]]:
    """The case's attachments as AWS lists them."""
    return list(world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"])


def shared_files(world: World, case_id: str) -> list[dict[str, Any]]:
    """The files that the app shared in the channel."""
    messages = world.workspace.channel_messages(world.channel_of(case_id))
    return [file for message in messages if message.get("bot_id") for file in message.get("files", [])]


def calls(world: World, service: str) -> list[str]:
    """What left the functions to one service, by operation, since the log was emptied."""
    return [call.operation for call in world.wire.calls if call.service == service]


@contextmanager
def told(world: World, **environment: str) -> Iterator[None]:
    """The functions are told these settings for the length of a `with` block."""
    before = {name: world.environment.get(name) for name in environment}
    world.environment |= environment
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                world.environment.pop(name, None)
                os.environ.pop(name, None)
            else:
                world.environment[name] = value
