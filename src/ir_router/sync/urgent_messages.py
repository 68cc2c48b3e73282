"""Post the urgent messages of an incident next to its approval request. They mention the approvers.

A mention notifies users on their phones, so only messages that need an action at once have one: a containment that
someone undid, and a call that succeeded in spite of a containment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ir_router.cases.changes import digest
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, claims, urgent
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import error_codes
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, sections
from ir_router.slack.text import escape, linked, shorten
from ir_router.sync import approval_message, approvers, posting
from ir_router.sync.approval_places import Place

_LINE_LENGTH = 400
_LINKS = "IAM: "

Take = Callable[[Key], claims.Claim | claims.Done]


def poster(slack: Slack, row: Row, take: Take) -> Callable[[Place], None] | None:
    """Return a function that posts the row's urgent messages in a place, each once; None if there are none.

    Args:
        slack: The gateway.
        row: The approval's row.
        take: Claims the message of a key. Raises ClaimHeldError.
    """
    return partial(_post, slack=slack, row=row, take=take) if urgent.current(row) else None


def names(row: Row) -> list[str]:
    """Return the names of the urgent messages, for the digest that shows whether something is left to post."""
    return [str(one["name"]) for one in urgent.current(row)]


def message(text: str, mentions: str, urls: Mapping[str, str]) -> Message:
    """Return an urgent message with its mentions. The first line of `text` states what happened.

    The names in `urls` become links, and the lines with only the URL of a user or role are left out.
    """
    first, *rest = [
        escape(shorten(line, _LINE_LENGTH, "in the audit"))
        for line in text.splitlines()
        if line.strip() and not line.startswith(_LINKS)
    ]
    lines = [f"{mentions} ⚠️ *{first}*".lstrip(), *rest]
    return Message(text=f"{mentions} {first}".lstrip(), blocks=sections([linked(line, urls) for line in lines]))


def _in_their_place() -> list[str]:
    """Return the mention for a request whose approvers are unknown. If `slack_mention` is empty, there is none."""
    return [approvers.HERE] if settings().mention else []


def _post(place: Place, *, slack: Slack, row: Row, take: Take) -> None:
    for one in urgent.current(row):
        claim = take(place.urgent(digest([one["name"]])))
        if not isinstance(claim, claims.Claim):
            continue
        mentions = " ".join(approvers.mentions(slack, row) or _in_their_place())
        try:
            posting.post(
                slack, place.channel_id, claim, message(str(one["text"]), mentions, approval_message.urls(row))
            )
        except RefusedError as error:
            # After the incident, the channel of its case may be archived. The alert has the same text.
            if row["state"] in (approvals.PENDING, approvals.DECIDED) or error.code not in error_codes.UNAVAILABLE:
                raise
            logger.warning("approval.urgent_message_not_posted: the channel is unavailable", extra={"code": error.code})
