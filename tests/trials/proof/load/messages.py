"""Users write in many channels at once, and Slack delivers a fifth of the messages again: at once, after 1 min, after 6
min.

The webhook's response is lost on its way back. The request had its effect, but Slack cannot know and sends it again. At
the last repetition SQS has forgotten the id, so only the ledger can recognise the message.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ir_sandbox.security_ir import Settings
from ir_sandbox.slack.people import Person
from tests.trials.proof import leaks
from tests.trials.proof.load.order import Deliveries, compare
from tests.trials.world import World
from tests.trials.world.running import running_world

NAME = re.compile(r"\bm\d+-\d+\b")
_WAVE_SECONDS = 10.0
_MOST_MINUTES = 30
# Slack's last repetition comes 360 seconds after the first request.
_AFTER_SECONDS = 420.0
# Of each hundred messages, this many lose one response, and this many lose three.
_LOSE_ONE, _LOSE_THREE = 11, 3


@dataclass(frozen=True)
class Amount:
    """The amount: `each` messages in each of `channels` channels."""

    channels: int
    each: int


@dataclass(frozen=True)
class Figures:
    """The result: signed requests with a message (`delivered`), and the repeated ones among them (`redelivered`)."""

    arrived: Deliveries
    delivered: int
    redelivered: int
    leaks: list[str]


def measure_load(amount: Amount) -> Figures:
    """Let users write, wave after wave, and compare every channel with its case."""
    with leaks.watching() as watched, running_world(enforce_rate_limits=True) as world:
        conversations = Conversations(world, amount.channels)
        line = LossyConnection(world)
        for wave in range(amount.each):
            conversations.wave(wave)
            world.settle(patience=_WAVE_SECONDS - 1)
            world.advance(_WAVE_SECONDS)
        for _ in range(int(_AFTER_SECONDS / 60)):
            world.live(1)
        world.settle()
        world.live(2)
        watched.scan(world)
        arrived = conversations.deliveries()
    return Figures(arrived, line.delivered, line.redelivered, watched.found)


class Conversations:
    """Two users who write in every case's channel. `posted` maps a case id to the names of its messages, in order."""

    def __init__(self, world: World, channels: int) -> None:
        """Open the cases and wait for their channels."""
        self.world = world
        self.people = [_person(world, name) for name in ("jane", "omar")]
        watchers = [{"email": f"{name}@example.com", "name": name.title()} for name in ("jane", "omar")]
        world.security_ir.configure(Settings(active_self_managed_cases=max(50, channels)))
        self.posted: dict[str, list[str]] = {world.create_case(watchers=watchers): [] for _ in range(channels)}
        world.settle()
        for _ in range(_MOST_MINUTES):  # Slack's rate limits slow down channel creation and invitations
            if self._channels_are_ready():
                break
            world.live(1)
        self.channels = {case_id: world.channel_of(case_id) for case_id in self.posted}
        self._threads: dict[str, str] = {}
        self._random = random.Random(20_260_115)

    def _channels_are_ready(self) -> bool:
        """Return whether every case has its channel with both users in it."""
        made = [channel for channel in self.world.workspace.store.channels.values() if channel.kind == "private"]
        everybody = {person.id for person in self.people}
        return len(made) == len(self.posted) and all(everybody <= set(channel.members) for channel in made)

    def wave(self, number: int) -> None:
        """Post one message in every channel, in random order of channels. Every tenth wave is a reply."""
        cases = list(self.posted)
        self._random.shuffle(cases)
        for case_id in cases:
            name = f"m{cases.index(case_id)}-{number}"
            thread_ts = self._threads.get(case_id) if number % 10 == 9 else None
            self._threads[case_id] = self.person(number).post(
                self.channels[case_id], f"{name} {leaks.CANARY} " + "and so on " * (number % 7), thread_ts=thread_ts
            )
            self.posted[case_id].append(name)

    def person(self, number: int) -> Person:
        """Return the user whose turn it is."""
        return self.people[number % len(self.people)]

    def deliveries(self) -> Deliveries:
        """Compare every case with its channel. An echo of a message in the channel counts as a duplicate."""
        total = Deliveries()
        for case_id, names in self.posted.items():
            bodies = [body for body in self.world.comments(case_id) if body.startswith("[Slack Update]")]
            echoes = [name for message in self.world.said(case_id) for name in NAME.findall(str(message["blocks"]))]
            # The second line holds the message. The first line may quote the message that it replies to.
            total += compare(names, [*(NAME.findall(body.split("\n")[1])[0] for body in bodies), *echoes])
        return total


def _person(world: World, name: str) -> Person:
    return world.workspace.create_user(name, email=f"{name}@example.com", real_name=name.title())


@dataclass
class LossyConnection:
    """The connection between Slack and the webhook, which loses some responses."""

    world: World
    delivered: int = 0
    redelivered: int = 0
    _to_lose: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Replace the app's request URL."""
        self.world.app.deliver = self.deliver

    def deliver(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request to the webhook. Raises ConnectionResetError when its response is lost."""
        answer = self.world.request(headers, body)
        envelope = json.loads(body)
        if not NAME.search(str(envelope["event"].get("text"))) or envelope["event"].get("bot_id"):
            return answer
        self.delivered += 1
        self.redelivered += "X-Slack-Retry-Num" in headers
        number = len(self._to_lose) % 100
        losses = 3 if number < _LOSE_THREE else int(number < _LOSE_THREE + _LOSE_ONE)
        left = self._to_lose.setdefault(str(envelope["event_id"]), losses)
        if left > 0:
            self._to_lose[str(envelope["event_id"])] = left - 1
            raise ConnectionResetError
        return answer
