"""Run the proof: print a table, write `build/proof.json`, and exit with 1 when a bound is broken.

`PARTS` selects parts (default: all). `SIZE=short` runs a sample of each part. `ONLY` selects the jobs whose names
contain that text.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ir_operator.project import BUILD
from tests.trials.proof.part import Part, Row, Run, Size, progress

RESULT = BUILD / "proof.json"

# The parts run in this order. A part's module is imported only when the part is selected.
PARTS = ("crash", "faults", "load", "hostile", "quirks", "deployments")


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run the parts that the environment selects.

    Returns:
        The exit code: 0 when every bound holds, 1 when a bound is broken, 2 for an invalid selection.
    """
    names = environment.get("PARTS", "").split() or list(PARTS)
    size = environment.get("SIZE") or "full"
    if unknown := sorted(set(names) - set(PARTS)):
        print(f"Unknown part: {', '.join(unknown)}. PARTS accepts: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    if size not in ("short", "full"):
        print(f"SIZE must be short or full, not {size}", file=sys.stderr)
        return 2
    parts = [cast("Part", importlib.import_module(f"tests.trials.proof.{name}")) for name in PARTS if name in names]
    return prove(parts, Run(cast("Size", size), environment.get("ONLY", "")))


def prove(parts: Sequence[Part], run: Run) -> int:
    """Measure each part in turn, write the figures and print the table.

    Returns:
        The exit code: 0 when every bound holds, else 1.
    """
    result: dict[str, Any] = {}
    rows: list[Row] = []
    broken: list[str] = []
    for part in parts:
        began = time.monotonic()
        figures = part.measure(run)
        progress(f"{part.SECTION:8}done in {time.monotonic() - began:.0f} s")
        result[part.SECTION] = figures
        rows += part.rows(figures)
        broken += part.broken(figures)
        _write(result)  # a run takes up to an hour and may be interrupted
    leaks = sorted({line for search in run.searches for line in search.found})
    if run.searches:
        result.setdefault("hostile", {})["leaks"] = len(leaks) + sum(_own_leaks(figures) for figures in result.values())
        rows.append(
            ("leaks, in all parts", str(len(leaks)), f"0, in {_megabytes(run)} MB of logs and all visible output")
        )
        broken += [f'{line}: see docs/reliability.md, "Leaks"' for line in leaks]
    _write(result)
    _print(rows)
    for line in broken:
        print(f"FAILED  {line}")
    print(
        f"FAILED: a bound is broken; details in {RESULT}" if broken else f"ok: every bound holds; details in {RESULT}"
    )
    return 1 if broken else 0


def _write(result: Mapping[str, Any]) -> None:
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _own_leaks(figures: Any) -> int:
    """Count the leaks that a part keeps in its own figures."""
    found = figures.get("leaks", []) if isinstance(figures, Mapping) else []
    return found if isinstance(found, int) else len(found)


def _megabytes(run: Run) -> str:
    return f"{sum(search.logged for search in run.searches) / 1_000_000:.1f}"


def _print(rows: Sequence[Row]) -> None:
    table = [("", "figure", "bound"), *rows]
    wide = [max(len(row[column]) for row in table) for column in range(3)]
    for what, figure, bound in table:
        print(f"{what:{wide[0]}}  {figure:>{wide[1]}}  {bound}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
