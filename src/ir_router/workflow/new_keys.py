"""Beyond the hourly limit: disable the new key of an event, and enable it again if an analyst denies the permission.

A key that is minutes old has no user except its creator, so that no permission is needed. The owner's other keys
and sessions continue.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ir_router.ledger import containments
from ir_router.ledger.containments import Limit, Lock
from ir_router.observability import logger
from ir_router.workflow import changes, iam, invocation, scopes, third_parties, wording, wording_gaps
from ir_router.workflow.changes import ChangeFailedError
from ir_router.workflow.incident import Incident, Principal, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES


class Enabled(NamedTuple):
    """The result of `enable_again`.

    `kept` has a sentence for each principal with keys that stay disabled, since others restricted them. `incidents` are
    the executions that have contained a principal meanwhile.
    """

    kept: list[str]
    incidents: list[str]


def beyond_limit(
    lock: Lock, incident: Incident, principal: Principal, key: str | None, limit: Limit
) -> PrincipalResult:
    """Return the result beyond the hourly limit, with the new key disabled if the event created one."""
    if scopes.is_key_only(lock.row) and "contained_at" not in lock.row:
        lock.clear()  # it did not join an incident, and the request for permission takes its place
    created = key if incident["event_name"] == "CreateAccessKey" else None
    who = wording.name_of(principal) if created else "this one"
    counted = f"principals of account {incident.get('in_account', limit.account)}" if limit.account else "principals"
    result: PrincipalResult = {
        "principal": principal,
        "outcome": "limit_reached",
        "why": f"{limit.number} {counted} were contained within the last hour, so ir-router contains {who} "
        "only after an approval.",
        "actions": [],
        "named_keys": [],
        "recorded": {},
    }
    if limit.account:
        result["beyond_account"] = limit.account
    found, unlisted = changes.read_as_permitted(principal) if created is not None else (None, None)
    if unlisted is not None:  # a denial could not restore the key exactly
        result["actions"] = [unlisted]
    elif created is not None and found is not None and created in found.keys:
        try:
            wanted = [changes.disable(principal, created)]
            result["actions"] = changes.make(principal, wanted, until=changes.retry_until(lock))
        except ChangeFailedError as failure:  # the approval request shows it
            result["actions"] = failure.actions
    return result


def disabled_in(parts: Sequence[PrincipalResult]) -> list[str]:
    """Return the new keys that are disabled although their owners are not contained."""
    return [key for part in _awaiting(parts) for key in changes.disabled(part)]


def _awaiting(parts: Sequence[PrincipalResult]) -> list[PrincipalResult]:
    """Return the principals that need a permission before their containment."""
    return [part for part in parts if OUTCOMES[part["outcome"]].approval == "contain"]


def enable_again(execution: str, parts: Sequence[PrincipalResult], context: Any) -> Enabled:
    """Enable the new keys again. If another event has contained the principal, its incident restores the keys.

    Raises:
        ContainmentBusyError: Another invocation holds the principal's lock.
        ChangeFailedError: A change failed or could not be verified.
    """
    kept: list[str] = []
    incidents: list[str] = []
    for part in _awaiting(parts):
        keys = changes.disabled(part)
        owner = iam.owner_of(keys[0], part["principal"]["account"]) if keys else None
        if owner is None:  # there is no key, or it was deleted
            continue
        principal: Principal = {**part["principal"], "name": owner}
        with containments.locked(principal["arn"], invocation.lock_until(context)) as lock:
            if "incident" in lock.row:
                hand_over(lock, keys)
                incidents.append(str(lock.row["incident"]))
                continue
            state = changes.read(principal)
            if state.denied or state.earlier:
                logger.warning("containment.key_stays_disabled: a user attached the deny policy by hand")
                continue
            # The state before is not recorded, so that every restricting policy counts.
            before = {"recorded": {"keys": dict.fromkeys(keys, iam.ACTIVE), "policies": []}, "incident": execution}
            held = third_parties.held(before, state)
            third_parties.remember(before, principal, held)
            wanted = [changes.enable(principal, key) for key in keys if key not in held]
            changes.make(principal, wanted, until=changes.retry_until(lock))
            kept += [f"{wording_gaps.stays_disabled(held)}. Release the principal to enable it"] if held else []
    return Enabled(kept, incidents)


def hand_over(lock: Lock, keys: Collection[str]) -> None:
    """Record in the principal's incident that ir-router disabled these keys before, so that a denial enables them."""
    row = lock.row
    recorded: Mapping[str, Any] = row["recorded"]
    found = [key for key in keys if recorded["keys"].get(key) == iam.INACTIVE]
    if found:
        statuses = {**recorded["keys"], **dict.fromkeys(found, iam.ACTIVE)}
        own = {"disabled_keys": sorted({*row["disabled_keys"], *found})} if "disabled_keys" in row else {}
        lock.save(recorded={**recorded, "keys": statuses}, **own)
