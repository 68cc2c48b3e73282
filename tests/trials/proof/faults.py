"""Faults: every outside operation fails in every way, for one call, for 30 s and for 10 min of simulated time.

For each fault the trial measures two figures: the seconds from the end of the fault until both sides look as they would
without it, and how often users were notified of the failure meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tests.trials.proof import leaks
from tests.trials.proof.crash import scenario_named
from tests.trials.proof.groups import another_event_starts
from tests.trials.proof.part import Row, Run, Search, progress
from tests.trials.world import crashes, incidents
from tests.trials.world.branches import Branches, BranchFailedError
from tests.trials.world.crashes import Scenario
from tests.trials.world.organisation import NAMES
from tests.trials.world.outages import KINDS, Kind, Outage, struck_by
from tests.trials.world.picture import Picture
from tests.trials.world.running import running_world
from tests.trials.world.scenarios import SCENARIOS
from tests.trials.world.state_machine import StateFailedError
from tests.trials.world.unexpected import RAISED_WHEN_SERVICES_FAIL
from tests.trials.world.wire import Call
from tests.trials.world.world import World

SECTION = "faults"
DURATIONS: tuple[float | None, ...] = (None, 30.0, 600.0)
RECOVERY_BOUND_SECONDS = 120.0
"""The next poll must repair it: polls run every 60 s, and a case or message backs off for at most 60 s."""

_POLL_SECONDS = 60.0
_MOST_MINUTES = 40
_JOBS_AT_A_TIME = 24
_SAMPLE = 6
# By then, the user of a command knows that no further answer will come.
_PERSON_WAITS_MINUTES = 5
_UNTIL_STRUCK_MINUTES = 3
# After the transfers that fail in ten minutes (docs/reliability.md, "Documented limits").
_LONGEST_FILE_PAUSE_SECONDS = 1_200.0
_QUEUED_AGAIN_SECONDS = 600.0
_OF_FILES = frozenset(
    {
        ("security-ir", "GetCaseAttachmentDownloadUrl"),
        ("security-ir", "GetCaseAttachmentUploadUrl"),
        ("slack", "files.completeUploadExternal"),
        ("slack", "files.getUploadURLExternal"),
    }
)
_GIVEN_UP = "dead: "
_CONTAINMENT = "containment: "
# Slack's documentation of the Events API: three retries, at once, after one minute and after five minutes.
_SLACK_TRIES = 360.0
# An execution that took a path which ends in an alert, an audit record or a failure (docs/containment.md, "The
# states"), or an alert that a containment could not be re-applied completely.
_ERROR_BRANCH = re.compile(
    r"execution-\d+ .*(Failed|Report |Case Not Opened|Keep Containment)"
    r"|alert: [^\n]{0,100} PARTLY contained"
)
# The workflow contained without the ledger (docs/containment.md, "Without the ledger"): an alert of its own, and the
# texts about the event show all that this path changed.
_WITHOUT_LEDGER = re.compile(r"workflow: 1 too many: execution-\d+ .*Contain With Ledger")
_TEXTS_WITHOUT_LEDGER = re.compile(
    r"workflow: 1 (too many|missing): |(messages|comments|said): .*This event joined the open incident", re.DOTALL
)
_STARTS = ("stepfunctions", "StartExecution")
# Containment does not wait for the allowlist: the principal is contained, and the alert and the record mention it.
_EXPECTED_NOTES = {
    "ir-router could not read the allowlist, so it treated the event as not allowlisted.\n": "",
    "ir-router could not read the allowlist, so it treated the event as not allowlisted.\\n": "",
    "'lookup_failed': True": "'lookup_failed': False",
}
# Containment does not wait for the name of an account: the texts then have its number alone.
_WITHOUT_NAMES = {f"{name} ({account})": account for account, name in NAMES.items()}
# ir-router writes this comment before CloseCase, because a closed case accepts no comment. The user did ask twice.
_CLOSED_TWICE = re.compile(r"comments: 1 too many: .*is closing this case from Slack")
_OPENED_BY = re.compile(r"comments: 1 missing: .*Opened by")
_ERROR_NOTICE = "Error ID"
_SECURITY_CHANNEL = "messages in the security channel"
_OUT_OF_SYNC = re.compile(r"Case <case \d+> is out of sync with its Slack channel")
_RETRY_NOTICE = "⚠️ Temporary connectivity issue"


@dataclass(frozen=True)
class Fault:
    """A kind of failure of one operation in one scenario. `seconds` is its length; None means one call."""

    service: str
    operation: str
    kind: Kind
    seconds: float | None
    scenario: str

    def __str__(self) -> str:
        """Return the name of the fault's job."""
        return f"{self.scenario}: {Outage(self.service, self.operation, self.kind, self.seconds)}"


@dataclass(frozen=True)
class Recovery:
    """The recovery from one fault.

    Attributes:
        seconds: From the end of the fault until both sides were correct; None if that never happened.
        reports: How often users were notified of the failure, by place.
    """

    fault: Fault
    struck: int
    seconds: float | None
    reports: Mapping[str, int]
    done_again: bool
    wrong: tuple[str, ...]

    @property
    def is_bad(self) -> bool:
        """Return whether the recovery breaks a bound."""
        return not self.struck or (self.is_late and not self.limit) or any(count > 1 for count in self.reports.values())

    @property
    def is_late(self) -> bool:
        """Return whether the recovery took longer than the bound, or never ended."""
        return self.seconds is None or self.seconds > RECOVERY_BOUND_SECONDS

    @property
    def limit(self) -> str:
        """Return the documented limit (docs/reliability.md) that permits another end; empty if none applies."""
        if self.seconds is not None:
            if self.seconds <= _longest_file_pause(self.fault):
                return "the pauses between the transfers of a file grow"
            is_next_poll = self.seconds <= RECOVERY_BOUND_SECONDS + _POLL_SECONDS and "report" in self.fault.scenario
            return "the poll after a report shares its files" if is_next_poll else ""
        if (self.fault.service, self.fault.operation) == _STARTS and another_event_starts(self.wrong):
            return "another event of the group starts its execution"
        if self.fault.seconds is None:
            return ""
        if self.fault.scenario.startswith(_CONTAINMENT) and self.reports.get("workflow"):
            return "the workflow retries a step for about a minute, then alerts"
        if any(map(_WITHOUT_LEDGER.match, self.wrong)) and all(map(_TEXTS_WITHOUT_LEDGER.match, self.wrong)):
            return "the workflow contained without the ledger, with an alert of its own"
        if (self.fault.service, self.fault.operation) == ("sqs", "SendMessage") and self.fault.seconds > _SLACK_TRIES:
            return "Slack delivers an event for about six minutes only"
        if "answers" in self.reports and all(map(_OPENED_BY.match, self.wrong)):
            return "CreateCase opened the case but never answered: only the audit names the requester"
        return ""


@dataclass(frozen=True)
class Job:
    """Some faults of one scenario, and the result of its run without a fault."""

    faults: tuple[Fault, ...]
    expected: Picture

    def __str__(self) -> str:
        """Return the name for the progress line."""
        return f"{self.faults[0]} to {self.faults[-1].operation}"


def measure(run: Run) -> list[dict[str, Any]]:
    """Run the scenarios without a fault to collect their operations, then run every fault."""
    names = [scenario.name for scenario in SCENARIOS if run.wants(scenario.name)]
    made = dict(run.each(SECTION, undisturbed, names))
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


def undisturbed(name: str) -> tuple[list[Call], Picture]:
    """Run a scenario without a fault; return its calls and its end."""
    with leaks.watching():
        return crashes.undisturbed(_scenario(name), running_world)


def strike(job: Job) -> tuple[list[Recovery], Search]:
    """Run each fault of the job in a branch and measure its recovery."""
    name = job.faults[0].scenario
    recoveries = []
    with leaks.watching() as watched:
        undisturbed(name)  # fills the caches for all branches
        with running_world() as world, Branches(world) as branches:
            there = _scenario(name).prepare(world)
            for fault in job.faults:
                try:
                    recovery, seen = branches.run(partial(_searched, fault, job.expected, watched, world, there))
                except BranchFailedError as error:
                    wrong = (f"the scenario did not finish: {error}",)
                    recovery, seen = Recovery(fault, 1, None, {}, done_again=False, wrong=wrong), watched
                recoveries.append(recovery)
                watched.add(seen)
    return recoveries, watched.search


def broken(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each fault that lasted too long for users or was reported to them more than once."""
    lines = []
    for one in figures:
        if one["within_bounds"]:
            continue
        after = "never" if one["recovered_after_seconds"] is None else f"after {one['recovered_after_seconds']:.0f} s"
        lines.append(
            f"fault: {one['name']}: recovered {after}, reported {one['told']}. Repeat it with: make proof PARTS=faults "
            f"ONLY='{one['name']}'\n" + "\n".join(f"        {line[:400]}" for line in one["wrong"])
        )
    return lines or ([] if figures else ["no fault ran: ONLY matches none"])


def rows(figures: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each service and kind of fault."""
    table: list[Row] = []
    for service, kind in sorted({(one["service"], one["kind"]) for one in figures}):
        own = [one for one in figures if (one["service"], one["kind"]) == (service, kind)]
        recovered = [one["recovered_after_seconds"] for one in own if not one["limit"]]
        late = [float("inf") if seconds is None else seconds for seconds in recovered]
        table.append(
            (f"fault  {service}, {kind}: {len(own)} tried, longest recovery", f"{max(late, default=0):.0f} s", "120 s")
        )
    for limit, count in sorted(Counter(one["limit"] for one in figures if one["limit"]).items()):
        table.append((f"fault  {limit}", str(count), "documented limit"))
    told = max((count for one in figures for count in one["told"].values()), default=0)
    return [*table, ("fault  most reports in one place", str(told), "1")]


def _faults(made: Mapping[str, Sequence[Call]]) -> list[Fault]:
    """Return the faults: each operation, in the first scenario in which each function calls it."""
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


def _scenario(name: str) -> Scenario:
    """Return the scenario with a security channel, where lasting failures are reported."""
    scenario = scenario_named(name)

    def prepare(world: World) -> object:
        there = scenario.prepare(world)
        if not world.environment.get("IR_SECURITY_CHANNEL_ID"):
            owner = world.workspace.create_user("owner", email="owner@example.com", real_name="Olive Owner")
            incidents.security_channel(world, owner)
        return there

    return replace(scenario, prepare=prepare)


def _searched(
    fault: Fault, expected: Picture, watched: leaks.Leaks, world: World, there: object
) -> tuple[Recovery, leaks.Leaks]:
    recovery = _recovery(fault, expected, world, there)
    watched.scan(world)
    return recovery, watched


def _recovery(fault: Fault, expected: Picture, world: World, there: object) -> Recovery:
    scenario = scenario_named(fault.scenario)
    outage = Outage(fault.service, fault.operation, fault.kind, fault.seconds)
    # The state machine raises StateFailedError for a task that fails in all its attempts.
    world.unexpected.allow(*RAISED_WHEN_SERVICES_FAIL, StateFailedError)
    with struck_by(world, outage):
        scenario.act(world, there)
        acted = world.now()
        for _minute in range(_UNTIL_STRUCK_MINUTES):
            if outage.began is None:
                world.live(1)  # the call belongs to work that is due later, such as the activity
        while outage.began is not None and world.now() < outage.ends_at:
            world.live(1)
    recovery = _watch(fault, _counted_from(outage, acted), outage, scenario, world, there, expected)
    world.unexpected.check()
    return recovery


def _counted_from(outage: Outage, acted: float) -> float:
    """Return the time from which the recovery counts: the end of the fault.

    The first comparison is a poll after `acted`, the end of the scenario's action. An action can go on for long after
    the fault, as with the readings of calls after an hour. Then the recovery counts from a minute before its end.
    """
    ended = outage.ends_at
    if outage.seconds is None and outage.waited_until:
        ended = outage.waited_until  # one call, which lasts until its caller gives up
    return max(ended, acted - (RECOVERY_BOUND_SECONDS - _POLL_SECONDS))


def _watch(
    fault: Fault, began: float, outage: Outage, scenario: Scenario, world: World, there: object, expected: Picture
) -> Recovery:
    """Let time pass until both sides are correct. A user who was notified of the failure repeats the action once.

    Args:
        began: The time from which the recovery counts.
        fault, outage: The fault, and its calls so far.
        scenario, world, there: The scenario, its world and its prepared state.
        expected: The result without a fault.
    """
    done_again, polled = False, world.now()
    expected = expected.with_names(_WITHOUT_NAMES)
    for minute in range(_MOST_MINUTES):
        if minute > 0:
            world.advance(max(1.0, polled + _POLL_SECONDS - world.now()))
        polled = world.now()
        world.poll()
        world.verify_containments()
        world.settle(patience=_POLL_SECONDS - 1)
        wrong, told = _judged(
            scenario.look(world, there).with_names(_EXPECTED_NOTES | _WITHOUT_NAMES).effects(expected)
        )
        if (
            done_again or "answers" in told
        ):  # the failure notice is the answer; the repeated command answers "nothing to change"
            wrong = [line for line in wrong if not line.startswith("answers: ")]
        if done_again:
            wrong = [line for line in wrong if not _CLOSED_TWICE.match(line)]
        if not wrong:
            return Recovery(fault, outage.struck, max(0.0, world.now() - began), told, done_again, ())
        if minute == _PERSON_WAITS_MINUTES and scenario.by_person and not done_again:
            began, done_again = world.now(), True
            scenario.act(world, there)
    return Recovery(fault, outage.struck, None, told, done_again, tuple(wrong))


def _longest_file_pause(fault: Fault) -> float:
    """Return the documented longest recovery of a file in seconds; the usual bound for any other fault."""
    if (fault.service, fault.operation) == ("sqs", "ChangeMessageVisibility") and "file" in fault.scenario:
        return _QUEUED_AGAIN_SECONDS + RECOVERY_BOUND_SECONDS
    if fault.service == "files" or (fault.service, fault.operation) in _OF_FILES:
        is_long = fault.seconds is not None and fault.seconds > _POLL_SECONDS
        return _LONGEST_FILE_PAUSE_SECONDS if is_long else RECOVERY_BOUND_SECONDS + _POLL_SECONDS
    return RECOVERY_BOUND_SECONDS


def _judged(differences: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Return the unexplained differences, and how often users were notified of a failure in each place."""
    wrong: list[str] = []
    told: Counter[str] = Counter()
    for line in differences:
        place, _, rest = line.partition(": ")
        if line.startswith(_GIVEN_UP):
            continue  # Lambda gave up a hint; the poll finds the case, or another line shows the failure
        if " too many: " in line and _ERROR_BRANCH.search(rest):
            told["workflow"] = 1  # the execution's own alert or failed end, with everything that belongs to it
        if " too many: " in line and _ERROR_NOTICE in line:
            if _RETRY_NOTICE not in line:
                told[_SECURITY_CHANNEL if _OUT_OF_SYNC.search(rest) else place] += int(rest.split(" ", 1)[0])
        else:
            wrong.append(line)
    return wrong, dict(told)


def _figures(recovery: Recovery) -> dict[str, Any]:
    return {
        "name": str(recovery.fault),
        **asdict(recovery.fault),
        "struck": recovery.struck,
        "recovered_after_seconds": recovery.seconds,
        "told": dict(recovery.reports),
        "done_again": recovery.done_again,
        "limit": recovery.limit if recovery.is_late else "",
        "within_bounds": not recovery.is_bad,
        "wrong": list(recovery.wrong),
    }
