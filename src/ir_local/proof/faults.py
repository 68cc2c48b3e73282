"""Faults: each outside operation failing in each way, for one call, for 30 s and for ten minutes of simulated time.

Measured are the seconds from the end of the fault until both sides look as they would without it, and what people were
told of it meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ir_local.proof import leaks
from ir_local.proof.crash import scenario_named, undisturbed
from ir_local.proof.part import Row, Run, Search, progress
from ir_local.world.crashes import Scenario
from ir_local.world.outages import KINDS, Kind, Outage, struck_by
from ir_local.world.picture import Picture
from ir_local.world.scenarios import SCENARIOS
from ir_local.world.wire import Call
from ir_local.world.world import World, own_world

SECTION = "faults"
DURATIONS: tuple[float | None, ...] = (None, 30.0, 600.0)
RECOVERY_BOUND_SECONDS = 120.0
"""By the next poll: it comes every 60 s, and finds a case or message whose back-off (at most 60 s) is over."""

_POLL_SECONDS = 60.0
_MOST_MINUTES = 40
_JOBS_AT_A_TIME = 8
_SAMPLE = 6
# Whoever typed a command knows by then that nothing more comes of it.
_PERSON_WAITS_MINUTES = 5
_GIVEN_UP = "dead: "
_CONTAINMENT = "containment: "
# Slack's documentation of the Events API: three more tries, at once, after a minute and after five.
_SLACK_TRIES = 360.0
# An execution that took a way which ends in an alert, an audit record or red (docs/containment.md, "The states").
_ERROR_BRANCH = re.compile(r"execution-\d+ .*(Failed|Report |Case Not Opened|Keep Containment)")
# Containing does not wait for the allowlist: an event is contained, and alert and record say so.
_SAID_ALONG = {
    "The allowlist could not be read; the event was treated as not allowlisted.\n": "",
    "The allowlist could not be read; the event was treated as not allowlisted.\\n": "",
    "'lookup_failed': True": "'lookup_failed': False",
}
# Written before CloseCase, since a closed case takes no comment; and she did ask twice.
_ASKED_TWICE = re.compile(r"comments: 1 too many: .*Closing asked for by")
_OPENED_BY = re.compile(r"comments: 1 missing: .*Opened by")
_TOLD = "Error ID"
_GOES_ON = "⚠️ Temporary connectivity issue"


@dataclass(frozen=True)
class Fault:
    """What fails, how, for how long (None: one call), and in which scenario."""

    service: str
    operation: str
    kind: Kind
    seconds: float | None
    scenario: str

    def __str__(self) -> str:
        """The name of its job."""
        return f"{self.scenario}: {Outage(self.service, self.operation, self.kind, self.seconds)}"


@dataclass(frozen=True)
class Recovery:
    """`seconds` after the end of the fault until all was as it should be; None: never. `told`: how often, by place."""

    fault: Fault
    struck: int
    seconds: float | None
    told: Mapping[str, int]
    done_again: bool
    wrong: tuple[str, ...]

    @property
    def is_bad(self) -> bool:
        """Whether a bound is broken."""
        late = self.seconds is None or self.seconds > RECOVERY_BOUND_SECONDS
        return not self.struck or (late and not self.limit) or any(count > 1 for count in self.told.values())

    @property
    def limit(self) -> str:
        """Why it may end otherwise, as docs/reliability.md says; empty: it may not."""
        if self.fault.seconds is None:
            return ""
        if self.fault.scenario.startswith(_CONTAINMENT) and self.told.get("workflow"):
            return "handed to people: the workflow tries a step for about a minute, then alerts"
        if (self.fault.service, self.fault.operation) == ("sqs", "SendMessage") and self.fault.seconds > _SLACK_TRIES:
            return "Slack delivers an event for about six minutes only"
        if "answers" in self.told and all(map(_OPENED_BY.match, self.wrong)):
            return "CreateCase opened the case and never answered: the audit alone says who asked"
        return ""


@dataclass(frozen=True)
class Job:
    """Some faults of one scenario, and its undisturbed end."""

    faults: tuple[Fault, ...]
    expected: Picture

    def __str__(self) -> str:
        """For the line of progress."""
        return f"{self.faults[0]} to {self.faults[-1].operation}"


def measure(run: Run) -> list[dict[str, Any]]:
    """The undisturbed runs, which name the operations; then every fault."""
    made: dict[str, tuple[list[Call], Picture]] = {}
    names = [scenario.name for scenario in SCENARIOS if run.wants(scenario.name)]
    for name, (calls, expected, _search) in run.each(SECTION, undisturbed, names):
        made[name] = (calls, expected)
    wanted = [fault for fault in _faults({name: calls for name, (calls, _) in made.items()}) if run.wants(str(fault))]
    if run.size == "short":
        wanted = wanted[:: max(1, len(wanted) // _SAMPLE)]
    jobs = list(_jobs(wanted, {name: expected for name, (_, expected) in made.items()}))
    recoveries: list[Recovery] = []
    for _, (found, search) in run.each(SECTION, strike, jobs):
        run.searches.append(search)
        recoveries += found
        for recovery in found:
            if recovery.is_bad:
                progress(f"{SECTION:8}beyond a bound: {recovery.fault}")
    return [_figures(recovery) for recovery in sorted(recoveries, key=lambda one: str(one.fault))]


def strike(job: Job) -> tuple[list[Recovery], Search]:
    """What becomes of each fault."""
    recoveries = []
    with leaks.watching() as watched:
        for fault in job.faults:
            try:
                recoveries.append(_recovery(fault, job.expected, watched))
            except Exception as error:  # noqa: BLE001 - the others are tried all the same
                wrong = (f"not played to its end: {error!r}",)
                recoveries.append(Recovery(fault, 1, None, {}, done_again=False, wrong=wrong))
    return recoveries, watched.search


def broken(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each fault that people felt longer or heard of more often than once."""
    lines = []
    for one in figures:
        if one["within_bounds"]:
            continue
        after = "never" if one["recovered_after_seconds"] is None else f"after {one['recovered_after_seconds']:.0f} s"
        lines.append(
            f"fault: {one['name']}: recovered {after}, told {one['told']}. Again: make proof PARTS=faults "
            f"ONLY='{one['name']}'\n" + "\n".join(f"        {line[:400]}" for line in one["wrong"])
        )
    return lines or ([] if figures else ["no fault was tried: ONLY names none"])


def rows(figures: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A line for each service and kind of fault."""
    table: list[Row] = []
    for service, kind in sorted({(one["service"], one["kind"]) for one in figures}):
        own = [one for one in figures if (one["service"], one["kind"]) == (service, kind)]
        late = [one["recovered_after_seconds"] for one in own if one["recovered_after_seconds"] is not None]
        table.append(
            (f"fault  {service}, {kind}: {len(own)} tried, longest recovery", f"{max(late, default=0):.0f} s", "120 s")
        )
    for limit, count in sorted(Counter(one["limit"] for one in figures if one["limit"]).items()):
        table.append((f"fault  {limit}", str(count), "documented limit"))
    told = max((count for one in figures for count in one["told"].values()), default=0)
    return [*table, ("fault  told at most, in one place", str(told), "1")]


def _faults(made: Mapping[str, Sequence[Call]]) -> list[Fault]:
    """Each operation in the first scenario in which each function uses it."""
    places: dict[Call, str] = {}
    for scenario in SCENARIOS:
        for call in made.get(scenario.name, ()):
            places.setdefault(call, scenario.name)
    wanted = sorted({(name, call.service, call.operation) for call, name in places.items()})
    found = [
        Fault(service, operation, kind, seconds, name)
        for name, service, operation in wanted
        for kind in KINDS
        for seconds in DURATIONS
    ]
    return found + [
        Fault(service, operation, "conflict", seconds, name)
        for name, service, operation in wanted
        for seconds in (None, 30.0)
        if service == "dynamodb" and operation not in ("GetItem", "Query")
    ]


def _jobs(wanted: Sequence[Fault], expected: Mapping[str, Picture]) -> Iterator[Job]:
    for scenario in SCENARIOS:
        own = [fault for fault in wanted if fault.scenario == scenario.name]
        for first in range(0, len(own), _JOBS_AT_A_TIME):
            yield Job(tuple(own[first : first + _JOBS_AT_A_TIME]), expected[scenario.name])


def _recovery(fault: Fault, expected: Picture, watched: leaks.Leaks) -> Recovery:
    scenario = scenario_named(fault.scenario)
    outage = Outage(fault.service, fault.operation, fault.kind, fault.seconds)
    with own_world() as world:
        there = scenario.prepare(world)
        with struck_by(world, outage):
            scenario.act(world, there)
            while outage.began is not None and world.now() < outage.ends_at:
                world.live(1)
        recovery = _watch(fault, outage, scenario, world, there, expected)
        watched.look(world)
    return recovery


def _watch(
    fault: Fault, outage: Outage, scenario: Scenario, world: World, there: object, expected: Picture
) -> Recovery:
    """Let time pass until all is as it should be; a person who was told that it failed does it again, once."""
    began, done_again, polled = outage.ends_at, False, world.now()
    if outage.seconds is None and outage.waited_until:
        began = outage.waited_until  # one call, which lasts as long as its caller waits
    for minute in range(_MOST_MINUTES):
        if minute > 0:
            world.advance(max(1.0, polled + _POLL_SECONDS - world.now()))
        polled = world.now()
        world.poll()
        world.settle(patience=_POLL_SECONDS - 1)
        wrong, told = _judged(scenario.look(world, there).with_names(_SAID_ALONG).differences(expected))
        if done_again or "answers" in told:  # the failure is the answer; the second time it is "nothing to change"
            wrong = [line for line in wrong if not line.startswith("answers: ")]
        if done_again:
            wrong = [line for line in wrong if not _ASKED_TWICE.match(line)]
        if not wrong:
            return Recovery(fault, outage.struck, max(0.0, world.now() - began), told, done_again, ())
        if minute == _PERSON_WAITS_MINUTES and scenario.by_person and not done_again:
            began, done_again = world.now(), True
            scenario.act(world, there)
    return Recovery(fault, outage.struck, None, told, done_again, tuple(wrong))


def _judged(differences: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """What is wrong, and how often people were told of a failure in each place."""
    wrong: list[str] = []
    told: Counter[str] = Counter()
    for line in differences:
        place, _, rest = line.partition(": ")
        if line.startswith(_GIVEN_UP):
            continue  # a hint that Lambda gave up: the poll found the case by itself, or else more is wrong than this
        if " too many: " in line and _ERROR_BRANCH.search(rest):
            told["workflow"] = 1  # its own alert or red end, and what goes with it
        if " too many: " in line and _TOLD in line:
            if _GOES_ON not in line:
                told[place] += int(rest.split(" ", 1)[0])
        else:
            wrong.append(line)
    return wrong, dict(told)


def _figures(recovery: Recovery) -> dict[str, Any]:
    return {
        "name": str(recovery.fault),
        **asdict(recovery.fault),
        "struck": recovery.struck,
        "recovered_after_seconds": recovery.seconds,
        "told": dict(recovery.told),
        "done_again": recovery.done_again,
        "limit": recovery.limit if recovery.seconds is None else "",
        "within_bounds": not recovery.is_bad,
        "wrong": list(recovery.wrong),
    }
