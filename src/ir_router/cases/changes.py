"""The changes of a case that ir-router announces, and who made them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ir_router.cases.followed_fields import FOLLOWED
from ir_router.cases.models import CaseEdit


def digest(value: Any) -> str:
    """A short, stable hash of anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def changed_by(edits: Iterable[CaseEdit]) -> str | None:
    """Return the principal of the last change of the case itself. `edits` are sorted, the oldest first.

    The API's actions are free texts. Those of comments and attachments contain these words.
    """
    principals = [
        edit.principal
        for edit in edits
        if edit.principal and not any(word in (edit.action or "").casefold() for word in ("comment", "attachment"))
    ]
    return principals[-1] if principals else None


@dataclass(frozen=True)
class FieldChange:
    """A change of a followed field.

    Attributes:
        name: The ledger's attribute.
        label: The field's name in messages.
        before: The old value as messages show it.
        after: The new value as messages show it.
        value: The new value as the API returns it.
    """

    name: str
    label: str
    before: str
    after: str
    value: str


def differences(before: Mapping[str, Any], after: Mapping[str, str]) -> list[FieldChange]:
    """Return the changes in the order of announcements. A field that one side lacks is not a change."""
    return [
        FieldChange(name, field.label, field.show(str(before[name])), field.show(after[name]), after[name])
        for field in FOLLOWED
        if (name := field.attribute) in before and name in after and str(before[name]) != after[name]
    ]


def not_stored(before: Mapping[str, Any], after: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the followed fields that the ledger does not have yet."""
    return {name: value for name, value in after.items() if name not in before}
