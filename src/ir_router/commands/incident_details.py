"""`/security-ir incident-details`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Case, Comment
from ir_router.commands import containment_steps, timeline
from ir_router.commands.command import Answer, Command
from ir_router.commands.timeline import Counts, SlackChange
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir

# A containment comes before the case that it opens, across the end of a month too.
_BEFORE_THE_CASE = timedelta(hours=1)
_MONTHS = 12
_RECORDS_A_MONTH = 1_000


def run(command: Command) -> Answer:
    """The case, what happened on it and how much there is on it, from the case, its history and the ledger."""
    case = security_ir.get_case(command.case_id)
    severity = security_ir.severity(case)
    edits = security_ir.edits(command.case_id)
    said = security_ir.comments(command.case_id)
    rows = {str(row["SK"]): row for row in table.query(keys.case(command.case_id).pk)}
    steps = containment_steps.moments(audit_records(case), command.case_id)
    events = timeline.key_events(case, edits, slack_changes(rows), steps)
    return Answer(timeline.summary(case, severity, clock.utc_now(), edits, events, counts(case, said, rows)))


def audit_records(case: Case) -> list[Row]:
    """The audit's records since the case was opened (or the event before it): months in order, newest first in each.

    Within bounds: so many months, so many records of each.
    """
    now = case.closed_date or clock.utc_now()
    month = (case.created_date or now) - _BEFORE_THE_CASE
    months = []
    while f"{month:%Y-%m}" <= f"{now:%Y-%m}":
        months.append(f"{month:%Y-%m}")
        month = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return [
        row
        for name in months[-_MONTHS:]
        for row in table.query(keys.audit_record(name, 0).pk, descending=True, limit=_RECORDS_A_MONTH)
    ]


def slack_changes(rows: Mapping[str, Row]) -> list[SlackChange]:
    """The changes made from Slack, as the ledger keeps them."""
    prefix = keys.slack_change("", "").sk
    return [
        SlackChange(
            datetime.fromtimestamp(float(row["at"]), UTC), str(row["field"]), str(row["value"]), str(row["name"])
        )
        for sk, row in rows.items()
        if sk.startswith(prefix)
    ]


def counts(case: Case, said: Iterable[Comment], rows: Mapping[str, Row]) -> Counts:
    """Comments by where they came from; what the system said about itself is not counted."""
    origins = [_origin(comment, rows) for comment in said]
    return Counts(
        from_aws=origins.count("aws"),
        from_slack=len([origin for origin in origins if origin not in ("aws", "system")]),
        attachments=len(case.case_attachments),
    )


def _origin(comment: Comment, rows: Mapping[str, Row]) -> str:
    """The ledger's word for it, or, for one not synchronised yet, the comment's own reference."""
    row = rows.get(keys.comment("", comment.comment_id).sk)
    if row is not None:
        return str(row["origin"])
    if comments.system_reference(comment.body) is not None:
        return "system"
    return "slack" if comments.slack_reference(comment.body) is not None else "aws"
