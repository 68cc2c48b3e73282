"""Report changes of who may decide: the response team, the configured approvers and the members of their groups.

A change is recorded in the audit and posted to the security channel (`access_changes`).
"""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import keys, table
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.slack.text import escape, shorten
from ir_router.sync import access_changes, members

_LINE_LENGTH = 1_000


def check(deadline: Deadline) -> None:
    """Compare the approvers with those of the last check, and report a difference once."""
    slack = Slack(deadline)
    try:
        current = _current(slack)
        row = table.get(keys.known_approvers())
        known: Sequence[str] | None = (row or {}).get("approvers")
        if current is None or current == known:
            return
        number = int((row or {}).get("number") or 0) + 1
        if known is not None:
            added, removed = sorted(set(current) - set(known)), sorted(set(known) - set(current))
            _report(slack, number, added, removed)
        table.put(keys.known_approvers(), {"approvers": current, "number": number})
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.error("approvers.change_not_reported: the next check retries", extra={"error": type(error).__name__})


def _current(slack: Slack) -> list[str] | None:
    """Return who may decide, as text; None if the response team cannot be read."""
    configured = settings().approvers
    team = members.read_team()
    if not configured and not team.is_known:
        return None
    found = [who if "@" not in who else who.casefold() for who in configured]
    found += [] if configured else [person.email.casefold() for person in team.people]
    for group in (who for who in configured if who.startswith("S") and "@" not in who):
        found += [f"{user} (member of {group})" for user in group_members(slack, group)]
    return sorted(set(found))


def group_members(slack: Slack, group: str) -> Sequence[str]:
    """Return the ids of a user group's members; none if Slack rejects the call."""
    try:
        return [str(user) for user in slack.read("usergroups.users.list", usergroup=group).get("users") or []]
    except RefusedError as error:
        logger.warning("slack.user_group_unreadable: its members get no permission", extra={"code": error.code})
        return []


def _report(slack: Slack, number: int, added: Sequence[str], removed: Sequence[str]) -> None:
    logger.warning("approvers.changed", extra={"added": len(added), "removed": len(removed)})
    head = "⚠️ *The list of approvers changed.* If you did not expect this, find out who changed it."
    lines = [head]
    lines += [f"*Added*  {_listed(added)}. They cannot decide about requests that are already open."] if added else []
    lines += [f"*Removed*  {_listed(removed)}"] if removed else []
    details = {"added": list(added), "removed": list(removed)}
    access_changes.report(slack, "approvers_changed", str(number), details, lines)


def _listed(who: Sequence[str]) -> str:
    return escape(shorten(", ".join(who), _LINE_LENGTH))
