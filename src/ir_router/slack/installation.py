"""The app's own installation as Slack describes it: its workspace and its Enterprise Grid organisation.

`auth.test` is asked once in ten minutes, and only for requests and users of other workspaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.observability import identifier, logger
from ir_router.slack import credentials
from ir_router.slack.envelopes import Origin

_CACHE_SECONDS = 600


class Reader(Protocol):
    """The part of the gateway that is needed here."""

    def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that can be repeated without harm."""


@dataclass(frozen=True)
class Installation:
    """The ids of the app's installation. `enterprise_id` is empty outside of Enterprise Grid."""

    team_id: str
    enterprise_id: str


_cache: list[tuple[float, Installation]] = []
_teams: list[tuple[float, str]] = []
_refused: set[tuple[str, ...]] = set()


def own(slack: Reader) -> Installation:
    """Return the ids of the workspace and of the organisation to which the app's token belongs.

    Without an answer because of the token, the configured id is all that is known.
    """
    if _cache and _cache[0][0] > clock.now():
        return _cache[0][1]
    configured = credentials.workspace_id()
    try:
        answer = slack.read("auth.test")
    except RefusedError:
        return Installation(configured, configured if configured.startswith("E") else "")
    found = Installation(str(answer.get("team_id") or configured), str(answer.get("enterprise_id") or ""))
    _cache[:] = [(clock.now() + _CACHE_SECONDS, found)]
    return found


def team_id(slack: Reader) -> str:
    """Return the workspace for methods that work on one: the configured one, or the organisation's first with the app.

    Slack needs it for a token of an org-wide installation, and ignores it for others
    (https://docs.slack.dev/enterprise/developing-for-enterprise-orgs/).
    """
    configured = credentials.workspace_id()
    if not configured.startswith("E"):
        return configured
    if not _teams or _teams[0][0] <= clock.now():
        listed = slack.read("auth.teams.list").get("teams") or []
        _teams[:] = [(clock.now() + _CACHE_SECONDS, str(listed[0]["id"]) if listed else own(slack).team_id)]
    return _teams[0][1]


def is_colleague(slack: Reader, team_id: object, enterprise_id: object) -> bool:
    """Return whether a user of this workspace and organisation belongs to the app's workspace or organisation.

    Args:
        slack: The gateway.
        team_id: The user's workspace. On Enterprise Grid it may be the organisation.
        enterprise_id: The user's organisation, if Slack named one.
    """
    home = credentials.workspace_id()
    if home in (team_id, enterprise_id):
        return True
    installed = own(slack)
    known = {home, installed.team_id, installed.enterprise_id} - {""}
    return team_id in known or enterprise_id in known


def log_refused(origin: Origin) -> None:
    """Log the ids of a request for another installation, once, so that a wrong setting can be found."""
    ids = tuple(sorted(identifier(name) for name in origin.ids))
    if ids not in _refused:
        _refused.add(ids)
        logger.error("slack.other_workspace_refused: the request belongs to another installation", extra={"of": ids})


def forget() -> None:
    """Drop the cached ids. Tests change the workspace."""
    _cache.clear()
    _teams.clear()
    _refused.clear()
