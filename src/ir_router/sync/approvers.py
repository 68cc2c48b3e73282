"""Find the approvers in Slack, mention them, and invite them to the channels that show approval requests.

Users press a button only in a channel of which they are members.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ir_router.errors import RefusedError
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.sync import members

# Slack's errors for users who need no invitation: members, and the app itself.
_PRESENT = frozenset({"already_in_channel", "cant_invite_self"})
_MOST = 30
HERE = "<!here>"
"""Notifies the active members of a channel."""


def invite_configured(slack: Slack, channel_id: str) -> None:
    """Invite the users in `slack_approvers`. The response team is invited as members of the case."""
    invite(slack, channel_id, user_ids(slack, settings().approvers))


def invite(slack: Slack, channel_id: str, people: Iterable[str]) -> list[str]:
    """Invite users and return those who are in the channel now. The others are logged and do not stop the rest."""
    present: list[str] = []
    for number, user_id in enumerate(people):
        if number >= _MOST:
            logger.warning("approval.approvers_not_invited: there are too many approvers", extra={"most": _MOST})
            break
        try:
            slack.read("conversations.invite", channel=channel_id, users=user_id)
        except RefusedError as error:
            if error.code not in _PRESENT:
                details = {"slack_user_id": user_id, "code": error.code}
                logger.warning("approval.approver_not_invited: Slack rejected the invitation", extra=details)
                continue
        present.append(user_id)
    return present


def mentions(slack: Slack, row: Row | None = None) -> list[str]:
    """Return the mentions of the users and groups in `slack_mention`, by default the approvers.

    Args:
        slack: The gateway.
        row: The approval request. Without configured approvers, the response team at its time is mentioned.
    """
    found: list[str] = []
    for who in settings().mention:
        if who == "approvers":
            found += _of_approvers(slack, row)
        elif who == "here":
            found.append(HERE)
        else:
            found += _mentions_of(slack, [who])
    return list(dict.fromkeys(found))


def _of_approvers(slack: Slack, row: Row | None) -> list[str]:
    if configured := settings().approvers:
        return _mentions_of(slack, configured)
    if row is None:
        return _mentions_of(slack, [person.email for person in members.response_team()])
    return [f"<@{who}>" for who in row.get("approvers") or () if "@" not in who]


def _mentions_of(slack: Slack, people: Sequence[str]) -> list[str]:
    groups = [f"<!subteam^{who}>" for who in people if who.startswith("S") and "@" not in who]
    return [*groups, *(f"<@{user_id}>" for user_id in user_ids(slack, people, groups=False))]


def user_ids(slack: Slack, people: Iterable[str], *, groups: bool = True) -> Iterator[str]:
    """Yield the Slack ids of users, members of user groups (`groups`) and e-mail addresses. Unknown ones are logged."""
    for who in people:
        try:
            if "@" in who:
                yield str(slack.read("users.lookupByEmail", email=who)["user"]["id"])
            elif who.startswith("S"):
                yield from (slack.read("usergroups.users.list", usergroup=who).get("users") or ()) if groups else ()
            else:
                yield who
        except RefusedError as error:
            logger.warning("approval.approver_not_found", extra={"code": error.code})
