"""The tasks "allowlist_add", "allowlist_list" and "allowlist_remove".

{"task": "allowlist_add", "kind": "ip" or "principal", "value": "...", "reason": "...", "added_by": "...",
 "expires_at": "2026-01-31T00:00:00Z"}        (without expires_at the entry never expires)
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
from ir_router.ledger.allowlist import Kind
from ir_router.workflow import allowlist, check_allowlist, inputs


def add(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Write an entry. Raises InvalidInputError if a field is invalid."""
    kind, value = _entry(task)
    reason, added_by = inputs.text(task, "reason"), inputs.text(task, "added_by")
    expires_at = _moment(task.get("expires_at"))
    row = stored.add(kind, value, reason, added_by, expires_at)
    warning = allowlist.without_effect(kind, value)
    return {"status": "added", "entry": _shown(row)} | ({"warning": warning} if warning else {})


def list_entries(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Return the entries of the deployment, then those of the ledger. `not_used` names the error of an ignored one."""
    deployed = [
        {"kind": entry.kind, "value": entry.value, "reason": entry.reason}
        | ({"not_used": why} if (why := check_allowlist.refusal(entry) or _without_effect(entry)) else {})
        for entry in check_allowlist.deployed_entries()
    ]
    return {"entries": deployed + [_shown(row) | _note(row) for row in stored.entries()]}


def _without_effect(entry: allowlist.Entry) -> str | None:
    return allowlist.without_effect(entry.kind, entry.value)


def _note(row: Mapping[str, Any]) -> dict[str, str]:
    why = allowlist.without_effect(row["kind"], row["value"])
    return {"not_used": why} if why else {}


def remove(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Remove an entry. Raises InvalidInputError if it does not exist."""
    kind, value = _entry(task)
    reason, removed_by = inputs.text(task, "reason"), inputs.text(task, "removed_by")
    if not stored.remove(kind, value, reason, removed_by):
        raise InvalidInputError(f"There is no {kind} entry {value}. Change entries of the deployment in Terraform.")
    return {"status": "removed", "kind": kind, "value": value}


def _entry(task: Mapping[str, Any]) -> tuple[Kind, str]:
    given, value = inputs.text(task, "kind"), inputs.text(task, "value")
    kind = allowlist.kind_of(given)
    return kind, allowlist.checked(kind, value)


def _moment(value: object) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInputError("expires_at must be an ISO 8601 time, for example 2026-01-31T00:00:00Z.") from None
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if seconds <= clock.now():
        raise InvalidInputError("expires_at must be in the future.")
    return seconds


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("kind", "value", "reason", "added_by") if name in row}
    for name in ("added_at", "expires_at"):
        if name in row:
            shown[name] = datetime.fromtimestamp(row[name], UTC).isoformat().replace("+00:00", "Z")
    return shown
