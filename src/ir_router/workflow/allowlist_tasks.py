"""The tasks "allowlist_add", "allowlist_list" and "allowlist_remove".

{"task": "allowlist_add", "kind": "ip" or "principal", "value": "...", "reason": "...", "added_by": "...",
 "expires_at": "2026-01-31T00:00:00Z"}        (expires_at may be left out: for ever)
{"task": "allowlist_list"}
{"task": "allowlist_remove", "kind": "...", "value": "...", "reason": "...", "removed_by": "..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.errors import InvalidInputError
from ir_router.ledger import allowlist as stored
from ir_router.workflow import allowlist, check_allowlist, inputs


def add(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Write an entry. Raises InvalidInputError, saying what is wrong with it."""
    kind = inputs.text(task, "kind")
    value = allowlist.checked(kind, inputs.text(task, "value"))
    reason, added_by = inputs.text(task, "reason"), inputs.text(task, "added_by")
    expires_at = _moment(task.get("expires_at"))
    row = stored.add(kind, value, reason, added_by, expires_at)
    return {"status": "added", "entry": _shown(row)}


def list_entries(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """All entries: those of the deployment (`not_used` says what is wrong with one) and those that people added."""
    deployed = [
        {"kind": entry.kind, "value": entry.value, "reason": entry.reason}
        | ({"not_used": why} if (why := check_allowlist.refusal(entry)) else {})
        for entry in check_allowlist.deployed_entries()
    ]
    return {"entries": deployed + [_shown(row) for row in stored.entries()]}


def remove(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Remove an entry. Raises InvalidInputError when there is none."""
    kind = inputs.text(task, "kind")
    value = allowlist.checked(kind, inputs.text(task, "value"))
    reason, removed_by = inputs.text(task, "reason"), inputs.text(task, "removed_by")
    if not stored.remove(kind, value, reason, removed_by):
        raise InvalidInputError(
            f"There is no {kind} entry {value}. Entries of the deployment are changed by Terraform."
        )
    return {"status": "removed", "kind": kind, "value": value}


def _moment(value: object) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInputError("expires_at is a time as 2026-01-31T00:00:00Z.") from None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if seconds <= clock.now():
        raise InvalidInputError("expires_at is in the past.")
    return seconds


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("kind", "value", "reason", "added_by") if name in row}
    for name in ("added_at", "expires_at"):
        if name in row:
            shown[name] = datetime.fromtimestamp(row[name], UTC).isoformat().replace("+00:00", "Z")
    return shown
