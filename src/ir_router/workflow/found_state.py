"""The state in which ir-router found a principal: stored before the first change, and restored by a denial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from ir_router import clock
from ir_router.ledger import containments
from ir_router.ledger.containments import Lock
from ir_router.workflow import iam, scopes, sessions
from ir_router.workflow.changes import State
from ir_router.workflow.incident import Incident, Principal


def active_before(state: State, disabled: frozenset[str]) -> State:
    """Return the state before ir-router disabled new keys beyond the limit."""
    keys = {key: iam.ACTIVE if key in disabled else status for key, status in state.keys.items()}
    return replace(state, keys=keys)


def as_found(state: State, row: Mapping[str, Any]) -> State:
    """Return the state before the first attempt, so that a retry reports and verifies the first attempt's changes."""
    recorded: Mapping[str, str] = row["recorded"]["keys"]
    return replace(state, keys={key: recorded.get(key, status) for key, status in state.keys.items()})


class DeniedBefore(NamedTuple):
    """Whether a principal had AWSDenyAll, and the deny policy of versions before 0.2.0, before its containment."""

    current: bool
    earlier: bool


def denied_before(recorded: Mapping[str, Any]) -> DeniedBefore:
    """Return which deny policies are in the recorded state. Versions before 0.2.0 counted only their own as one."""
    if "earlier_attached" in recorded:
        return DeniedBefore(recorded["deny_attached"], recorded["earlier_attached"])
    return DeniedBefore(sessions.deny_policy_arn() in recorded.get("policies", ()), recorded["deny_attached"])


def policies_before(recorded: Mapping[str, Any]) -> list[str] | None:
    """Return the recorded policies except deny policies, or None if an early version recorded no policies."""
    if "policies" not in recorded:
        return None
    return [arn for arn in recorded["policies"] if arn != sessions.deny_policy_arn()]


def without_deny_of_others(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded state of a principal without AWSDenyAll, which others had attached and have detached since.

    The AWSDenyAll that ir-router attaches now is its own, so a denial detaches it.
    """
    others = policies_before(recorded)
    kept = {**recorded, **({} if others is None else {"policies": others})}
    return {**kept, "deny_attached": False} if "earlier_attached" in recorded else kept


def is_denied(row: Mapping[str, Any], state: State) -> bool:
    """Return whether a contained principal has the deny policy of the version that contained it."""
    return state.denied or (state.earlier and "earlier_attached" not in row["recorded"])


def record(
    lock: Lock,
    incident: str,
    principal: Principal,
    key: str | None,
    state: State,
    disabling: list[str],
    since: float,
    at: float | None,
    *,
    joins: bool,
    only_key: bool,
) -> None:
    """Store the incident and the principal's state in one write, before any change.

    The first stored state is kept: a later event adds only new keys. When an event joins, keys that no longer exist
    are dropped, so that an attacker who creates and deletes keys for hours cannot grow the row without limit.

    `at` is the time of the state if the principal was contained without the ledger. The earliest such state counts.
    """
    row = lock.row
    is_earlier = joins and at is not None and at < float(row.get("found_at") or row["opened_at"])
    found = {"deny_attached": state.denied, "earlier_attached": state.earlier, "policies": list(state.policies)}
    recorded = row.get("recorded") or {**found, "keys": {}}
    is_wider = scopes.is_key_only(row) and not only_key  # the rest of the principal is contained only now
    if is_wider or is_earlier:
        recorded = {**recorded, **found}
    keys = {**recorded["keys"], **state.keys} if is_earlier else {**state.keys, **recorded["keys"]}
    named = list(dict.fromkeys([*row.get("named_keys", []), *([key] if key else [])]))
    if joins:
        keys = {name: status for name, status in keys.items() if name in state.keys}
        named = [name for name in named if name in state.keys or name == key]
    if only_key:
        keys = {name: status for name, status in keys.items() if name in named}
    scope = "key" if only_key else None
    values: dict[str, Any] = {"recorded": {**recorded, "keys": keys}, "named_keys": named, "scope": scope}
    if "incident" not in row or "disabled_keys" in row:  # else an earlier version contained the principal
        values["disabled_keys"] = sorted({*row.get("disabled_keys", []), *disabling})
    if not joins and row.get("incident") != incident:
        values |= {
            "incident": incident,
            # Until all changes are made. If they never are, the next event sends the approval request.
            "phase": containments.FAILED,
            "opened_at": clock.now(),
            "found_at": at,
            "principal": dict(principal),
            "case_id": None,
            "joined_by": None,
            "joined_owners": None,
            "joined_creators": None,
            "undone": None,
            "times_undone": None,
            "repaired_at": None,
            "suspicious_since": since,
            "left_behind": None,
            "left_behind_reported": None,
            "inline_policies": None,
            "left_at_end": None,
            **dict.fromkeys(containments.ATTEMPTS),
        }
    else:
        values["suspicious_since"] = min(since, float(row.get("suspicious_since", since)))
        values |= {"found_at": at} if is_earlier else {}
    lock.save(**values)


def suspicious_since(incident: Incident) -> float:
    """Return the time of the event, or of the first activity of a finding, in seconds since the epoch."""
    moment = incident.get("first_seen") or incident["event_time"]
    return min(datetime.fromisoformat(moment).timestamp(), clock.now()) if moment else clock.now()
