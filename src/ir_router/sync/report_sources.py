"""Collect the sources of a report: the case, its history, the ledger and the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Comment
from ir_router.cases.timeline import SlackChange
from ir_router.ledger import approvals, audit, audit_incident, audit_reading, keys
from ir_router.ledger.audit_reading import Span
from ir_router.ledger.table import Row
from ir_router.report.building import Sources
from ir_router.report.records import Record
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.sync import activity_result
from ir_router.sync.case_sync import CaseSync

# A containment precedes the case that it opens.
_BEFORE_THE_CASE_SECONDS = 3_600
_APPROVAL = "approval_"


def collect(sync: CaseSync, version: int, reason: str, requested_by: str) -> Sources:
    """Return all that a report of this moment is made of."""
    case = sync.case
    made_at = clock.now()
    since = (case.created_date.timestamp() if case.created_date else made_at) - _BEFORE_THE_CASE_SECONDS
    incident = sync.row(keys.incident(sync.case_id)) or {}
    requests = [name.removeprefix(_APPROVAL) for name in incident if name.startswith(_APPROVAL)]
    spans = audit_reading.spans(since)
    found = audit_incident.find((one for span in spans for one in span.records), sync.case_id).records
    written = security_ir.comments(sync.case_id)
    return Sources(
        case=case,
        severity=sync.severity,
        version=version,
        made_at=made_at,
        reason=reason,
        requested_by=requested_by,
        region=settings().region,
        edits=security_ir.edits(sync.case_id),
        comments=written,
        origins={one.comment_id: origin(one, sync.rows) for one in written},
        changes=slack_changes(sync.rows),
        records=found,
        spans=[_checked(span) for span in spans],
        ties=_ties(found, spans),
        approvals=approvals.rows_of(requests),
        hashes=_hashes(sync.rows),
        activity=activity_result.stored_activity(sync),
        with_message_text=settings().report_message_text,
        limits=_limits(spans),
    )


def slack_changes(rows: Mapping[str, Row]) -> list[SlackChange]:
    """Return the changes made from Slack, from the case's ledger rows by sort key."""
    prefix = keys.slack_change("", "").sk
    return [
        SlackChange(
            datetime.fromtimestamp(float(row["at"]), UTC), str(row["field"]), str(row["value"]), str(row["name"])
        )
        for sk, row in rows.items()
        if sk.startswith(prefix)
    ]


def origin(comment: Comment, rows: Mapping[str, Row]) -> str:
    """Return a comment's origin: from the ledger, or from the reference in a comment that is not synchronised yet."""
    row = rows.get(keys.comment("", comment.comment_id).sk)
    if row is not None:
        return str(row["origin"])
    if comments.system_reference(comment.body) is not None:
        return "system"
    return "slack" if comments.slack_reference(comment.body) is not None else "aws"


def _hashes(rows: Mapping[str, Row]) -> dict[str, str]:
    """Return the SHA-256 of the attachments that were copied or made by ir-router, by name."""
    known = [row for row in rows.values() if row.get("sha256")]
    found = {str(row.get("stored_name") or row.get("file_name") or ""): str(row["sha256"]) for row in known}
    return {name: value for name, value in found.items() if name}


def _checked(span: Span) -> dict[str, Any]:
    return {
        "chain": span.chain,
        "records": len(span.records),
        "first": str(_place(span.records[0])),
        "last": str(_place(span.records[-1])),
        "broken": span.broken,
    }


def _place(record: Record) -> audit.Position:
    return audit.Position(str(record["month"]), int(record["sequence"]), str(record["hash"]))


def _ties(found: Sequence[Record], spans: Sequence[Span]) -> list[Record]:
    """Return, for each other chain with records of the incident, the first tie after the newest of them."""
    newest = {int(one["chain"]): one for one in found if one.get("chain")}
    ties: dict[int, Record] = {}
    for span in spans:
        if span.chain != audit.MAIN:
            continue
        for tie in (one for one in span.records if one["action"] == audit.TIED):
            for chain, place in audit.heads_of(tie).items():
                last = newest.get(chain)
                is_after = last is not None and (place.month, place.sequence) >= (last["month"], last["sequence"])
                if is_after and chain not in ties:
                    ties[chain] = tie
    return list({str(one["hash"]): one for one in ties.values()}.values())


def _limits(spans: Sequence[Span]) -> list[str]:
    return [
        f"Chain {span.chain} of the audit has more records than one report reads. Records before "
        f"{span.records[0]['at']} are missing."
        for span in spans
        if span.is_cut
    ]
