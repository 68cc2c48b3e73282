"""Alerts for the security channel. The workflow stores their texts, and -sync posts them.

An event on the bus names only the row, so that nothing but the workflow can put words into the channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

KEPT_SECONDS = 14 * 86_400
"""How long the rows of an alert and of its message are kept."""


@dataclass(frozen=True)
class Alert:
    """An alert, in its forms as an e-mail, as a message in Slack and as a page.

    Attributes:
        id: A stable id, by which a reader and the ledger recognise a repeated alert.
        severity: The severity, which is also the message attribute for subscription filters of the topic.
        subject: The required action and the principal, in one line.
        text: The body. Its first line states what happened.
        case_id: The case of the incident. Without one, the message in Slack offers to open a case.
        execution: The ARN of the execution, for a link.
        principals: The ARNs of the users and roles that the text names, for links in Slack.
        allow: The command that adds the caller to the allowlist; empty if an entry would not help.
        mention: Whether the message in Slack mentions users (`slack_mention`).
    """

    id: str
    severity: str
    subject: str
    text: str
    case_id: str | None = None
    execution: str = ""
    principals: Sequence[str] = ()
    allow: str = ""
    mention: bool = False


def note(alert: Alert) -> str:
    """Store an alert once for each id, and return the name of its row."""
    name = hashlib.sha256(alert.id.encode()).hexdigest()[:24]
    row: Row = {"alert_id": alert.id, "severity": alert.severity, "subject": alert.subject, "text": alert.text}
    row |= {"case_id": alert.case_id or "", "execution": alert.execution, "principals": list(alert.principals)}
    row |= {"allow": alert.allow, "mention": alert.mention, "at": clock.now()}
    try:
        expires_at = int(clock.now()) + KEPT_SECONDS
        table.put(keys.slack_alert(name), {**row, "expires_at": expires_at}, "attribute_not_exists(PK)")
    except ConditionFailedError:
        pass  # a retry
    return name


def get(name: str) -> Row | None:
    """Return the row of an alert, or None when it has expired."""
    return table.get(keys.slack_alert(name))
