"""State "Immediate Containment": stop the principal within seconds, keep what was found, read back.

For a user the deny policy comes first: one call that stops every key, console session and temporary credential of the
user at once (sessions of roles that it assumed before are the roles'), and that nothing the user may still do can undo.
Then the key that the event names, then, by variable, the user's other active keys: they stay disabled should somebody
detach the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, containments
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.workflow import (
    changes,
    iam,
    identity,
    invocation,
    notices,
    protection,
    request_approval,
    standing,
    wording,
)
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.incident import ActionTaken, ContainmentResult, Incident, Principal, PrincipalResult

# The outcome of several principals is that of the one that needs most attention.
_ORDER = ("contained", "limit_reached", "refused", "joined", "dry_run", "off", "gone")
# Its roles lie on a path that nobody but AWS can use; their sessions have the person's user name.
_IDENTITY_CENTER = ":role/aws-reserved/sso.amazonaws.com/"


def handle(task: Mapping[str, Any], context: Any) -> ContainmentResult:
    """Contain who must be. Raises ContainmentBusyError, or ChangeFailedError when something is not done or verified."""
    incident: Incident = task["incident"]
    permitted = (task.get("permission") or {}).get("decision") == "approve"
    results: list[PrincipalResult] = []
    failed: list[ActionTaken] = []
    for target in identity.targets(incident, context):
        try:
            results.append(_contain(incident, target, permitted=permitted, context=context))
        except ChangeFailedError as failure:
            failed += failure.actions  # the others are contained all the same
    if failed:
        measure("ContainmentFailed")
        raise ChangeFailedError([*failed, *(action for result in results for action in result["actions"])])
    outcome = min((result["outcome"] for result in results), key=_ORDER.index)
    contained = outcome in ("contained", "joined")
    answer: ContainmentResult = {
        "outcome": outcome,
        "principals": results,
        "owners": [],
        "contained_at": clock.utc_now().isoformat().replace("+00:00", "Z") if contained else None,
        "seconds_from_event": _seconds_since(incident["event_time"]) if contained else None,
        "seconds_from_arrival": _seconds_since(incident["execution"]["started_at"]) if contained else None,
    }
    if outcome in ("contained", "limit_reached"):
        answer["owner_tags"] = _owner_tags(incident, results, context)
        answer["owners"] = _owners(incident, answer["owner_tags"])
    if outcome == "contained":
        _measure(answer)
    logger.info("containment", extra={"outcome": outcome, "event_id": incident["event_id"]})
    return answer


def _contain(incident: Incident, target: identity.Target, *, permitted: bool, context: Any) -> PrincipalResult:
    account = invocation.own_account(context)[1]
    principal, key = target.principal, target.named_key
    # Whom a variable protects is asked about the name that IAM has, not the one in an event.
    refused = protection.refusal(principal, account, ())
    if refused:
        return _result(principal, "refused", refused)
    found = identity.behind(target)
    if found is None:
        return _nobody(principal)
    refused = protection.refusal(found, account, settings().protected_principals)
    if refused:
        return _result(found, "refused", refused)
    mode = settings().containment_mode
    if mode == "off":
        return _result(found, "off", "Containment is switched off (containment_mode is off). Act by hand.")
    if mode != "enforce":
        return _dry_run(found, key)
    with containments.locked(found["arn"], invocation.lock_until(context)) as lock:
        return _under_lock(lock, incident, found, key, permitted=permitted, context=context)


def _nobody(principal: Principal) -> PrincipalResult:
    """IAM has nobody of that name, or somebody else has it now."""
    who = wording.name_of(principal)
    if "id" not in principal:
        return _result(principal, "gone", f"IAM has no {who} any more.")
    why = (
        f"IAM has no {who} (id {principal['id']}) any more under that name: it was deleted or renamed. Look for the id "
        f"in IAM (aws iam list-users --query \"Users[?UserId=='{principal['id']}']\") and contain it by hand."
    )
    return _result(principal, "refused", why)


def _under_lock(
    lock: Lock, incident: Incident, principal: Principal, key: str | None, *, permitted: bool, context: Any
) -> PrincipalResult:
    execution = incident["execution"]["id"]
    row = lock.row
    joins = _joins(row, execution, principal)
    if "incident" not in row and not permitted:
        limit = settings().max_containments_per_hour
        if not containments.admit(principal["arn"], limit):
            why = f"{limit} principals were contained within the last hour; a person decides about this one."
            return _result(principal, "limit_reached", why)
    state = changes.read(principal)
    if row.get("incident") == execution:
        state = _as_found(state, row)
    _remember(lock, execution, principal, key, state, joins=joins)
    why = ""
    try:
        actions = changes.make(principal, _changes(principal, key, state))
    except ChangeFailedError as failure:
        why, actions = _without_deny_policy(failure), failure.actions
        if not why:
            raise
        measure("ContainmentFailed")
    if not joins:
        lock.save(contained_at=clock.now(), phase=containments.OPEN)
    result = _result(principal, "joined" if joins else "contained", why)
    result["actions"] = actions
    result["named_keys"] = list(lock.row["named_keys"])
    result["recorded"] = dict(lock.row["recorded"])
    if "sealed_keys" in lock.row:  # an earlier incident was approved
        result["sealed_keys"] = list(lock.row["sealed_keys"])
    if joins:
        result["owner_tags"] = _owner_tags(incident, [result], context)
        _tell_open_incident(lock, incident, result, _owners(incident, result["owner_tags"]))
    return result


def _without_deny_policy(failure: ChangeFailedError) -> str:
    """What a person must do when all but the deny policy was done, and it is refused for good; else empty.

    With at least one key disabled there is something to decide about; the rest is told loudly and ends red.
    """
    undone = [action for action in failure.actions if not action["verified"]]
    errors = [action.get("error", "") for action in undone if action["what"] == changes.DENY]
    if len(undone) != 1 or len(failure.actions) < 2 or not errors or errors[0] not in changes.REFUSED_FOR_GOOD:
        return ""
    return (
        f"deny policy NOT attached: IAM refuses it ({errors[0]}). Only the access keys are disabled: console sessions "
        "and temporary credentials still work. A person must make room (IAM allows 10 attached policies) and attach "
        "the deny policy by hand now."
    )


def _joins(row: Mapping[str, Any], execution: str, principal: Principal) -> bool:
    """Whether the row's incident waits for a decision, so that this event asks for none of its own.

    Raises ContainmentBusyError while a decision is being carried out: it was not about this event.
    """
    if row.get("incident") in (None, execution):
        return False
    match standing.of(row):
        case standing.Standing.AWAITED:
            return True
        case standing.Standing.DECIDED:
            iam.deny(principal)
            raise ContainmentBusyError("a decision about an earlier event is being carried out")
        case _:
            return False


def _as_found(state: State, row: Mapping[str, Any]) -> State:
    """Before the first attempt of this state: what that changed is done again, so that it is told and verified."""
    recorded: Mapping[str, str] = row["recorded"]["keys"]
    return State({key: recorded.get(key, status) for key, status in state.keys.items()}, state.denied)


def _remember(lock: Lock, execution: str, principal: Principal, key: str | None, state: State, *, joins: bool) -> None:
    """Incident and recorded state in one write, before anything is changed.

    What was found first stays: a later event adds only keys that were not there then. Of an incident that others join
    the keys that are gone are forgotten: whoever makes and deletes keys for hours must not make it endless.
    """
    row = lock.row
    recorded = row.get("recorded") or {"deny_attached": state.denied, "keys": {}}
    keys = {**state.keys, **recorded["keys"]}
    named = list(dict.fromkeys([*row.get("named_keys", []), *([key] if key else [])]))
    if joins:
        keys = {name: status for name, status in keys.items() if name in state.keys}
        named = [name for name in named if name in state.keys or name == key]
    values: dict[str, Any] = {"recorded": {**recorded, "keys": keys}, "named_keys": named}
    if not joins and row.get("incident") != execution:
        values |= {
            "incident": execution,
            # Until all is done: should that never be, nobody will be asked, and the next event asks anew.
            "phase": containments.FAILED,
            "opened_at": clock.now(),
            "principal": dict(principal),
            "case_id": None,
            "joined_owners": None,
        }
    lock.save(**values)


def _changes(principal: Principal, key: str | None, state: State) -> list[changes.Change]:
    wanted = [changes.deny(principal)]
    if key and key in state.keys:
        wanted.append(changes.disable(principal, key))
    if settings().contain_other_keys:
        others = sorted(name for name, status in state.keys.items() if name != key and status == iam.ACTIVE)
        wanted += [changes.disable(principal, other) for other in others]
    return wanted


def _dry_run(principal: Principal, key: str | None) -> PrincipalResult:
    state = changes.read(principal)
    planned = [
        change.what.format(target=wording.short_key(change.target)) for change in _changes(principal, key, state)
    ]
    return _result(principal, "dry_run", f"Would be done: {', '.join(planned)}.")


def _tell_open_incident(lock: Lock, incident: Incident, result: PrincipalResult, owners: list[str]) -> None:
    """The case and the approval of the open incident are told that this event joined.

    The owners are kept with the containment first: an approval that is only now being asked reads them from there.
    """
    lock.save(joined_owners=sorted({*lock.row.get("joined_owners", []), *owners}))
    row = lock.row
    result["joined_execution"] = row["incident"]
    result["case_id"] = row.get("case_id")
    approval_id = approvals.id_of(row["incident"], "remediate")
    result["approval_id"] = approval_id
    approvals.note_joined(
        approval_id,
        {"execution": incident["execution"]["id"], "what": wording.what_happened(incident)},
    )
    request_approval.refresh(approval_id)
    notices.publish("ApprovalRequested", {"approval_id": approval_id, "joined": True})


def _owner_tags(incident: Incident, results: list[PrincipalResult], context: Any) -> dict[str, str]:
    """What the owner tag says, by ARN: of the principals, and of the actor, who may have caused the incident."""
    known = [result["principal"] for result in results if result["outcome"] != "refused"]
    if incident["actor"]["account"] == invocation.own_account(context)[1]:
        actor = identity.actor_of(incident)
        known += [actor] if actor else []
    by_arn = {principal["arn"]: principal for principal in known}
    return {arn: iam.tags(principal).get(settings().owner_tag, "").strip() for arn, principal in by_arn.items()}


def _owners(incident: Incident, tags: Mapping[str, str]) -> list[str]:
    """The e-mail addresses of those who may not decide, sorted, each once.

    Beside the owners by tag, the person that an actor's session of IAM Identity Center is named after. Names of other
    sessions are the caller's choice, who could name any approver.
    """
    actor = incident["actor"]
    owners = set(tags.values())
    session = actor["caller_arn"].rpartition("/")[2] if _IDENTITY_CENTER in actor["arn"] else ""
    if "@" in session:
        owners.add(session)
    return sorted(owners - {""})


def _seconds_since(moment: str | None) -> float | None:
    if moment is None:
        return None
    return round(clock.now() - datetime.fromisoformat(moment).timestamp(), 1)


def _measure(answer: ContainmentResult) -> None:
    if answer["seconds_from_event"] is not None:
        measure("ContainmentSeconds", answer["seconds_from_event"], "Seconds")
    if answer["seconds_from_arrival"] is not None:
        measure("ContainmentReactionSeconds", answer["seconds_from_arrival"], "Seconds")


def _result(principal: Principal, outcome: str, why: str) -> PrincipalResult:
    return {
        "principal": principal,
        "outcome": outcome,
        "why": why,
        "actions": [],
        "named_keys": [],
        "recorded": {},
    }
