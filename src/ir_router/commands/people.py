"""Who asks: what Slack and the case say about a person, and whether they may change the case."""

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
from ir_router.slack.gateway import Slack
from ir_router.sync import members

_GROUP_KEPT_SECONDS = 300

_groups: dict[str, tuple[float, frozenset[str]]] = {}


def require_may_change(command: Command, watchers: Iterable[Person]) -> None:
    """Raises NotPermittedError, with the specification's words, unless the person may change the case."""
    _require(command, decide(command, watchers), rendering.not_permitted())


def require_may_create(command: Command) -> None:
    """Raises NotPermittedError unless the person may open cases: the response team and the editors may."""
    _require(command, decide(command, ()), rendering.may_not_create())


def _require(command: Command, decision: Decision, refusal: str) -> None:
    if decision.allowed:
        return
    details = {
        "command": command.name,
        "reason": decision.reason.value,
        "case_id": command.case_id or None,
        "channel_id": command.channel_id,
        "slack_user_id": command.user_id,
    }
    audit.append("command_refused", command.real_name, details, once=f"command/{command.id}")
    logger.warning("a command was not permitted", extra={"command": command.name, "reason": decision.reason.value})
    raise NotPermittedError(refusal)


def decide(command: Command, watchers: Iterable[Person]) -> Decision:
    """Whether the person may change a case with these watchers."""
    editors = settings().case_editors
    return permissions.decide(
        requester(command),
        watchers=[person.email for person in watchers],
        response_team=[person.email for person in members.response_team()],
        editors=editors,
    )


def requester(command: Command, listed: Collection[str] | None = None) -> Requester:
    """The person as Slack knows them, as of at most some minutes ago.

    `listed` names the people whose user groups (S...) count; None: the configured editors of cases.
    """
    listed = settings().case_editors if listed is None else listed
    user = command.names.user(command.user_id)
    profile = user.get("profile") or {}
    groups = [name for name in listed if name.startswith("S") and "@" not in name]
    return Requester(
        user_id=command.user_id,
        email=str(profile.get("email") or "") if user.get("is_email_confirmed") is not False else None,
        is_person=bool(user) and not user.get("deleted") and not user.get("is_bot"),
        is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        is_stranger=_is_stranger(user, command),
        groups=frozenset(group for group in groups if command.user_id in _members(command.slack, group)),
    )


def _is_stranger(user: dict[str, Any], command: Command) -> bool:
    """Of another organisation. On Enterprise Grid a colleague of another workspace is none."""
    if user.get("is_stranger"):
        return True
    if user.get("team_id") in (None, command.team_id, command.enterprise_id):
        return False
    organisation = (user.get("enterprise_user") or {}).get("enterprise_id")
    return not organisation or organisation != command.enterprise_id


def _members(slack: Slack, group: str) -> frozenset[str]:
    """The members of a user group, asked once in five minutes; none when Slack does not tell."""
    kept = _groups.get(group)
    if kept and kept[0] > clock.now():
        return kept[1]
    try:
        users = frozenset(slack.read("usergroups.users.list", usergroup=group).get("users") or [])
    except RefusedError as error:
        logger.warning("a user group of editors cannot be read", extra={"group": group, "code": error.code})
        users = frozenset()
    _groups[group] = (clock.now() + _GROUP_KEPT_SECONDS, users)
    return users


def forget_groups() -> None:
    """Drop what is kept (tests change the groups between cases)."""
    _groups.clear()
