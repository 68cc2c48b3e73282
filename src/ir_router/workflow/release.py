"""The task "release": lift a containment that was approved or that was never decided.

{"task": "release", "principal": "arn:aws:iam::123456789012:user/name", "released_by": "Jane Smith", "reason": "..."}

A release from an approval request (`workflow.release_request`) has its `approval_id`. It runs asynchronously, so a
failure is alerted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import command_lines
from ir_router.errors import InvalidInputError, IrRouterError
from ir_router.ledger import approvals, audit, contained_names, containments, releases, two_people
from ir_router.ledger.alerts import Alert
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import (
    changes,
    iam,
    identity,
    inputs,
    invocation,
    left_behind,
    notices,
    remediation,
    request_approval,
    third_parties,
    wording,
    wording_gaps,
)
from ir_router.workflow.incident import ActionTaken
from ir_router.workflow.phase import Phase, phase_of

_AGAIN = "To enable these keys too, run the release once more."


def run_task(task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Restore the recorded state, verify and report it, then delete the containment row. Deleted keys stay deleted.

    Returns:
        `status` (`released`, or `not_released` if an analyst's release from a request was refused), and the changes.

    Raises:
        InvalidInputError: A field is missing, the principal is not contained, or its decision is pending.
        ContainmentBusyError: Another invocation holds the principal's lock.
        ChangeFailedError: A change failed or could not be verified.
    """
    if "approval_id" not in task:
        return _release(task, context)
    approval = approvals.get(str(task["approval_id"])) or {}
    if task["principal"] in (approval.get("released") or ()):
        _show(str(task["approval_id"]))  # a retry: the first attempt may have died before
        return {"status": "released", "principal": task["principal"]}
    try:
        return _release({**task, "incident": approval.get("execution", "")}, context)
    except ContainmentBusyError:
        raise
    except InvalidInputError as error:
        _alert_failure(task, approval, str(error))
        return {"status": "not_released", "principal": task["principal"]}
    except IrRouterError as error:
        _alert_failure(task, approval, str(error))
        raise


def _alert_failure(task: Mapping[str, Any], approval: Row, why: str) -> None:
    """Alert once that a release from an approval request failed: no caller waits for its answer."""
    text = wording.lines(
        why,
        f"To release it on the command line, run: {command_lines.release(str(task['principal']))}",
    )
    name = f"{approval.get('execution_name', '')}/not-released/{task['principal']}"
    subject = (
        f"RELEASE by hand: {approval.get('who', task['principal'])} NOT released, as {task['released_by']} requested"
    )
    alert = Alert(name, "HIGH", subject, text, approval.get("case_id"), principals=[str(task["principal"])])
    notices.alert_everywhere(alert)


def _release(task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    arn = identity.contained_arn(inputs.text(task, "principal"))
    released_by = inputs.text(task, "released_by")
    reason = inputs.text(task, "reason")
    if containments.get(arn) is None and third_parties.waiting(arn) is None:
        raise InvalidInputError(f"{arn} is not contained. Use the full ARN, including the path.")
    with containments.locked(arn, invocation.lock_until(context)) as lock:
        row = lock.row
        if "incident" not in row:
            return _enable_held(lock, released_by, reason)
        _refuse_while_awaited(row)
        incident = str(row["incident"])
        _require_enough_people(row, arn)
        if task.get("incident", incident) != incident:
            raise InvalidInputError(f"{arn} belongs to a newer incident. Release it from the request of that incident.")
        # An incident may have several principals, and a released principal may join it again.
        once = f"{incident}/{arn}/{row.get('opened_at')}"
        request = {"principal": arn, "incident": incident, "reason": reason}
        audit.append("release_requested", released_by, request, once=f"{once}/release_requested/{released_by}")
        left = left_behind.before_release(row, context)
        # A release also lifts containments that were approved earlier.
        lock.save(sealed_keys=None)
        actions, held = remediation.restore(lock, row["principal"])
        answer = {"status": "released", "principal": arn, "actions": [changes.describe(taken) for taken in actions]}
        answer["left_behind"] = left
        if held:
            answer |= {"stays": wording_gaps.stays_disabled(held), "next": _AGAIN}
        details = request | {"actions": wording.record_actions(actions), "held": dict(held), "left_behind": left}
        audit.append("released", released_by, details, once=f"{once}/released")
        logger.info("containment.released", extra={"incident": incident})
        stays = f"{wording_gaps.stays_disabled(held)}. {_AGAIN}" if held else ""
        stays = wording.lines(stays, f"May be left behind: {'; '.join(left)}" if left else "")
        if not _report(row, once, released_by, reason, actions, stays):
            answer["case_comment"] = "failed"
        releases.end(lock, _approval_id(row), released_by)
    _show(_approval_id(row))
    return answer


def _show(approval_id: str) -> None:
    """Show the release in the messages of its approval request, which may list further principals."""
    if request_approval.refresh(approval_id) is not None:
        notices.publish("ApprovalRequested", {"approval_id": approval_id, "released": True})


def _enable_held(lock: Lock, released_by: str, reason: str) -> dict[str, Any]:
    """Enable the keys that stayed disabled when the principal was restored, since others had restricted them."""
    row = third_parties.waiting(lock.principal)
    if row is None:
        raise InvalidInputError(f"{lock.principal} is not contained.")
    _require_enough_people(row, lock.principal)
    current = identity.current_principal(row["principal"], row["keys"])
    found = iam.access_keys(current) if current else {}
    # A key that is active, expired or deleted needs no change.
    wanted = [changes.enable(current, key) for key in row["keys"] if found.get(key) == iam.INACTIVE] if current else []
    once = f"{row['incident']}/{lock.principal}/{row.get('opened_at')}/held"
    request = {"principal": lock.principal, "incident": row["incident"], "reason": reason, "held": row["keys"]}
    audit.append("release_requested", released_by, request, once=f"{once}/release_requested/{released_by}")
    actions = changes.make(current, wanted, until=changes.retry_until(lock)) if current else []
    details = request | {"actions": wording.record_actions(actions)}
    audit.append("released", released_by, details, once=f"{once}/released")
    answer: dict[str, Any] = {
        "status": "released",
        "principal": lock.principal,
        "actions": [changes.describe(taken) for taken in actions],
    }
    if not _report(row, once, released_by, reason, actions):
        answer["case_comment"] = "failed"
    third_parties.forget(lock.principal)
    return answer


def _report(row: Row, once: str, released_by: str, reason: str, actions: list[ActionTaken], stays: str = "") -> bool:
    """Send the alert and comment on the case. Returns False if the comment failed; the release itself is recorded."""
    case_id = row.get("case_id")
    changed = " · ".join(wording.action(taken) for taken in actions) or "nothing to restore"
    what = f"by {released_by}: {wording.name_of(row['principal'])} - {changed}"
    details = (stays, f"Reason given: {wording.cut(reason)}", wording.case_line(case_id))
    name, subject = f"{once.partition(':execution:')[2]}/released", f"DONE: released {what}"
    named = [row["principal"]["arn"]]
    notices.alert_everywhere(Alert(name, "HIGH", subject, wording.lines(subject, *details), case_id, principals=named))
    if case_id:
        try:
            notices.comment(str(case_id), f"released-{once}", wording.lines(f"Released {what}", *details))
        except IrRouterError as error:
            logger.error(
                "case.comment_failed: the case has no comment about the release", extra={"error": type(error).__name__}
            )
            return False
    return True


def _refuse_while_awaited(row: Row) -> None:
    """Refuse a release that would take the place of a decision. One principal of several may be released alone."""
    phase = phase_of(row)
    if phase is Phase.ENDED or (phase is Phase.AWAITED and _has_others(row)):
        return
    raise InvalidInputError(
        "A decision about this principal is pending. Deny the approval request to restore the principal, or "
        "approve it before you release the principal."
    )


def _require_enough_people(row: Row, arn: str) -> None:
    """Refuse a release that needs two people and has only one."""
    approval_id = _approval_id(row)
    if not two_people.is_released_by_enough(approvals.get(approval_id) or {}, arn):
        raise InvalidInputError(
            "Two people must release this principal. Use the button Release of its approval request, or the decision "
            f"release of the approval handler with the approval_id {approval_id}."
        )


def _has_others(row: Row) -> bool:
    """Whether the decision is about further principals, which are still contained."""
    approval = approvals.get(_approval_id(row)) or {}
    arns = [arn for arn in approvals.principals_of(approval) if arn != contained_names.arn_of(row)]
    return any((containments.get(arn) or {}).get("incident") == row["incident"] for arn in arns)


def _approval_id(row: Row) -> str:
    return approvals.id_of(str(row["incident"]), "remediate")
