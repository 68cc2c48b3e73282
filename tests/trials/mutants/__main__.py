"""`make mutants` (SEED=1, N=150, ONLY=package, file or id): exit code 1 when too few mutants are detected."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from ir_operator.project import PROJECT_ROOT
from tests.trials.mutants import coverage_map, mutate, project_copy, report, sample
from tests.trials.mutants.mutant import SOURCE, Mutant
from tests.trials.mutants.trying import MOST_TESTS, Trier, Verdict, remove

BUILD = PROJECT_ROOT / "build"
_PARALLEL = 2


def main() -> int:
    """Draw, try, report."""
    seed, count, only = (os.environ.get(name, "") for name in ("SEED", "N", "ONLY"))
    mutants = mutate.all_mutants()
    equivalents = sample.Equivalents.read()
    stale = equivalents.stale(mutants)
    drawn = sample.draw(sample.chosen(mutants, only), int(seed or 1), int(count or 150), equivalents, _is_change)
    if not drawn.mutants:
        print(f"No mutant is left to try: ONLY={only} names none, or only equivalent ones.")
        return 0 if drawn.equivalent else 2
    with tempfile.TemporaryDirectory(prefix="ir-router-mutants-") as folder:
        copies = [project_copy.make(Path(folder) / f"copy-{number}") for number in range(_PARALLEL)]
        try:
            verdicts = try_sample(drawn.mutants, copies, BUILD / "mutants")
        finally:
            for copy in copies:
                remove(copy)
    result = report.figures(int(seed or 1), verdicts, drawn.equivalent)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "mutants.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    _show(result, verdicts, stale)
    return 1 if report.broken(result) or stale else 0


def try_sample(mutants: list[Mutant], copies: list[Path], kept: Path) -> list[Verdict]:
    """A verdict for each mutant. Those that no test runs have survived."""
    covered = coverage_map.load(copies[0], kept)
    for name in covered.failing:
        print(f"This test fails without a mutant and is left out: {name}", file=sys.stderr)
    trier = Trier(copies, kept / "logs")
    trier.check([name for mutant in mutants for name in covered.covering(mutant)[:1]][:1])
    excluded: set[str] = set()
    verdicts: dict[str, Verdict] = {}
    left = list(mutants)
    while left:
        jobs = []
        for mutant in left:
            names = [name for name in covered.covering(mutant) if name not in excluded]
            names = names[:MOST_TESTS]
            verdicts[mutant.id] = Verdict(mutant, detected=False, by="", tests=0)
            if names:
                jobs.append((mutant, names, covered.seconds(names)))
        for number, verdict in enumerate(trier.try_all(jobs), start=1):
            verdicts[verdict.mutant.id] = verdict
            said = f"detected by {verdict.by}" if verdict.detected else f"SURVIVED {verdict.tests} tests"
            print(f"{number}/{len(jobs)} {verdict.mutant}: {said}", file=sys.stderr, flush=True)
        killers = sorted({one.by for one in verdicts.values() if one.by in covered.tests} - excluded)
        unreliable = trier.failing(killers, covered.seconds(killers)) if killers else set()
        excluded |= unreliable
        left = [one.mutant for one in verdicts.values() if one.by in unreliable]
    return [verdicts[mutant.id] for mutant in mutants]


def _is_change(mutant: Mutant) -> bool:
    return mutate.changes_something(mutant, (SOURCE / mutant.file).read_bytes())


def _show(result: dict[str, object], verdicts: list[Verdict], stale: list[str]) -> None:
    print("\n".join(report.table(verdicts)))
    for verdict in verdicts:
        if not verdict.detected:
            why = f"{verdict.tests} tests ran it" if verdict.tests else "no test runs it"
            print(f"survived ({why}): {verdict.mutant}")
    for line in stale:
        print(f"an entry of equivalent.json is no mutant any more: {line}")
    print(f"{result['detected']} of {result['n']} mutants detected: {result['score']:.1%}")
    for line in report.broken(result):
        print(f"BROKEN: {line}")


if __name__ == "__main__":
    sys.exit(main())
