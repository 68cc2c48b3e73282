"""The channel whose messages about an approval request mention users. There is one, so that a phone rings once."""

from __future__ import annotations

from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError


def choose(approval_id: str, channel_id: str) -> bool:
    """Choose the channel whose messages mention users, unless one is chosen. Return whether it is this one."""
    try:
        row = table.update(
            keys.approval(approval_id),
            "SET mentioned_in = if_not_exists(mentioned_in, :channel_id)",
            "attribute_exists(PK)",
            channel_id=channel_id,
        )
    except ConditionFailedError:
        return False
    return bool(row["mentioned_in"] == channel_id)


def drop(approval_id: str, channel_id: str) -> None:
    """Let another channel mention users, because Slack rejected the message in this one."""
    try:
        table.update(
            keys.approval(approval_id), "REMOVE mentioned_in", "mentioned_in = :channel_id", channel_id=channel_id
        )
    except ConditionFailedError:
        return
