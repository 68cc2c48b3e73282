"""Urgent messages of an incident, stored with its approval request until they are posted in Slack."""

from __future__ import annotations

from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, keys, table
from ir_router.ledger.table import ConditionFailedError, Row

# A request shows the newest ones. Older ones were posted or are no longer urgent.
_MOST = 10
_URGENT_SECONDS = 86_400


def note(approval_id: str, name: str, text: str) -> bool:
    """Store an urgent message once for each `name`, in every state of the request.

    The request is in the poller's index until the message is posted (`end`), even if it is closed.

    Returns:
        False if the request does not exist.
    """
    while True:
        row = approvals.get(approval_id)
        if row is None:
            return False
        before: list[dict[str, Any]] | None = row.get("urgent")
        if any(one["name"] == name for one in before or ()):
            return True
        unchanged = "attribute_not_exists(urgent)" if before is None else "urgent = :before"
        values = {} if before is None else {"before": before}
        after = [*(before or ()), {"name": name, "text": text, "at": clock.now()}][-_MOST:]
        try:
            condition = f"attribute_exists(PK) AND {unchanged}"
            index = approvals.index_of(row)
            table.update(
                keys.approval(approval_id),
                "SET urgent = :after, index_pk = :index_pk, index_sk = :index_sk",
                condition,
                after=after,
                **index,
                **values,
            )
        except ConditionFailedError:
            continue  # another principal of the incident has a message too
        return True


def keep(approval_id: str) -> None:
    """Keep a request in the poller's index until its messages are shown, for at most a day."""
    try:
        index = approvals.index_of(approvals.get(approval_id) or {"approval_id": approval_id})
        expression = "SET unshown = if_not_exists(unshown, :now), index_pk = :index_pk, index_sk = :index_sk"
        table.update(keys.approval(approval_id), expression, "attribute_exists(PK)", now=clock.now(), **index)
    except ConditionFailedError:
        return


def is_kept(row: Row) -> bool:
    """Whether the poller looks at the request although it is closed."""
    return "urgent" in row or "unshown" in row


def is_unshown(row: Row) -> bool:
    """Whether the poller still shows the request. A channel that is gone must not fail each poll for ever."""
    return "unshown" in row and clock.now() < float(row["unshown"]) + _URGENT_SECONDS


def end(row: Row) -> None:
    """Take a closed request out of the poller's index, unless it has got another message since `row` was read."""
    unchanged = "urgent = :urgent" if "urgent" in row else "attribute_not_exists(urgent)"
    values = {"urgent": row["urgent"]} if "urgent" in row else {}
    try:
        condition = f"attribute_exists(PK) AND {unchanged} AND NOT #state IN (:pending, :decided)"
        states = {"pending": approvals.PENDING, "decided": approvals.DECIDED}
        key = keys.approval(str(row["approval_id"]))
        table.update(key, "REMOVE index_pk, index_sk, unshown", condition, **values, **states)
    except ConditionFailedError:
        return


def current(row: Row) -> list[Row]:
    """Return the messages that are still urgent, the oldest first."""
    return [one for one in row.get("urgent") or () if clock.now() < float(one["at"]) + _URGENT_SECONDS]
