"""Read both sides of a case, for the scenarios of the synchronisation."""

from __future__ import annotations

import html
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ir_sandbox.slack.people import Person
from tests.support.world import World

JANE = {"email": "jane.smith@example.com", "name": "Jane Smith"}


def make_jane(world: World) -> Person:
    """Create Jane, a member of the workspace and of the response team."""
    return world.workspace.create_user("jane.smith", email=JANE["email"], real_name=JANE["name"])


def settled_case(world: World, **changes: Any) -> str:
    """Create a case with a channel and run the poller. The clock then moves on by a second."""
    case_id = world.create_case(**changes)
    world.settle()
    world.poll()
    world.settle()
    world.advance(1)
    return case_id


def shown(message: dict[str, Any]) -> str:
    """Return all visible text of a message."""
    return html.unescape(json.dumps(message.get("blocks", []), ensure_ascii=False) + message.get("text", ""))


def channel_messages(world: World, case_id: str) -> list[str]:
    """Return the app's messages in the case's channel, oldest first."""
    return [shown(message) for message in world.said(case_id)]


def lines_with(world: World, case_id: str, text: str) -> list[str]:
    """Return the app's messages that contain `text`."""
    return [line for line in channel_messages(world, case_id) if text in line]


def from_slack(world: World, case_id: str) -> list[str]:
    """Return the case's comments that came from Slack."""
    return [body for body in world.comments(case_id) if body.startswith("[Slack Update]")]


def system_comments(world: World, case_id: str) -> list[str]:
    """Return the system's own comments on the case."""
    return [body for body in world.comments(case_id) if body.startswith("[AWS Security IR Update]")]


def attachments(world: World, case_id: str) -> list[dict[str, Any]]:
    """Return the case's attachments as AWS lists them."""
    return list(world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"])


def attachment_contents(world: World, case_id: str) -> dict[str, bytes]:
    """Return the content of the case's attachments by name. Each name occurs once."""
    found: dict[str, bytes] = {}
    for one in attachments(world, case_id):
        url = world.security_ir.call(
            "GetCaseAttachmentDownloadUrl",
            {"caseId": case_id, "attachmentId": one["attachmentId"]},
            base_url=world.environment["AWS_ENDPOINT_URL_SECURITY_IR"],
        )["attachmentPresignedUrl"]
        assert one["fileName"] not in found
        with urllib.request.urlopen(url) as response:
            found[one["fileName"]] = response.read()
    return found


def shared_files(world: World, case_id: str) -> list[dict[str, Any]]:
    """Return the files that the app shared in the channel."""
    messages = world.workspace.channel_messages(world.channel_of(case_id))
    return [file for message in messages if message.get("bot_id") for file in message.get("files", [])]


def calls(world: World, service: str) -> list[str]:
    """Return the operations of the functions' calls to one service since the log was cleared."""
    return [call.operation for call in world.wire.calls if call.service == service]


@contextmanager
def configured(world: World, **environment: str) -> Iterator[None]:
    """Set these environment variables of the functions for the length of a `with` block."""
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
