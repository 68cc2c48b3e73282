"""Invite the approvers to the channel of a case whose approval request they could not see elsewhere, or mention them.

Users press a button only in a channel of which they are members. Without a security channel, an approver who neither
watches the case nor belongs to the response team would never see the request.
"""

from __future__ import annotations

from collections.abc import Iterator

from ir_router.errors import RefusedError
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack

# Slack's errors for users who need no invitation: members, and the app itself.
_PRESENT = frozenset({"already_in_channel", "cant_invite_self"})
_MOST = 30


def invite(slack: Slack, channel_id: str) -> None:
    """Invite the configured approvers. A user who cannot be invited is logged and does not stop the others."""
    for number, user_id in enumerate(_user_ids(slack)):
        if number >= _MOST:
            logger.warning("approval.approvers_not_invited: there are too many approvers", extra={"most": _MOST})
            return
        try:
            slack.read("conversations.invite", channel=channel_id, users=user_id)
        except RefusedError as error:
            if error.code not in _PRESENT:
                details = {"slack_user_id": user_id, "code": error.code}
                logger.warning("approval.approver_not_invited: Slack rejected the invitation", extra=details)


def mentions(slack: Slack, row: Row) -> list[str]:
    """Return the mentions of the configured approvers, or else of the response team when the request was made."""
    if settings().approvers:
        groups = [f"<!subteam^{who}>" for who in settings().approvers if who.startswith("S")]
        return [*groups, *(f"<@{user_id}>" for user_id in _user_ids(slack, groups=False))]
    return [f"<@{who}>" for who in row.get("approvers") or () if "@" not in who]


def _user_ids(slack: Slack, *, groups: bool = True) -> Iterator[str]:
    """Yield the user ids of the configured approvers: users, members of user groups (`groups`), e-mail addresses."""
    for who in settings().approvers:
        try:
            if "@" in who:
                yield str(slack.read("users.lookupByEmail", email=who)["user"]["id"])
            elif who.startswith("S"):
                members = slack.read("usergroups.users.list", usergroup=who).get("users") if groups else ()
                yield from members or ()
            else:
                yield who
        except RefusedError as error:
            logger.warning("approval.approver_not_found", extra={"code": error.code})
