"""What a part of the proof is, and the run that it is given.

A part is a module with `SECTION`, `measure`, `broken` and `rows`. Its work is cut into jobs, because a world patches
its whole process: worker processes do them, as many at a time as there are cores.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

Size = Literal["short", "full"]
Row = tuple[str, str, str]
"""What was measured, the figure, the bound."""

Item = TypeVar("Item")
Result = TypeVar("Result")


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

    def wants(self, name: str) -> bool:
        """Whether a job of that name is to be run."""
        return self.only.casefold() in name.casefold()

    def each(
        self, part: str, work: Callable[[Item], Result], items: Sequence[Item], *, label: Callable[[Item], str] = str
    ) -> Iterator[tuple[Item, Result]]:
        """Do `work` on every item in worker processes; each with its result, as they end.

        `work` is a function of a module and takes and gives what can be pickled. A line of progress for each item goes
        to stderr. What `work` raises is raised here.
        """
        with ProcessPoolExecutor(
            max_workers=min(self.workers, max(1, len(items))), mp_context=multiprocessing.get_context("spawn")
        ) as pool:
            pending = {pool.submit(work, item): item for item in items}
            try:
                for count, done in enumerate(as_completed(pending), start=1):
                    progress(f"{part:8}{count:5} of {len(items)}  {label(pending[done])}")
                    yield pending[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def progress(line: str) -> None:
    """Tell whoever waits."""
    print(line, file=sys.stderr, flush=True)
