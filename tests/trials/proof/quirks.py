"""Every scenario with each quirk of Slack alone, and with random sets of quirks.

A run prepares its scenario without quirks, turns them on, acts, and turns them off after some minutes, as an
administrator does who repairs a setting. The result must equal that of the run without quirks. Meanwhile no message may
claim a permanent cause, promise an attachment that the case does not have, or give useless advice.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ir_router.errors import IrRouterError
from ir_sandbox.slack.quirks import QUIRKS, bookmarks, errors, files, identity, messages
from tests.trials.proof import leaks
from tests.trials.proof.crash import scenario_named
from tests.trials.proof.part import Row, Run, Search, progress
from tests.trials.world import World, picture
from tests.trials.world.running import running_world
from tests.trials.world.scenarios import SCENARIOS

SECTION = "quirks"
_KINDS = ("lost", "doubled", "untrue")
_SEED = 20260921
_RANDOM_SETS = 40
_LARGEST_SET = 6
_RANDOM_SETS_OF_A_SAMPLE = 10
# For SIZE=short: the scenarios that the quirks of each area can concern, one of each kind.
_NEW_CASE, _FILE = "new case with comments, a file and watchers", "Slack file"
_APPROVED, _DENIED = "containment: approved by button and form", "containment: denied by button and form"
_CONCERNED = (
    (files, (_NEW_CASE, _FILE)),
    (messages, ("Slack messages", "Slack edit", "Slack deletion", _FILE)),
    (identity, ("Slack messages", _FILE, "/security-ir update-status", _DENIED)),
    (bookmarks, (_NEW_CASE, "/security-ir report", _APPROVED)),
    (errors, (_NEW_CASE, _FILE, "/security-ir create", _APPROVED, _DENIED)),
)
# Slack's own delays last seconds, and the transfers of files wait some minutes for them.
_MINUTES_WITH_QUIRKS = 3
_MINUTES_AFTER = 8
# Longer than the hourly attempts for settings that an administrator changes.
_HOUR_SECONDS = 4000.0

_PERMANENT = re.compile(
    r"not stored in Slack|was deleted in Slack before|it is empty|\(in Slack only: empty\)|token_refused|"
    r"could not be copied: Slack rejected(?!.*ir-router retries this automatically)|does not retry",
    re.DOTALL,
)
_ATTACHMENT = re.compile(r"\(attachment ([^)\s]+)\)")
_INVITE = re.compile(r"[Ii]nvite the app")


@dataclass(frozen=True)
class Job:
    """One scenario with some quirks on."""

    scenario: str
    quirks: tuple[str, ...]

    def __str__(self) -> str:
        """Return the name for the progress line and for ONLY."""
        return f"{self.scenario}: {' '.join(self.quirks)}"


@dataclass(frozen=True)
class Outcome:
    """The differences of one job by kind."""

    job: Job
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    untrue: tuple[str, ...] = ()


def measure(run: Run) -> dict[str, Any]:
    """Run the scenarios without quirks, then every job."""
    jobs = _jobs(run)
    names = sorted({job.scenario for job in jobs})
    expected: dict[str, Counter[str]] = {}
    asked: dict[str, frozenset[str]] = {}
    for name, (counted, asked_quirks, search) in run.each(SECTION, undisturbed, names):
        expected[name], asked[name] = counted, asked_quirks
        run.searches.append(search)
    # A quirk about which the workspace never asks cannot change the scenario.
    without_effect = [job for job in jobs if asked[job.scenario].isdisjoint(job.quirks)]
    jobs = [job for job in jobs if job not in without_effect]
    outcomes: list[Outcome] = []
    for _, (outcome, search) in run.each(SECTION, play, [(job, expected[job.scenario]) for job in jobs], label=_label):
        run.searches.append(search)
        outcomes.append(outcome)
        if any(getattr(outcome, kind) for kind in _KINDS):
            progress(f"{SECTION:8}failed: {outcome.job}")
    return {
        "tried": len(outcomes),
        "without_effect": len(without_effect),
        **{kind: sum(bool(getattr(outcome, kind)) for outcome in outcomes) for kind in _KINDS},
        "failures": [
            {"job": str(outcome.job), **{kind: list(getattr(outcome, kind)) for kind in _KINDS}}
            for outcome in outcomes
            if any(getattr(outcome, kind) for kind in _KINDS)
        ],
    }


def broken(figures: Mapping[str, Any]) -> list[str]:
    """Return a line for each job with a failure, and one if no job ran."""
    lines = [
        f"{kind}: {one['job']}. Repeat it with: make proof PARTS=quirks ONLY='{one['job']}'\n"
        + "\n".join(f"        {line[:400]}" for line in one[kind])
        for one in figures["failures"]
        for kind in _KINDS
        if one[kind]
    ]
    return lines if figures["tried"] else ["no job with quirks ran: ONLY matches none"]


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """Return the number of jobs and of those with a failure, by kind."""
    table: list[Row] = [
        ("quirks: scenarios with quirks", str(figures["tried"]), "each quirk, and random sets"),
        ("quirks: without effect on the scenario", str(figures["without_effect"]), "not run"),
    ]
    return table + [(f"quirks: with something {kind}", str(figures[kind]), "0") for kind in _KINDS]


def undisturbed(name: str) -> tuple[Counter[str], frozenset[str], Search]:
    """Run a scenario without quirks.

    Returns:
        The counted result, the quirks about which the workspace asked while `play` has them on, and the search for
        leaks.
    """
    with leaks.watching() as watched, _world(watched) as world:
        scenario = scenario_named(name)
        prepared = scenario.prepare(world)
        quirks = world.workspace.store.quirks
        quirks.asked.clear()
        scenario.act(world, prepared)
        world.live(_MINUTES_WITH_QUIRKS)
        asked = frozenset(quirks.asked)
        _finish(world)
        return counted(world), asked, watched.search


def play(item: tuple[Job, Counter[str]]) -> tuple[Outcome, Search]:
    """Run one job and compare its result with the one without quirks."""
    job, expected = item
    with leaks.watching() as watched:
        try:
            with _world(watched) as world:
                outcome = _played(world, job, expected)
        except Exception as error:  # noqa: BLE001 - the other jobs must still run
            outcome = Outcome(job, lost=(f"the scenario did not finish: {error!r}",))
    return outcome, watched.search


def _played(world: World, job: Job, expected: Counter[str]) -> Outcome:
    world.unexpected.allow(IrRouterError)
    scenario = scenario_named(job.scenario)
    prepared = scenario.prepare(world)
    world.workspace.store.quirks.turn_on(job.quirks)
    scenario.act(world, prepared)
    world.live(_MINUTES_WITH_QUIRKS)
    untrue = _useless_advice(world)
    world.workspace.store.quirks.turn_all_off()
    _finish(world)
    result = counted(world)
    if scenario.by_person and expected - result:
        scenario.act(world, prepared)  # a user repeats an action that failed
        _finish(world)
        result = counted(world)
    return Outcome(
        job,
        lost=_lines(expected - result),
        doubled=_lines(result - expected),
        untrue=(*untrue, *_untrue(world)),
    )


def _finish(world: World) -> None:
    """Let time run until hourly attempts have been made."""
    world.live(_MINUTES_AFTER)
    world.advance(_HOUR_SECONDS)
    world.live(2)
    world.settle()
    world.live(1)


def counted(world: World) -> Counter[str]:
    """Count the carried items. Their texts may differ: a quirk changes how Slack sends a message."""
    count: Counter[str] = Counter()
    for case in world.security_ir.snapshot()["cases"].values():
        people = sorted(watcher["email"] for watcher in case["watchers"])
        count[f"case {case['title']} {case['status']} {people}"] += 1
        count["comments from Slack"] += sum("[Slack Update]" in one["body"] for one in case["comments"].values())
        for one in case["attachments"].values():
            content = picture.content(one["file_name"], one["sha256"])
            count[f"attachment {content} by {one['creator'].partition('/')[0]}"] += 1
    for channel in world.workspace.store.channels.values():
        shown = [one for one in world.workspace.channel_messages(channel.id) if one.get("app_id") == world.app.app_id]
        count.update(f"bookmark {one['title']}" for one in channel.bookmarks)
        count["comments in Slack"] += sum("commented" in str(one.get("blocks")) for one in shown)
        count["files in Slack"] += sum(len(one.get("files", [])) for one in shown)
    return count


def _lines(count: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{number} x {what}" for what, number in count.items())


def _texts(world: World) -> Iterator[str]:
    for channel in world.workspace.store.channels.values():
        for message in world.workspace.channel_messages(channel.id):
            if message.get("app_id") == world.app.app_id:
                yield f"{message.get('text', '')}\n{message.get('blocks', '')}"
    for answer in world.workspace.ephemerals():
        yield str(answer["text"])
    for case in world.security_ir.snapshot()["cases"].values():
        yield from (comment["body"] for comment in case["comments"].values())


def _untrue(world: World) -> Iterator[str]:
    """Yield the texts that are untrue in the end: every quirk here passes, so every file can be copied."""
    cases = world.security_ir.snapshot()["cases"].values()
    names = {one["file_name"] for case in cases for one in case["attachments"].values()}
    for text in _texts(world):
        if found := _PERMANENT.search(text):
            yield f"permanent cause: {found[0]!r} in {text[:200]!r}"
        for name in _ATTACHMENT.findall(text):
            if name not in names:
                yield f"attachment that does not exist: {name} in {text[:200]!r}"


def _useless_advice(world: World) -> list[str]:
    """Return the texts that ask to invite the app to a channel that it is in."""
    prefix = "aws-security-incident-response-case-"
    channels = [one for one in world.workspace.store.channels.values() if one.name.startswith(prefix)]
    if not channels or any(world.app.bot_user_id not in one.members for one in channels):
        return []
    return [f"useless advice: {text[:200]!r}" for text in _texts(world) if _INVITE.search(text)]


def _jobs(run: Run) -> list[Job]:
    """Return each scenario with each quirk, and with random sets.

    For SIZE=short, each quirk meets only the kinds of scenarios that it can concern, and there are fewer sets.
    """
    drawn = random.Random(_SEED)
    is_short = run.size == "short"
    jobs = [Job(scenario, (quirk,)) for scenario, quirk in _pairs(short=is_short)]
    for _ in range(_RANDOM_SETS_OF_A_SAMPLE if is_short else _RANDOM_SETS):
        chosen = drawn.sample(sorted(QUIRKS), drawn.randint(2, _LARGEST_SET))
        jobs.append(Job(drawn.choice(SCENARIOS).name, tuple(sorted(chosen))))
    return [job for job in jobs if run.wants(str(job))]


def _pairs(*, short: bool) -> Iterator[tuple[str, str]]:
    if short:
        for area, scenarios in _CONCERNED:
            yield from ((scenario, quirk.name) for scenario in scenarios for quirk in area.QUIRKS)
    else:
        yield from ((scenario.name, quirk) for scenario in SCENARIOS for quirk in sorted(QUIRKS))


def _label(item: Sequence[Any]) -> str:
    return str(item[0])


@contextmanager
def _world(watched: leaks.Leaks) -> Iterator[World]:
    with running_world() as world:
        yield world
        watched.scan(world)
