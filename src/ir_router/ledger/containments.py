"""What is contained: for each principal the open incident, the state found before it, its keys, and a lock.

Recorded state and incident are one write; one exists if and only if the other does. Whoever contains, decides,
restores or releases holds the lock until the hard end of its invocation plus the settling time, so that an expired
lock proves its holder dead and its requests landed (docs/containment.md, "Rules that make it safe").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

# Phases of an incident. OPEN: a decision is pending. APPROVED, KEPT (nobody decided) and FAILED stay until released.
OPEN, APPROVED, KEPT, FAILED = "open", "approved", "kept", "failed"

LIMIT_SECONDS = 3600


class ContainmentBusyError(IrRouterError):
    """Another run holds the principal's lock; the state machine tries again."""


@dataclass
class Lock:
    """The right to change a principal. `row` is its row when the lock was taken; `save` writes the next one.

    Attributes of the row: `incident` (execution ARN), `phase`, `principal`, `recorded` ({"deny_attached": bool, "keys":
    {id: status}}, as found before the first change), `named_keys` (by events), `sealed_keys` (what was recorded when
    somebody approved: only a release restores it), `case_id`, `opened_at`, `contained_at`, `joined_owners`
    (who may not decide because of an event that joined), `missing_at_end` (what was found to be contained no more
    when the incident ended: {"incident", "deny_policy", "active_keys"}).
    """

    principal: str
    holder: str
    row: Row = field(repr=False)

    def save(self, **values: Any) -> None:
        """Write attributes while holding the lock. None removes an attribute. Raises ContainmentBusyError when lost."""
        self.row = _write(self, values)

    def clear(self) -> None:
        """The principal is as it was found: forget incident and recorded state, in one write."""
        self.save(**dict.fromkeys(_INCIDENT))


_INCIDENT = (
    "incident",
    "phase",
    "recorded",
    "named_keys",
    "sealed_keys",
    "case_id",
    "opened_at",
    "contained_at",
    "joined_owners",
    "missing_at_end",
    "principal",
)


@contextmanager
def locked(principal: str, until: float) -> Iterator[Lock]:
    """Hold the principal's lock. `until`: hard end of the invocation plus the settling time, seconds since the epoch.

    It is given back at the end, and after an error that leaves nothing under way; else it stands until `until`.
    Raises ContainmentBusyError when somebody else has it.
    """
    lock = _take(principal, until)
    try:
        yield lock
    except Exception as error:
        if _is_certain(error):
            _release(lock)
        raise
    _release(lock)


def get(principal: str) -> Row | None:
    """The principal's row, or None."""
    return table.get(keys.containment(principal))


def annotate(principal: str, incident: str, **values: Any) -> bool:
    """Set attributes of the row as long as `incident` is its incident. False when it is not (any more)."""
    try:
        table.update(
            keys.containment(principal),
            "SET " + ", ".join(f"#{name} = :{name}" for name in values),
            "incident = :incident",
            incident=incident,
            **values,
        )
    except ConditionFailedError:
        return False
    return True


def admit(principal: str, limit: int) -> bool:
    """Count the principal among those contained in the last hour; False when `limit` distinct ones are already."""
    key = keys.recently_contained()
    for _attempt in range(20):
        row = table.get(key)
        now = clock.now()
        recent: Mapping[str, float] = row["recent"] if row else {}
        kept = {name: at for name, at in recent.items() if at > now - LIMIT_SECONDS}
        if principal not in kept and len(kept) >= limit:
            return False
        version = row["version"] if row else 0
        try:
            table.put(
                key,
                {"recent": {**kept, principal: now}, "version": version + 1},
                "attribute_not_exists(PK) OR version = :version",
                version=version,
            )
        except ConditionFailedError:
            continue
        return True
    raise ContainmentBusyError("the count of contained principals kept moving")


def _take(principal: str, until: float) -> Lock:
    holder = uuid.uuid4().hex
    try:
        row = table.update(
            keys.containment(principal),
            "SET lock_until = :until, lock_holder = :holder",
            "attribute_not_exists(lock_until) OR lock_until < :now OR lock_holder = :holder",
            until=until,
            holder=holder,
            now=clock.now(),
        )
    except ConditionFailedError as conflict:
        raise ContainmentBusyError(f"another run works on {principal}") from conflict
    return Lock(principal, holder, row)


def _write(lock: Lock, values: Mapping[str, Any]) -> Row:
    assigned = {name: value for name, value in values.items() if value is not None}
    parts = []
    if assigned:
        parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in assigned))
    if removed := [f"#{name}" for name, value in values.items() if value is None]:
        parts.append("REMOVE " + ", ".join(removed))
    try:
        return table.update(
            keys.containment(lock.principal), " ".join(parts), "lock_holder = :holder", holder=lock.holder, **assigned
        )
    except ConditionFailedError as conflict:
        raise ContainmentBusyError(f"the lock on {lock.principal} was lost") from conflict


def _release(lock: Lock) -> None:
    try:
        row = table.update(
            keys.containment(lock.principal),
            "REMOVE lock_until, lock_holder",
            "lock_holder = :holder",
            holder=lock.holder,
        )
    except ConditionFailedError:
        return
    if "incident" not in row:
        _forget(lock.principal)


def _forget(principal: str) -> None:
    """A row without incident and lock says nothing."""
    try:
        table.delete(keys.containment(principal), "attribute_not_exists(incident) AND attribute_not_exists(lock_until)")
    except ConditionFailedError:
        return


def _is_certain(error: Exception) -> bool:
    """Whether no request of ours can still be under way: our own error, or an answer that refuses."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) < 500
    return isinstance(error, IrRouterError)
