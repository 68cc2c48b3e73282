"""The Home tab of the app: the open approval requests and cases that the user may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.commands import approvals, own_channels
from ir_router.commands import list as cases
from ir_router.commands.command import Command, of_interaction
from ir_router.errors import IrRouterError, error_id
from ir_router.observability import logger
from ir_router.slack.messages import context as small_print
from ir_router.slack.messages import plain, sections
from ir_router.slack.text import slack_date, utc

# A user who switches between tabs does not make ir-router read everything each time.
_FRESH_SECONDS = 10


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Publish the tab for the user who opened it, unless it was published seconds ago.

    No failure is retried by Lambda: the next opening publishes the tab.
    """
    if _is_fresh(payload["view"].get("private_metadata")):
        return
    command = of_interaction(payload, "home", "", context)
    published = ""
    try:
        blocks, published = _blocks(command), str(int(clock.now()))
    except (IrRouterError, BotoCoreError, ClientError) as error:
        shown = error_id("api-error")
        details = {"error_id": shown, "error": str(error) if isinstance(error, IrRouterError) else type(error).__name__}
        logger.error("home.not_read: the user received the error id", extra=details)
        text = f"❌ The approval requests and cases cannot be read now. Open this tab again later.\nError ID: {shown}"
        blocks = [plain(text)]
    view = {"type": "home", "private_metadata": published, "blocks": blocks}
    try:
        command.slack.read("views.publish", user_id=command.user_id, view=view)
    except IrRouterError as error:
        logger.warning("home.not_published: the next opening publishes the tab", extra={"error": str(error)})


def _is_fresh(published: object) -> bool:
    """Return whether the shown tab, which carries the time of its publication, is seconds old."""
    if not isinstance(published, str) or not (published.isascii() and published.isdigit()) or len(published) > 10:
        return False
    return abs(clock.now() - int(published)) < _FRESH_SECONDS


def _blocks(command: Command) -> list[dict[str, Any]]:
    channels = own_channels.of(command)
    blocks: list[dict[str, Any]] = []
    for head, lines in (approvals.open_requests(command, channels), cases.open_cases(command, channels)):
        blocks += [*sections([f"*{head}*", *lines]), {"type": "divider"}]
    now = int(clock.now())
    at = slack_date(now, utc(str(now)))
    return [
        *blocks,
        small_print(f"As of {at}. Open this tab again to refresh it. `/security-ir help` lists the commands."),
    ]
