"""Report a change of who may decide or read: record it in the audit, and post it to the security channel.

The approval function writes the record, because -sync has no permission to write the audit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ir_router import aws
from ir_router.ledger import claims, keys, security_channel
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, sections
from ir_router.sync import posting

TASK = "record_access_change"
Action = Literal["approvers_changed", "last_approvers", "watchers_outside"]


def report(slack: Slack, action: Action, name: str, details: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Report a change once for each `name`.

    Args:
        slack: The gateway.
        action: The action of the audit record.
        name: Identifies the change.
        details: The details of the audit record.
        lines: The message, escaped; the first line names the change and the required action.

    Raises:
        ClientError, BotoCoreError: Lambda did not take the record. Nothing was posted.
        IrRouterError: Slack did not take the message.
    """
    record = {"task": TASK, "action": action, "once": f"{action}/{name}", "details": dict(details)}
    aws.invoke_later(settings().require("approval_function"), record)
    channel = security_channel.known_id()
    if not channel:
        return
    taken = claims.take(keys.deduplication(f"ACCESS#{action}#{name}"), settle_after=slack.deadline.settle_after)
    if isinstance(taken, claims.Claim):
        posting.post(slack, channel, taken, Message(text=" ".join(lines), blocks=sections(lines)))
