"""Keep a containment in place after an approval or a timeout: check it in IAM and re-apply its missing parts.

After the containment someone may have detached the deny policy or enabled a key, or IAM may have rejected the policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_router.ledger import approvals
from ir_router.ledger.containments import Lock
from ir_router.observability import measure
from ir_router.settings import settings
from ir_router.workflow import changes, found_state, iam, notices, rejections, scopes, wording, wording_gaps
from ir_router.workflow.changes import Change, ChangeFailedError
from ir_router.workflow.incident import ActionTaken, Principal


@dataclass(frozen=True)
class Enforcement:
    """The changes made, a sentence for the alert (`note`), and whether IAM shows the deny policy (`denied`)."""

    actions: list[ActionTaken]
    note: str
    denied: bool


def keep_in_place(lock: Lock, principal: Principal, kept: str, deleted: Sequence[str] = ()) -> Enforcement:
    """Re-apply the missing parts of a containment and delete the approved keys.

    Args:
        lock: The lock on the principal's containment row.
        principal: The principal under its current name in IAM.
        kept: The subject of the note, for example `the deny policy`.
        deleted: Ids of the access keys to delete.

    Returns:
        The changes, the note, and whether the deny policy is attached if the principal is contained. A permanent
        rejection of the deny policy alone is returned here, not raised.

    Raises:
        ChangeFailedError: Any other change failed or could not be verified.
    """
    missing = _missing(lock, principal, deleted)
    wanted: list[Change] = [changes.deny(principal)] if missing["deny_policy"] else []
    wanted += [changes.disable(principal, key) for key in missing["active_keys"]]
    wanted += [changes.delete(principal, key) for key in deleted]
    try:
        actions = changes.make(principal, wanted, until=changes.retry_until(lock))
    except ChangeFailedError as failure:
        rejected = refusal_of_policy(failure)
        if rejected is None:
            raise
        measure("ContainmentFailed")
        return Enforcement(failure.actions, not_attached(principal, rejected), denied=False)
    _mention_approvers(lock, missing)
    if scopes.is_key_only(lock.row):
        note = "" if deleted else "the key stays disabled (verified) until you release it"
        return Enforcement(actions, note, denied=True)
    note = f"{kept} stays in place (verified) until you release it"
    if missing["deny_policy"]:
        note = f"the deny policy was no longer attached, so ir-router re-attached it; {note}"
    return Enforcement(actions, note, denied=True)


def _mention_approvers(lock: Lock, missing: Mapping[str, Any]) -> None:
    """Post an urgent message if someone has undone the containment, so that an analyst looks for the caller."""
    if lock.row.get("deny_refused") or lock.row.get("keys_unknown"):
        return
    if not missing["deny_policy"] and not missing["active_keys"]:
        return
    execution, principal = str(lock.row["incident"]), lock.row["principal"]
    headline = wording_gaps.contained_again(
        wording.name_of(principal), {"was_refused": False, "new_keys": [], **missing}, verified=True
    )
    name = f"{execution.rpartition(':')[2]}/undone/{principal['name']}/end"
    text = wording.lines(headline, wording_gaps.FIND_WHO_UNDID_IT)
    notices.mention_approvers(approvals.id_of(execution, "remediate"), name, text)


def _missing(lock: Lock, principal: Principal, deleted: Sequence[str]) -> dict[str, Any]:
    """Return the missing parts. They are stored before the repair, so that a retry reports them again."""
    incident, recorded = lock.row["incident"], lock.row["recorded"]["keys"]
    known: dict[str, Any] | None = lock.row.get("missing_at_end")
    if known is not None and known["incident"] == incident:
        return known
    state, unlisted = changes.read_as_permitted(principal)
    if unlisted is not None and not lock.row.get("keys_unknown"):
        raise changes.failed([unlisted])
    contained = scopes.covered_keys(lock.row, recorded if settings().contain_other_keys else ()) - {*deleted}
    active = sorted(key for key in contained if state.keys.get(key) == iam.ACTIVE)
    undenied = not (found_state.is_denied(lock.row, state) or scopes.is_key_only(lock.row))
    missing = {"incident": incident, "deny_policy": undenied, "active_keys": active}
    if missing["deny_policy"] or active:
        own = sorted({*lock.row["disabled_keys"], *active}) if "disabled_keys" in lock.row else None
        stored = lock.row["recorded"]
        restored = found_state.without_deny_of_others(stored) if undenied else stored
        lock.save(missing_at_end=missing, disabled_keys=own, recorded=restored)
    return missing


def refusal_of_policy(failure: ChangeFailedError) -> ActionTaken | None:
    """Return the deny policy's action if only the policy is missing, because IAM rejected it, else None."""
    undone = [action for action in failure.actions if not action["verified"]]
    if [action["what"] for action in undone] != [changes.DENY] or not undone[0].get("error"):
        return None
    return undone[0] if undone[0].get("retry") != "later" else None


def without_keys(principal: Principal, unlisted: ActionTaken) -> str:
    """Return the sentences about access keys that stay enabled, since IAM denies ir-router the list of them."""
    why = rejections.describe(unlisted["error"], unlisted.get("reason", ""))
    return " ".join(
        [
            f"access keys of {wording.name_of(principal)} NOT disabled: IAM does not list them ({why}).",
            "The deny policy stops them while it is attached. Disable them by hand now.",
            rejections.remedy(unlisted["error"], unlisted.get("reason", "")),
        ]
    ).rstrip(". ")


def not_attached(principal: Principal, rejected: ActionTaken, *effects: str) -> str:
    """Return the sentences about a deny policy that IAM rejected: the remaining access and the required action."""
    why = rejections.describe(rejected["error"], rejected.get("reason", ""))
    return " ".join(
        [
            f"deny policy NOT attached to {wording.name_of(principal)}: IAM rejected it ({why}).",
            *effects,
            "Console sessions and temporary credentials still work. Attach the deny policy by hand now.",
            rejections.remedy(rejected["error"], rejected.get("reason", "")),
        ]
    ).rstrip(". ")
