"""The id of the security channel: the configured one, or the one that ir-router made (`security_channel_made`)."""

from __future__ import annotations

from ir_router.ledger import keys, table
from ir_router.settings import settings


def known_id() -> str:
    """Return the id of the security channel; empty while there is none."""
    if configured := settings().security_channel_id:
        return configured
    row = table.get(keys.security_channel()) or {}
    return str(row["channel_id"]) if row.get("state") == "done" else ""
