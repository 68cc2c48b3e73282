"""Freeze who may decide about an approval request: its approvers and its owners, by Slack user id.

Addresses, groups and the response team can change while a request waits. An attacker who can change one of them must
not become an approver, and an owner with another address must not stop being one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.cases import addresses
from ir_router.cases.changes import digest
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import approvals, deciders
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.slack.text import escape, shorten
from ir_router.sync import access_changes, approver_watch, members
from ir_router.sync.approver_watch import group_members

_LINE_LENGTH = 400
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")


def freeze(slack: Slack, row: Row) -> None:
    """Store the approvers of a new request, and its owners after each change, unless Slack cannot be asked now.

    Then the next update of the message repeats it.
    """
    if row["state"] != approvals.PENDING:
        return
    approval_id, owners = str(row["approval_id"]), [str(owner) for owner in row.get("owners") or ()]
    try:
        frozen: list[str] = row.get("approvers") or []
        if "approvers" not in row:
            approver_watch.check(slack.deadline)  # a recent change must be known next to the request
            frozen = _approvers(slack)
            if frozen:
                deciders.freeze(approval_id, frozen)
        if owners and owners != row.get("owners_looked_up"):
            user_ids = {owner: _owner_ids(slack, owner) for owner in owners}
            last = _last_approvers(row, frozen, user_ids)
            deciders.note_owners(approval_id, owners, sorted(set().union(*user_ids.values())), last)
            _report(slack, row, last)
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.warning("approval.approvers_not_frozen: the next update retries", extra={"error": type(error).__name__})


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


def _last_approvers(row: Row, approvers: Sequence[str], user_ids: Mapping[str, set[str]]) -> list[str]:
    """Return the approvers who own credentials of the incident, if barring them would leave no approver.

    An attacker can cause events by principals with the tags of approvers. Therefore later owners come after earlier
    ones: they cannot lift the bar of an owner who was barred before.
    """
    before, known = set(row.get("last_approvers") or ()), set(row.get("owners_looked_up") or ())
    named = {owner: {owner, addresses.same_mailbox(owner), *ids} for owner, ids in user_ids.items()}
    left, last = set(approvers), set()
    for owner in sorted(named, key=lambda owner: 2 if named[owner] & before else owner not in known):
        own = left & named[owner]
        if own == left:
            last |= own
        else:
            left -= own
    return sorted(last)


def _report(slack: Slack, row: Row, last: Sequence[str]) -> None:
    """Report in the audit and the security channel that owners may decide, because no other approver is left."""
    if not last or list(last) == row.get("last_approvers"):
        return
    head = (
        "⚠️ *Every approver of a request owns credentials of its incident.* The last ones may decide about it all the "
        "same. Check their decision, and name further approvers."
    )
    lines = [
        head,
        f"*Request*  {escape(shorten(str(row['headline']), _LINE_LENGTH))}",
        f"*May decide*  {escape(', '.join(last))}",
    ]
    details = {"approval_id": row["approval_id"], "execution": row["execution"], "approvers": list(last)}
    name = f"{row['approval_id']}-{digest(list(last))}"
    access_changes.report(slack, "last_approvers", name, details, lines)


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


def _owner_ids(slack: Slack, owner: str) -> set[str]:
    if _USER_ID.fullmatch(owner):
        return {owner}
    if "@" not in owner:
        return set()
    variants = dict.fromkeys((owner, addresses.without_suffix(owner)))
    return {user_id for variant in variants if (user_id := _user_id(slack, variant))}


def _user_id(slack: Slack, address: str) -> str:
    try:
        return str(slack.read("users.lookupByEmail", email=address)["user"]["id"])
    except RefusedError as error:
        logger.info("approval.address_not_found", extra={"code": error.code})
        return ""
