"""The crash matrix: end the function between every two outbound calls of every scenario, and compare the ends.

`tests.trials.world.crashes` runs the scenarios. `tests.trials.world.picture` defines which ends are equal and which
messages may be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.trials.proof import leaks
from tests.trials.proof.part import Row, Run, Search, progress
from tests.trials.world import World, crashes
from tests.trials.world.crashes import Outcome, Point, Scenario
from tests.trials.world.picture import Picture
from tests.trials.world.running import running_world
from tests.trials.world.scenarios import SCENARIOS
from tests.trials.world.wire import Call

SECTION = "crash"
_KINDS = ("lost", "doubled", "different")
# Few enough points per job that the progress lines keep moving and all workers end at about the same time.
_POINTS_OF_A_JOB = 64
_POINTS_OF_A_SAMPLE = 2


@dataclass(frozen=True)
class Job:
    """Some crash points of a scenario, and the result of its run without a crash."""

    scenario: str
    points: tuple[Point, ...]
    expected: Picture

    def __str__(self) -> str:
        """Return the name for the progress line."""
        return f"{self.scenario}: calls {self.points[0].number} to {self.points[-1].number}"


def measure(run: Run) -> dict[str, Any]:
    """Run the scenarios without a crash, then run all their crash points."""
    names = [scenario.name for scenario in SCENARIOS if run.wants(scenario.name)]
    jobs: list[Job] = []
    calls: dict[str, int] = {}
    for name, (made, expected, search) in run.each(SECTION, undisturbed, names):
        run.searches.append(search)
        calls[name] = len(made)
        jobs += _jobs(name, _chosen(name, crashes.points(made), run), expected)
    outcomes: list[Outcome] = []
    for _, (found, search) in run.each(SECTION, points, jobs):
        run.searches.append(search)
        outcomes += found
        for outcome in found:
            if outcome.kind is not None:
                progress(f"{SECTION:8}{outcome.kind}: {_name(outcome)}")
    return _figures(outcomes, calls)


def undisturbed(name: str) -> tuple[list[Call], Picture, Search]:
    """Run a scenario without a crash; return its calls and its end."""
    with leaks.watching() as watched:
        calls, expected = crashes.undisturbed(scenario_named(name), lambda: _searched(watched))
    return calls, expected, watched.search


def points(job: Job) -> tuple[list[Outcome], Search]:
    """Run the scenario with a crash at each point of the job."""
    with leaks.watching() as watched:

        def searched(world: World) -> leaks.Leaks:
            watched.scan(world)
            return watched

        # The caches of a branch end with it. This run fills them for all branches.
        crashes.undisturbed(scenario_named(job.scenario), lambda: _searched(watched))
        outcomes = []
        found = crashes.each_crash(scenario_named(job.scenario), running_world, job.points, job.expected, searched)
        try:
            for outcome, seen in found:
                outcomes.append(outcome)
                if seen is not None:
                    watched.add(seen)
        except Exception as error:  # noqa: BLE001 - the other jobs must still run
            differences = (f"the scenario did not finish: {error!r}",)
            outcomes += [Outcome(job.scenario, point, died=True, differences=differences) for point in job.points]
    return outcomes, watched.search


def broken(figures: Mapping[str, Any]) -> list[str]:
    """Return a line for each point with a different end, and for each call that was not interrupted."""
    lines = [
        f"{failure['kind']}: {failure['point']}. Repeat it with: make proof PARTS=crash ONLY='{failure['point']}'\n"
        + "\n".join(f"        {line[:400]}" for line in failure["differences"])
        for failure in figures["failures"]
    ]
    lines += [f"a call was not interrupted: {point}" for point in figures["not_covered"]]
    if not figures["points"]:
        lines.append("no crash point ran: ONLY matches none")
    return lines


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """Return a row for each scenario, then the sums."""
    table: list[Row] = [
        (f"crash  {name}", f"{one['points']} points", f"{one['bad']} bad" if one["bad"] else "")
        for name, one in figures["scenarios"].items()
    ]
    table.append(("points between calls", str(figures["points"]), "all"))
    table.append(("calls not interrupted", str(len(figures["not_covered"])), "0"))
    return table + [(f"ends with something {kind}", str(figures[kind]), "0") for kind in _KINDS]


def _figures(outcomes: Sequence[Outcome], calls: Mapping[str, int]) -> dict[str, Any]:
    kinds = Counter(outcome.kind for outcome in outcomes)
    bad = [outcome for outcome in outcomes if outcome.kind is not None]
    return {
        "points": len(outcomes),
        **{kind: kinds[kind] for kind in _KINDS},  # type: ignore[index]
        "not_covered": sorted(_name(outcome) for outcome in outcomes if not outcome.died),
        "scenarios": {
            name: {
                "calls": calls[name],
                "points": sum(outcome.scenario == name for outcome in outcomes),
                "bad": sum(outcome.scenario == name for outcome in bad),
            }
            for name in sorted(calls)
        },
        "failures": [
            {"kind": outcome.kind, "point": _name(outcome), "differences": list(outcome.differences)} for outcome in bad
        ],
    }


def _name(outcome: Outcome) -> str:
    return f"{outcome.scenario}: {outcome.point}"


def scenario_named(name: str) -> Scenario:
    """Return the scenario with this name. Jobs carry names because a scenario cannot be pickled for a worker."""
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def _chosen(name: str, found: Sequence[Point], run: Run) -> list[Point]:
    wanted = [point for point in found if run.wants(f"{name}: {point}")] if _names_a_point(run, name) else list(found)
    return wanted if run.size == "full" else _sample(name, wanted)


def _names_a_point(run: Run, name: str) -> bool:
    return len(run.only) > len(name)


def _sample(name: str, found: Sequence[Point]) -> list[Point]:
    """Select a few points, spread over the scenario and different in each scenario."""
    step = max(1, len(found) // _POINTS_OF_A_SAMPLE)
    return list(found[len(name) % step :: step][:_POINTS_OF_A_SAMPLE])


def _jobs(name: str, wanted: Sequence[Point], expected: Picture) -> Iterator[Job]:
    for first in range(0, len(wanted), _POINTS_OF_A_JOB):
        yield Job(name, tuple(wanted[first : first + _POINTS_OF_A_JOB]), expected)


@contextmanager
def _searched(watched: leaks.Leaks) -> Iterator[World]:
    with running_world() as world:
        yield world
        watched.scan(world)
