"""What stays contained when somebody approved or nobody decided: read in IAM, mended where it is gone, and told.

Since the containment somebody may have detached the deny policy or enabled a key; or IAM refused the policy then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ir_router.ledger.containments import Lock
from ir_router.observability import measure
from ir_router.settings import settings
from ir_router.workflow import changes, iam, wording
from ir_router.workflow.changes import Change, ChangeFailedError
from ir_router.workflow.incident import ActionTaken, Principal


@dataclass(frozen=True)
class Upheld:
    """What was done, and whether the deny policy is attached, as IAM shows it. `note` is a sentence for people."""

    actions: list[ActionTaken]
    note: str
    denied: bool


def uphold(lock: Lock, principal: Principal, stays: str, deleted: Sequence[str] = ()) -> Upheld:
    """Attach the deny policy and disable the incident's keys where they are not, and delete the keys `deleted`.

    `stays` is what does so until a release. Raises ChangeFailedError, except for a deny policy refused for good.
    """
    missing = _missing(lock, principal, deleted)
    wanted: list[Change] = [changes.deny(principal)] if missing["deny_policy"] else []
    wanted += [changes.disable(principal, key) for key in missing["active_keys"]]
    wanted += [changes.delete(principal, key) for key in deleted]
    try:
        actions = changes.make(principal, wanted)
    except ChangeFailedError as failure:
        error = _refusal(failure)
        if not error:
            raise
        measure("ContainmentFailed")
        return Upheld(failure.actions, _not_attached(principal, error), denied=False)
    note = f"{stays} stays (verified) until someone releases it"
    if missing["deny_policy"]:
        note = f"the deny policy was not attached any more and is now; {note}"
    return Upheld(actions, note, denied=True)


def _missing(lock: Lock, principal: Principal, deleted: Sequence[str]) -> dict[str, Any]:
    """What is not as it was contained; written down before it is mended, so that a retry tells it again."""
    incident, recorded = lock.row["incident"], lock.row["recorded"]["keys"]
    known: dict[str, Any] | None = lock.row.get("missing_at_end")
    if known is not None and known["incident"] == incident:
        return known
    state = changes.read(principal)
    contained = {*lock.row["named_keys"], *(recorded if settings().contain_other_keys else ())} - {*deleted}
    active = sorted(key for key in contained if state.keys.get(key) == iam.ACTIVE)
    missing = {"incident": incident, "deny_policy": not state.denied, "active_keys": active}
    if missing["deny_policy"] or active:
        lock.save(missing_at_end=missing)
    return missing


def _refusal(failure: ChangeFailedError) -> str:
    """IAM's error when all but the deny policy was done and that is refused for good; else empty."""
    undone = [action for action in failure.actions if not action["verified"]]
    if [action["what"] for action in undone] != [changes.DENY]:
        return ""
    error = undone[0].get("error", "")
    return error if error in changes.REFUSED_FOR_GOOD else ""


def _not_attached(principal: Principal, error: str) -> str:
    return (
        f"deny policy NOT attached to {wording.name_of(principal)}: IAM refuses it ({error}). Console sessions and "
        "temporary credentials still work. A person must make room (IAM allows 10 attached policies) and must attach "
        "the deny policy by hand now"
    )
