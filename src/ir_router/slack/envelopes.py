"""Read from Slack's requests which installation of the app they belong to. Pure; the webhook imports this module.

The rules are those of Slack's own library (slack_bolt, `request/internals.py`). In a channel that several workspaces
share, the outer team of a request may be the sender's. The authorizations of an event and the `app_installed_team_id`
of a form name the installation: https://docs.slack.dev/apis/events-api#authorizations
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """The installation that a request names.

    Attributes:
        ids: Workspace and organisation ids; one of them must be the configured id.
        enterprise_id: The organisation of the user, or an empty string.
        is_certain: Whether Slack names the installation itself. If not, `ids` may be those of the user.
    """

    ids: frozenset[str]
    enterprise_id: str
    is_certain: bool


def of_event(payload: Mapping[str, Any]) -> Origin:
    """Return the origin of an event. Its authorizations count, and without them the outer ids."""
    authorizations = payload.get("authorizations")
    named = [one for one in authorizations if isinstance(one, Mapping)] if isinstance(authorizations, list) else []
    ids = [one.get(name) for one in named for name in ("team_id", "enterprise_id")]
    # An org-wide installation names only its organisation. The context is then the workspace that sees the event.
    if not any(one.get("team_id") for one in named):
        ids += [payload.get("context_team_id"), payload.get("team_id"), payload.get("enterprise_id")]
    return _origin(ids, payload.get("context_enterprise_id"), is_certain=True)


def of_command(form: Mapping[str, str]) -> Origin:
    """Return the origin of a slash command. Its ids are those of the workspace in which the user typed it."""
    return _origin([form.get("team_id"), form.get("enterprise_id")], form.get("enterprise_id"), is_certain=False)


def of_interaction(payload: Mapping[str, Any]) -> Origin:
    """Return the origin of a pressed button or a form. `team` is null in org-wide installations."""
    team, enterprise, view, user = (
        value if isinstance(value := payload.get(name), Mapping) else {}
        for name in ("team", "enterprise", "view", "user")
    )
    enterprise_id = enterprise.get("id") or team.get("enterprise_id")
    installed = view.get("app_installed_team_id")
    if isinstance(installed, str) and installed:
        # Slack names no organisation for it, so an organisation's own id counts as well.
        return _origin([installed, enterprise_id], enterprise_id, is_certain=True)
    team_id = team.get("id") or view.get("team_id") or user.get("team_id")
    return _origin([team_id, enterprise_id], enterprise_id, is_certain=False)


def _origin(ids: Iterable[object], enterprise_id: object, *, is_certain: bool) -> Origin:
    found = frozenset(name for name in ids if isinstance(name, str) and name)
    return Origin(found, enterprise_id if isinstance(enterprise_id, str) else "", is_certain)
