"""The differences that remain if the intake starts the execution of a group with another of its events."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# The intake started the execution of a group with another of its events: same alert and count, other execution.
_OF_A_GROUP = re.compile(
    r"(messages|workflow): 1 (too many|missing): (?P<of>ir-router : |alert: |event-\w+ SUCCEEDED: )"
)
_ALERTED = (" > Alert Only > Group Opened? > Alerted", " > Alert the Count > Alerted")


def another_event_starts(wrong: Sequence[str]) -> bool:
    """Return whether the differences are the executions of a group, with as many alerts and messages as expected."""
    balance: Counter[str] = Counter()
    for line in wrong:
        found = _OF_A_GROUP.match(line)
        if found is None:
            return False
        if found["of"].startswith("event-"):
            if not line.endswith(_ALERTED):
                return False
        else:  # the part before the first sentence has the principal, the detection and the count
            subject = line[found.end() :].partition(" [{")[0].partition(": CHECK: ")[0]
            balance[f"{found['of']}{subject}"] += 1 if found[2] == "too many" else -1
    return not any(balance.values())
