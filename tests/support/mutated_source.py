"""A small source file and its mutants, for the tests of the mutation tool."""

from __future__ import annotations

from tests.trials.mutants import mutate
from tests.trials.mutants.mutant import Mutant

SOURCE = b'''"""A file."""

LIMIT = 3


def grade(value: int, low: int = 1) -> str:
    """Say how much it is."""
    try:
        if value < LIMIT and value >= low:
            return f"{value} few"
    except (TypeError, ValueError):
        return "none"
    return "many"


def unused(rows: list[int]) -> list[int]:
    return rows[1:]
'''


def mutants() -> list[Mutant]:
    """Return every mutant of SOURCE."""
    return mutate.of_source("tiny.py", SOURCE)


def one(original: str, mutated: str) -> Mutant:
    """Return the mutant that changes these lines."""
    (found,) = [mutant for mutant in mutants() if (mutant.original, mutant.mutated) == (original, mutated)]
    return found
