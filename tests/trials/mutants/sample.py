"""Which mutants are drawn, and which are known to change nothing that anyone can see."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.trials.mutants.mutant import PACKAGES, Mutant

EQUIVALENTS = Path(__file__).with_name("equivalent.json")


@dataclass(frozen=True)
class Sample:
    """`mutants` to be tried, and the `equivalent` ones that were met while drawing, which do not count."""

    mutants: list[Mutant]
    equivalent: list[Mutant]


class Equivalents:
    """The entries of `equivalent.json`: `file`, `function`, `original`, `mutated` and the `reason`."""

    def __init__(self, entries: Sequence[dict[str, str]]) -> None:
        """Raise ValueError for an entry without a reason."""
        if bare := [entry for entry in entries if not entry.get("reason")]:
            raise ValueError(f"an equivalent mutant needs a reason: {bare[0]}")
        self._keys = {(one["file"], one["function"], one["original"], one["mutated"]) for one in entries}

    @classmethod
    def read(cls) -> Equivalents:
        """The committed list."""
        return cls(json.loads(EQUIVALENTS.read_text("utf-8")))

    def __contains__(self, mutant: Mutant) -> bool:
        """Whether the mutant is listed."""
        return mutant.key in self._keys

    def stale(self, mutants: Sequence[Mutant]) -> list[str]:
        """A line for each entry that is no mutant of the source any more."""
        gone = self._keys - {mutant.key for mutant in mutants}
        return [f"{file} {function}: {original}  =>  {mutated}" for file, function, original, mutated in sorted(gone)]


def chosen(mutants: Sequence[Mutant], only: str) -> list[Mutant]:
    """The mutants that `only` names: a package, a file or the beginning of its path, or an id; all for an empty one."""
    only = only.removeprefix("src/").removeprefix("ir_router/")
    if not only:
        return list(mutants)
    return [one for one in mutants if only in (one.package, one.id) or one.file.startswith(only)]


def draw(
    mutants: Sequence[Mutant],
    seed: int,
    count: int,
    equivalents: Equivalents,
    is_change: Callable[[Mutant], bool] = lambda _: True,
) -> Sample:
    """Draw `count` mutants: the packages take turns, and in each package the kinds.

    The same seed draws the same mutants of the same source. One that `is_change` rejects is not counted.
    """
    sample = Sample([], [])
    for mutant in _in_turns(mutants, random.Random(seed)):
        if len(sample.mutants) == count:
            break
        if mutant in equivalents:
            sample.equivalent.append(mutant)
        elif is_change(mutant):
            sample.mutants.append(mutant)
    return sample


def _in_turns(mutants: Sequence[Mutant], chance: random.Random) -> Iterator[Mutant]:
    packages: dict[str, dict[str, list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for mutant in mutants:
        packages[mutant.package][mutant.kind].append(mutant)
    turns = [_alternating(packages[package], chance) for package in PACKAGES if package in packages]
    yield from _round(turns)


def _alternating(kinds: dict[str, list[Mutant]], chance: random.Random) -> Iterator[Mutant]:
    order = sorted(kinds)
    chance.shuffle(order)
    piles = []
    for kind in order:
        pile = sorted(kinds[kind], key=lambda one: (one.file, one.start, one.text))
        chance.shuffle(pile)
        piles.append(iter(pile))
    return _round(piles)


def _round(sources: Sequence[Iterator[Mutant]]) -> Iterator[Mutant]:
    left = list(sources)
    while left:
        for source in list(left):
            try:
                yield next(source)
            except StopIteration:
                left.remove(source)
