"""State "Immediate Containment": stop the principal within seconds, store its state as found, verify every change.

For a user the deny policy is attached while the keys are disabled: the key that the event names and then, by variable,
the user's other active keys. The policy stops every key, console session and temporary credential of the user, and the
user cannot undo it. (Sessions of roles that the user assumed earlier belong to the roles.) The keys stay disabled if
the policy is detached later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ir_router import clock, together
from ir_router.ledger import contained_names, containments, unavailable
from ir_router.ledger.containments import Lock
from ir_router.ledger.creators import Offer
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.workflow import (
    actor_incidents,
    changes,
    creators,
    deployed_lists,
    enforcement,
    event_claims,
    examination,
    found_state,
    iam,
    identity,
    invocation,
    joining,
    lock_ahead,
    new_keys,
    not_contained,
    outcomes,
    owners,
    reapplication,
    roles,
    scopes,
    sessions,
    tampering,
)
from ir_router.workflow.actor_incidents import Leader
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.incident import (
    ActionTaken,
    ContainmentResult,
    EarlierState,
    Incident,
    Principal,
    PrincipalResult,
)
from ir_router.workflow.outcomes import OUTCOMES

# A changed permission of the workflow's role applies everywhere within a minute: IAM is eventually consistent.
_PERMISSIONS_APPLY_SECONDS = 60
# For the containment of one principal.
_RESERVE_SECONDS = 12.0


class Permission(NamedTuple):
    """The events before this containment.

    `given`: an analyst permitted it. `disabled`: the keys that ir-router disabled before. `earlier`: the states of
    principals that were contained without the ledger, by `examination.name_of`.
    """

    given: bool
    disabled: frozenset[str]
    earlier: Mapping[str, EarlierState]


def run_task(task: Mapping[str, Any], context: Any) -> ContainmentResult:
    """Contain the subject of the incident and, by variable, its actor.

    Raises:
        ContainmentBusyError: Another invocation holds the principal's lock, or is carrying out a decision.
        ChangeFailedError: A change failed or could not be verified.
        LedgerUnavailableError: The ledger cannot be read or written.
    """
    with unavailable.reported():
        return _contain_all(task, context)


def _contain_all(task: Mapping[str, Any], context: Any) -> ContainmentResult:
    incident: Incident = task["incident"]
    if "unclaimed" in incident:
        event_claims.claim_later(incident["unclaimed"], incident["execution"]["id"])
    given = (task.get("permission") or {}).get("decision") == "approve"
    before: list[PrincipalResult] = (task.get("before") or {}).get("principals", [])
    joined = not_contained.joined(incident["execution"]["id"], before) if given else []
    permission = Permission(
        given,
        frozenset(key for part in [*before, *joined] for key in changes.disabled(part)),
        task.get("earlier") or {},
    )
    results: list[PrincipalResult] = []
    failed: list[ActionTaken] = []
    work = [partial(_contain, incident, target, permission, context) for target in identity.targets(incident, context)]
    work += [partial(_contain_joined, incident, part, permission, context) for part in joined]
    for contain in work:
        try:
            results.append(contain())
        except ChangeFailedError as failure:
            failed += failure.actions  # continue with the other principals
    if failed:
        measure("ContainmentFailed")
        raise changes.failed([*failed, *(action for result in results for action in result["actions"])])
    answer = summary(incident, results, task.get("contained"))
    outcome = answer["outcome"]
    if offered := _creators(incident, results, context):
        answer["creators"] = offered
    if OUTCOMES[outcome].approval:
        answer["owner_tags"] = owners.tags_of(incident, results, context)
        answer["owners"] = owners.addresses(incident, answer["owner_tags"])
    if outcome == "contained" or any(result.get("added") for result in results):
        _measure(answer)
    logger.info("containment.finished", extra={"outcome": outcome, "event_id": incident["event_id"]})
    return owners.kept_apart(answer, incident["execution"]["id"])


def summary(
    incident: Incident, results: list[PrincipalResult], contained_before: ContainmentResult | None = None
) -> ContainmentResult:
    """Return the result for all principals, with the time that their containment took.

    Args:
        incident: The incident.
        results: The result for each principal.
        contained_before: The result without the ledger, if that came first. Its times count.
    """
    outcome = outcomes.gravest(result["outcome"] for result in results)
    contained = OUTCOMES[outcome].contained
    if contained and contained_before is not None and contained_before["contained_at"] is not None:
        return {**contained_before, "outcome": outcome, "principals": results}
    return {
        "outcome": outcome,
        "principals": results,
        "owners": [],
        "contained_at": clock.utc_now().isoformat().replace("+00:00", "Z") if contained else None,
        "seconds_from_event": examination.seconds_since(incident["event_time"]) if contained else None,
        "seconds_from_arrival": examination.seconds_since(incident["execution"]["started_at"]) if contained else None,
    }


def _creators(incident: Incident, results: list[PrincipalResult], context: Any) -> dict[str, Offer]:
    account, protected = invocation.contained_account(incident, context), deployed_lists.current().protected_principals
    return creators.of_incident(incident, results, account, protected)


def _contain_joined(incident: Incident, part: PrincipalResult, permission: Permission, context: Any) -> PrincipalResult:
    """Contain a principal that joined the request for permission, unless an earlier attempt has contained it.

    Raises ContainmentBusyError if the time of the invocation is not enough: a retry continues.
    """
    row = containments.get(part["principal"]["arn"]) or {}
    complete = row.get("phase") == containments.OPEN and not row.get("deny_refused") and not row.get("keys_unknown")
    if row.get("incident") == incident["execution"]["id"] and complete:
        result = examination.result_of(row["principal"], "contained", "")
        made = [(changes.DENY, ""), *((changes.DISABLED, key) for key in row.get("disabled_keys", ()))]
        arn = row["principal"]["arn"]
        result["actions"] = [{"what": what, "target": key, "verified": True, "principal": arn} for what, key in made]
        result["named_keys"], result["recorded"] = list(row["named_keys"]), dict(row["recorded"])
        return result
    if _is_short_of_time(context):
        raise containments.ContainmentBusyError("a retry contains the other principals")
    return _contain(incident, identity.Target(part["principal"], None, changes.disabled(part)), permission, context)


def _is_short_of_time(context: Any) -> bool:
    return float(context.get_remaining_time_in_millis()) / 1000 < _RESERVE_SECONDS


def _contain(incident: Incident, target: identity.Target, permission: Permission, context: Any) -> PrincipalResult:
    account, until = invocation.contained_account(incident, context), invocation.lock_until(context)
    enforced = settings().containment_mode == "enforce" and target.unreachable is None
    likely = enforced and not examination.is_refused_by_event(incident, target, account)
    with lock_ahead.started(target, until, wanted=likely) as ahead:
        found, spared = examination.examine(
            incident, target, account, lambda: deployed_lists.current().protected_principals
        )
        if spared is not None:
            return spared
        together.started(partial(sessions.open_ahead, found))
        with contained_names.locked(found["arn"], found.get("id"), until, ahead.take_over) as lock:
            principal: Principal = {**found, "arn": lock.principal}
            read = partial(ahead.reading_under, lock, principal)
            return _under_lock(lock, read, incident, principal, target.named_key, permission, context)


def _under_lock(
    lock: Lock,
    read: Callable[[], Callable[[], lock_ahead.Reading]],
    incident: Incident,
    principal: Principal,
    key: str | None,
    permission: Permission,
    context: Any,
) -> PrincipalResult:
    execution = incident["execution"]["id"]
    row = lock.row
    joins = joining.joins(row, execution, principal)
    reading = None if joins else read()
    leader = Leader(str(row["incident"]), first=False) if joins else actor_incidents.leader(incident, principal)
    incident_of = leader.execution
    only_key, limited = examination.only_key_of(incident, key, row), False
    earlier = permission.earlier.get(examination.name_of(principal))
    is_new = ("incident" not in row or scopes.is_key_only(row)) and not only_key
    if is_new and not permission.given and earlier is None and (why := roles.why_ask(incident, principal)):
        return examination.result_of(principal, "ask_first", why)
    if is_new and not permission.given:
        account_limit = settings().max_containments_per_hour_per_account if settings().organization_id else None
        limit = containments.admit(principal["arn"], settings().max_containments_per_hour, account_limit)
        limited = limit is not None and earlier is None
        if limit and limited and (leader.first or key is None or not creators.creates_key_of_another(incident)):
            return new_keys.beyond_limit(lock, incident, principal, key, limit)
        only_key = limited
    if joins:  # the event may be the call that undid the containment
        reapplication.reapply(lock, key, earlier)
    found, unlisted = reading() if reading else changes.read_as_permitted(principal)
    state = found_state.active_before(found, permission.disabled)
    if earlier is not None:
        keys = {**state.keys, **earlier["keys"]}
        state = State(keys, earlier["denied"], earlier["policies"], earlier.get("earlier", False))
    if row.get("incident") == incident_of and not joins:
        state = found_state.as_found(state, row)
    wanted = examination.changes_for(principal, key, state, only_key=only_key)
    disabling = [change.target for change in wanted if state.keys.get(change.target) == iam.ACTIVE]
    since = found_state.suspicious_since(incident)
    at = earlier["at"] if earlier is not None else None
    found_state.record(lock, incident_of, principal, key, state, disabling, since, at, joins=joins, only_key=only_key)
    new_keys.hand_over(lock, permission.disabled)
    why = ""
    try:
        actions = changes.make(principal, wanted, until=changes.retry_until(lock))
        if unlisted is not None:
            raise changes.failed([*actions, unlisted])
    except ChangeFailedError as failure:
        if unlisted is not None and unlisted not in failure.actions:
            raise changes.failed([*failure.actions, unlisted]) from failure
        why, actions = _why_in_part(incident, principal, failure, unlisted), failure.actions
        if not why:
            raise
        measure("ContainmentFailed")
    added = not joins and incident_of != execution
    lacking = {"deny_refused": bool(why and unlisted is None) or None, "keys_unknown": unlisted is not None or None}
    if not joins and not added:
        lock.save(contained_at=clock.now(), phase=containments.OPEN, **lacking)
    result = examination.result_of(principal, "contained" if incident_of == execution else "joined", why)
    result["actions"] = [*actions, *(_not_disabled(key, state) if unlisted is None else ())]
    if unlisted is not None:
        result["keys_unknown"] = True
    result["named_keys"] = list(lock.row["named_keys"])
    result["recorded"] = dict(lock.row["recorded"])
    if only_key:
        result["scope"] = "key"
        result["still_active"] = scopes.still_active(found.keys, lock.row["named_keys"])
        result["limited"] = limited
    if "sealed_keys" in lock.row:  # an earlier incident was approved
        result["sealed_keys"] = list(lock.row["sealed_keys"])
    if result["outcome"] == "joined":
        result["undone"] = joins and tampering.DETACHED in incident["detections"]
        result["owner_tags"] = owners.tags_of(incident, [result], context)
        offers = _creators(incident, [result], context)
        joining.join(lock, incident, result, owners.addresses(incident, result["owner_tags"]), offers, added=added)
    return result


def _why_in_part(
    incident: Incident, principal: Principal, failure: ChangeFailedError, unlisted: ActionTaken | None
) -> str:
    """Return the required action if a retry cannot help and a part of the containment is done, else an empty string.

    With the deny policy attached, or with at least one key disabled, there is something to decide about, so the
    workflow goes on. Without the deny policy it ends as failed.
    """
    rejected = unlisted or enforcement.refusal_of_policy(failure)
    if rejected is None or not any(action["verified"] for action in failure.actions):
        return ""
    running = examination.seconds_since(incident["execution"]["started_at"]) or 0.0
    if rejected.get("retry") == "soon" and running < _PERMISSIONS_APPLY_SECONDS:
        return ""
    if unlisted is not None:
        return f"{enforcement.without_keys(principal, unlisted)}."
    return f"{enforcement.not_attached(principal, rejected, 'Only the access keys are disabled.')}."


def _not_disabled(key: str | None, state: State) -> list[ActionTaken]:
    """Return the reason why the key that the event names was not disabled."""
    if key is None or state.keys.get(key) in (iam.ACTIVE, iam.INACTIVE):
        return []
    what = "key {target} has expired" if key in state.keys else "key {target} no longer exists"
    return [{"what": what, "target": key, "verified": True}]


def _measure(answer: ContainmentResult) -> None:
    if answer["seconds_from_event"] is not None:
        measure("ContainmentSeconds", answer["seconds_from_event"], "Seconds")
    if answer["seconds_from_arrival"] is not None:
        measure("ContainmentReactionSeconds", answer["seconds_from_arrival"], "Seconds")
