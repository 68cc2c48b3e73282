"""Trying inputs of one kind: one after the other on one world, each judged by its effect before the next comes."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from ir_local.proof import leaks
from ir_local.proof.hostile.watch import Egress, Log, egress, logged
from ir_local.world import World
from ir_local.world.world import own_world

_MOST_KEPT = 20
_INPUT_SHOWN = 2_000


class Trial(ABC):
    """One kind of input.

    `refusals`: errors that are a clear answer where they are raised. `told`: the log's messages of errors that people
    are told of, in a trial that lets things fail.
    """

    refusals: tuple[type[Exception], ...] = ()
    told: frozenset[str] = frozenset()
    inputs: SearchStrategy[Any]

    @abstractmethod
    def check(self, value: Any) -> Iterable[str]:
        """Let the input in, let everything come to rest, and tell what it did that it must not do."""


@dataclass(frozen=True)
class Job:
    """So many inputs of a kind. The seed makes them the same ones each time."""

    kind: str
    seed: int
    count: int

    def __str__(self) -> str:
        """As people choose it with ONLY."""
        return f"{self.kind} {self.seed}"


@dataclass
class Outcome:
    """What came of it; each line names the input, so that it can be tried again."""

    tried: int = 0
    server_errors: list[str] = field(default_factory=list)
    escapes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def try_inputs(job: Job, make: Callable[[World], Trial]) -> Outcome:
    """Try the inputs of a job."""
    outcome = Outcome()
    with leaks.watching() as watched, logged() as log, own_world() as world, egress(world) as ways_out:
        trial = make(world)
        log.check()
        _Trying(job, world, trial, log, ways_out, outcome).run()
        watched.look(world)
    outcome.leaks = watched.found
    return outcome


class _Trying:
    def __init__(self, job: Job, world: World, trial: Trial, log: Log, ways_out: Egress, outcome: Outcome) -> None:
        self._job, self._world, self._trial = job, world, trial
        self._log, self._ways_out, self._outcome = log, ways_out, outcome
        self._numbers = itertools.count(1)

    def run(self) -> None:
        """Every input; what goes wrong is collected and nothing is raised, so that all are tried."""

        @seed(self._job.seed)
        @settings(
            max_examples=self._job.count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(self._trial.inputs)
        def each(value: Any) -> None:
            self._try(value)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Hypothesis, about how it could show a large input
            each()

    def _try(self, value: Any) -> None:
        self._outcome.tried += 1
        before = len(self._world.invocations)
        try:
            escapes = [*self._trial.check(value)]
        except Exception as error:  # noqa: BLE001 - all inputs are tried; the bound is broken all the same
            escapes = [f"the trial broke: {type(error).__name__}: {error}"]
        escapes += self._ways_out.check()
        faults, forged = self._log.check(self._trial.told)
        errors = [*dict.fromkeys(self._errors(before)), *faults]
        where = f"{self._job}, input {next(self._numbers)}"
        shown = f"{value!r}"[:_INPUT_SHOWN]
        self._keep(self._outcome.server_errors, errors, where, shown)
        self._keep(self._outcome.escapes, [*escapes, *forged], where, shown)

    def _errors(self, before: int) -> Iterable[str]:
        for answer in self._world.invocations[before:]:
            if answer.error is not None and not isinstance(answer.error, self._trial.refusals):
                yield f"{answer.deployment} raised {type(answer.error).__name__}: {answer.error}"
            elif answer.deployment == "webhook" and answer.error is None and answer.value["statusCode"] >= 500:
                yield f"the door answered {answer.value['statusCode']}"

    def _keep(self, kept: list[str], found: Iterable[str], where: str, shown: str) -> None:
        for line in found:
            # Enough to mend by; the number of the others still counts.
            kept.append(f"{where}: {line}; the input: {shown}" if len(kept) < _MOST_KEPT else f"{where}: {line[:100]}")
