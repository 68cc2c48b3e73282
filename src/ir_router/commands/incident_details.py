"""`/security-ir incident-details`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from ir_router import clock
from ir_router.cases import containment_steps, timeline
from ir_router.cases.models import Case, Comment
from ir_router.commands import timeline as answers
from ir_router.commands.command import Answer, Command
from ir_router.commands.timeline import Counts
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import report_sources

# A containment happens before the case that it opens, perhaps in the previous month.
_BEFORE_THE_CASE = timedelta(hours=1)
_MONTHS = 12
_RECORDS_A_MONTH = 1_000


def execute_command(command: Command) -> Answer:
    """Summarise the case with its key events and counts, from the case, its history and the ledger."""
    case = security_ir.get_case(command.case_id)
    severity = security_ir.severity(case)
    edits = security_ir.edits(command.case_id)
    found = security_ir.comments(command.case_id)
    rows = {str(row["SK"]): row for row in table.query(keys.case(command.case_id).pk)}
    steps = containment_steps.moments(audit_records(case), command.case_id)
    events = timeline.key_events(case, edits, report_sources.slack_changes(rows), steps)
    return Answer(answers.summary(case, severity, clock.utc_now(), edits, events, counts(case, found, rows)))


def audit_records(case: Case) -> list[Row]:
    """Return the audit's records since shortly before the case was opened: months in order, newest first in each.

    At most _MONTHS months with _RECORDS_A_MONTH records each are read.
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


def counts(case: Case, found: Iterable[Comment], rows: Mapping[str, Row]) -> Counts:
    """Count the comments by origin, without system comments, and the attachments.

    Args:
        case: The case.
        found: The case's comments.
        rows: The case's ledger rows by sort key.
    """
    origins = [report_sources.origin(comment, rows) for comment in found]
    return Counts(
        from_aws=origins.count("aws"),
        from_slack=len([origin for origin in origins if origin not in ("aws", "system")]),
        attachments=len(case.case_attachments),
    )
