"""Verify that no case waits for a retry after a failure, and report the causes.

A policy of the workspace, such as the one that limits who creates channels, shows only when a case needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ops.checks import Check, count, ok, run_checks, warning

_MOST_READ = 20


def checks() -> Iterator[Check]:
    """Yield one line for each cause, or one line if all cases are in sync."""
    yield from run_checks("synchronisation", _synchronisation)


def _synchronisation() -> Iterator[Check]:
    label = "synchronisation"
    now = clock.now()
    waiting = [row for row in table.query_index(keys.CASES_INDEX) if float(row.get("next_try") or 0) > now]
    rows = [table.get(keys.case(str(row["index_sk"]))) or {} for row in waiting[:_MOST_READ]]
    causes = Counter(
        (str(row["failing_reason"]), str(row.get("failing_fix") or "")) for row in rows if row.get("failing_reason")
    )
    if not causes:
        yield ok(label, "no case is out of sync after a failure")
    for (reason, fix), cases in causes.most_common():
        yield warning(label, f"{count(cases, 'case', 'cases')} out of sync: {reason}", fix)
