"""Tie the audit's chains together, and send the newest hash by e-mail once a day.

No permission in the account reaches an e-mail: neither one to write logs nor one to change the table. Each hash of the
main chain covers all records before it, and the records of the other chains that it ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.workflow import audit_export, notices

_KEPT_SECONDS = 400 * 86_400


def run_task(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Tie the chains, send the hash once a day if there are new records, and export complete days.

    Returns:
        `sent`: the hash; None if there was nothing to send. `exported`: the keys of the objects (`audit_export`).

    Raises:
        AuditDamagedError: The head of a chain is missing or incomplete.
    """
    audit.tie()
    return {"sent": _send(), "exported": audit_export.run()}


def _send() -> str | None:
    head = table.get(keys.audit_head()) or {}
    sent = table.get(keys.deduplication("AUDIT-WITNESS")) or {}
    day, found = f"{clock.utc_now():%Y-%m-%d}", head.get("chain_hash")
    if not found or sent.get("day") == day or sent.get("hash") == found:
        return None
    place = f"{head['month']}, record {head['sequence']}"
    text = (
        f"The audit of ir-router ends with this hash:\n\n{found}\n({place})\n\n"
        "Keep this e-mail. If the record in the ledger has another hash, someone changed the audit. `ir-router audit` "
        "verifies the records up to this one."
    )
    # A crash between the two sends the e-mail again, with the same alert id.
    subject = f"KEEP this e-mail: audit of ir-router on {day}"
    notices.mail(Alert(f"audit-{head['month']}-{head['sequence']}", "LOW", subject, text))
    row = {"day": day, "hash": found, "expires_at": int(clock.now()) + _KEPT_SECONDS}
    table.put(keys.deduplication("AUDIT-WITNESS"), row)
    return str(found)
