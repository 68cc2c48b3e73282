"""Keep the channel's topic current, and announce changes of the case's fields with the old and the new value."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ir_router.cases import changes, followed_fields
from ir_router.cases.changes import FieldChange
from ir_router.errors import RefusedError
from ir_router.ledger import keys, leases
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.slack.error_codes import meaning_of
from ir_router.sync import posting
from ir_router.sync.case_sync import SLICE_SECONDS, CaseSync

_FORBIDDEN = "restricted_action"


def set_topic(sync: CaseSync, channel: dict[str, Any]) -> None:
    """Set the topic if it differs from Slack's. Every member can overwrite it, so the ledger does not know it."""
    wanted = messages.topic(sync.case.case_status, sync.severity)
    if html.unescape(str((channel.get("topic") or {}).get("value") or "")) != wanted:
        try:
            # Never repeated without a comparison: each change of the topic adds a line to the channel.
            sync.slack.post("conversations.setTopic", channel=sync.channel_id, topic=wanted)
        except RefusedError as error:
            # Comments and files must not wait for the topic.
            if error.code != _FORBIDDEN and meaning_of(error).about in ("app", "channel"):
                raise
            _report_rejected_topic(sync, error)


def _report_rejected_topic(sync: CaseSync, error: RefusedError) -> None:
    """Name the reason in the channel, once for each of Slack's codes."""
    logger.warning("channel.topic_rejected: the channel's messages show the status", extra={"code": error.code})
    claim = sync.claim(keys.note(sync.case_id, f"topic-rejected-{error.code}"))
    if claim is not None:
        reason = ": ".join(filter(None, (str(error), meaning_of(error).words)))
        text = (
            f"⚠️ The topic of this channel does not show the status of the case: {reason}. The first message of the "
            "channel and the messages about changes show it."
        )
        posting.post(sync.slack, sync.channel_id, claim, messages.line(text))


def remember(sync: CaseSync, shown: Mapping[str, str]) -> None:
    """Store the fields that the notice has shown, without an announcement."""
    if "change_count" not in sync.lease.row:
        leases.save(sync.lease, change_count=0, **shown)


def announce_changes(sync: CaseSync) -> None:
    """Post one message with the changes since the last announcement.

    The announced values are frozen in the claim and stored afterwards. A change between a crash and the next run is
    therefore announced separately.
    """
    while True:
        stored = sync.lease.row
        count = int(stored["change_count"])
        key = keys.note(sync.case_id, f"change-{count}")
        row = sync.row(key)
        after = dict(row["fields"]) if row else followed_fields.values(sync.case, sync.tags)
        differences = changes.differences(stored, after)
        if not differences and row is None:
            if unannounced := changes.not_stored(stored, after):
                # The last run did not follow these fields yet. Their next change is announced.
                leases.save(sync.lease, **unannounced)
            return
        if differences:
            by = dict(row["by"]) if row else _who(sync, differences, _last_announced_at(sync, count))
            claim = sync.claim(key, fields=after, by=by)
            if claim is not None:
                posting.post(sync.slack, sync.channel_id, claim, messages.changes(differences, by))
        leases.save(sync.lease, change_count=count + 1, **after)


def _last_announced_at(sync: CaseSync, count: int) -> float:
    """Return when the fields were last announced: by the previous change, or by the notice."""
    last = sync.row(keys.note(sync.case_id, f"change-{count - 1}")) or sync.row(keys.note(sync.case_id, "notice")) or {}
    return float(last.get("claimed_at") or 0.0)


def _who(sync: CaseSync, differences: Sequence[FieldChange], last_announced_at: float) -> dict[str, str]:
    """Return the author of each change by the field's name, as far as it is known.

    The author is the user who has set this value from Slack since then. If no change has one, it is the principal of
    the last edit: the case's history does not show which principal changed which field.
    """
    rows = sorted(sync.rows_of(keys.slack_change(sync.case_id, "").sk), key=lambda row: float(row["at"]))
    # The announced values were read at most one slice earlier.
    from_slack = {
        (row["field"], row["value"]): str(row["name"])
        for row in rows
        if float(row["at"]) > last_announced_at - SLICE_SECONDS
    }
    people = {one.name: from_slack[one.name, one.value] for one in differences if (one.name, one.value) in from_slack}
    if people:
        return people
    principal = changes.changed_by(security_ir.edits(sync.case_id))
    return {one.name: messages.author(principal) for one in differences} if principal else {}
