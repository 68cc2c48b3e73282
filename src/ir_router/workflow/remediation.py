"""Carry out a decision for each principal that this execution contained. Shared by the three states after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

from ir_router import clock
from ir_router.ledger import approvals, containments, keys, table
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.observability import measure
from ir_router.workflow import (
    accounts,
    changes,
    enforcement,
    found_state,
    iam,
    identity,
    invocation,
    later_verifications,
    left_behind,
    principals,
    scopes,
    third_parties,
    wording,
    wording_many,
)
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.incident import ActionTaken, Principal, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES


class RemediationResult(TypedDict):
    """The changes in IAM, and sentences for the final alert (`notes`).

    `denied` maps the ARN of each principal that stays contained to whether IAM shows the deny policy. `joined` are the
    principals that joined the incident, `released` the ARNs of those that were released before the decision. `held`
    are the ARNs of those with keys that stay disabled, since others restricted them. `left_behind` lists
    possible leftovers of an attacker, as IAM showed them before the changes.
    """

    actions: list[ActionTaken]
    notes: list[str]
    denied: NotRequired[dict[str, bool]]
    joined: NotRequired[list[Principal]]
    released: NotRequired[list[str]]
    held: NotRequired[list[str]]
    left_behind: NotRequired[list[str]]


class Done(NamedTuple):
    """The result for one principal, as in `RemediationResult`. `denied` is None if the containment was lifted."""

    actions: list[ActionTaken]
    note: str = ""
    denied: bool | None = None
    held: bool = False
    left: Sequence[str] = ()


class Restored(NamedTuple):
    """The changes of a restoration, and the keys that stay disabled with the reasons (`third_parties.held`)."""

    actions: list[ActionTaken]
    held: Mapping[str, str]


_KEPT_SECONDS = 7 * 86_400  # longer than an execution can be retried
# For the changes of one principal, and for reading them back without waiting for IAM (`changes.retry_until`).
_RESERVE_SECONDS = 12.0

Work = Callable[[Lock, Principal], Done]


def for_each_principal(task: Mapping[str, Any], context: Any, work: Work) -> RemediationResult:
    """Call `work` under the lock of each principal that the decision covers and whose incident is this execution's.

    Principals that were released since are left out. If the time of one invocation is not enough, a retry continues.

    Args:
        task: The state's input: `incident` and `containment`.
        context: Lambda's context, which limits the locks.
        work: The change to make for one principal.

    Returns:
        All changes. For a principal that is done, a retry reports the changes that were made then.

    Raises:
        ContainmentBusyError: Another invocation holds the lock of a principal, or a retry must continue.
        ChangeFailedError: A change failed or could not be verified. The other principals are still processed.
    """
    execution = task["incident"]["execution"]["id"]
    own = {part["principal"]["arn"]: part["principal"] for part in _contained(task)}
    approval = approvals.get(approvals.id_of(execution, "remediate")) or {}
    joined = [arn for arn in approvals.principals_of(approval) if arn not in own]
    denied: dict[str, bool] = {}
    others: list[Principal] = []
    gone: list[str] = []
    held: list[str] = []
    left: list[str] = []
    result: RemediationResult = {"actions": [], "notes": [], "denied": denied, "joined": others, "released": gone}
    failed: list[ActionTaken] = []
    lists = len([*own, *joined]) <= wording_many.MOST_NAMED  # of many principals, the case has the lists
    for number, arn in enumerate([*own, *joined]):
        if number and float(context.get_remaining_time_in_millis()) / 1000 < _RESERVE_SECONDS:
            raise ContainmentBusyError("a retry continues with the other principals")
        with containments.locked(arn, invocation.lock_until(context)) as lock:
            principal = own.get(arn) or lock.row.get("principal")
            done = _done_before(execution, arn, lock)
            try:
                if done is None and principal is not None and lock.row.get("incident") == execution:
                    listed = _list_left_behind(lock, context) if lists else []
                    done = work(lock, principal)._replace(left=listed)
            except ChangeFailedError as failure:
                failed += failure.actions
                continue
        if done is None:
            gone.append(arn)
            continue
        if arn not in own:
            others.append(principal or accounts.named(principals.from_arn(arn) or principals.unknown_principal()))
        result["actions"] += done.actions
        result["notes"] += [done.note] if done.note and done.note not in result["notes"] else []
        if done.denied is not None:
            denied[arn] = done.denied
        held += [arn] if done.held else []
        if done.left:
            name = wording.name_of(principal or principals.unknown_principal())
            left.append(f"{name}: {'; '.join(done.left)}")
    if failed:
        measure("ContainmentFailed")
        raise changes.failed([*failed, *result["actions"]])
    if held:
        result["held"] = held
    if left:
        result["left_behind"] = left
    return result


def _list_left_behind(lock: Lock, context: Any) -> list[str]:
    """Return the possible leftovers. It is stored, so that a retry reports the state before the first change."""
    if scopes.is_key_only(lock.row):
        return []
    if "left_at_end" not in lock.row:
        lock.save(left_at_end=left_behind.before_release(lock.row, context))
    return list(lock.row["left_at_end"])


def restore(lock: Lock, principal: Principal) -> Restored:
    """Restore the recorded state, key by key, and verify it; call `forget` afterwards. Raises ChangeFailedError.

    A containment that was approved earlier stays until its release: only keys of the later incident are re-enabled.
    Keys that others restricted meanwhile stay disabled. A later release can enable them.
    """
    recorded = lock.row["recorded"]
    sealed = lock.row.get("sealed_keys")
    current = identity.current_principal(principal, recorded["keys"])
    if current is None:
        return Restored(_not_found(principal), {})
    found, unlisted = changes.read_as_permitted(current)
    if unlisted is not None and recorded["keys"]:
        raise changes.failed([unlisted])
    listed = found.keys
    held = {key: why for key, why in third_parties.held(lock.row, found).items() if key not in (sealed or ())}
    active = [
        key
        for key, status in sorted(recorded["keys"].items())
        if status == iam.ACTIVE and key not in (sealed or ()) and key not in held
    ]
    wanted = [changes.enable(current, key) for key in active if listed.get(key) in (iam.ACTIVE, iam.INACTIVE)]
    before = found_state.denied_before(recorded)
    earlier = found.earlier and not before.earlier
    if sealed is None and (earlier or not before.current) and not scopes.is_key_only(lock.row):
        wanted.append(changes.lift_deny(current, current=not before.current, earlier=earlier))
    actions = changes.make(current, wanted, until=changes.retry_until(lock))
    gone, expired = "key {target} no longer exists", "key {target} has expired"
    actions += [_noted(gone, key) for key in active if key not in listed]
    actions += [_noted(expired, key) for key in active if listed.get(key) == iam.EXPIRED]
    third_parties.remember(lock.row, {**current, "arn": lock.principal}, held)
    actions += _changed_by_others(recorded, found, only_keys=scopes.is_key_only(lock.row))
    return Restored(actions, held)


def _changed_by_others(recorded: Mapping[str, Any], found: State, *, only_keys: bool) -> list[ActionTaken]:
    """Return the changes that others made to the principal since the containment. ir-router leaves them in place."""
    new_keys = [] if only_keys else sorted(key for key in found.keys if key not in recorded["keys"])
    made = [_noted(f"key {{target}} was created by others and is {found.keys[key]}", key) for key in new_keys]
    recorded_policies = found_state.policies_before(recorded)
    if recorded_policies is None:
        return made
    before, after = set(recorded_policies), set(found.policies)
    for arn in sorted(after - before):
        name = arn.rpartition("/")[2]
        by_aws = name.startswith(third_parties.QUARANTINE)
        what = (
            f"AWS attached {name}, because it found a key exposed" if by_aws else f"others attached the policy {name}"
        )
        made.append(_noted(f"{what}; it stays attached", ""))
    return made + [
        _noted(f"others detached the policy {arn.rpartition('/')[2]}; it stays detached", "")
        for arn in sorted(before - after)
    ]


def _noted(what: str, key: str) -> ActionTaken:
    return {"what": what, "target": key, "verified": True}


def forget(lock: Lock, done: Done) -> None:
    """End the incident, and keep its changes so that a retry can report them. Raises ContainmentBusyError."""
    _keep_result(lock, done)
    if "sealed_keys" in lock.row:
        lock.save(phase=containments.APPROVED)
    else:
        lock.clear()


def _keep_result(lock: Lock, done: Done) -> None:
    kept: dict[str, Any] = {"actions": done.actions, "note": done.note, "denied": done.denied, "held": done.held}
    kept["left"] = lock.row.get("left_at_end", [])
    row = {**kept, "expires_at": int(clock.now()) + _KEPT_SECONDS}
    table.put(keys.done(lock.row["incident"], lock.principal), row)


def _done_before(execution: str, arn: str, lock: Lock) -> Done | None:
    """Return the result for a principal that an earlier attempt has completed, or None."""
    if lock.row.get("incident") == execution and lock.row["phase"] not in (containments.APPROVED, containments.KEPT):
        return None
    row = table.get(keys.done(execution, arn))
    if row is None:
        return None
    done = Done(list(row["actions"]), str(row.get("note", "")), row.get("denied"))
    return done._replace(held=bool(row.get("held")), left=row.get("left", ()))


def delete_named_keys(lock: Lock, principal: Principal) -> Done:
    """Delete the keys that events named, keep the rest of the containment in place and mark it as approved.

    Raises ChangeFailedError.
    """
    current = identity.current_principal(principal, lock.row["recorded"]["keys"])
    if current is None:
        done = Done(_not_found(principal))
        forget(lock, done)
        return done
    enforced = enforcement.keep_in_place(lock, current, "the deny policy", lock.row["named_keys"])
    if scopes.is_key_only(lock.row):  # with the keys deleted, nothing of the owner is contained
        done = Done(enforced.actions, enforced.note)
        forget(lock, done)
        return done
    done = Done(enforced.actions, enforced.note, enforced.denied)
    _keep_result(lock, done)
    later_verifications.schedule(lock.principal)
    lock.save(phase=containments.APPROVED, sealed_keys=sorted(lock.row["recorded"]["keys"]))
    return done


def keep(lock: Lock, principal: Principal) -> Done:
    """Keep the containment in place and mark it as undecided. Raises ChangeFailedError."""
    current = identity.current_principal(principal, lock.row["recorded"]["keys"])
    if current is None:
        done = Done(_not_found(principal))
    else:
        enforced = enforcement.keep_in_place(lock, current, "the containment")
        done = Done(enforced.actions, enforced.note, enforced.denied)
    _keep_result(lock, done)
    later_verifications.schedule(lock.principal)
    lock.save(phase=containments.KEPT)
    return done


def _not_found(principal: Principal) -> list[ActionTaken]:
    what = f"nothing to change: IAM no longer has a {principal['kind']} {principal['name']} with this id"
    return [{"what": what, "target": "", "verified": True}]


def _contained(task: Mapping[str, Any]) -> list[PrincipalResult]:
    parts: list[PrincipalResult] = task["containment"]["principals"]
    return [part for part in parts if OUTCOMES[part["outcome"]].approval == "remediate"]
