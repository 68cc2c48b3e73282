"""The result for people and as `build/mutants.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.trials.mutants.mutant import PACKAGES, Mutant
from tests.trials.mutants.trying import Verdict

TOTAL_BOUND, PACKAGE_BOUND = 0.90, 0.85
LEAST_DRAWN = 8
"""A package with fewer mutants in the sample has no bound of its own."""


def figures(seed: int, verdicts: Sequence[Verdict], equivalent: Sequence[Mutant]) -> dict[str, Any]:
    """Return the content of `build/mutants.json`. Scores are shares of the mutants that are not equivalent."""
    survived = [verdict for verdict in verdicts if not verdict.detected]
    packages = {package: [one for one in verdicts if one.mutant.package == package] for package in PACKAGES}
    return {
        "seed": seed,
        "n": len(verdicts),
        "detected": len(verdicts) - len(survived),
        "survived": [_described(verdict) for verdict in survived],
        "equivalent": [mutant.id for mutant in equivalent],
        "score": score(verdicts),
        "by_package": {
            package: {"n": len(own), "detected": sum(one.detected for one in own), "score": score(own)}
            for package, own in packages.items()
            if own
        },
        "by_kind": {
            kind: {"n": count, "detected": sum(one.detected for one in verdicts if one.mutant.kind == kind)}
            for kind, count in sorted(Counter(one.mutant.kind for one in verdicts).items())
        },
    }


def score(verdicts: Sequence[Verdict]) -> float:
    """The share that was detected; of none, all."""
    return round(sum(one.detected for one in verdicts) / len(verdicts), 4) if verdicts else 1.0


def broken(result: dict[str, Any]) -> list[str]:
    """A sentence for each bound that does not hold."""
    lines = []
    if result["score"] < TOTAL_BOUND:
        lines.append(f"{result['score']:.0%} of the mutants were detected; the bound is {TOTAL_BOUND:.0%}")
    for package, own in result["by_package"].items():
        if own["n"] >= LEAST_DRAWN and own["score"] < PACKAGE_BOUND:
            lines.append(f"{package}: {own['score']:.0%} were detected; the bound is {PACKAGE_BOUND:.0%}")
    return lines


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """A row for each package and a column for each kind: detected of drawn."""
    kinds = sorted({verdict.mutant.kind for verdict in verdicts})
    head = ["package", *kinds, "all"]
    rows = []
    for package in [*PACKAGES, "all"]:
        own = [one for one in verdicts if package in ("all", one.mutant.package)]
        cells = [_cell([one for one in own if one.mutant.kind == kind]) for kind in kinds]
        rows.append([package, *cells, _cell(own)])
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]


def _cell(verdicts: Sequence[Verdict]) -> str:
    return f"{sum(one.detected for one in verdicts)}/{len(verdicts)}" if verdicts else "-"


def _described(verdict: Verdict) -> dict[str, Any]:
    mutant = verdict.mutant
    return {
        "id": mutant.id,
        "file": f"src/ir_router/{mutant.file}",
        "line": mutant.line,
        "function": mutant.function,
        "kind": mutant.kind,
        "original": mutant.original,
        "mutated": mutant.mutated,
        "tests": verdict.tests,
    }
