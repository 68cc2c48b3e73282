"""Make the private security channel if none is configured, and invite the approvers and the response team.

A request or an alert without a case would otherwise be in no channel. The ledger knows the channel's id once all
members were invited. After a crash before that, the next run finds the channel by its name and creator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.sync import approvers, channel, members

# The condition of a write fails if another run has replaced the channel meanwhile.
_ERRORS = (IrRouterError, ClientError, BotoCoreError, ConditionFailedError)
_PURPOSE = "ir-router posts approval requests and alerts here. Its members are the approvers and the response team."


def ensure(slack: Slack) -> None:
    """Make the security channel unless one is known. A failure is logged; the next request or poll retries.

    Without approvers and response team there is no channel, because it would have no members.
    """
    try:
        if not security_channel.known_id():
            _make(slack)
    except _ERRORS as error:
        logger.warning("security_channel.not_made: the next poll retries", extra={"reason": _reason(error)})


def synchronise(deadline: Deadline) -> None:
    """Make the channel, invite new approvers, and replace a channel that the app can no longer use."""
    if settings().security_channel_id:
        return
    slack = Slack(deadline)
    try:
        channel_id = security_channel.known_id()
        if channel_id and not _is_usable(slack, channel_id):
            logger.error("security_channel.replaced: the app cannot use it", extra={"channel": channel_id})
            table.delete(keys.security_channel(), "channel_id = :old", old=channel_id)
            channel_id = ""
        if not channel_id:
            _make(slack)
            return
        row = table.get(keys.security_channel()) or {}
        before: Sequence[str] = row.get("invited") or ()
        if new := [user_id for user_id in _people(slack) if user_id not in before]:
            invited = [*before, *approvers.invite(slack, channel_id, new)]
            _remember(channel_id, invited)
    except _ERRORS as error:
        logger.warning("security_channel.not_synchronised: the next check retries", extra={"reason": _reason(error)})


def _remember(channel_id: str, invited: Sequence[str]) -> None:
    table.update(
        keys.security_channel(), "SET invited = :invited", "channel_id = :id", invited=list(invited), id=channel_id
    )


def _make(slack: Slack) -> None:
    people = _people(slack)
    if not people:
        logger.warning("security_channel.not_made: there are no approvers and no response team")
        return
    claim = claims.take(keys.security_channel(), settle_after=slack.deadline.settle_after)
    if not isinstance(claim, Claim):
        return  # another run makes it
    channel_id = str(claim.row.get("channel_id") or "")
    if not channel_id:
        channel_id = str(_created(slack, claim)["id"])
        claims.note(claim, channel_id=channel_id)
    try:
        slack.read("conversations.setPurpose", channel=channel_id, purpose=_PURPOSE)
    except RefusedError as error:
        # A policy of the workspace can forbid it. The next check replaces a channel that is gone.
        logger.warning("security_channel.purpose_rejected: it is used without one", extra={"code": error.code})
    claims.confirm(claim, channel_id=channel_id, invited=approvers.invite(slack, channel_id, people))
    logger.info("security_channel.made", extra={"channel": channel_id})


def _created(slack: Slack, claim: Claim) -> dict[str, Any]:
    """Return the channel, or the one of an earlier attempt. Raises the gateway's errors."""
    names = channel.names(settings().security_channel_name, "")
    try:
        return (_own(slack, names) if claim.must_look else None) or _create(slack, names)
    except (RefusedError, RetryLaterError, OutOfTimeError):  # out of time: before it was sent, or after a 429
        claims.refused(claim)
        raise
    except UncertainError:
        claims.unanswered(claim, slack.deadline.settled_from_now)
        raise


def _create(slack: Slack, names: Sequence[str]) -> dict[str, Any]:
    """Return a channel with the first name that is free, or that the app's own channel has."""
    for name in names:
        try:
            created: dict[str, Any] = slack.post("conversations.create", name=name, is_private=True)["channel"]
        except RefusedError as error:
            if error.code != "name_taken":
                raise
            own = _own(slack, [name])
            if own is not None:
                return own
            logger.warning("security_channel.name_taken: trying the next name", extra={"channel_name": name})
            continue
        return created
    raise RefusedError("Slack", "conversations.create", "name_taken")


def _own(slack: Slack, names: Sequence[str]) -> dict[str, Any] | None:
    """Return an unarchived private channel that this bot created under one of the names."""
    bot = slack.read("auth.test")["user_id"]
    found = {
        str(one["name"]): one
        for one in slack.pages("users.conversations", "channels", types="private_channel", exclude_archived=True)
        if one.get("name") in names and one.get("creator") == bot
    }
    return next((found[name] for name in names if name in found), None)


def _is_usable(slack: Slack, channel_id: str) -> bool:
    try:
        found = slack.read("conversations.info", channel=channel_id)["channel"]
    except RefusedError as error:
        if error.code != "channel_not_found":
            raise
        return False
    return not found.get("is_archived") and found.get("is_member") is not False


def _people(slack: Slack) -> list[str]:
    """Return the Slack ids of the approvers and of the response team, each once."""
    team = [person.email for person in members.response_team()]
    return list(dict.fromkeys(approvers.user_ids(slack, [*settings().approvers, *team])))


def _reason(error: Exception) -> str:
    """Return the message of ir-router's own errors, and the type of others: their text may be sensitive."""
    return str(error) if isinstance(error, IrRouterError) else type(error).__name__
