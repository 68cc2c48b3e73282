"""What a part of the proof is, and the run that it is given.

A part is a module with `SECTION`, `measure`, `broken` and `rows`. Its work is cut into jobs, because a world patches
its whole process: worker processes do them, as many at a time as there are cores.
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
"""What was measured, the figure, the bound."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Search:
    """The leaks that were found, a line each, in so many characters of log."""

    found: tuple[str, ...]
    logged: int


class Part(Protocol):
    """A section of `build/proof.json`. The figures are what JSON can hold, in the section's documented shape."""

    SECTION: str

    def measure(self, run: Run) -> Any:
        """Try it all; the figures."""

    def broken(self, figures: Any) -> list[str]:
        """A sentence for each broken bound, which says how to try that one again; empty when all hold."""

    def rows(self, figures: Any) -> list[Row]:
        """The table for people."""


@dataclass(frozen=True)
class Run:
    """One run of the proof. `only`: a piece of the names of the jobs that are wanted, empty for all."""

    size: Size = "full"
    only: str = ""
    workers: int = os.cpu_count() or 1
    searches: list[Search] = field(default_factory=list)
    """What the leak checks of all parts found: a part adds its own."""

    def wants(self, name: str) -> bool:
        """Whether a job of that name is to be run, or one whose name is it, a colon, and more."""
        wanted, name = self.only.casefold(), name.casefold()
        return wanted in name or wanted.startswith(f"{name}: ")

    def each(
        self, part: str, work: Callable[[Item], Result], items: Sequence[Item], *, label: Callable[[Item], str] = str
    ) -> Iterator[tuple[Item, Result]]:
        """Do `work` on every item in worker processes; each with its result, as they end.

        `work` is a function of a module and takes and gives what can be pickled. A line of progress for each item goes
        to stderr. What `work` raises is raised here.
        """
        with ProcessPoolExecutor(
            max_workers=min(self.workers, max(1, len(items))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
        ) as pool:
            pending = {pool.submit(work, item): item for item in items}
            try:
                for count, done in enumerate(as_completed(pending), start=1):
                    progress(f"{part:8}{count:5} of {len(items)}  {label(pending[done])}")
                    yield pending[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    """Worlds come and go: looking for their remains at each of Python's usual occasions costs a fifth of the time."""
    gc.set_threshold(50_000, 20, 100)


def progress(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)
