"""The interface of a part of the proof, and the run that uses it.

A part is a module with `SECTION`, `measure`, `broken` and `rows`. Its work is split into jobs for worker processes, one
per core, because a simulator patches its process.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

Size = Literal["short", "full"]
Row = tuple[str, str, str]
"""The name of a measurement, its figure and its bound."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Search:
    """The leaks that were found, a line each, and the number of characters of log that were searched."""

    found: tuple[str, ...]
    logged: int


class Part(Protocol):
    """A section of `build/proof.json`. The figures are JSON values in the section's documented shape."""

    SECTION: str

    def measure(self, run: Run) -> Any:
        """Run all jobs and return the figures."""

    def broken(self, figures: Any) -> list[str]:
        """Return a sentence for each broken bound, with the command that repeats it; empty when all hold."""

    def rows(self, figures: Any) -> list[Row]:
        """Return the rows of the printed table."""


@dataclass(frozen=True)
class Run:
    """One run of the proof. `only` selects the jobs whose names contain this text; empty selects all."""

    size: Size = "full"
    only: str = ""
    workers: int = os.cpu_count() or 1
    searches: list[Search] = field(default_factory=list)
    """The results of the leak checks. Every part adds its own."""

    def wants(self, name: str) -> bool:
        """Return whether a job with this name, or one of its sub-jobs (`name: ...`), is selected."""
        wanted, name = self.only.casefold(), name.casefold()
        return wanted in name or wanted.startswith(f"{name}: ")

    def each(
        self, part: str, work: Callable[[Item], Result], items: Sequence[Item], *, label: Callable[[Item], str] = str
    ) -> Iterator[tuple[Item, Result]]:
        """Call `work` on every item in worker processes; yield each item with its result, in order of completion.

        A progress line for each item goes to stderr. An exception of `work` propagates.

        Args:
            part: The name of the part, for the progress lines.
            work: A module-level function. Its argument and result must be picklable.
            items: The items.
            label: Returns the text for an item's progress line.
        """
        with ProcessPoolExecutor(
            max_workers=min(self.workers, max(1, len(items))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=collect_less_often,
        ) as pool:
            pending = {pool.submit(work, item): item for item in items}
            try:
                for count, done in enumerate(as_completed(pending), start=1):
                    progress(f"{part:8}{count:5} of {len(items)}  {label(pending[done])}")
                    yield pending[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def collect_less_often() -> None:
    """Raise the collector's thresholds: simulators leave many cyclic objects, and the defaults cost a fifth of the
    time.
    """
    gc.set_threshold(50_000, 20, 100)


def progress(line: str) -> None:
    """Print a progress line to stderr."""
    print(line, file=sys.stderr, flush=True)
