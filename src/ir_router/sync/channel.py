"""The case's channel: made once, found again after a crash, adopted when an earlier run made it.

Slack gives channels no idempotency key; ours are known by name and creator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ir_router import clock
from ir_router.errors import (
    IrRouterError,
    LeaseLostError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    UncertainError,
)
from ir_router.ledger import claims, keys, table
from ir_router.ledger.table import TransactionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.sync.run import Run

NAME_LENGTH = 80
# A name may be taken by somebody else's channel, or by an archived one, which keeps its name for ever.
_NAMES_TRIED = 9
_GONE = frozenset({"channel_not_found", "not_in_channel"})


class ChannelUnavailableError(IrRouterError):
    """The case's channel cannot be used; `reason` is `archived` or `not a member`."""

    def __init__(self, reason: str) -> None:
        """Keep the reason apart, since people are told what to do by it."""
        super().__init__(f"the case's channel cannot be used: {reason}")
        self.reason = reason


def names(prefix: str, case_id: str) -> Sequence[str]:
    """The names to try, best first: lower case, at most 80 characters of those that Slack allows."""
    base = re.sub(r"[^a-z0-9_-]", "-", f"{prefix}{case_id}".lower())
    endings = ["", *(f"-{number}" for number in range(2, _NAMES_TRIED + 1))]
    return [base[: NAME_LENGTH - len(ending)] + ending for ending in endings]


def ensure(run: Run) -> dict[str, Any]:
    """The channel as Slack describes it, made if need be; sets `run.channel_id`.

    Raises ChannelUnavailableError when it was archived by hand or the bot was removed from it.
    """
    if not run.channel_id:
        made = _make(run)
        run.channel_id = str(made["id"])
        if "topic" in made:
            return made
    try:
        channel: dict[str, Any] = run.slack.read("conversations.info", channel=run.channel_id)["channel"]
    except RefusedError as error:
        if error.code in _GONE:
            raise ChannelUnavailableError("not a member") from error
        raise
    if channel.get("is_archived"):
        raise ChannelUnavailableError("archived")
    if channel.get("is_member") is False:
        raise ChannelUnavailableError("not a member")
    return channel


def _make(run: Run) -> dict[str, Any]:
    """The channel as Slack's answer has it; its id alone when an earlier run had made it."""
    key = keys.note(run.case_id, "channel")
    claim = run.claim(key)
    if claim is None:
        return {"id": (run.row(key) or {})["channel_id"]}
    wanted = names(credentials.channel_prefix(), run.case_id)
    found = _own(run, wanted) if claim.must_look else None
    try:
        channel, is_new = (found, False) if found is not None else _create(run, wanted)
    except (RefusedError, RetryLaterError, OutOfTimeError):  # out of time: before it was sent, or after a 429
        claims.refused(claim)
        raise
    except UncertainError:
        claims.unanswered(claim, run.deadline.settled_from_now)
        raise
    known = {"slackChannelId": channel["id"], "channel_id": channel["id"], "slackChannelName": channel.get("name", "")}
    if not is_new:
        # What people said in it until now, they said in a channel of no case.
        known["channel_away_since"] = float(channel.get("created") or clock.now())
    try:
        table.transact(
            [
                claims.confirm_item(claim, {"channel_id": channel["id"]}),
                table.put_item(keys.channel(str(channel["id"])), {"case_id": run.case_id}),
                table.update_item(
                    keys.case(run.case_id),
                    f"SET {', '.join(f'{attribute} = :{attribute}' for attribute in known)}",
                    "fence = :fence",
                    fence=run.lease.fence,
                    **known,
                ),
            ]
        )
    except TransactionFailedError as error:
        raise LeaseLostError(f"the lease of case {run.case_id} was taken over") from error
    run.lease.row |= known
    return channel


def _create(run: Run, wanted: Sequence[str]) -> tuple[dict[str, Any], bool]:
    """A channel with the first of the names that can be had, and whether it is new. Raises the gateway's errors."""
    private = settings().channel_visibility == "private"
    for name in wanted:
        try:
            created: dict[str, Any] = run.slack.post("conversations.create", name=name, is_private=private)["channel"]
        except RefusedError as error:
            if error.code != "name_taken":
                raise
            own = _own(run, [name])
            if own is not None:
                return own, False
            logger.warning("the channel's name is taken by another channel", extra={"channel_name": name})
            continue
        return created, True
    raise RefusedError("Slack", "conversations.create", "name_taken")


def _own(run: Run, wanted: Sequence[str]) -> dict[str, Any] | None:
    """A channel with one of the names that this bot created, that can be used, and that no other case has."""
    bot = run.slack.read("auth.test")["user_id"]
    found: dict[str, dict[str, Any]] = {
        str(channel["name"]): channel
        for channel in run.slack.pages(
            "users.conversations", "channels", types="public_channel,private_channel", exclude_archived=True
        )
        if channel.get("name") in wanted and channel.get("creator") == bot
    }
    for name in wanted:
        if name in found:
            owner = table.get(keys.channel(str(found[name]["id"])))
            if owner is None or owner.get("case_id") == run.case_id:
                return found[name]
    return None
