"""The credentials of contained principals, as the approval request has them for the reading of their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_router.workflow import scopes


def of(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the credentials of each containment row (`ledger/activity.py` describes the attributes)."""
    return [_of(part) for part in parts if "contained_at" in part]


def _of(part: Mapping[str, Any]) -> dict[str, Any]:
    principal, only_keys = part["principal"], scopes.is_key_only(part)
    known = {} if only_keys else part.get("recorded", {}).get("keys", {})
    contained_at = float(part["contained_at"])
    return {
        "arn": principal["arn"],
        "name": principal["name"],
        "kind": principal["kind"],
        "account": principal["account"],
        "keys": sorted({*part["named_keys"], *known}),
        "whole": not only_keys,
        "contained_at": contained_at,
        "since": min(float(part.get("suspicious_since") or contained_at), contained_at),
    }
