"""How many requests each operation makes, by service: counted at the HTTP level, outside the code under test.

Security Incident Response and Slack are counted by the local services themselves; AWS where botocore sends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from unittest import mock

from ir_local.slack.people import Person
from ir_local.world import World, running_world
from ir_router import clock

Counts = dict[str, int]

POLLED_CASES = (1, 10, 50)
# The response team is read every 15 minutes, whatever else happens.
_TEAM = ("ListMemberships", "GetMembership")
_SERVICES = {"security-ir": "security_ir", "events": "events", "dynamodb": "dynamodb", "sqs": "sqs"}


@contextmanager
def a_world() -> Iterator[World]:
    """A system of its own, whose clock the bench moves."""
    with ExitStack() as replaced:

        def set_clock(now: Callable[[], float], sleep: Callable[[float], None]) -> None:
            replaced.enter_context(mock.patch.object(clock, "now", now))
            replaced.enter_context(mock.patch.object(clock, "sleep", sleep))

        with running_world(set_clock) as world:
            yield world


def idle_poll(cases: int) -> Counts:
    """A poll of `cases` open cases to which nothing has happened, by a warm function that knows the team."""
    with a_world() as world:
        for _ in range(cases):
            world.create_case()
        world.live(3 + cases // 10)
        return _most(world, world.poll, minutes=10)


def webhook_before_ack() -> Counts:
    """A message at the warm door, until it has answered."""
    with a_world() as world:
        jane, channel, _ = case_with_channel(world)
        jane.post(channel, "warm")
        world.settle()
        jane.post(channel, "counted")
        before = len(world.wire.calls)
        world.workspace.deliveries.deliver_due()
        return _counts(world, before)


def operations() -> Mapping[str, Counts]:
    """The usual cases, from the event to rest, each in the same warm system."""
    with a_world() as world:
        jane, channel, case_id = case_with_channel(world)
        return {
            "new_case": _counted(world, lambda: world.create_case(watchers=[{"email": "jane.smith@example.com"}])),
            "comment_to_slack": _counted(world, lambda: world.security_ir.add_comment_as(case_id, body="found")),
            "message_to_case": _counted(world, lambda: jane.post(channel, "looking")),
            "file_from_slack": _counted(world, lambda: jane.upload(channel, "log.txt", b"x" * 1000)),
            "file_to_slack": _counted(
                world, lambda: world.security_ir.add_attachment_as(case_id, content=b"x" * 1000), minutes=2
            ),
            "command_status": _counted(world, lambda: jane.command(channel, "/security-ir", "status")),
            "command_update_status": _counted(
                world, lambda: jane.command(channel, "/security-ir", "update-status In Progress")
            ),
        }


def case_with_channel(world: World) -> tuple[Person, str, str]:
    """Jane, the id of a channel with her in it, and its case."""
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    world.workspace.create_user("john.doe", email="john.doe@example.com", real_name="John Doe")
    case_id = world.create_case()
    world.live(3)
    return jane, world.channel_of(case_id), case_id


def _counted(world: World, act: Callable[[], object], minutes: int = 0) -> Counts:
    """`minutes`: how long the poll is given to find what no event tells."""
    before = len(world.wire.calls)
    act()
    world.settle()
    world.live(minutes)
    return _counts(world, before)


def _most(world: World, act: Callable[[], object], minutes: int) -> Counts:
    """The most that any of these minutes needed: deep checks take turns."""
    most: Counter[str] = Counter()
    for _ in range(minutes):
        world.advance(60)
        before = len(world.wire.calls)
        act()
        most |= Counter(_counts(world, before))
        world.settle()
    return {name: most.get(name, 0) for name in ("security_ir", "dynamodb", "events", "slack")}


def _counts(world: World, before: int) -> Counts:
    counted = [call for call in world.wire.calls[before:] if call.operation not in _TEAM]
    made = Counter(_SERVICES.get(call.service, call.service) for call in counted)
    return dict(sorted(made.items()))
