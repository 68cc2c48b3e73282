"""Play a folder of shapes: `python -m tests.trials.shapes DIR`, with ONLY (globs of ids) and JOBS (processes)."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ir_operator.project import BUILD
from tests.trials.shapes import entries
from tests.trials.shapes.entries import Entry
from tests.trials.shapes.play import attempt
from tests.trials.shapes.silence import silence

RESULTS = BUILD / "shapes"

_COLUMNS = ("id", "http", "comments", "messages", "alerts", "dead", "unexpected", "not played", "seconds")


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Play the entries of the folder `arguments[0]`, write a file for each and print a table.

    Returns:
        The exit code: 0 when every entry was played, 1 when the player failed in one, 2 for a wrong folder.
    """
    options = dict(one.split("=", 1) for one in arguments if "=" in one and not Path(one).exists())
    named = [one for one in arguments if one not in {f"{name}={value}" for name, value in options.items()}]
    folder = Path(named[0]) if named else None
    if folder is None or not folder.is_dir():
        print("Name a folder of shapes: make shapes DIR=<folder>", file=sys.stderr)
        return 2
    only = options.get("ONLY") or environment.get("ONLY", "")
    found = entries.read(folder, only)
    if not found:
        print(f"{folder} has no entry {only}".rstrip(), file=sys.stderr)
        return 2
    workers = int(options.get("JOBS") or environment.get("JOBS") or os.cpu_count() or 1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows: dict[str, tuple[str, ...]] = {}
    failed: list[str] = []
    for result in _played(found, workers):
        name = result["id"]
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        rows[name] = _row(result)
        if "crashed" in result:
            failed.append(name)
            print(f"{name}: the player failed\n{result['crashed']}", file=sys.stderr)
    _print([rows[entry.id] for entry in found])
    print(f"{len(found)} entries; results in {RESULTS}")
    if failed:
        print(f"FAILED: the player failed in {', '.join(sorted(failed))}")
    return 1 if failed else 0


def _played(found: list[Entry], workers: int) -> Iterator[dict[str, Any]]:
    if workers == 1 or len(found) == 1:
        yield from map(attempt, found)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(found)), mp_context=context, initializer=silence) as pool:
        futures = [pool.submit(attempt, entry) for entry in found]
        for future in as_completed(futures):
            yield future.result()


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    if "crashed" in result:
        return (result["id"], "CRASHED", *[""] * 6, str(result["seconds"]))
    statuses = ",".join(str(answer["status"]) for answer in result["http_answers"])
    said = sum(
        1
        for channel in result["channel_messages"].values()
        for one in channel["messages"]
        if one["by_app"] and one["at"] >= 0
    )
    counts = (
        sum(len(comments) for comments in result["comments"].values()),
        said,
        len(result["alerts"]),
        len(result["dead_letters"]),
        len(result["unexpected"]),
        len(result["not_played"]),
    )
    return (result["id"], _short(statuses), *(str(count) for count in counts), str(result["seconds"]))


def _short(statuses: str) -> str:
    return statuses if len(statuses) <= 24 else f"{statuses[:20]}..."


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[number]) for row in (_COLUMNS, *rows)) for number in range(len(_COLUMNS))]
    for row in (_COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
