"""Freeze who may decide about an approval request: its approvers and its owners, by Slack user id.

Addresses, groups and the response team can change while a request waits. An attacker who can change one of them must
not become an approver, and an owner with another address must not stop being one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ir_router.cases import addresses
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import approvals
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.sync import approver_watch, members
from ir_router.sync.approver_watch import group_members

_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")


def freeze(slack: Slack, row: Row) -> None:
    """Store the approvers of a new request, and its owners after each change, unless Slack cannot be asked now.

    Then the next update of the message repeats it.
    """
    if row["state"] != approvals.PENDING:
        return
    approval_id, owners = str(row["approval_id"]), [str(owner) for owner in row.get("owners") or ()]
    try:
        if "approvers" not in row:
            approver_watch.check(slack.deadline)  # a recent change must be known next to the request
            found = _approvers(slack)
            if found:
                approvals.freeze_approvers(approval_id, found)
        if owners and owners != row.get("owners_looked_up"):
            approvals.note_owner_ids(approval_id, owners, sorted(_owner_ids(slack, owners)))
    except IrRouterError as error:
        logger.warning("approval.approvers_not_frozen: the next update retries", extra={"reason": str(error)})


def is_frozen(row: Row) -> bool:
    """Whether `freeze` has nothing left to store for this request."""
    owners = [str(owner) for owner in row.get("owners") or ()]
    return row["state"] != approvals.PENDING or (
        "approvers" in row and (not owners or owners == row.get("owners_looked_up"))
    )


def is_frozen_approver(row: Row, user_id: str, email: str | None) -> bool:
    """Return whether a user was an approver when the request was made. Rows of earlier versions name none.

    Args:
        row: The approval's row.
        user_id: The user's Slack id.
        email: The user's address, if Slack has confirmed it. It counts for an approver without a Slack account then.
    """
    frozen = row.get("approvers")
    if frozen is None:
        return True
    return user_id in frozen or bool(email and addresses.same_mailbox(email) in frozen)


def _approvers(slack: Slack) -> list[str]:
    """Return the ids of the approvers, and the addresses of those without an account."""
    found: list[str] = []
    for who in settings().approvers or [person.email for person in members.response_team()]:
        if "@" in who:
            found.append(_user_id(slack, who) or addresses.same_mailbox(who))
        elif who.startswith("S"):
            found += group_members(slack, who)
        else:
            found.append(who)
    return sorted(set(found))


def _owner_ids(slack: Slack, owners: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for owner in owners:
        if _USER_ID.fullmatch(owner):
            found.add(owner)
        elif "@" in owner:
            variants = dict.fromkeys((owner, addresses.without_suffix(owner)))
            found |= {user_id for variant in variants if (user_id := _user_id(slack, variant))}
    return found


def _user_id(slack: Slack, address: str) -> str:
    try:
        return str(slack.read("users.lookupByEmail", email=address)["user"]["id"])
    except RefusedError as error:
        logger.info("approval.address_not_found", extra={"code": error.code})
        return ""
