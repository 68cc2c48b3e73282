"""The mentions of an approval request, and the channel whose messages have them. A phone must ring once."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError


def freeze(approval_id: str, mentions: Sequence[str]) -> None:
    """Store the mentions of an approval request, unless they are stored. Does nothing for an unknown one."""
    _set(approval_id, "mentions = if_not_exists(mentions, :value)", list(mentions))


def move_to_case(approval_id: str) -> None:
    """Let the messages in the case's channel mention users, because Slack rejects those in the security channel."""
    _set(approval_id, "mentions_in_case = :value", True)


def _set(approval_id: str, change: str, value: object) -> None:
    try:
        table.update(keys.approval(approval_id), f"SET {change}", "attribute_exists(PK)", value=value)
    except ConditionFailedError:
        return
