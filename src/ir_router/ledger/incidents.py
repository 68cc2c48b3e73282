"""The incidents of a case, as the life cycle of the case needs them: the state of each approval request.

One row for each case. The function that shows approval requests writes `approval_...`; the run that holds the case's
lease writes the other attributes.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from ir_router.ledger import keys, table
from ir_router.ledger.approvals import DELIVERED, EXPIRED
from ir_router.ledger.table import Row

Phase = Literal["asked", "contained", "kept", "ended"]
ASKED: Final = "asked"
CONTAINED: Final = "contained"
KEPT: Final = "kept"
ENDED: Final = "ended"

_APPROVAL = "approval_"


def note(approval: Row) -> bool:
    """Store the state of an approval request with its case. Return whether it is new."""
    case_id = str(approval.get("case_id") or "")
    if not case_id:
        return False
    name = f"{_APPROVAL}{approval['approval_id']}"
    value = {
        "execution": approval["execution"],
        "kind": approval["kind"],
        "phase": _phase(approval),
        "result": str(approval.get("result") or "") if _phase(approval) == ENDED else "",
    }
    if (table.get(keys.incident(case_id)) or {}).get(name) == value:
        return False
    table.update(keys.incident(case_id), f"SET {name} = :value", value=value)
    return True


def _phase(approval: Row) -> Phase:
    """Return the phase that one request alone shows."""
    is_permission = approval["kind"] == "contain"
    if approval["state"] == EXPIRED:
        return KEPT
    if approval["state"] == DELIVERED and approval.get("result"):
        # With a permission, the containment and its own request follow.
        return CONTAINED if is_permission and approval.get("decision") == "approve" else ENDED
    return ASKED if is_permission else CONTAINED


def phase(row: Row) -> Phase | None:
    """Return the phase of a case's incidents: that of the least advanced one; None without any."""
    found = _current(row)
    for one in (CONTAINED, ASKED, KEPT, ENDED):
        if any(part["phase"] == one for part in found):
            return one
    return None


def results(row: Row) -> list[str]:
    """Return the results of the decisions, as texts."""
    return sorted(set(results_by_request(row).values()))


def results_by_request(row: Row) -> dict[str, str]:
    """Return the results of the decisions by the ids of their requests."""
    current = _current(row)
    found = {name.removeprefix(_APPROVAL): part for name, part in row.items() if name.startswith(_APPROVAL)}
    return {name: str(part["result"]) for name, part in found.items() if part in current and part["result"]}


def save(case_id: str, **values: Any) -> None:
    """Set attributes of the row."""
    table.update(keys.incident(case_id), "SET " + ", ".join(f"#{name} = :{name}" for name in values), **values)


def _current(row: Row) -> list[Row]:
    """Return the requests, without permissions whose containment has a request of its own."""
    found: list[Row] = [value for name, value in row.items() if name.startswith(_APPROVAL)]
    followed = {part["execution"] for part in found if part["kind"] == "remediate"}
    return [part for part in found if part["kind"] == "remediate" or part["execution"] not in followed]
