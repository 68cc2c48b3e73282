"""What follows a decision, for each principal that this execution contained: shared by the three states after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from ir_router.ledger import containments
from ir_router.ledger.containments import Lock
from ir_router.observability import measure
from ir_router.workflow import changes, iam, invocation
from ir_router.workflow.changes import ChangeFailedError
from ir_router.workflow.incident import ActionTaken, Principal, PrincipalResult


class RemediationResult(TypedDict):
    """What was done. `kind`: approve, deny, keep or release; `notes` are sentences for people."""

    kind: str
    actions: list[ActionTaken]
    notes: list[str]


Work = Callable[[Lock, Principal], tuple[list[ActionTaken], str]]


def for_each_principal(task: Mapping[str, Any], context: Any, kind: str, work: Work) -> RemediationResult:
    """Do `work` under the lock of each principal whose open incident is this execution's.

    One whose incident is not (any more) is left alone: a retry that comes after everything was done.
    Raises ContainmentBusyError, or ChangeFailedError when something is not done or not verified.
    """
    execution = task["incident"]["execution"]["id"]
    result: RemediationResult = {"kind": kind, "actions": [], "notes": []}
    failures: list[ChangeFailedError] = []
    for part in _contained(task):
        principal = part["principal"]
        with containments.locked(principal["arn"], invocation.lock_until(context)) as lock:
            if lock.row.get("incident") != execution:
                result["notes"].append(f"nothing left to do for {principal['arn']}")
                continue
            try:
                actions, note = work(lock, principal)
            except ChangeFailedError as failure:
                failures.append(failure)
                continue
            result["actions"] += actions
            result["notes"] += [note] if note else []
    if failures:
        measure("ContainmentFailed")
        raise failures[0]
    return result


def restore(lock: Lock, principal: Principal) -> list[ActionTaken]:
    """Restore what was recorded, key by key, verify it, and only then forget the incident.

    What somebody approved earlier stays contained until it is released: of a later incident only its own keys return.
    Raises ChangeFailedError.
    """
    recorded = lock.row["recorded"]
    sealed = lock.row.get("sealed_keys")
    wanted = [
        changes.enable(principal, key)
        for key, status in sorted(recorded["keys"].items())
        if status == iam.ACTIVE and key not in (sealed or ())
    ]
    if sealed is None and not recorded["deny_attached"]:
        wanted.append(changes.lift_deny(principal))
    actions = changes.make(principal, wanted)
    if sealed is None:
        lock.clear()
    else:
        lock.save(phase=containments.APPROVED)
    return actions


def _contained(task: Mapping[str, Any]) -> list[PrincipalResult]:
    return [part for part in task["containment"]["principals"] if part["outcome"] == "contained"]
