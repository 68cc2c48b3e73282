"""The users in the row of an approval request: who may decide, who may not as an owner, and who did."""

from __future__ import annotations

from ir_router.ledger import approvals, keys, table
from ir_router.ledger.table import ConditionFailedError


def freeze(approval_id: str, approvers: list[str]) -> None:
    """Store who may decide, unless it is stored already: Slack user ids, and addresses without a Slack account."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET approvers = :approvers",
            "attribute_exists(PK) AND attribute_not_exists(approvers)",
            approvers=approvers,
        )
    except ConditionFailedError:
        return


def note_owners(approval_id: str, owners: list[str], user_ids: list[str], last_approvers: list[str]) -> None:
    """Store the Slack user ids of these owners, and the owners who may decide because no other approver is left.

    Does nothing for an unknown approval.
    """
    try:
        table.update(
            keys.approval(approval_id),
            "SET owner_ids = :user_ids, owners_looked_up = :owners, last_approvers = :last",
            "attribute_exists(PK)",
            user_ids=user_ids,
            owners=owners,
            last=last_approvers,
        )
    except ConditionFailedError:
        return


def forget(approval_id: str) -> None:
    """Erase the users that an approval names, and the reason. Does nothing while the approval is open."""
    try:
        table.update(
            keys.approval(approval_id),
            "SET analyst = :analyst, released_by = :erased REMOVE notes, mentions, approvers, last_approvers, owners, "
            "joined_owners, owner_ids, owners_looked_up, votes, release_votes, assignee",
            "#state IN (:delivered, :expired)",
            analyst={"name": "a user whose data was erased"},
            erased="a user whose data was erased",
            delivered=approvals.DELIVERED,
            expired=approvals.EXPIRED,
        )
    except ConditionFailedError:
        return
