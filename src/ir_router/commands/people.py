"""The user of a command: their data in Slack and on the case, and their permission to change the case."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.commands import permissions, rendering
from ir_router.commands.command import Command, NotPermittedError
from ir_router.commands.permissions import Decision, Requester
from ir_router.errors import RefusedError
from ir_router.ledger import audit
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import error_codes, identity, installation
from ir_router.slack.gateway import Slack
from ir_router.sync import members

_GROUP_CACHE_SECONDS = 300

_groups: dict[str, tuple[float, frozenset[str]]] = {}


def require_may_change(command: Command, watchers: Iterable[Person], *, as_watcher: bool = True) -> None:
    """Raise NotPermittedError, with the specification's text, unless the user may change the case.

    Args:
        command: The command.
        watchers: The watchers of the case. Only those with an address in `watcher_domains` may change it.
        as_watcher: Whether watchers may make this change, as well as the response team and the editors.
    """
    allowed = members.invited_watchers(list(watchers)) if as_watcher else []
    _require(command, decide(command, allowed), rendering.not_permitted())


def require_may_create(command: Command) -> None:
    """Raise NotPermittedError unless the user may open cases, as the response team and the editors may."""
    _require(command, decide(command, ()), rendering.may_not_create())


def _require(command: Command, decision: Decision, refusal: str) -> None:
    if decision.allowed:
        return
    record_refusal(command, decision.reason.value)
    raise NotPermittedError(refusal)


def record_refusal(command: Command, reason: str) -> None:
    """Record in the audit that the user's command was refused."""
    details = {
        "command": command.name,
        "reason": reason,
        "case_id": command.case_id or None,
        "channel_id": command.channel_id,
        "slack_user_id": command.user_id,
    }
    audit.append("command_refused", command.identity, details, once=f"command/{command.id}")
    shown = {"command": command.name, "reason": reason}
    logger.warning("command.not_permitted: the audit has the attempt", extra=shown)


def decide(command: Command, watchers: Iterable[Person]) -> Decision:
    """Decide whether the user may change a case with these watchers."""
    editors = settings().case_editors
    return permissions.decide(
        requester(command),
        watchers=[person.email for person in watchers],
        response_team=[person.email for person in members.response_team()],
        editors=editors,
    )


def requester(command: Command, listed: Collection[str] | None = None) -> Requester:
    """Return the user's data from Slack, at most some minutes old.

    Args:
        command: The command.
        listed: The list whose user groups (S...) are looked up. Default: the configured case editors.
    """
    listed = settings().case_editors if listed is None else listed
    user = command.names.user(command.user_id)
    groups = [name for name in listed if name.startswith("S") and "@" not in name]
    return Requester(
        user_id=command.user_id,
        email=identity.confirmed_email(user),
        is_person=bool(user) and not user.get("deleted") and not user.get("is_bot"),
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=_is_stranger(user, command.slack),
        groups=frozenset(group for group in groups if command.user_id in _members(command.slack, group)),
    )


def _is_stranger(user: dict[str, Any], slack: Slack) -> bool:
    """Return whether the user belongs to another organisation. Enterprise Grid workspaces share one organisation."""
    if user.get("is_stranger"):
        return True
    organisation = (user.get("enterprise_user") or {}).get("enterprise_id")
    return user.get("team_id") is not None and not installation.is_colleague(slack, user["team_id"], organisation)


def _members(slack: Slack, group: str) -> frozenset[str]:
    """Return the members of a user group, cached for five minutes; none when Slack rejects the call."""
    kept = _groups.get(group)
    if kept and kept[0] > clock.now():
        return kept[1]
    try:
        users = frozenset(slack.read("usergroups.users.list", usergroup=group).get("users") or [])
    except RefusedError as error:
        details = {"group": group, "code": error.code}
        logger.warning("slack.user_group_unreadable: its members get no permission", extra=details)
        users = frozenset()
        if error_codes.meaning(error.code).about == "app":
            return users  # not cached: an operator can add the scope
    _groups[group] = (clock.now() + _GROUP_CACHE_SECONDS, users)
    return users


def forget_groups() -> None:
    """Drop the cached groups. Tests change them."""
    _groups.clear()
