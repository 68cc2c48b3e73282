"""Principals of one actor that are not contained: they share one case and one request for permission.

Without this, an actor that makes keys for 60 protected users would open 60 cases and use up the quota. The first event
opens the case. Each further principal is alerted and gets a comment. If it needs a permission, it joins the pending
request of the first, and an approval contains it too. Beyond the hourly limit of an account, its principals share
them too, also those of different actors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit, groups, joined_events
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.workflow import accounts, actor_incidents, changes, notices, owners, principals, wording, wording_many
from ir_router.workflow.incident import ActionTaken, CaseResult, ContainmentResult, Incident, Principal, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES, ContainmentOutcome

# A first event that has not opened its case after this time may have failed.
_OPENS_WITHIN_SECONDS = 60
_MOST_COMMENTED = 10
_MOST_KEPT = 1_000
_TRIES = 3


def shared_case(incident: Incident, containment: ContainmentResult) -> CaseResult | None:
    """Return the case of the actor's earlier events, or None if this event must open a case.

    Raises:
        ContainmentBusyError: The actor's first event has not opened its case yet. The state machine retries.
    """
    group = _group("case", incident, containment)
    if group is None:
        return None
    execution = incident["execution"]["id"]
    row = groups.enter(group, execution)
    if row["execution"] != execution and "case_id" not in row:
        if clock.now() < float(row["until"]) - groups.SECONDS + _OPENS_WITHIN_SECONDS:
            raise ContainmentBusyError("the first event of this actor has not opened its case yet")
        row = groups.enter(group, execution, instead_of=row["execution"])
    if row["execution"] == execution:
        joined = _asks(incident, containment, None)
        if joined:  # an hour later, an earlier request may still be pending
            opened(incident, containment, None)
        return joined
    arns = {part["principal"]["arn"] or "unknown" for part in containment["principals"]}
    known = set(row.get("principals", ()))
    if len(known) < _MOST_KEPT:
        known = set(groups.annotate(group, row["execution"], "ADD principals :arns", arns=arns).get("principals", ()))
    case_id = row["case_id"] or None
    full = len(known) > _MOST_COMMENTED
    if joined := _asks(incident, containment, None if full else case_id):
        return joined
    return {"case_id": case_id, "failed": False, "repetition": "none", "full": full}


def opened(incident: Incident, containment: ContainmentResult, case_id: str | None) -> None:
    """Store the case that the actor's first event opened, for the later ones. None: there is no case."""
    group = _group("case", incident, containment)
    if group is not None:
        with suppress(ConditionFailedError):  # this event did not enter the group, or the hour is over
            groups.annotate(group, incident["execution"]["id"], "SET case_id = :case_id", case_id=case_id or "")


def _asks(incident: Incident, containment: ContainmentResult, case_id: str | None) -> CaseResult | None:
    """Let a principal that needs a permission join the actor's pending request. None: it gets its own, or none."""
    group = _group("permission", incident, containment)
    if group is None or OUTCOMES[containment["outcome"]].approval != "contain":
        return None
    execution = incident["execution"]["id"]
    row = groups.enter(group, execution)
    if row["execution"] == execution:
        return None
    approval_id = approvals.id_of(str(row["execution"]), "contain")
    request = approvals.get(approval_id)
    asks_soon = clock.now() < float(row["until"]) - groups.SECONDS + _OPENS_WITHIN_SECONDS
    if request is None and asks_soon:
        raise ContainmentBusyError("the first event of this actor has not sent its request yet")
    full = request is not None and len(request.get("joined_principals", ())) >= actor_incidents.MOST_PRINCIPALS - 1
    if request is None or full or request["state"] != approvals.PENDING:
        groups.enter(group, execution, instead_of=row["execution"])
        return None
    _join(incident, containment, request, case_id)
    return {"case_id": case_id, "failed": False, "repetition": "counted"}


def _join(incident: Incident, containment: ContainmentResult, request: Row, case_id: str | None) -> None:
    execution, approval_id = incident["execution"]["id"], str(request["approval_id"])
    barred = owners.restored(containment, execution)["owners"]
    event = {"execution": execution, "what": wording.what_happened(incident)}
    for part in containment["principals"]:
        arn, unique_id = part["principal"]["arn"], part["principal"].get("id")
        joined_events.note(
            approval_id,
            {**event, "execution": f"{execution}#{arn}"},
            principal=arn,
            more={
                "joined_ids": {f"{arn} {unique_id}"} if unique_id else set(),
                "joined_keys": {f"{arn} {key}" for key in changes.disabled(part)},
                "joined_owners": {*barred},
            },
        )
    actor_incidents.give_up(incident)  # this execution sends no request of its own
    details = wording.record(incident) | wording.record_containment(containment, case_id)
    details |= {"approval_id": approval_id, "barred": barred}
    audit.append("permission_joined", wording.AUDIT_ACTOR, details, once=f"{execution}/permission_joined")
    if case_id:
        try:
            notices.comment(case_id, f"joined-{execution}", wording.containment(incident, containment, None))
        except RefusedError as error:
            # A retry cannot help: a closed case accepts no comments.
            logger.warning("case.comment_rejected: the case has no comment", extra={"code": error.code})
    _show(approval_id)
    notices.publish("ApprovalRequested", {"approval_id": approval_id, "joined": True})


def _show(approval_id: str) -> None:
    """Let the request list all principals, also those that join at the same moment."""
    for _ in range(_TRIES):
        row = approvals.get(approval_id) or {}
        wanted = texts(row)
        if all(row.get(name) == text for name, text in wanted.items()):
            return
        approvals.amend(approval_id, **wanted)


def joined(execution: str, own: Sequence[PrincipalResult]) -> list[PrincipalResult]:
    """Return the principals that joined the request for permission of an execution, with their disabled new keys.

    Args:
        execution: The execution of the actor's first event.
        own: The results for the principals of that event.
    """
    row = approvals.get(approvals.id_of(execution, "contain")) or {}
    known = {row.get("principal"), *(part["principal"]["arn"] for part in own)}
    outcome: ContainmentOutcome = own[0]["outcome"] if own else "ask_first"
    return [_joined_part(row, arn, outcome) for arn in sorted(set(row.get("joined_principals", ())) - known)]


def _joined_part(row: Mapping[str, Any], arn: str, outcome: ContainmentOutcome) -> PrincipalResult:
    principal = _named(arn)
    for unique_id in _values_of(row, "joined_ids", arn):
        principal["id"] = unique_id
    disabled: list[ActionTaken] = [
        {"what": changes.DISABLED, "target": key, "verified": True, "principal": arn}
        for key in _values_of(row, "joined_keys", arn)
    ]
    return {
        "principal": principal,
        "outcome": outcome,
        "why": "",
        "actions": disabled,
        "named_keys": [],
        "recorded": {},
    }


def _named(arn: str) -> Principal:
    return accounts.named(principals.from_arn(arn) or principals.unknown_principal())


def _values_of(row: Mapping[str, Any], name: str, arn: str) -> list[str]:
    """Return the values of a principal in a set of the request, whose elements are `<ARN> <value>`."""
    pairs = (one.rpartition(" ") for one in sorted(row.get(name, ())))
    return [value for owner, _, value in pairs if owner == arn]


def with_joined(execution: str, containment: ContainmentResult) -> ContainmentResult:
    """Return the result with all principals that the request for permission is about."""
    own = containment["principals"]
    return {**containment, "principals": [*own, *joined(execution, own)]}


def texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of a request for permission that several principals share; empty for one principal."""
    arns = list(dict.fromkeys([str(row["principal"]), *sorted(row.get("joined_principals", ()))]))
    if len(arns) < 2:
        return {}
    keys = [*row.get("disabled_keys", ()), *(one.rpartition(" ")[2] for one in sorted(row.get("joined_keys", ())))]
    names = [wording.name_of(_named(arn)) for arn in arns]
    who = wording_many.names(names)
    return {
        "who": who,
        "headline": f"contain {who}?",
        "listed": names,
        "approve_does": f"contains {who}: attaches the deny policy to each, so that everything that uses it stops. "
        "ir-router then sends a second approval request.",
        "deny_does": f"re-enables key {', '.join(keys)}. Nothing else changes for {who}."
        if keys
        else f"leaves {who} unchanged.",
        "owners": sorted({*row["owners"], *row.get("joined_owners", ())}),
    }


def _group(kind: str, incident: Incident, containment: ContainmentResult) -> str | None:
    """Return the name of the actor's group, or None for a caller that the event does not identify.

    Beyond the hourly limit of an account, all its events are one group: otherwise a member under attack would open a
    case and send a request for each of its principals.
    """
    accounts_beyond = {part.get("beyond_account") for part in containment["principals"]}
    if accounts_beyond and None not in accounts_beyond:
        return groups.name_of(f"not-contained-{kind}-of-account", incident["account"])
    if not actor_incidents.identity_of(incident["actor"]) or incident.get("finding") or "requested" in incident:
        return None
    return actor_incidents.group_of(f"not-contained-{kind}", incident)
