"""The containment mode that counts for an account: the more careful one of the hub's and the account's own."""

from __future__ import annotations

from typing import NamedTuple

from ir_router.settings import settings
from ir_router.workflow import accounts, sessions

_CAREFUL = ("off", "dry_run", "enforce")


class Mode(NamedTuple):
    """A mode. `whose`: the account that sets it, as the end of a phrase; empty if the account agrees with the hub."""

    name: str
    whose: str


def of(account: str) -> Mode:
    """Return the mode for an account. Raises `sessions.NoRoleError` if another account than the hub has no role."""
    hub: str = settings().containment_mode
    if account in ("", sessions.own_account()):
        return Mode(hub, "")
    tagged = sessions.mode_of(account)
    own = tagged if tagged in _CAREFUL else "dry_run"
    if own == hub:
        return Mode(hub, "")
    if _CAREFUL.index(own) < _CAREFUL.index(hub):
        return Mode(own, f" in {accounts.of(account).shown}")
    return Mode(hub, " in the account of ir-router")
