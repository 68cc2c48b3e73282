"""Name a Slack user so that no other user can have the same name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.slack.text import one_line, shorten

_NAME_LENGTH = 80
_ADDRESS_LENGTH = 100


def confirmed_email(user: Mapping[str, Any]) -> str | None:
    """Return the address in Slack's data of a user; None if Slack has not confirmed that it is theirs."""
    if user.get("is_email_confirmed") is False:
        return None
    return str((user.get("profile") or {}).get("email") or "")


def identified(name: str, address: str | None, user_id: str) -> str:
    """Return `Name (address, Slack user id)` on one line, without the parts that are unknown.

    Users choose their names, so a name can end like an address and an id. The last parentheses are ir-router's.
    """
    shown = shorten(one_line(name), _NAME_LENGTH)
    known = ", ".join(filter(None, (shorten(one_line(address or ""), _ADDRESS_LENGTH), user_id)))
    return f"{shown} ({known})" if known and shown != user_id else shown or user_id
