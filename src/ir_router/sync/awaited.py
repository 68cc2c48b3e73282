"""Remind a case's watchers while AWS waits for the customer.

A step of the case's synchronisation. AWS states neither when it began to wait nor a deadline, so the hours count from
the run that first sees it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.slack import messages
from ir_router.slack.messages import TAG, Message, mentioning, sections
from ir_router.sync import posting
from ir_router.sync.case_sync import CaseSync

REMIND_AFTER_HOURS = (2, 8)
_HOUR = 3_600
_NAME = "customer-awaited"
_IN_CHANNEL = ("present", "invited", "back")


def synchronise(sync: CaseSync) -> None:
    """Post each reminder once for each time that AWS waits."""
    key = keys.note(sync.case_id, _NAME)
    row = sync.row(key)
    if sync.case.pending_action != "Customer" or sync.case.is_closed:
        if row is not None:
            table.delete(key)
        return
    if row is None:
        row = {"since": clock.now()}
        table.put(key, row)
    since = float(row["since"])
    times = {hours: since + hours * _HOUR for hours in REMIND_AFTER_HOURS}
    due = [hours for hours, at in times.items() if at <= clock.now()]
    if due:
        # After an outage, only the newest reminder is posted.
        claim = sync.claim(keys.note(sync.case_id, f"{_NAME}-{int(since)}-{due[-1]}"))
        if claim is not None:
            posting.post(sync.slack, sync.channel_id, claim, _message(sync, since, due[-1]))
    later = [at for hours, at in times.items() if hours not in due]
    if later:
        sync.revisit(min(later))


def _message(sync: CaseSync, since: float, hours: int) -> Message:
    watchers = {person.email.lower() for person in sync.case.watchers}
    mentions = [
        f"<@{row['slack_user_id']}>"
        for row in sync.rows_of("MEMBER#")
        if row["email"] in watchers and row["state"] in _IN_CHANNEL
    ]
    at = messages.at(datetime.fromtimestamp(since, UTC))
    text = f"AWS has waited for your answer on this case for {hours} hours, since {at}."
    lines = [f"*{text}*", "Answer in this channel. AWS continues its work after that."]
    return mentioning(mentions, Message(text=f"{TAG} {text}", blocks=sections(lines)))
