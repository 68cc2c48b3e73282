"""Play one entry in a fresh world."""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ir_router.workflow import detections
from tests.trials.shapes import effects, outcome
from tests.trials.shapes.aws_side import AwsSide
from tests.trials.shapes.entries import (
    APP,
    BEGIN,
    BOT,
    BOT_USER,
    CASE,
    CHANNEL,
    TEAM,
    Entry,
    Step,
)
from tests.trials.shapes.outcome import LogLines
from tests.trials.shapes.people import People
from tests.trials.shapes.requests import Requests
from tests.trials.shapes.slack_side import SlackSide
from tests.trials.shapes.stage import Stage
from tests.trials.world import World
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import LARGEST_PAYLOAD

SET_UP_SECONDS = 900.0
"""How long before the first step the set-up begins, so that the world is at rest when it comes."""

WATCHED_SECONDS = 20 * 60.0
"""How long the poller runs every minute after the last step: longer than the retries of queues and functions."""

AFTERWARDS_SECONDS = 3 * 3600.0
"""How much longer time runs, with a poll every ten minutes, for hourly work and the visibility timeouts of queues."""

_TICK = 0.000_02
_MINUTE, _TEN_MINUTES, _QUARTER, _HOUR = 60.0, 600.0, 900.0, 3600.0
# For the functions' log lines. The logger keeps the stream of its first line.
_NOWHERE = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
# EventBridge matches read-only calls only in rules that ask for them (terraform/events.tf).
_TABLE = json.loads(Path(detections.__file__).with_name("detections.json").read_text("utf-8"))
_READS = frozenset(entry["id"] for entry in _TABLE["detections"] if entry.get("read_only_calls"))


class SteadyClock:
    """A clock that only the world moves. Each reading is a little later, so that no two moments are the same."""

    def __init__(self, start: float) -> None:
        """Begin at `start`, in seconds since the epoch."""
        self._start = start
        self._readings = 0

    def __call__(self) -> float:
        """Return the time."""
        self._readings += 1
        return self._start + self._readings * _TICK


class Player:
    """The play of one entry: `play` runs the steps and returns the result."""

    def __init__(self, world: World, entry: Entry) -> None:
        """Prepare the entry's two sides."""
        self.world = world
        self.entry = entry
        self.slack = SlackSide(world, entry)
        self.aws = AwsSide(world, entry)
        self.stage = Stage(world, entry, self.slack, self.aws)
        self.people = People(self.stage)
        self.requests = Requests(self.stage, self.people)
        self.not_played: list[dict[str, Any]] = []
        self.rules: list[dict[str, Any]] = []
        self.undelivered: list[dict[str, Any]] = []
        self.aws_messages = outcome.Messages(world)
        self._next_poll = 0.0
        self._next_upkeep = 0.0

    def play(self, log: LogLines) -> dict[str, Any]:
        """Set up the world, do every step at its time, let time run on, and return the result."""
        with self.slack.installed(), self.aws.installed():
            self._set_up()
            before = outcome.iam(self.world)
            steps = sorted([*self._timed(), *self._another_case()], key=lambda one: one[0])
            for at, step in steps:
                self._run_until(BEGIN + at, gap=True)
                self._do(step)
            self._run_until(BEGIN + max(self.entry.end, steps[-1][0] if steps else 0.0), gap=True)
            self._run_until(self.world.now() + WATCHED_SECONDS, gap=False)
            self._run_until(self.world.now() + AFTERWARDS_SECONDS, gap=False, every=_TEN_MINUTES)
            self.world.settle(patience=0)
        unused = sorted(
            self.slack.answers.unused | self.slack.files.unused | self.aws.answers.unused | self.aws.storage.unused
        )
        return {
            "id": self.entry.id,
            "what": self.entry.what,
            "expect": self.entry.wish,
            "http_answers": self.requests.answers,
            **outcome.of_slack(self.world),
            **outcome.of_cases(self.world),
            "iam": {"before": before, "after": outcome.iam(self.world)},
            "rules": self.rules,
            "executions": outcome.executions(self.stage.machine),
            **self.aws_messages.shown(),
            "dead_letters": outcome.dead_letters(self.world) + self.undelivered,
            "log_events": log.counted(),
            "unexpected": outcome.unexpected(self.world),
            "outside": self.aws.outside,
            "answers_never_asked_for": unused,
            "not_played": self.not_played,
        }

    def _set_up(self) -> None:
        self.stage.build()
        for step in self.entry.of("given"):
            if step.at == 0 and self._is_early(step):
                self._do(step)
        if self.stage.needs_case():
            self.stage.start_case()
        if self.stage.needs_incident():
            self.stage.start_incident()
        self._next_poll = self.world.now()
        self._run_until(BEGIN, gap=False)
        self._next_poll = self.world.now() + _MINUTE / 2

    def _is_early(self, step: Step) -> bool:
        return isinstance(step.content, Mapping) and not any(
            kind.startswith("case") or kind == "slack_message" for kind in step.content
        )

    def _timed(self) -> Iterator[tuple[float, Step]]:
        for step in self.entry.steps:
            if step.kind == "given":
                if step.at == 0 and self._is_early(step):
                    continue
                yield _later(step), step
            elif step.kind in ("slack_sends", "aws_sends", "person", "aws_answers", "slack_answers"):
                yield step.at, step
            elif step.kind not in ("file_host_answers", "s3_answers"):
                self._skip(step, f"{step.kind}: unknown kind of step")

    def _another_case(self) -> Iterator[tuple[float, Step]]:
        """Yield a second case where the entry speaks of another one and its later answers need one."""
        cases = [
            step for step in self.entry.of("given") if isinstance(step.content, Mapping) and "case" in step.content
        ]
        if not cases or "another case" not in self.entry.what:
            return
        later = [step.at for step in self.entry.of("slack_answers") if step.at >= _HOUR + cases[0].at]
        if later:
            yield min(later), Step(0, min(later), "given", cases[0].content)

    def _do(self, step: Step) -> None:
        try:
            match step.kind:
                case "slack_sends":
                    self.requests.send(step)
                case "aws_sends":
                    self._event(step)
                case "slack_answers":
                    self._leave(step.content)
                case "aws_answers":
                    self.aws.apply(step.content)
                case "given":
                    for words in self.stage.give(step):
                        self._skip(step, words)
                    self.stage.welcome()
                case "person":
                    for words in self.people.play(str(step.content)):
                        self._skip(step, words)
        except Exception as error:  # noqa: BLE001 - the report holds it, and the other steps are played
            self._skip(step, f"{step.kind}: {type(error).__name__}: {error}")

    def _leave(self, answer: Mapping[str, Any]) -> None:
        """Remove the app from a channel that is invisible to it by an answer, so that all methods agree."""
        if answer.get("method") != "conversations.info":
            return
        about = str((answer.get("means") or {}).get("about", ""))
        error = (answer.get("body") or {}).get("error") if isinstance(answer.get("body"), Mapping) else None
        channel = self.stage.store.channels.get(CHANNEL)
        if (
            channel is None
            or error not in ("channel_not_found", "not_in_channel")
            or "app in this channel" not in about
        ):
            return
        if BOT_USER in channel.members:
            channel.members.remove(BOT_USER)

    def _skip(self, step: Step, why: str) -> None:
        self.not_played.append({"step": step.number, "at": step.at, "why": why})

    def _event(self, step: Step) -> None:
        """Put an event on the default bus: the detections' rules start the workflow, as terraform/events.tf does."""
        event = {name: value for name, value in step.content.items() if name != "pad"}
        if pad := step.content.get("pad"):
            _pad(event, str(pad["field"]), int(pad["bytes"]))
        reads = (event.get("detail") or {}).get("readOnly") in (True, "true")
        matched = [one.id for one in detections.matching(event) if not reads or one.id in _READS]
        effects.happen(event)
        self.rules.append({"step": step.number, "event": event.get("id"), "rules": matched})
        for rule in matched:
            if len(json.dumps(event).encode()) > LARGEST_PAYLOAD:
                self._cannot_start(rule, event)
                continue
            self.stage.machine.start(event)
        if str(event.get("source")) == "aws.security-ir":
            self.world.hints.append(event)

    def _cannot_start(self, rule: str, event: Any) -> None:
        """Put the event into the failures queue, as EventBridge does when the target refuses it."""
        try:
            self.stage.resources.undelivered(detections.rule_name(rule), event)
        except ClientError as error:
            lost = {"queue": "failures", "rule": rule, "event": event.get("id"), "lost": str(error)}
            self.undelivered.append(lost)

    def _run_until(self, moment: float, *, gap: bool, every: float = _MINUTE) -> None:
        """Let time pass, with both schedules. A long gap between steps has polls at longer intervals."""
        began = self.world.now()
        while (now := self.world.now()) < moment:
            pause = every
            if gap and now - began > 2 * _HOUR / 4 and moment - now > 2 * _HOUR / 4:
                pause = _TEN_MINUTES if now - began < 26 * _HOUR else _HOUR
            until = min(moment, self._next_poll)
            if until > now:
                self.world.settle(patience=until - now)
                self.world.advance(max(0.0, until - self.world.now()))
            if self._next_poll <= self.world.now() and self.world.now() < moment:
                self.world.poll()
                self.world.verify_containments()
                if self._next_upkeep <= self.world.now():
                    self.stage.resources.upkeep()
                    self._next_upkeep = (self.world.now() // _QUARTER + 1) * _QUARTER
                if pause > _MINUTE:
                    self.aws_messages.collect()  # before the queues' retention ends
                self._next_poll = max(self._next_poll + pause, self.world.now() + 1)
        self.world.settle(patience=0)


def _later(step: Step) -> float:
    """Return the time of a `given` step, which may stand inside its content."""
    if isinstance(step.content, Mapping):
        for value in (step.content, *step.content.values()):
            if isinstance(value, Mapping) and isinstance(value.get("at"), int | float):
                return float(value["at"])
    return step.at


def _pad(event: dict[str, Any], field: str, size: int) -> None:
    *path, last = field.split(".")
    target: Any = event
    for name in path:
        if not isinstance(target.get(name), dict):
            target[name] = {}
        target = target[name]
    target[last] = "x" * size


@contextmanager
def _neutral(world: World) -> Iterator[None]:
    """Give the world the entries' ids: the app's, the first channel's and the first case's."""
    store = world.workspace.store
    app = world.app
    bot = store.users.pop(app.bot_user_id)
    del store.apps[app.app_id]
    app.app_id, app.bot_id, app.bot_user_id = APP, BOT, BOT_USER
    bot.id, bot.bot_id, bot.app_id, bot.team_id = BOT_USER, BOT, APP, TEAM
    store.users[bot.id], store.apps[app.app_id] = bot, app
    for token in store.tokens.values():
        token.app_id = APP
    store.team_id = TEAM
    for user in store.users.values():
        user.team_id = TEAM
    world.configure_slack()
    given, digits = store.next_id, world.security_ir._state.new_digits

    def next_id(prefix: str) -> str:
        return CHANNEL if prefix == "C" and CHANNEL not in store.channels and _is_first(store) else given(prefix)

    def new_digits(length: int, taken: Any) -> str:
        return CASE if length == len(CASE) and not taken else digits(length, taken)

    store.next_id = next_id  # type: ignore[method-assign]
    world.security_ir._state.new_digits = new_digits  # type: ignore[method-assign]
    yield


def _is_first(store: Any) -> bool:
    return not any(channel.name.startswith("aws-security-incident") for channel in store.channels.values())


def play(entry: Entry) -> dict[str, Any]:
    """Play an entry in a world of its own and return the result, with the neutral ids."""
    with running_world() as world:
        world.use_clock(SteadyClock(BEGIN - SET_UP_SECONDS))
        with _neutral(world), LogLines() as log:
            result = Player(world, entry).play(log)
        world.unexpected.allow(BaseException)
    return outcome.neutral(result, world.workspace.store.base_url)


def attempt(entry: Entry) -> dict[str, Any]:
    """Play one entry; the result of a failure of the player holds the traceback in `crashed`."""
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(_NOWHERE):
            result = play(entry)  # the functions' log lines are counted in the result
    except Exception:  # noqa: BLE001 - the other entries are played
        result = {"id": entry.id, "what": entry.what, "expect": entry.wish, "crashed": traceback.format_exc()}
    return result | {"seconds": round(time.monotonic() - began, 1)}
