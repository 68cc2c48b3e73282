"""The states of a containment while the ledger is unavailable, for example because its encryption key is disabled.

A state of its own reads the principals first. A denial or a release restores its output in the execution history, and
no crash can lose that. ir-router then contains the principals without a lock or a limit, and alerts through the topic
that needs no key. When the ledger is back, the containment is recorded and the incident goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import unavailable
from ir_router.ledger.alerts import Alert
from ir_router.ledger.unavailable import LedgerUnavailableError
from ir_router.observability import logger, measure
from ir_router.workflow import (
    changes,
    deployed_lists,
    enforcement,
    examination,
    identity,
    immediate_containment,
    invocation,
    notices,
    report_failure,
    roles,
    wording_ledger,
    wording_subjects,
)
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.incident import ContainmentResult, EarlierState, Incident, Principal, PrincipalResult


class Part(TypedDict):
    """A principal before its containment: `state`, or `spared` if ir-router does not contain it."""

    principal: Principal
    key: str | None
    only_key: bool
    state: NotRequired[EarlierState]
    spared: NotRequired[PrincipalResult]


class Before(TypedDict):
    """The principals of the event, before any change."""

    principals: list[Part]


def read(task: Mapping[str, Any], context: Any) -> Before:
    """State "Read State Without Ledger": read the principals from IAM."""
    incident: Incident = task["incident"]
    return {"principals": [_read(incident, target, context) for target in identity.targets(incident, context)]}


def contain(task: Mapping[str, Any], context: Any) -> ContainmentResult:
    """State "Contain Without Ledger": make the changes and verify them. A change that fails is part of the result."""
    incident: Incident = task["incident"]
    before: Before = task["before"]
    results = [_contain(incident, part, context) for part in before["principals"]]
    if any(not action["verified"] for result in results for action in result["actions"]):
        measure("ContainmentFailed")
    return immediate_containment.summary(incident, results)


def alert(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """State "Alert Without Ledger": publish to the topic that needs no encryption key."""
    incident: Incident = task["incident"]
    before: Before = task["before"]
    containment: ContainmentResult | None = task["containment"]
    principals = [part["principal"] for part in before["principals"]]
    states = [(part["principal"], part["state"]) for part in before["principals"] if "state" in part]
    text = wording_ledger.contained(incident, states, containment, report_failure.error_of(task["failure"])[1])
    subject = wording_subjects.without_ledger(incident, principals)
    notices.alert_without_key(Alert(f"{incident['execution']['name']}/ledger", incident["severity"], subject, text))
    return {"done": True, "step": "Alert Without Ledger"}


def record(task: Mapping[str, Any], context: Any) -> ContainmentResult:
    """State "Contain With Ledger": contain with the earlier state. Until then, keep the containment in place.

    Raises:
        LedgerUnavailableError: The ledger is not back yet. The state machine retries.
        ContainmentBusyError, ChangeFailedError: As in the state "Immediate Containment".
    """
    incident: Incident = task["incident"]
    before: Before = task["before"]
    contained: ContainmentResult | None = task["containment"]
    earlier = {
        examination.name_of(part["principal"]): part["state"] for part in before["principals"] if "state" in part
    }
    try:
        given = {"incident": incident, "earlier": earlier, "contained": contained}
        return immediate_containment.run_task(given, context)
    except LedgerUnavailableError:
        _keep(incident, before, context)
        raise


def _read(incident: Incident, target: identity.Target, context: Any) -> Part:
    account = invocation.contained_account(incident, context)
    found, spared = examination.examine(incident, target, account, _protected)
    only_key = examination.only_key_of(incident, target.named_key, {})
    part: Part = {"principal": found, "key": target.named_key, "only_key": only_key}
    if spared is None and not only_key and (why := roles.why_ask(incident, found)):
        spared = examination.result_of(found, "ask_first", why)
    if spared is not None:
        return {**part, "spared": spared}
    state, unlisted = changes.read_as_permitted(found)
    earlier: EarlierState = {
        "at": clock.now(),
        "keys": dict(state.keys),
        "denied": state.denied,
        "policies": list(state.policies),
        "earlier": state.earlier,
    }
    if unlisted is not None:
        earlier["unlisted"] = unlisted
    return {**part, "state": earlier}


def _protected() -> Sequence[str]:
    """Return the protected principals, or none if only the ledger has them: IAM denies changes of them in any case."""
    try:
        return deployed_lists.current().protected_principals
    except (BotoCoreError, ClientError) as error:
        if not unavailable.is_unavailable(error):
            raise
        logger.error("settings.lists_not_read: IAM protects the principals", extra={"error": type(error).__name__})
        return ()


def _contain(incident: Incident, part: Part, context: Any) -> PrincipalResult:
    if "spared" in part:
        return part["spared"]
    wanted = _wanted(part)
    result = examination.result_of(part["principal"], "contained", "")
    try:
        result["actions"] = changes.make(part["principal"], wanted, until=_retry_until(context))
    except ChangeFailedError as failure:
        result["actions"] = failure.actions
        result["why"] = f"{wording_ledger.UNCERTAIN} {failure}"
    if unlisted := part["state"].get("unlisted"):
        result["actions"] = [*result["actions"], unlisted]
        result["why"] = result["why"] or f"{enforcement.without_keys(part['principal'], unlisted)}."
        result["keys_unknown"] = True
    result["named_keys"] = [part["key"]] if part["key"] else []
    if part["only_key"]:
        result["scope"] = "key"
    logger.warning("containment.without_ledger", extra={"event_id": incident["event_id"]})
    return result


def _wanted(part: Part) -> list[changes.Change]:
    state = State(part["state"]["keys"], part["state"]["denied"])
    return examination.changes_for(part["principal"], part["key"], state, only_key=part["only_key"])


def _retry_until(context: Any) -> float:
    return changes.time_for_retries(invocation.lock_until(context))


def _keep(incident: Incident, before: Before, context: Any) -> None:
    """Re-apply the missing parts of the containment. A failure is only logged, because the state is retried."""
    for part in before["principals"]:
        if "state" not in part:
            continue
        try:
            current = identity.current_principal(part["principal"], part["state"]["keys"])
            if current is None:
                continue
            state, _unlisted = changes.read_as_permitted(current)
            missing = [change for change in _wanted({**part, "principal": current}) if not change.shown(state)]
            if missing:
                logger.warning("containment.reapplied", extra={"event_id": incident["event_id"], "verified": False})
                changes.make(current, missing, until=_retry_until(context))
        except (IrRouterError, BotoCoreError, ClientError) as error:
            measure("ContainmentFailed")
            shown = {"principal": part["principal"]["arn"], "error": type(error).__name__}
            logger.error("containment.not_kept_in_place", extra=shown)
