"""Re-apply a containment that someone has undone, and report it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger.alerts import Alert
from ir_router.ledger.containments import Lock
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.workflow import (
    changes,
    enforcement,
    found_state,
    iam,
    identity,
    notices,
    request_approval,
    scopes,
    third_parties,
    wording,
    wording_gaps,
)
from ir_router.workflow.changes import Change, ChangeFailedError, State
from ir_router.workflow.incident import ActionTaken, EarlierState, Principal

# IAM may show an older state for some seconds, so only a gap that every read shows is reported.
_READS = 3
_PAUSE_SECONDS = 1.0


def reapply(lock: Lock, named_key: str | None = None, earlier: EarlierState | None = None) -> None:
    """Read the containment from IAM. If a part is missing, re-apply it and report it in alert, audit and case.

    The missing parts are stored before the repair, so that a retry reports them too.

    Args:
        lock: The lock on the principal's containment row.
        named_key: A new key that an event names. It is contained with that event, so it is not a missing part.
        earlier: The state before a repair without the ledger. A part that was missing then is reported too.

    Raises:
        ChangeFailedError: A missing part could not be re-applied.
    """
    principal = identity.current_principal(lock.row["principal"], lock.row["recorded"]["keys"])
    if principal is None:
        return
    undone = lock.row.get("undone") or _repaired(lock, named_key, earlier) or _undone(lock, principal, named_key)
    if undone is None:
        return
    wanted: list[Change] = [changes.deny(principal)] if undone["deny_policy"] else []
    wanted += [changes.disable(principal, key) for key in undone["active_keys"]]
    try:
        actions = changes.make(principal, wanted, until=changes.retry_until(lock))
    except ChangeFailedError as failure:
        if enforcement.refusal_of_policy(failure) is None:
            raise
        measure("ContainmentFailed")
        actions = failure.actions
        if lock.row.get("deny_refused") and not undone["active_keys"]:  # reported before
            lock.save(undone=None)
            return
        lock.save(deny_refused=True)
    else:
        lock.save(deny_refused=None)
    _report(lock, undone, actions)
    found = {"keys_unknown": None} if undone["active_keys"] else {}
    repaired = {} if earlier is None else {"repaired_at": earlier["at"]}
    lock.save(undone=None, times_undone=undone["number"], **found, **repaired)


class _Gap(NamedTuple):
    """The parts of a containment that are missing. `known`: the status of each key that the containment covers."""

    deny_policy: bool
    active_keys: list[str]
    known: dict[str, str]


def _repaired(lock: Lock, named_key: str | None, earlier: EarlierState | None) -> Mapping[str, Any] | None:
    """Return the parts that were missing before a repair without the ledger, unless they are reported already.

    A state from before the containment was recorded is the state that ir-router contained.
    """
    since = float(lock.row.get("repaired_at") or lock.row.get("contained_at") or lock.row["opened_at"])
    if earlier is None or earlier["at"] <= since:
        return None
    gap = _gap(lock, State(earlier["keys"], earlier["denied"], earlier=earlier.get("earlier", False)), named_key)
    return _store(lock, gap) if gap.deny_policy or gap.active_keys else None


def _undone(lock: Lock, principal: Principal, named_key: str | None) -> Mapping[str, Any] | None:
    """Return the missing parts and store them, together with keys that were created since the containment."""
    for attempt in range(_READS):
        state, unlisted = changes.read_as_permitted(principal)
        if unlisted is not None and not lock.row.get("keys_unknown"):
            raise changes.failed([unlisted])
        gap = _gap(lock, state, named_key)
        if not gap.deny_policy and not gap.active_keys:
            if unlisted is None:
                lock.save(keys_unknown=None)
                _note_held(lock, state)
            if state.earlier and not scopes.is_key_only(lock.row):
                _renew(lock, principal, state)
            return None
        if attempt + 1 < _READS:
            clock.sleep(_PAUSE_SECONDS)
    return _store(lock, gap)


def _renew(lock: Lock, principal: Principal, state: State) -> None:
    """Replace the deny policy of a version before 0.2.0, whose document principals of the account can change.

    The earlier policy is detached one verification later, when IAM applies AWSDenyAll.
    """
    recorded = lock.row["recorded"]
    before = found_state.denied_before(recorded)
    if not state.denied:
        lock.save(recorded=found_state.without_deny_of_others(recorded))
        wanted = changes.deny(principal)
    elif not before.earlier:
        lock.save(recorded={**recorded, "deny_attached": before.current, "earlier_attached": False})
        wanted = changes.lift_deny(principal, current=False, earlier=True)
    else:
        return
    try:
        changes.make(principal, [wanted], until=clock.now())
    except ChangeFailedError as failure:
        # For example, IAM allows no further policy. The earlier one stays attached, and the next verification retries.
        logger.warning("containment.earlier_deny_stays", extra={"error": failure.actions[0].get("error", "")})


def _gap(lock: Lock, state: State, named_key: str | None) -> _Gap:
    row = lock.row
    covered = scopes.covered_keys(row, state.keys if settings().contain_other_keys else ())
    covered -= {named_key} - {*row["recorded"]["keys"]}
    known = {key: status for key, status in state.keys.items() if key in covered}
    active = sorted(key for key, status in known.items() if status == iam.ACTIVE)
    return _Gap(not (found_state.is_denied(row, state) or scopes.is_key_only(row)), active, known)


def _store(lock: Lock, gap: _Gap) -> Mapping[str, Any]:
    row = lock.row
    recorded: Mapping[str, str] = row["recorded"]["keys"]
    undone = {
        "number": int(row.get("times_undone", 0)) + 1,
        "deny_policy": gap.deny_policy,
        "active_keys": gap.active_keys,
        "new_keys": [key for key in gap.active_keys if key not in recorded],
        "was_refused": bool(row.get("deny_refused")),
        "were_unknown": bool(row.get("keys_unknown")),
    }
    own = sorted({*row["disabled_keys"], *gap.active_keys}) if "disabled_keys" in row else None
    before = found_state.without_deny_of_others(row["recorded"]) if gap.deny_policy else row["recorded"]
    lock.save(undone=undone, recorded={**before, "keys": {**gap.known, **recorded}}, disabled_keys=own)
    return undone


def _note_held(lock: Lock, state: State) -> None:
    """Store the keys that a denial would leave disabled, and show them in the approval request."""
    if lock.row["phase"] != containments.OPEN:
        return
    held = third_parties.held(lock.row, state)
    if held == (lock.row.get("held") or {}):
        return
    lock.save(held=held or None)
    approval_id = approvals.id_of(str(lock.row["incident"]), "remediate")
    if request_approval.refresh(approval_id) is not None:
        notices.publish("ApprovalRequested", {"approval_id": approval_id, "joined": True})


def _report(lock: Lock, undone: Mapping[str, Any], actions: list[ActionTaken]) -> None:
    row = lock.row
    execution, number, case_id = str(row["incident"]), undone["number"], row.get("case_id")
    is_pending = row["phase"] == containments.OPEN
    verified = all(action["verified"] for action in actions)
    who = wording.name_of(row["principal"])
    completed = bool(undone["was_refused"] or undone.get("were_unknown"))
    headline = wording_gaps.contained_again(who, undone, verified=verified)
    text = wording.lines(
        headline,
        "" if completed else wording_gaps.FIND_WHO_UNDID_IT if verified else wording_gaps.ACT_BY_HAND,
        wording_gaps.PENDING if is_pending else wording_gaps.UNTIL_RELEASE,
        "",
        f"Done: {' · '.join(wording.action(taken) for taken in actions)}",
        wording.case_line(case_id),
        "",
        f"Execution: {execution}",
    )
    name = f"{execution.rpartition(':')[2]}/undone/{row['principal']['name']}/{number}"
    details = {"execution": execution, "principal": lock.principal, "undone": dict(undone)}
    audit.append(
        "containment_reapplied",
        wording.AUDIT_ACTOR,
        details | {"actions": wording.record_actions(actions), "case_id": case_id},
        once=f"{execution}/undone/{lock.principal}/{number}",
    )
    subject = headline if verified else f"ACT by hand now: {headline}"
    subject = f"FIND who undid it: {headline}" if verified and not completed else subject
    notices.mail(Alert(name, "HIGH", subject, text))
    logger.warning("containment.reapplied", extra={"incident": execution, "verified": verified})
    approval_id = approvals.id_of(execution, "remediate")
    if is_pending:
        request_approval.refresh(approval_id)
    notices.mention_approvers(approval_id, name, text)
    if case_id:
        try:
            notices.comment(str(case_id), name, text, shown_by=approval_id)
        except RefusedError as error:
            # A retry cannot help: a closed case accepts no comments.
            logger.warning("case.comment_rejected: the case has no comment", extra={"code": error.code})
