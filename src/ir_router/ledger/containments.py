"""Contained principals: the open incident of each, its state before containment, its keys, and a lock.

One write stores the recorded state and the incident: neither exists without the other. A run that contains, decides,
restores or releases holds the lock until the hard end of its invocation plus the settling time. An expired lock
therefore proves that its holder has ended and that its requests have taken effect (docs/containment.md, "Rules that
make it safe").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef as Change

# Phases. OPEN: a decision is pending. APPROVED, KEPT (no decision in time) and FAILED last until release.
OPEN: Final = "open"
APPROVED: Final = "approved"
KEPT: Final = "kept"
FAILED: Final = "failed"

LIMIT_SECONDS = 3600


class ContainmentBusyError(IrRouterError):
    """Another run holds the principal's lock. The state machine retries."""


class Limit(NamedTuple):
    """A limit of containments within an hour that is reached. `account`: 12 digits, or empty for all accounts."""

    number: int
    account: str


@dataclass
class Lock:
    """The permission to change a principal. `row` is its current row; `save` updates it.

    Attributes of the row:
        incident: Execution ARN.
        phase: One of the phases above.
        principal: The principal, as it was contained.
        recorded: {"deny_attached": bool, "earlier_attached": bool, "policies": [ARN], "keys": {id: status}} before the
            first change.
        named_keys: Access key ids that events named.
        disabled_keys: The active keys that ir-router disabled.
        held: The keys that a denial would leave disabled, with the reasons (`workflow/third_parties.py`).
        scope: `key` if only the named keys are disabled and recorded. Absent: the complete principal is contained.
        sealed_keys: The recorded keys at approval. Only a release restores them.
        case_id: The incident's case.
        opened_at, contained_at: Seconds since the epoch.
        found_at: The time of `recorded`, if the principal was contained without the ledger.
        joined_by: Execution ARN of the event with which the principal joined the incident of its actor.
        joined_owners: E-mail addresses of users who may not decide because of an event that joined.
        joined_creators: Creators of keys in events that joined (`ledger/creators.py`).
        missing_at_end: Containment that was found missing when the incident ended:
            {"incident", "deny_policy", "active_keys"}.
        undone: Containment that was found missing while the decision is pending, until it is re-applied and reported:
            {"number", "deny_policy", "active_keys", "new_keys", "was_refused", "were_unknown"}.
        times_undone: How often that was reported.
        attempts, last_attempt, last_attempt_at, attempts_reported, attempts_reported_at: The denied calls since the
            containment, and how many of them the case reports.
        suspicious_since: Time of the first suspicious event, in seconds since the epoch.
        left_behind, left_behind_reported, inline_policies: The list of possible leftovers, whether
            the case has it, and the inline policies at that time (`workflow/left_behind.py`).
        left_at_end: That list when the decision is carried out.
        deny_refused: True if IAM permanently refuses the deny policy, and an alert reports it.
        keys_unknown: True if IAM denies ir-router the list of the access keys, and an alert reports it.
    """

    principal: str
    holder: str
    row: Row = field(repr=False)

    def save(self, **values: Any) -> None:
        """Set attributes of the row; None removes one. Raises ContainmentBusyError when the lock is lost."""
        self.row = _write(self, values)

    def saving(self, **values: Any) -> Change:
        """Return `save` as an item of a transaction. Call `saved` after it."""
        expression, assigned = _setting(values)
        return table.update_item(
            keys.containment(self.principal), expression, "lock_holder = :holder", holder=self.holder, **assigned
        )

    def saved(self) -> None:
        """Read the row again after a transaction with `saving`. Raises ContainmentBusyError when the lock is lost."""
        row = get(self.principal) or {}
        if row.get("lock_holder") != self.holder:
            raise ContainmentBusyError(f"another run has taken over the lock on {self.principal}")
        self.row = row

    def clear(self) -> None:
        """Remove incident and recorded state in one write, after the principal was restored."""
        self.save(**dict.fromkeys(_INCIDENT))

    def clearing(self) -> Change:
        """Return `clear` as an item of a transaction."""
        return self.saving(**dict.fromkeys(_INCIDENT))


ATTEMPTS: Final = ("attempts", "last_attempt", "last_attempt_at", "attempts_reported", "attempts_reported_at")
_INCIDENT = (
    "incident",
    "phase",
    "recorded",
    "scope",
    "named_keys",
    "disabled_keys",
    "held",
    "sealed_keys",
    "case_id",
    "opened_at",
    "found_at",
    "contained_at",
    "joined_by",
    "joined_owners",
    "joined_creators",
    "missing_at_end",
    "undone",
    "times_undone",
    "deny_refused",
    "keys_unknown",
    "suspicious_since",
    "left_behind",
    "left_behind_reported",
    "inline_policies",
    "left_at_end",
    *ATTEMPTS,
    "principal",
)


@contextmanager
def locked(principal: str, until: float) -> Iterator[Lock]:
    """Hold the principal's lock.

    The lock is released at the end, and after an error that leaves no request in flight. After any other error it
    stays until `until`.

    Args:
        principal: ARN of the principal.
        until: Hard end of the invocation plus the settling time, in seconds since the epoch.

    Raises:
        ContainmentBusyError: Another run holds the lock.
    """
    with holding(take(principal, until)) as lock:
        yield lock


@contextmanager
def holding(lock: Lock) -> Iterator[Lock]:
    """Hold a lock that is taken, and release it as `locked` does."""
    try:
        yield lock
    except Exception as error:
        if _is_certain(error):
            release(lock)
        raise
    release(lock)


def take(principal: str, until: float) -> Lock:
    """Take the principal's lock. Arguments and errors are those of `locked`."""
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
        raise ContainmentBusyError(f"another run holds the lock on {principal}") from conflict
    return Lock(principal, holder, row)


def release(lock: Lock) -> None:
    """Release a lock. Has no effect if another run holds it now."""
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


def get(principal: str) -> Row | None:
    """Return the principal's row, or None."""
    return table.get(keys.containment(principal))


def annotate(principal: str, incident: str, **values: Any) -> bool:
    """Set attributes of the row if `incident` is still its incident. Return False if it is not."""
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


def admit(principal: str, limit: int, account_limit: int | None = None) -> Limit | None:
    """Count the principal among those contained in the last hour, and return None.

    Args:
        principal: ARN of the principal.
        limit: If so many others are contained, nothing is counted, and this limit is returned.
        account_limit: The same for the others of its account. None: there is no such limit.
    """
    account = principal.split(":")[4] if account_limit is not None else ""
    key = keys.recently_contained()
    for _attempt in range(20):
        row = table.get(key)
        now = clock.now()
        recent: Mapping[str, float] = row["recent"] if row else {}
        kept = {name: at for name, at in recent.items() if at > now - LIMIT_SECONDS}
        if principal not in kept and len(kept) >= limit:
            return Limit(limit, "")
        of_account = sum(name.split(":")[4] == account for name in kept) if account_limit is not None else 0
        if account_limit is not None and principal not in kept and of_account >= account_limit:
            return Limit(account_limit, account)
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
        return None
    raise ContainmentBusyError("too many runs are updating the count of contained principals")


def _setting(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the update expression that sets these attributes, and its values. None removes an attribute."""
    assigned = {name: value for name, value in values.items() if value is not None}
    parts = []
    if assigned:
        parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in assigned))
    if removed := [f"#{name}" for name, value in values.items() if value is None]:
        parts.append("REMOVE " + ", ".join(removed))
    return " ".join(parts), assigned


def _write(lock: Lock, values: Mapping[str, Any]) -> Row:
    expression, assigned = _setting(values)
    try:
        return table.update(
            keys.containment(lock.principal), expression, "lock_holder = :holder", holder=lock.holder, **assigned
        )
    except ConditionFailedError as conflict:
        raise ContainmentBusyError(f"another run has taken over the lock on {lock.principal}") from conflict


def _forget(principal: str) -> None:
    """Delete the row unless it has an incident or a lock again."""
    try:
        table.delete(keys.containment(principal), "attribute_not_exists(incident) AND attribute_not_exists(lock_until)")
    except ConditionFailedError:
        return


def _is_certain(error: Exception) -> bool:
    """Return whether no request can still be in flight: this package raised the error, or AWS rejected the request."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) < 500
    return isinstance(error, IrRouterError)
