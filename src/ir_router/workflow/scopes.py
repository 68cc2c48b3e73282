"""Containments of which only the keys that events named are part (variable containment_scope). Pure.

`part` is a result of Immediate Containment or a row of the ledger: both have `principal`, `named_keys` and `scope`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def is_key_only(part: Mapping[str, Any]) -> bool:
    """Whether the owner of the keys is not contained."""
    return part.get("scope") == "key"


def covered_keys(row: Mapping[str, Any], others: Collection[str]) -> set[str]:
    """Return the keys that must stay disabled.

    Args:
        row: The row of the containment.
        others: Further keys of the principal that are disabled if the principal is contained.
    """
    return {*row["named_keys"], *(() if is_key_only(row) else others)}


def still_active(statuses: Mapping[str, str], named: Collection[str]) -> list[str]:
    """Return the owner's active keys that no event named."""
    return sorted(key for key, status in statuses.items() if status == "Active" and key not in named)
