"""`/security-ir approvals`."""

from __future__ import annotations

from collections.abc import Set

from ir_router import clock
from ir_router.commands import approval_buttons, own_channels
from ir_router.commands.command import Answer, Command
from ir_router.errors import RefusedError
from ir_router.ledger import approvals as requests
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.slack.messages import sections
from ir_router.slack.text import escape, shorten, slack_date, utc
from ir_router.sync import approval_places

_SHOWN = 20
_LINE_LENGTH = 300


def execute_command(command: Command) -> Answer:
    """List the open requests with links."""
    head, lines = open_requests(command, own_channels.of(command))
    return Answer(head, sections([f"*{head}*", *lines])) if lines else Answer(head)


def open_requests(command: Command, channels: Set[str]) -> tuple[str, list[str]]:
    """Return a heading, and a line for each open request: all for an approver, for others those in their channels.

    Args:
        command: The command of the user.
        channels: The ids of the channels that the user shares with the app.
    """
    _requester, decision = approval_buttons.approver_decision(command)
    found = []
    for row in sorted(requests.open_approvals(), key=lambda row: float(row["decide_by"])):
        places = approval_places.posted(row)
        if decision.allowed or any(channel_id in channels for channel_id, _ in places):
            found.append((row, places))
    if not found:
        return "There are no open approval requests" + ("." if decision.allowed else " in your channels."), []
    lines = [_line(command, row, places, channels) for row, places in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"... and {len(found) - _SHOWN} more")
    head = f"{len(found)} open approval {'request' if len(found) == 1 else 'requests'}"
    return head, lines


def _line(command: Command, row: Row, places: list[tuple[str, str]], channels: Set[str]) -> str:
    what = escape(shorten(str(row["headline"]), _LINE_LENGTH))
    if row["state"] == requests.DECIDED:
        when = f"decided ({row['decision']}), not in effect yet"
    else:
        until = float(row["decide_by"])
        when = f"decide by {slack_date(until, utc(str(int(until))) or '')}"
    # A link into a channel of the user comes first.
    for channel_id, ts in sorted(places, key=lambda place: place[0] not in channels):
        if link := _permalink(command, channel_id, ts):
            where = "" if channel_id in channels else " (you are not in this channel; ask a member to invite you)"
            return f"• <{link}|{what}>, {when}, in <#{channel_id}>{where}"
    return f"• {what}, {when}"


def _permalink(command: Command, channel_id: str, ts: str) -> str:
    try:
        return str(command.slack.read("chat.getPermalink", channel=channel_id, message_ts=ts)["permalink"])
    except RefusedError as error:
        logger.info("approvals.no_link", extra={"code": error.code, "at": clock.now()})
        return ""
