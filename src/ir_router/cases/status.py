"""Translate between the specification's four statuses and the seven of AWS Security Incident Response.

botocore's model of `security-ir` has one status "Containment, Eradication and Recovery". Users can also type one of its
parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

SPECIFIED = ("Open", "In Progress", "Resolved", "Closed")

_RECOVERY = "Containment, Eradication and Recovery"

_SPECIFIED_OF: Mapping[str, str] = {
    "Submitted": "Open",
    "Acknowledged": "In Progress",
    "Detection and Analysis": "In Progress",
    _RECOVERY: "In Progress",
    "Post-incident Activities": "Resolved",
    "Ready to Close": "Resolved",
    "Closed": "Closed",
}

# All of AWS's statuses, in the order of a case's life. A test compares them with botocore's model.
STATUSES = tuple(_SPECIFIED_OF)

_MEANT_BY: Mapping[str, str] = {
    "Open": "Submitted",
    "In Progress": "Detection and Analysis",
    "Resolved": "Post-incident Activities",
    "Containment": _RECOVERY,
    "Eradication and Recovery": _RECOVERY,
}

# UpdateCaseStatus accepts only these (`SelfManagedCaseStatus`). CloseCase sets Closed.
SETTABLE = ("Submitted", "Detection and Analysis", _RECOVERY, "Post-incident Activities")

# The transitions that UpdateCaseStatus documents for self-managed cases, forward transitions first.
_MOVES: Mapping[str, Sequence[str]] = {
    "Submitted": ("Detection and Analysis",),
    "Acknowledged": ("Detection and Analysis",),
    "Detection and Analysis": (_RECOVERY, "Post-incident Activities"),
    _RECOVERY: ("Post-incident Activities", "Detection and Analysis"),
    "Post-incident Activities": (_RECOVERY, "Detection and Analysis"),
}


def reachable(case_status: str) -> Sequence[str]:
    """Return the statuses that a self-managed case can reach from `case_status`, directly or through others."""
    found: dict[str, None] = {}
    pending = list(_MOVES.get(case_status, ()))
    while pending:
        step = pending.pop(0)
        if step not in found and step != case_status:
            found[step] = None
            pending += _MOVES.get(step, ())
    return tuple(found)


def way(case_status: str, wanted: str) -> Sequence[str]:
    """Return the statuses to set in turn, so that each step is a documented transition.

    Without a documented path only `wanted` is returned, and AWS decides. Empty if the case already has the status.
    """
    if case_status == wanted:
        return ()
    ways: list[tuple[str, ...]] = [(step,) for step in _MOVES.get(case_status, ())]
    seen = {case_status}
    for steps in ways:
        if steps[-1] == wanted:
            return steps
        if steps[-1] not in seen:
            seen.add(steps[-1])
            ways += [(*steps, step) for step in _MOVES.get(steps[-1], ())]
    return (wanted,)


def shown(case_status: str) -> str:
    """Return a status as shown to users, for example `In Progress (Detection and Analysis)` or `Closed`."""
    word = _SPECIFIED_OF.get(case_status)
    if word is None or word == case_status:
        return case_status or "Unknown"
    return f"{word} ({case_status})"


def specified(case_status: str) -> str:
    """Return the specification's word for a status, or the status itself if there is none."""
    return _SPECIFIED_OF.get(case_status, case_status)


def parse(text: str) -> str | None:
    """Return the API's status for a typed one, in either vocabulary and any letter case, or None.

    Only letters and digits count, and `&` as `and`: `in-progress`, `InProgress`, `*Resolved*`, `detection & analysis`.

    Some results cannot be set: only AWS sets `Acknowledged` and `Ready to Close`, and CloseCase sets `Closed`.
    """
    statuses = {_plain(word): status for word, status in _MEANT_BY.items()}
    statuses |= {_plain(status): status for status in _SPECIFIED_OF}
    return statuses.get(_plain(text))


def _plain(text: str) -> str:
    words = unicodedata.normalize("NFKC", text).replace("&amp;", "&").replace("&", "and")
    return re.sub(r"[\W_]", "", words).casefold()
