"""The task "verify_audit"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ir_router.ledger import audit_verification


def verify_audit(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Verify the chain of the audit log. If it is broken, `verified` is False and `broken` names the first bad link."""
    result = audit_verification.verify()
    broken = asdict(result.broken) if result.broken else None
    return {
        "verified": broken is None,
        "records": result.records,
        "first_at": result.first_at,
        "last_at": result.last_at,
        "broken": broken,
    }
