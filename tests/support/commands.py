"""Users and their commands, for the scenarios of `/security-ir`."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import Any

from ir_router.commands import people
from ir_sandbox.slack.people import Person
from tests.support.world import World

WATCHERS = [{"email": "jane.smith@example.com", "name": "Jane Smith"}]


def case_with_channel(world: World, **changes: Any) -> tuple[str, Person]:
    """Create a case with a channel that Jane, its watcher, is in."""
    people.forget_groups()
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    case_id = world.create_case(**{"watchers": WATCHERS, **changes})
    world.settle()
    return case_id, jane


def type_command(world: World, person: Person, case_id: str, text: str) -> list[str]:
    """Type `/security-ir <text>` in the case's channel; return the answers after all work is processed."""
    before = len(answers(world, person))
    run = person.command(world.channel_of(case_id), "/security-ir", text)
    assert run.error is None, run.error
    world.settle()
    return answers(world, person)[before:]


def answers(world: World, person: Person) -> list[str]:
    """Return the messages that only this user can see, without acknowledgements, oldest first, as Slack shows them."""
    shown = world.workspace.ephemerals(person.id)
    return [html.unescape(message["text"]) for message in shown if message["via"] != "command"]


def moment(at: datetime) -> str:
    """Format a time as the specification does."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def now(world: World) -> str:
    """Format the simulated time as the specification does."""
    return moment(datetime.fromtimestamp(world.now(), UTC))


def case(world: World, case_id: str) -> dict[str, Any]:
    """Return the case as AWS stores it."""
    return dict(world.security_ir.call("GetCase", {"caseId": case_id}))


def identified(person: Person) -> str:
    """Return a user as comments and the audit name them."""
    return f"{person.user.real_name} ({person.user.email}, {person.id})"
