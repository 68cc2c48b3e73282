"""Select the audit records of one incident. Pure.

A record belongs to an incident if it names the incident's case, execution or approval request. Events that joined the
incident share one of these with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ir_router.ledger import audit
from ir_router.ledger.table import Row

_EXECUTIONS = frozenset({"execution", "incident", "joined_execution"})
_LINKS = _EXECUTIONS | {"approval_id", "case_id"}
_PRINCIPALS = frozenset({"principal", "principals"})


@dataclass(frozen=True)
class Incident:
    """The records of an incident, oldest first, with the cases, executions and principals in them."""

    records: list[Row]
    cases: list[str]
    executions: list[str]
    principals: list[str]


def find(rows: Iterable[Row], reference: str) -> Incident:
    """Return the records of the incidents that a reference names.

    Args:
        rows: All records of the audit.
        reference: Id of a case, ARN or name of an execution, or ARN or name of a principal.
    """
    named = [(row, list(_named(details_of(row)))) for row in rows if row.get("action") != audit.TIED]
    chosen: dict[str, tuple[Row, list[tuple[str, str]]]] = {
        row["hash"]: (row, pairs) for row, pairs in named if any(_names(*pair, reference) for pair in pairs)
    }
    links = _links_of(pairs for _, pairs in chosen.values())
    while True:
        more = {
            row["hash"]: (row, pairs)
            for row, pairs in named
            if row["hash"] not in chosen and any(name in _LINKS and value in links for name, value in pairs)
        }
        if not more:
            break
        chosen |= more
        links |= _links_of(pairs for _, pairs in more.values())
    found = sorted(chosen.values(), key=lambda one: (one[0]["at"], one[0].get("chain", audit.MAIN), one[0]["sequence"]))
    pairs = [pair for _, given in found for pair in given]
    return Incident(
        records=[row for row, _ in found],
        cases=_values(pairs, {"case_id"}),
        executions=_values(pairs, _EXECUTIONS),
        principals=_values(pairs, _PRINCIPALS),
    )


def details_of(row: Row) -> dict[str, Any]:
    """Return the details of a record; empty if someone replaced them by other text."""
    try:
        found = json.loads(row["details"])
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _links_of(given: Iterable[Sequence[tuple[str, str]]]) -> set[str]:
    return {value for pairs in given for name, value in pairs if name in _LINKS}


def _values(pairs: Iterable[tuple[str, str]], names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(value for name, value in pairs if name in names))


def _names(name: str, value: str, reference: str) -> bool:
    """Return whether a text of the details is the reference, or an ARN that ends with it as its name."""
    if value.startswith("arn:"):
        return value == reference or value.endswith((f":{reference}", f"/{reference}"))
    return value == reference and name in _LINKS


def _named(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of the details with the name that it has there. The elements of a list have the list's name."""
    if isinstance(value, dict):
        for inner, one in value.items():
            yield from _named(one, inner)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one, name)
    elif isinstance(value, str) and value:
        yield name, value
