"""Decide who may change a case from Slack. Pure.

The case's watchers, the membership's incident response team and the configured editors may. Guests and users of other
organisations (Slack Connect) may not, even if a list names them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a user may or may not change a case. The audit stores the value."""

    WATCHER = "watcher"
    RESPONSE_TEAM = "response_team"
    EDITOR = "editor"
    NOT_A_PERSON = "not_a_person"
    STRANGER = "stranger"
    GUEST = "guest"
    NOT_LISTED = "not_listed"


@dataclass(frozen=True)
class Requester:
    """A user's data from Slack.

    `email` is set only if Slack has confirmed it. `groups` are user group ids (S...). `is_person` is false for bots,
    deactivated accounts and unknown ids. `is_stranger` is true for users of another organisation.
    """

    user_id: str
    email: str | None
    is_person: bool
    is_guest: bool
    is_stranger: bool
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """The decision with its reason."""

    allowed: bool
    reason: Reason


def decide(
    requester: Requester, *, watchers: Collection[str], response_team: Collection[str], editors: Collection[str]
) -> Decision:
    """Decide whether the user may change a case. E-mail addresses are compared without regard to letter case.

    Args:
        requester: The user.
        watchers: E-mail addresses.
        response_team: E-mail addresses.
        editors: User ids (U..., W...), user group ids (S...) or e-mail addresses.
    """
    if not requester.is_person:
        return Decision(allowed=False, reason=Reason.NOT_A_PERSON)
    if requester.is_stranger:
        return Decision(allowed=False, reason=Reason.STRANGER)
    if requester.is_guest:
        return Decision(allowed=False, reason=Reason.GUEST)
    if _names(watchers, requester.email):
        return Decision(allowed=True, reason=Reason.WATCHER)
    if _names(response_team, requester.email):
        return Decision(allowed=True, reason=Reason.RESPONSE_TEAM)
    if requester.user_id in editors or requester.groups.intersection(editors) or _names(editors, requester.email):
        return Decision(allowed=True, reason=Reason.EDITOR)
    return Decision(allowed=False, reason=Reason.NOT_LISTED)


def _names(addresses: Collection[str], email: str | None) -> bool:
    return bool(email) and str(email).casefold() in {address.casefold() for address in addresses}
