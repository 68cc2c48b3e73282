"""What follows a decision, for each principal that this execution contained: shared by the three states after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NotRequired, TypedDict

from ir_router import clock
from ir_router.ledger import containments, keys, table
from ir_router.ledger.containments import Lock
from ir_router.observability import measure
from ir_router.workflow import changes, iam, identity, invocation, upholding
from ir_router.workflow.changes import ChangeFailedError
from ir_router.workflow.incident import ActionTaken, Principal, PrincipalResult


class RemediationResult(TypedDict):
    """What was done; `notes` are sentences for people.

    `denied`: of each principal that stays contained (by ARN), whether IAM shows the deny policy.
    """

    actions: list[ActionTaken]
    notes: list[str]
    denied: NotRequired[dict[str, bool]]


class Done(NamedTuple):
    """What was done about one principal, as in `RemediationResult`; `denied` is None where nothing is to stay."""

    actions: list[ActionTaken]
    note: str = ""
    denied: bool | None = None


_KEPT_SECONDS = 7 * 86_400  # longer than an execution can be tried again

Work = Callable[[Lock, Principal], Done]


def for_each_principal(task: Mapping[str, Any], context: Any, work: Work) -> RemediationResult:
    """Do `work` under the lock of each principal whose open incident is this execution's.

    One whose incident is not (any more) is left alone: a retry that comes after everything was done tells it again.
    Raises ContainmentBusyError, or ChangeFailedError when something is not done or not verified.
    """
    execution = task["incident"]["execution"]["id"]
    denied: dict[str, bool] = {}
    result: RemediationResult = {"actions": [], "notes": [], "denied": denied}
    failed: list[ActionTaken] = []
    for part in _contained(task):
        principal = part["principal"]
        with containments.locked(principal["arn"], invocation.lock_until(context)) as lock:
            if lock.row.get("incident") != execution:
                result["actions"] += _done_before(execution, principal)
                continue
            try:
                done = work(lock, principal)
            except ChangeFailedError as failure:
                failed += failure.actions
                continue
            result["actions"] += done.actions
            result["notes"] += [done.note] if done.note and done.note not in result["notes"] else []
            if done.denied is not None:
                denied[principal["arn"]] = done.denied
    if failed:
        measure("ContainmentFailed")
        raise ChangeFailedError([*failed, *result["actions"]])
    return result


def restore(lock: Lock, principal: Principal) -> list[ActionTaken]:
    """Restore what was recorded, key by key, and verify it; `forget` comes after. Raises ChangeFailedError.

    What somebody approved earlier stays contained until it is released: of a later incident only its own keys return.
    """
    recorded = lock.row["recorded"]
    sealed = lock.row.get("sealed_keys")
    now = identity.as_named_now(principal, recorded["keys"])
    if now is None:
        return _nobody(principal)
    active = [
        key for key, status in sorted(recorded["keys"].items()) if status == iam.ACTIVE and key not in (sealed or ())
    ]
    listed = iam.access_keys(now)
    wanted = [changes.enable(now, key) for key in active if key in listed]
    if sealed is None and not recorded["deny_attached"]:
        wanted.append(changes.lift_deny(now))
    actions = changes.make(now, wanted)
    gone = "key {target} no longer exists"
    actions += [{"what": gone, "target": key, "verified": True} for key in active if key not in listed]
    return actions


def forget(lock: Lock, actions: list[ActionTaken]) -> None:
    """End the incident, with what was done kept for whoever has to tell it again. Raises ContainmentBusyError."""
    table.put(
        keys.done(lock.row["incident"], lock.principal),
        {"actions": actions, "expires_at": int(clock.now()) + _KEPT_SECONDS},
    )
    if "sealed_keys" in lock.row:
        lock.save(phase=containments.APPROVED)
    else:
        lock.clear()


def _done_before(execution: str, principal: Principal) -> list[ActionTaken]:
    row = table.get(keys.done(execution, principal["arn"]))
    return list(row["actions"]) if row else []


def delete_named_keys(lock: Lock, principal: Principal) -> Done:
    """Delete the keys that events named, see that the rest stays contained, and keep it as approved.

    Raises ChangeFailedError.
    """
    now = identity.as_named_now(principal, lock.row["recorded"]["keys"])
    if now is None:
        actions = _nobody(principal)
        forget(lock, actions)
        return Done(actions)
    upheld = upholding.uphold(lock, now, "the deny policy", lock.row["named_keys"])
    lock.save(phase=containments.APPROVED, sealed_keys=sorted(lock.row["recorded"]["keys"]))
    return Done(upheld.actions, upheld.note, upheld.denied)


def keep(lock: Lock, principal: Principal) -> Done:
    """See that the principal stays contained, and mark that nobody decided. Raises ChangeFailedError."""
    now = identity.as_named_now(principal, lock.row["recorded"]["keys"])
    if now is None:
        done = Done(_nobody(principal))
    else:
        upheld = upholding.uphold(lock, now, "the containment")
        done = Done(upheld.actions, upheld.note, upheld.denied)
    lock.save(phase=containments.KEPT)
    return done


def _nobody(principal: Principal) -> list[ActionTaken]:
    what = f"nothing to change: IAM has no {principal['kind']} {principal['name']} with this id any more"
    return [{"what": what, "target": "", "verified": True}]


def _contained(task: Mapping[str, Any]) -> list[PrincipalResult]:
    return [part for part in task["containment"]["principals"] if part["outcome"] == "contained"]
