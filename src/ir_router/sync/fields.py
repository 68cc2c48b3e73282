"""The case's fields: the topic kept current, changes told from what to what."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ir_router.cases import changes
from ir_router.cases.changes import FieldChange
from ir_router.ledger import keys, leases
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.sync import posting
from ir_router.sync.run import SLICE_SECONDS, Run


def set_topic(run: Run, channel: dict[str, Any]) -> None:
    """Set the topic when Slack has another one: anybody can overwrite it, so it is compared with Slack itself."""
    wanted = messages.topic(run.case.case_status, run.severity)
    if html.unescape(str((channel.get("topic") or {}).get("value") or "")) != wanted:
        # Not repeated without looking: each setting is a line in the channel.
        run.slack.post("conversations.setTopic", channel=run.channel_id, topic=wanted)


def remember(run: Run, shown: Mapping[str, str]) -> None:
    """Store the fields that the notice has shown, without a word."""
    if "change_count" not in run.lease.row:
        leases.save(run.lease, change_count=0, **shown)


def tell_changes(run: Run) -> None:
    """One message for what changed since the last that people were told.

    What is told is frozen in the claim; the stored fields then become what was told, so a change that comes
    between a crash and the next run is told by itself.
    """
    while True:
        stored = run.lease.row
        count = int(stored["change_count"])
        key = keys.note(run.case_id, f"change-{count}")
        row = run.row(key)
        after = dict(row["fields"]) if row else changes.followed_fields(run.case, run.severity)
        differences = changes.differences(stored, after)
        if not differences and row is None:
            return
        if differences:
            by = dict(row["by"]) if row else _who(run, differences, _last_told(run, count))
            claim = run.claim(key, fields=after, by=by)
            if claim is not None:
                posting.post(run.slack, run.channel_id, claim, messages.changes(differences, by))
        leases.save(run.lease, change_count=count + 1, **after)


def _last_told(run: Run, count: int) -> float:
    """When the channel was last told of the fields: by the change before this one, or by the notice."""
    last = run.row(keys.note(run.case_id, f"change-{count - 1}")) or run.row(keys.note(run.case_id, "notice")) or {}
    return float(last.get("claimed_at") or 0.0)


def _who(run: Run, differences: Sequence[FieldChange], last_told: float) -> dict[str, str]:
    """Who made each change, as far as it is known, by the field's name.

    That is the person who since then set this very value from Slack. When there is none for any of them, it is the
    principal of the last edit; of several, the history does not say who made which.
    """
    rows = sorted(run.rows_of(keys.slack_change(run.case_id, "").sk), key=lambda row: float(row["at"]))
    # What is told was read up to a slice before.
    from_slack = {
        (row["field"], row["value"]): str(row["name"]) for row in rows if float(row["at"]) > last_told - SLICE_SECONDS
    }
    people = {one.name: from_slack[one.name, one.value] for one in differences if (one.name, one.value) in from_slack}
    if people:
        return people
    principal = changes.changed_by(security_ir.edits(run.case_id))
    return {one.name: messages.author(principal) for one in differences} if principal else {}
