"""Alerts for the security channel. The workflow stores their texts, and -sync posts them.

An event on the bus names only the row, so that nothing but the workflow can put words into the channel.
"""

from __future__ import annotations

import hashlib

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

KEPT_SECONDS = 14 * 86_400
"""How long the rows of an alert and of its message are kept."""


def note(
    alert_id: str,
    severity: str,
    subject: str,
    text: str,
    *,
    case_id: str | None,
    execution: str,
    allow: str,
    mention: bool = False,
) -> str:
    """Store an alert once for each id, and return the name of its row.

    Args:
        alert_id: The id of the alert.
        severity: The severity of the alert.
        subject: The first line.
        text: The further lines.
        case_id: The case of the incident, if there is one.
        execution: The ARN of the execution, or an empty string.
        allow: The command that adds the caller to the allowlist; empty if an entry would not help.
        mention: Whether the message mentions users.
    """
    name = hashlib.sha256(alert_id.encode()).hexdigest()[:24]
    row: Row = {"alert_id": alert_id, "severity": severity, "subject": subject, "text": text, "execution": execution}
    row |= {"case_id": case_id or "", "allow": allow, "mention": mention, "at": clock.now()}
    try:
        expires_at = int(clock.now()) + KEPT_SECONDS
        table.put(keys.slack_alert(name), {**row, "expires_at": expires_at}, "attribute_not_exists(PK)")
    except ConditionFailedError:
        pass  # a retry
    return name


def get(name: str) -> Row | None:
    """Return the row of an alert, or None when it has expired."""
    return table.get(keys.slack_alert(name))
