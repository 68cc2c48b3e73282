"""Run inputs of one kind in one simulator, and check the effect of each before the next one."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.trials.proof import leaks
from tests.trials.proof.hostile.watch import Egress, Log, egress, logged
from tests.trials.world import World
from tests.trials.world.running import running_world

_MOST_KEPT = 20
_INPUT_SHOWN = 2_000


class Trial(ABC):
    """One kind of input.

    Attributes:
        refusals: Errors that are a valid response where they are raised.
        expected_errors: Log messages of errors that the trial provokes.
        inputs: The strategy that makes the inputs.
    """

    refusals: tuple[type[Exception], ...] = ()
    expected_errors: frozenset[str] = frozenset()
    inputs: SearchStrategy[Any]

    @abstractmethod
    def check(self, value: Any) -> Iterable[str]:
        """Send the input, process all work, and yield a line for each forbidden effect."""


@dataclass(frozen=True)
class Job:
    """`count` inputs of a kind. The seed makes the inputs reproducible."""

    kind: str
    seed: int
    count: int

    def __str__(self) -> str:
        """Return the name for ONLY."""
        return f"{self.kind} {self.seed}"


@dataclass
class Outcome:
    """The result. Each line contains the input, so that it can be repeated."""

    tried: int = 0
    server_errors: list[str] = field(default_factory=list)
    escapes: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def try_inputs(job: Job, make: Callable[[World], Trial]) -> Outcome:
    """Run the inputs of a job."""
    outcome = Outcome()
    with leaks.watching() as watched, logged() as log, running_world() as world, egress(world) as ways_out:
        trial = make(world)
        log.check()
        _Trying(job, world, trial, log, ways_out, outcome).run()
        world.unexpected.allow(*trial.refusals)
        if not outcome.server_errors:
            outcome.server_errors = world.unexpected.lines()
        world.unexpected.allow(Exception)  # the outcome has them
        watched.scan(world)
    outcome.leaks = watched.found
    return outcome


class _Trying:
    def __init__(self, job: Job, world: World, trial: Trial, log: Log, ways_out: Egress, outcome: Outcome) -> None:
        self._job, self._world, self._trial = job, world, trial
        self._log, self._ways_out, self._outcome = log, ways_out, outcome
        self._numbers = itertools.count(1)

    def run(self) -> None:
        """Run every input. Failures are collected, not raised, so that all inputs run."""

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
            warnings.simplefilter("ignore")  # Hypothesis warns about large inputs
            each()

    def _try(self, value: Any) -> None:
        self._outcome.tried += 1
        before = len(self._world.invocations)
        try:
            escapes = [*self._trial.check(value)]
        except Exception as error:  # noqa: BLE001 - the other inputs must still run, and this one counts as a failure
            escapes = [f"the trial raised {type(error).__name__}: {error}"]
        escapes += self._ways_out.check()
        faults, forged = self._log.check(self._trial.expected_errors)
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
                yield f"the webhook answered {answer.value['statusCode']}"

    def _keep(self, kept: list[str], found: Iterable[str], where: str, shown: str) -> None:
        for line in found:
            # This many are enough for a diagnosis; the number of the others still counts.
            kept.append(f"{where}: {line}; the input: {shown}" if len(kept) < _MOST_KEPT else f"{where}: {line[:100]}")
