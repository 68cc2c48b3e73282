"""Create the case's channel once. Find it again after a crash or a change of its id, and replace a deleted one.

Slack has no idempotency key for channels, so a channel of ir-router is recognised by its name and creator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row, TransactionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import credentials, error_codes
from ir_router.sync import channel_pace, system_comments
from ir_router.sync.case_sync import CaseSync

NAME_LENGTH = 80
# The rows of the first messages of a channel: its notice, and the members with their announcements.
_BEGINNING = frozenset({"NOTE#notice", "NOTE#closed-to-messages"})
_OF_MEMBERS = ("MEMBER#", "NOTE#members-")
# Another channel may have the name already. An archived channel keeps its name forever.
_NAMES_TRIED = 9
# Slack's error code -> why the channel is unavailable.
_REASONS = {"is_archived": "archived", "is_inactive": "archived", "channel_not_found": "not visible"}
# More deletions than this are deliberate.
_MOST_REPLACEMENTS = 3

_MISSED = "ir-router then copies the missed updates."
# Reason -> the state, and the fix.
_UNAVAILABLE: Mapping[str, tuple[str, str]] = {
    "archived": ("the channel is archived", f"Unarchive the channel. {_MISSED}"),
    "not a member": ("the app is not in the channel", f"Invite the app to the channel again. {_MISSED}"),
    "not visible": (
        "the app cannot see its private channel",
        f"Invite the app to the channel again. {_MISSED} If the channel was deleted, use the case in the AWS console.",
    ),
    "deleted": (
        "the channel was deleted",
        "ir-router creates a new channel. If new ones are deleted too, it stops. Then use the case in the AWS console.",
    ),
}


class ChannelUnavailableError(IrRouterError):
    """The case's channel cannot be used. `reason` is a key of `_UNAVAILABLE`; `fix` is the action for a reader."""

    def __init__(self, reason: str) -> None:
        """Store the reason, which selects the fix in the report."""
        state, self.fix = _UNAVAILABLE[reason]
        super().__init__(state)
        self.reason = reason


def as_unavailable(error: Exception, case_row: Row) -> Exception:
    """Return Slack's rejection of a call on an unavailable channel as ChannelUnavailableError, and others unchanged."""
    if not isinstance(error, RefusedError) or error.service != "Slack" or error.code not in error_codes.UNAVAILABLE:
        return error
    reason = _REASONS.get(error.code, "not a member")
    return ChannelUnavailableError("deleted" if reason == "not visible" and _is_public(case_row) else reason)


def names(prefix: str, case_id: str) -> Sequence[str]:
    """Return the names to try, in order: lower case, at most 80 of the characters that Slack allows."""
    base = re.sub(r"[^a-z0-9_-]", "-", f"{prefix}{case_id}".lower())
    endings = ["", *(f"-{number}" for number in range(2, _NAMES_TRIED + 1))]
    return [base[: NAME_LENGTH - len(ending)] + ending for ending in endings]


def ensure(sync: CaseSync) -> dict[str, Any]:
    """Return the channel as Slack describes it, and set `sync.channel_id`. Create the channel if there is none.

    A channel whose id changed is found again. A channel that was certainly deleted is replaced.

    Raises ChannelUnavailableError if the channel was archived, or the app was removed from it.
    """
    if not sync.channel_id:
        made = _make(sync, keys.note(sync.case_id, "channel"))
        sync.channel_id = str(made["id"])
        if "topic" in made:
            return made
    try:
        channel: dict[str, Any] = sync.slack.read("conversations.info", channel=sync.channel_id)["channel"]
    except RefusedError as error:
        unavailable = as_unavailable(error, sync.lease.row)
        if error.code != "channel_not_found":
            raise unavailable from error
        return _found_again(sync) or _replaced(sync, unavailable)
    if channel.get("is_archived"):
        raise ChannelUnavailableError("archived")
    if channel.get("is_member") is False:
        raise ChannelUnavailableError("not a member")
    return channel


def _is_public(case_row: Row) -> bool:
    """Return whether everyone can see the channel. Rows of earlier versions do not store it."""
    return str(case_row.get("channel_visibility") or settings().channel_visibility) == "public"


def _found_again(sync: CaseSync) -> dict[str, Any] | None:
    """Return the channel under its new id, after moving all rows to it; None if there is none.

    Slack gives a channel a new id, for example when it is shared with another company
    (https://docs.slack.dev/reference/events/channel_id_changed).
    """
    old = sync.channel_id
    moved_to = str((table.get(keys.channel(old)) or {}).get("moved_to") or "")
    if moved_to:
        sync.channel_id = moved_to
        found: dict[str, Any] | None = _described(sync)
    else:
        wanted = [str(sync.lease.row.get("slackChannelName") or ""), *names(credentials.channel_prefix(), sync.case_id)]
        found = _own(sync, wanted, other_than=old)
    if found is None:
        return None
    new = str(found["id"])
    for row in sync.rows.values():
        if row.get("channel_id") == old and row["SK"] != keys.case(sync.case_id).sk:
            row["channel_id"] = new
            table.update(Key(row["PK"], row["SK"]), "SET channel_id = :new", new=new)
    table.put(keys.channel(old), {"case_id": sync.case_id, "moved_to": new})
    table.put(keys.channel(new), {"case_id": sync.case_id})
    # Messages under the new id may have come before it was known. Stored last: until then a later run starts again.
    known = {"slackChannelId": new, "channel_id": new, "slackChannelName": str(found.get("name", ""))}
    leases.save(sync.lease, channel_away_since=clock.now(), **known)
    sync.channel_id = new
    logger.warning("channel.id_changed: the case's rows have the new id", extra={"old": old, "new": new})
    return found


def _replaced(sync: CaseSync, unavailable: Exception) -> dict[str, Any]:
    """Create a new channel in place of a deleted one, and let it begin with the notice and the invitations.

    Raises `unavailable` if the channel may still exist, the case is closed, or too many channels were deleted.
    """
    old = sync.channel_id
    is_deleted = _is_public(sync.lease.row) or bool((table.get(keys.channel(old)) or {}).get("deleted"))
    count = int(sync.lease.row.get("channels_replaced") or 0)
    if not is_deleted or sync.case.is_closed or count >= _MOST_REPLACEMENTS:
        raise unavailable
    for sk, row in list(sync.rows.items()):
        if sk in _BEGINNING or sk.startswith(_OF_MEMBERS):
            table.delete(Key(row["PK"], sk))
            del sync.rows[sk]
    key = keys.note(sync.case_id, f"channel-instead-of-{old}")
    made = _make(sync, key, other_than=old, channels_replaced=count + 1)
    sync.channel_id = str(made["id"])
    name = str(made.get("name") or sync.lease.row.get("slackChannelName") or sync.channel_id)
    system_comments.write(
        sync.case_id,
        f"channel-instead-of-{old}",
        f"The Slack channel of this case was deleted. Slack channel #{name} replaces it, with the same members.",
    )
    return made if "topic" in made else _described(sync)


def _described(sync: CaseSync) -> dict[str, Any]:
    try:
        channel: dict[str, Any] = sync.slack.read("conversations.info", channel=sync.channel_id)["channel"]
    except RefusedError as error:
        raise as_unavailable(error, sync.lease.row) from error
    return channel


def _make(sync: CaseSync, key: Key, other_than: str = "", **more: object) -> dict[str, Any]:
    """Create the channel and return Slack's description, or only its id if an earlier run created it.

    Args:
        sync: The synchronisation of the case.
        key: The claim of the channel.
        other_than: The id of a deleted channel, which Slack may still list.
        more: Further attributes of the case's row to set.
    """
    claim = sync.claim(key)
    if claim is None:
        return {"id": (sync.row(key) or {})["channel_id"]}
    wanted = names(credentials.channel_prefix(), sync.case_id)
    found = _own(sync, wanted, other_than) if claim.must_look else None
    try:
        channel, is_new = (found, False) if found is not None else _create(sync, wanted, other_than)
    except (RefusedError, RetryLaterError, OutOfTimeError):  # out of time: before it was sent, or after a 429
        claims.refused(claim)
        raise
    except UncertainError:
        claims.unanswered(claim, sync.deadline.settled_from_now)
        raise
    known = {"slackChannelId": channel["id"], "channel_id": channel["id"], "slackChannelName": channel.get("name", "")}
    known |= {"channel_visibility": "private" if channel.get("is_private") else "public", **more}
    if not is_new:
        # Messages so far were sent while the channel belonged to no case, so their events were dropped.
        known["channel_away_since"] = float(channel.get("created") or clock.now())
    try:
        table.transact(
            [
                claims.confirm_item(claim, {"channel_id": channel["id"]}),
                table.put_item(keys.channel(str(channel["id"])), {"case_id": sync.case_id}),
                table.update_item(
                    keys.case(sync.case_id),
                    f"SET {', '.join(f'{attribute} = :{attribute}' for attribute in known)}",
                    "fence = :fence",
                    fence=sync.lease.fence,
                    **known,
                ),
            ]
        )
    except TransactionFailedError as error:
        if "ConditionalCheckFailed" not in error.reasons:  # other transactions held one of the rows
            raise RetryLaterError("DynamoDB", "TransactWriteItems", "TransactionConflict", 1.0) from error
        raise LeaseLostError(f"another run has taken the lease of case {sync.case_id}") from error
    sync.lease.row |= known
    return channel


def _create(sync: CaseSync, wanted: Sequence[str], other_than: str) -> tuple[dict[str, Any], bool]:
    """Return a channel with the first available name, and whether it is new. Raises the gateway's errors."""
    private = settings().channel_visibility == "private"
    for name in wanted:
        channel_pace.wait(sync)
        try:
            created: dict[str, Any] = sync.slack.post("conversations.create", name=name, is_private=private)["channel"]
        except RefusedError as error:
            if error.code != "name_taken":
                raise
            own = _own(sync, [name], other_than)
            if own is not None:
                return own, False
            logger.warning("channel.name_taken: trying the next name", extra={"channel_name": name})
            continue
        return created, True
    raise RefusedError("Slack", "conversations.create", "name_taken")


def _own(sync: CaseSync, wanted: Sequence[str], other_than: str = "") -> dict[str, Any] | None:
    """Return an unarchived channel with one of the names that this bot created and that no other case has."""
    bot = sync.slack.read("auth.test")["user_id"]
    found: dict[str, dict[str, Any]] = {
        str(channel["name"]): channel
        for channel in sync.slack.pages(
            "users.conversations", "channels", types="public_channel,private_channel", exclude_archived=True
        )
        if channel.get("name") in wanted and channel.get("creator") == bot and channel["id"] != other_than
    }
    for name in wanted:
        if name in found:
            owner = table.get(keys.channel(str(found[name]["id"])))
            if owner is None or owner.get("case_id") == sync.case_id:
                return found[name]
    return None
