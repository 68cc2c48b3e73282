"""Find the incident of an actor: events by one actor within an hour share one case and one approval request.

The first event leads. A later event contains its own principal, which then joins the leader's request
(`workflow/joining.py`). The model in tests/properties/test_actor_incident.py shows why each rule is necessary.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from ir_router import clock
from ir_router.ledger import approvals, groups
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.workflow.incident import Actor, Incident, Principal

# So many principals fit into one approval request and can be restored in one state.
MOST_PRINCIPALS = 100
# A leader that has not asked after this time may have failed. The next event then asks itself.
_ASKS_WITHIN_SECONDS = 120
_TRIES = 3
# Only AWS can create roles on this path. Their sessions are named after the user.
IDENTITY_CENTER = ":role/aws-reserved/sso.amazonaws.com/"


class Leader(NamedTuple):
    """The execution whose approval request covers an event. `first`: the actor has had no other one this hour."""

    execution: str
    first: bool


def leader(incident: Incident, principal: Principal) -> Leader:
    """Return the leader for an event about a principal: its own execution, or that of the actor's first event."""
    execution = incident["execution"]["id"]
    who = identity_of(incident["actor"])
    # The containment that an analyst requested has a request of its own.
    if not who or incident.get("finding") or "requested" in incident:
        return Leader(execution, first=True)
    group = group_of("actor", incident)
    row = groups.enter(group, execution)
    for _ in range(_TRIES):
        if row["execution"] == execution or _takes_principals(row):
            return Leader(str(row["execution"]), first=row["execution"] == execution and "instead_of" not in row)
        permission = approvals.get(approvals.id_of(str(row["execution"]), "contain"))
        if permission is not None and permission["principal"] == principal["arn"]:
            # An analyst decides about this principal, or has decided: its events are not those of a further one.
            return Leader(execution, first=True)
        row = groups.enter(group, execution, instead_of=row["execution"])
    return Leader(execution, first=False)


def give_up(incident: Incident) -> None:
    """Let the next event of the actor lead, since this execution has failed."""
    execution = incident["execution"]["id"]
    with suppress(ConditionFailedError):  # it does not lead
        groups.annotate(group_of("actor", incident), execution, "SET #until = :now", now=clock.now())


def group_of(kind: str, incident: Incident) -> str:
    """Return the name of the group of an actor's events."""
    actor = incident["actor"]
    # The calls of one actor in another account are an incident of that account, whose principals have their own role.
    elsewhere = [incident["account"]] if incident["account"] != actor["account"] else []
    return groups.name_of(kind, identity_of(actor), *elsewhere)


def identity_of(actor: Actor) -> str:
    """Return the identity of an actor, or "" for a caller that the event does not identify.

    IAM's id survives a rename. A caller chooses the names of its role sessions, so all sessions of a role are one
    actor, except those of IAM Identity Center, which are named after the person. AWS services act for many callers.
    """
    if actor["kind"] not in ("user", "role", "root"):
        return ""
    if IDENTITY_CENTER in actor["arn"]:
        return actor["caller_arn"]
    return actor.get("id") or actor["arn"]


def _takes_principals(row: Row) -> bool:
    """Whether the leader's request is pending and has room, or is certainly about to be sent."""
    approval = approvals.get(approvals.id_of(str(row["execution"]), "remediate"))
    if approval is not None:
        return approval["state"] == approvals.PENDING and len(approvals.principals_of(approval)) < MOST_PRINCIPALS
    if approvals.get(approvals.id_of(str(row["execution"]), "contain")) is not None:
        return False  # it waits for the permission to contain its own principal
    return clock.now() < float(row["until"]) - groups.SECONDS + _ASKS_WITHIN_SECONDS
