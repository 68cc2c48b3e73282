"""How many requests each operation makes, by service: counted where they leave, outside the code under test.

Each function below runs in a system of its own (`ir_local.world`) and can run in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ir_local.slack.people import Person
from ir_local.world.wire import Call
from ir_local.world.world import World, own_world

Counts = dict[str, int]

# The response team is read every 15 minutes, whatever else happens.
_TEAM = ("ListMemberships", "GetMembership")
_NAMES = {"security-ir": "security_ir"}
_EMAIL = "jane.smith@example.com"
_CONTENT = b"x" * 1000
# So many cases come between two looks whether all has come to rest.
_AT_A_TIME = 10


@dataclass(frozen=True)
class Work:
    """What an operation took: requests by service, by operation (`dynamodb PutItem`), invocations by deployment."""

    calls: Counts
    operations: Counts
    invocations: Counts
    transitions: int = 0


@dataclass
class Meter:
    """Takes down the work of a world from now on."""

    world: World
    _calls: int = field(init=False)
    _invocations: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin."""
        self._calls, self._invocations = len(self.world.wire.calls), len(self.world.invocations)

    def read(self, transitions: int = 0) -> Work:
        """What was done since it began. `transitions` are Step Functions' own."""
        calls = [call for call in self.world.wire.calls[self._calls :] if call.operation not in _TEAM]
        invocations = Counter(one.deployment for one in self.world.invocations[self._invocations :])
        by_operation = Counter(f"{call.service} {call.operation}" for call in calls)
        return Work(_by_service(calls), _sorted(by_operation), _sorted(invocations), transitions)


def idle_poll(cases: int) -> Work:
    """A poll of `cases` open cases to which nothing has happened, by a warm function that knows the team.

    Deep checks take turns, so that the most of ten minutes is given.
    """
    with own_world() as world, quietly():
        for number in range(cases):
            world.create_case()
            if number % _AT_A_TIME == 0:
                world.settle()
        world.live(3)
        most: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        for _ in range(10):
            world.advance(60)
            meter = Meter(world)
            world.poll()
            work = meter.read()
            most |= Counter(work.calls)
            operations |= Counter(work.operations)
            world.settle()
        counts = {name: most[name] for name in ("security_ir", "dynamodb", "events", "slack")}
        return Work(counts, _sorted(operations), {"sync": 1})


def before_acknowledgement() -> dict[str, Counts]:
    """What the warm door calls until it has answered: a message, a command, a button, and what Slack did not sign."""
    with own_world() as world, quietly():
        jane, channel, _ = case_with_channel(world)
        jane.post(channel, "warm")
        jane.command(channel, "/security-ir", "help")
        world.settle()
        jane.command(channel, "/security-ir", "close")
        world.settle()
        ephemeral = next(one for one in world.workspace.ephemerals(jane.id)[::-1] if "actions" in str(one))
        button = next(
            element["action_id"]
            for block in ephemeral["blocks"]
            for element in block.get("elements", [])
            if element.get("type") == "button"
        )
        return {
            "webhook_before_ack": _at_the_door(world, lambda: _deliver(world, jane, channel)),
            "webhook_before_ack_command": _at_the_door(world, lambda: jane.command(channel, "/security-ir", "help")),
            "webhook_before_ack_button": _at_the_door(world, lambda: jane.press(channel, ephemeral["ts"], button)),
            "webhook_before_ack_forged": _at_the_door(
                world, lambda: world.request({"X-Slack-Signature": "v0=0"}, b"{}")
            ),
        }


def operations() -> dict[str, Work]:
    """The usual operations, from the event to rest, each in the same warm system."""
    with own_world() as world, quietly():
        jane, channel, case_id = case_with_channel(world)
        service = world.security_ir

        def command(text: str) -> Callable[[], object]:
            return lambda: jane.command(channel, "/security-ir", text)

        acts: Mapping[str, tuple[Callable[[], object], int]] = {
            "new_case": (lambda: world.create_case(watchers=[{"email": _EMAIL}]), 0),
            "comment_to_slack": (lambda: service.add_comment_as(case_id, body="found"), 0),
            "message_to_case": (lambda: jane.post(channel, "looking"), 0),
            "file_from_slack": (lambda: jane.upload(channel, "log.txt", _CONTENT), 0),
            # No event tells of an attachment: the poll finds it.
            "file_to_slack": (lambda: service.add_attachment_as(case_id, content=_CONTENT), 2),
            "command_help": (command("help"), 0),
            "command_status": (command("status"), 0),
            "command_incident_details": (command("incident-details"), 0),
            "command_sync": (command("sync"), 0),
            "command_comment": (command("comment noted"), 0),
            "command_update_status": (command("update-status In Progress"), 0),
            "command_update_title": (command("update-title Breach"), 0),
            "command_update_description": (command("update-description Seen"), 0),
            "command_add_watcher": (command("add-watcher john.doe@example.com"), 0),
            "command_remove_watcher": (command("remove-watcher john.doe@example.com"), 0),
        }
        return {name: _measured(world, act, minutes) for name, (act, minutes) in acts.items()}


def unknown_watchers(count: int) -> Work:
    """So many watchers whom the workspace does not know, added to a case that has its channel, until rest."""
    with own_world() as world, quietly():
        _, _, case_id = case_with_channel(world)
        change = {"caseId": case_id, "watchersToAdd": _strangers(count)}
        return _measured(world, lambda: world.security_ir.call("UpdateCase", change), 0)


def new_case_with_unknown_watchers(count: int) -> Work:
    """A new case with so many of them, its channel, notice and members included, until rest."""
    with own_world() as world, quietly():
        case_with_channel(world)
        return _measured(world, lambda: world.create_case(watchers=_strangers(count)), 0)


def _strangers(count: int) -> list[dict[str, str]]:
    return [{"email": f"stranger.{number}@example.com"} for number in range(count)]


def case_with_channel(world: World) -> tuple[Person, str, str]:
    """Jane, the id of a channel with her in it, and its case."""
    jane = world.workspace.create_user("jane.smith", email=_EMAIL, real_name="Jane Smith")
    world.workspace.create_user("john.doe", email="john.doe@example.com", real_name="John Doe")
    case_id = world.create_case()
    world.live(3)
    return jane, world.channel_of(case_id), case_id


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the functions' own log lines from what the bench prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _measured(world: World, act: Callable[[], object], minutes: int) -> Work:
    meter = Meter(world)
    act()
    world.settle()
    world.live(minutes)
    return meter.read()


def _at_the_door(world: World, act: Callable[[], object]) -> Counts:
    meter = Meter(world)
    act()
    counts = meter.read().calls
    world.settle()
    return counts


def _deliver(world: World, jane: Person, channel: str) -> None:
    jane.post(channel, "counted")
    world.deliver()


def _by_service(calls: list[Call]) -> Counts:
    return _sorted(Counter(_NAMES.get(call.service, call.service) for call in calls))


def _sorted(counts: Counter[str]) -> Counts:
    return dict(sorted(counts.items()))
