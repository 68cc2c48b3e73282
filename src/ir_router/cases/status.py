"""The specification's four statuses and AWS Security Incident Response's seven, in both directions.

botocore's model of `security-ir` has one status "Containment, Eradication and Recovery"; its parts are
understood as well when a person types one.
"""

from __future__ import annotations

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

_MEANT_BY: Mapping[str, str] = {
    "Open": "Submitted",
    "In Progress": "Detection and Analysis",
    "Resolved": "Post-incident Activities",
    "Containment": _RECOVERY,
    "Eradication and Recovery": _RECOVERY,
}

# UpdateCaseStatus accepts these alone (`SelfManagedCaseStatus`); Closed is set by CloseCase.
SETTABLE = ("Submitted", "Detection and Analysis", _RECOVERY, "Post-incident Activities")

# The moves that UpdateCaseStatus documents for self-managed cases, the way forward first.
_MOVES: Mapping[str, Sequence[str]] = {
    "Submitted": ("Detection and Analysis",),
    "Acknowledged": ("Detection and Analysis",),
    "Detection and Analysis": (_RECOVERY, "Post-incident Activities"),
    _RECOVERY: ("Post-incident Activities", "Detection and Analysis"),
    "Post-incident Activities": (_RECOVERY, "Detection and Analysis"),
}


def reachable(case_status: str) -> Sequence[str]:
    """The statuses that a self-managed case can be set to from here, directly or over others."""
    found: dict[str, None] = {}
    pending = list(_MOVES.get(case_status, ()))
    while pending:
        step = pending.pop(0)
        if step not in found and step != case_status:
            found[step] = None
            pending += _MOVES.get(step, ())
    return tuple(found)


def way(case_status: str, wanted: str) -> Sequence[str]:
    """The statuses to set, one after the other, to get from one to the other by documented moves.

    Without a documented way it is the wanted one alone: AWS decides. Empty when it is there already.
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
    """How people see a status: `In Progress (Detection and Analysis)`; `Closed` needs no second word."""
    word = _SPECIFIED_OF.get(case_status)
    if word is None or word == case_status:
        return case_status or "Unknown"
    return f"{word} ({case_status})"


def specified(case_status: str) -> str:
    """The specification's word for a status, or the status itself where it has none."""
    return _SPECIFIED_OF.get(case_status, case_status)


def parse(text: str) -> str | None:
    """The API's status that a person means, in either vocabulary and any letter case, or None.

    Not every answer can be set: `Acknowledged` and `Ready to Close` are the API's own, `Closed` is CloseCase's.
    """
    wanted = " ".join(text.split()).casefold()
    statuses = {word.casefold(): status for word, status in _MEANT_BY.items()}
    statuses |= {status.casefold(): status for status in _SPECIFIED_OF}
    return statuses.get(wanted)
