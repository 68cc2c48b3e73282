"""Count the requests of each operation by service, where they leave, outside the code under test.

Each function below runs in its own simulator (`tests.trials.world`) and can run in its own process.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ir_router.sync.poll import APPROVERS_EVERY_MINUTES
from ir_sandbox.security_ir import Settings
from ir_sandbox.slack.people import Person
from tests.trials.world.running import running_world
from tests.trials.world.wire import Call
from tests.trials.world.world import World

Counts = dict[str, int]

# ir-router reads the response team every 15 minutes, independent of other work.
_TEAM = ("ListMemberships", "GetMembership")
_NAMES = {"security-ir": "security_ir"}
_EMAIL = "jane.smith@example.com"
_CONTENT = b"x" * 1000
# Process the pending work after this many new cases.
_AT_A_TIME = 10


# Each sub-command of the catalogue with its argument, in the order of the bench (tests/unit/test_trials_cover.py).
COMMANDS: Mapping[str, str] = {
    "help": "",
    "status": "",
    "incident-details": "",
    "sync": "",
    "approvals": "",
    "release": "",
    "list": "",
    "activity": "",
    "escalate": "",
    "report": "",
    "comment": "noted",
    "update-status": "In Progress",
    "update-title": "Breach",
    "update-description": "Seen",
    "add-watcher": "john.doe@example.com",
    "remove-watcher": "john.doe@example.com",
    "close": "",
    "create": "",
}


@dataclass(frozen=True)
class Work:
    """The work of an operation: requests by service, by operation (`dynamodb PutItem`), and
    invocations by deployment.
    """

    calls: Counts
    operations: Counts
    invocations: Counts
    transitions: int = 0


@dataclass
class Meter:
    """Measure the work of a simulator from now on."""

    world: World
    _calls: int = field(init=False)
    _invocations: int = field(init=False)

    def __post_init__(self) -> None:
        """Start the measurement."""
        self._calls, self._invocations = len(self.world.wire.calls), len(self.world.invocations)

    def read(self, transitions: int = 0) -> Work:
        """Return the work since the start. `transitions` are those of Step Functions."""
        calls = [call for call in self.world.wire.calls[self._calls :] if call.operation not in _TEAM]
        invocations = Counter(one.deployment for one in self.world.invocations[self._invocations :])
        by_operation = Counter(f"{call.service} {call.operation}" for call in calls)
        return Work(_by_service(calls), _sorted(by_operation), _sorted(invocations), transitions)


def idle_poll(cases: int) -> Work:
    """Poll `cases` unchanged open cases with a warm function that knows the response team."""
    with running_world() as world, quietly():
        world.security_ir.configure(Settings(active_self_managed_cases=max(50, cases)))
        for number in range(cases):
            world.create_case()
            if number % _AT_A_TIME == 0:
                world.settle()
        world.live(3)
        return _idle_polls(world)


def idle_poll_with_comments(comments: int) -> Work:
    """Poll one unchanged open case that has `comments` comments, all of them in its channel."""
    with running_world() as world, quietly():
        case_id = world.create_case()
        world.live(1)
        world.drop_native_events = True
        for number in range(comments):
            world.advance(1)
            world.security_ir.add_comment_as(case_id, body=f"finding {number}")
        while sum("finding" in str(message) for message in world.said(case_id)) < comments:
            world.live(1)
        world.live(2)
        return _idle_polls(world)


def _idle_polls(world: World) -> Work:
    """Return the maximum of ten polls, because deep checks take turns. None of them compares the approvers."""
    most: Counter[str] = Counter()
    operations: Counter[str] = Counter()
    for _ in range(10):
        world.advance(60)
        if int(world.now() // 60) % APPROVERS_EVERY_MINUTES == 0:
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
    """Return the calls of the warm webhook before its response: a message, a command, a button, a forged request."""
    with running_world() as world, quietly():
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
            "webhook_before_ack": _webhook_calls(world, lambda: _deliver(world, jane, channel)),
            "webhook_before_ack_command": _webhook_calls(world, lambda: jane.command(channel, "/security-ir", "help")),
            "webhook_before_ack_button": _webhook_calls(world, lambda: jane.press(channel, ephemeral["ts"], button)),
            "webhook_before_ack_forged": _webhook_calls(
                world, lambda: world.request({"X-Slack-Signature": "v0=0"}, b"{}")
            ),
        }


def operations() -> dict[str, Work]:
    """Measure the usual operations, each from its event until no work is left, in one warm simulator."""
    with running_world() as world, quietly():
        jane, channel, case_id = case_with_channel(world)
        service = world.security_ir

        def command(text: str) -> Callable[[], object]:
            return lambda: jane.command(channel, "/security-ir", text)

        acts: Mapping[str, tuple[Callable[[], object], int]] = {
            "new_case": (lambda: world.create_case(watchers=[{"email": _EMAIL}]), 0),
            "comment_to_slack": (lambda: service.add_comment_as(case_id, body="found"), 0),
            "message_to_case": (lambda: jane.post(channel, "looking"), 0),
            "file_from_slack": (lambda: jane.upload(channel, "log.txt", _CONTENT), 0),
            # AWS sends no event for an attachment, so the poll finds it. A report is two attachments.
            "file_to_slack": (lambda: service.add_attachment_as(case_id, content=_CONTENT), 2),
            **{
                f"command_{name.replace('-', '_')}": (
                    command(f"{name} {argument}".strip()),
                    2 if name == "report" else 0,
                )
                for name, argument in COMMANDS.items()
            },
        }
        return {name: _measured(world, act, minutes) for name, (act, minutes) in acts.items()}


def unknown_watchers(count: int) -> Work:
    """Add `count` watchers who are unknown in the workspace to a case with a channel, and measure the work."""
    with running_world() as world, quietly():
        _, _, case_id = case_with_channel(world)
        change = {"caseId": case_id, "watchersToAdd": _strangers(count)}
        return _measured(world, lambda: world.security_ir.call("UpdateCase", change), 0)


def new_case_with_unknown_watchers(count: int) -> Work:
    """Create a case with `count` unknown watchers, and measure the work, including channel, notice and members."""
    with running_world() as world, quietly():
        case_with_channel(world)
        return _measured(world, lambda: world.create_case(watchers=_strangers(count)), 0)


def _strangers(count: int) -> list[dict[str, str]]:
    return [{"email": f"stranger.{number}@example.com"} for number in range(count)]


def case_with_channel(world: World) -> tuple[Person, str, str]:
    """Return Jane, the id of a channel that she is in, and the id of its case."""
    jane = world.workspace.create_user("jane.smith", email=_EMAIL, real_name="Jane Smith")
    world.workspace.create_user("john.doe", email="john.doe@example.com", real_name="John Doe")
    case_id = world.create_case()
    world.live(3)
    return jane, world.channel_of(case_id), case_id


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Remove the functions' metrics and log lines from the output of the bench.

    Some loggers of the functions are made at import and keep the stream of that moment.
    """
    logging.disable(logging.WARNING)  # the simulator finds unexpected exceptions in lines of errors
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _measured(world: World, act: Callable[[], object], minutes: int) -> Work:
    meter = Meter(world)
    act()
    world.settle()
    world.live(minutes)
    return meter.read()


def _webhook_calls(world: World, act: Callable[[], object]) -> Counts:
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
