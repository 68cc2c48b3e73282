"""The id of the security channel: the configured one, or the one that ir-router made (`security_channel_made`)."""

from __future__ import annotations

from ir_router.ledger import keys, table
from ir_router.ledger.table import Row
from ir_router.settings import settings


def known_id() -> str:
    """Return the id of the security channel; empty while there is none."""
    return settings().security_channel_id or id_in(table.get(keys.security_channel()))


def id_in(row: Row | None) -> str:
    """Return the id of the security channel, from the row of the one that ir-router made; empty while there is none."""
    if configured := settings().security_channel_id:
        return configured
    return str(row["channel_id"]) if row and row.get("state") == "done" else ""
