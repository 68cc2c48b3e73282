"""Archive the channel of a closed case after the time of the setting, with a last message.

A step of the case's synchronisation. A channel is archived once: if a user unarchives it, it stays so.
"""

from __future__ import annotations

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync import posting
from ir_router.sync.case_sync import CaseSync

_DAY_SECONDS = 86_400
_ARCHIVED = "already_archived"


def synchronise(sync: CaseSync) -> None:
    """Post the last message and archive the channel if the case has been closed for long enough."""
    days = settings().archive_channels_after_days
    key = keys.note(sync.case_id, "archived")
    if not sync.case.is_closed or not days or sync.is_done(key):
        return
    closed = sync.case.closed_date or sync.case.last_updated_date
    due = (closed.timestamp() if closed else clock.now()) + days * _DAY_SECONDS
    if clock.now() < due:
        sync.revisit(due)
        return
    last = sync.claim(keys.note(sync.case_id, "last-message"))
    if last is not None:
        text = (
            f"This case has been closed for {days:g} days, so ir-router archives this channel now. Its messages stay "
            "readable, and the case stays in the AWS console."
        )
        posting.post(sync.slack, sync.channel_id, last, messages.line(text))
    claim = sync.claim(key)
    if claim is None:
        return
    try:
        # It can be repeated: an archived channel answers so.
        sync.slack.read("conversations.archive", channel=sync.channel_id)
    except RefusedError as error:
        if error.code != _ARCHIVED:
            # A policy of the workspace can forbid it. The case itself is complete.
            logger.warning("channel.archiving_rejected: the channel stays open", extra={"code": error.code})
    claims.confirm(claim)
