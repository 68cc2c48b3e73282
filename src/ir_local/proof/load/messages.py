"""People write in many channels at once; Slack delivers a fifth of it again, at once, after a minute, after five more.

The door's answer is lost on the way back: the request had its effect, and Slack, which cannot know, sends it again. The
last repetition comes after SQS has forgotten the id, so that only the ledger can tell.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ir_local.proof import leaks
from ir_local.proof.load.order import Arrived, compare
from ir_local.slack.people import Person
from ir_local.world import World
from ir_local.world.world import own_world

NAME = re.compile(r"\bm\d+-\d+\b")
_WAVE_SECONDS = 10.0
_MOST_MINUTES = 30
# Slack's last repetition comes 360 seconds after the first request.
_AFTER_SECONDS = 420.0
# Of each hundred messages: so many lose one answer, so many three.
_LOSE_ONE, _LOSE_THREE = 11, 3


@dataclass(frozen=True)
class Amount:
    """How much: `each` messages in every one of `channels` channels."""

    channels: int
    each: int


@dataclass(frozen=True)
class Figures:
    """`delivered`: signed requests with a message; `again`: those among them that Slack repeated."""

    arrived: Arrived
    delivered: int
    again: int
    leaks: list[str]


def carry(amount: Amount) -> Figures:
    """Let people write, wave after wave, and compare every channel with its case."""
    with leaks.watching() as watched, own_world(enforce_rate_limits=True) as world:
        talk = Talk(world, amount.channels)
        line = LossyLine(world)
        for wave in range(amount.each):
            talk.wave(wave)
            world.settle(patience=_WAVE_SECONDS - 1)
            world.advance(_WAVE_SECONDS)
        for _ in range(int(_AFTER_SECONDS / 60)):
            world.live(1)
        world.settle()
        world.live(2)
        watched.look(world)
        arrived = talk.arrived()
    return Figures(arrived, line.delivered, line.again, watched.found)


class Talk:
    """Two people in the channels of as many cases. `said`: case id -> the names of the messages, in order."""

    def __init__(self, world: World, channels: int) -> None:
        """Open the cases and wait for their channels."""
        self.world = world
        self.people = [_person(world, name) for name in ("jane", "omar")]
        watchers = [{"email": f"{name}@example.com", "name": name.title()} for name in ("jane", "omar")]
        self.said: dict[str, list[str]] = {world.create_case(watchers=watchers): [] for _ in range(channels)}
        world.settle()
        for _ in range(_MOST_MINUTES):  # at the pace at which Slack makes channels and lets people in
            if self._are_let_in():
                break
            world.live(1)
        self.channels = {case_id: world.channel_of(case_id) for case_id in self.said}
        self._threads: dict[str, str] = {}
        self._random = random.Random(20_260_115)  # noqa: S311

    def _are_let_in(self) -> bool:
        """Whether every case has its channel, with the people in it."""
        made = [channel for channel in self.world.workspace.store.channels.values() if channel.kind == "private"]
        everybody = {person.id for person in self.people}
        return len(made) == len(self.said) and all(everybody <= set(channel.members) for channel in made)

    def wave(self, number: int) -> None:
        """One message in every channel, the channels in any order; every tenth is a reply."""
        cases = list(self.said)
        self._random.shuffle(cases)
        for case_id in cases:
            name = f"m{cases.index(case_id)}-{number}"
            thread_ts = self._threads.get(case_id) if number % 10 == 9 else None
            self._threads[case_id] = self.person(number).post(
                self.channels[case_id], f"{name} {leaks.CANARY} " + "and so on " * (number % 7), thread_ts=thread_ts
            )
            self.said[case_id].append(name)

    def person(self, number: int) -> Person:
        """Whose turn it is."""
        return self.people[number % len(self.people)]

    def arrived(self) -> Arrived:
        """Every case against its channel; an echo of a message in the channel counts as doubled."""
        total = Arrived()
        for case_id, names in self.said.items():
            bodies = [body for body in self.world.comments(case_id) if body.startswith("[Slack Update]")]
            echoes = [name for message in self.world.said(case_id) for name in NAME.findall(str(message["blocks"]))]
            # The second line is what was said; the first may quote what it answers.
            total += compare(names, [*(NAME.findall(body.split("\n")[1])[0] for body in bodies), *echoes])
        return total


def _person(world: World, name: str) -> Person:
    return world.workspace.create_user(name, email=f"{name}@example.com", real_name=name.title())


@dataclass
class LossyLine:
    """Between Slack and the door: some answers do not come back."""

    world: World
    delivered: int = 0
    again: int = 0
    _to_lose: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the place of the app's request URL."""
        self.world.app.deliver = self.deliver

    def deliver(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Bring a request to the door; raises ConnectionResetError when its answer is lost."""
        answer = self.world.request(headers, body)
        envelope = json.loads(body)
        if not NAME.search(str(envelope["event"].get("text"))) or envelope["event"].get("bot_id"):
            return answer
        self.delivered += 1
        self.again += "X-Slack-Retry-Num" in headers
        number = len(self._to_lose) % 100
        losses = 3 if number < _LOSE_THREE else int(number < _LOSE_THREE + _LOSE_ONE)
        left = self._to_lose.setdefault(str(envelope["event_id"]), losses)
        if left > 0:
            self._to_lose[str(envelope["event_id"])] = left - 1
            raise ConnectionResetError
        return answer
