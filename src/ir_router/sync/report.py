"""Publish the report about a case: on request, and by itself when the case closes.

A step of the case's synchronisation. The content is stored first. The audit then records the SHA-256 of both files, the
files contain this record, and the case or the channel gets the files. Each step can be repeated after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.errors import RefusedError
from ir_router.ledger import audit, keys, reports
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.report import building, page, sealing
from ir_router.settings import settings
from ir_router.slack.messages import console_link
from ir_router.slack.text import quoted
from ir_router.sync import attachments, own_attachments, posting, report_files, report_message, report_sources
from ir_router.sync.case_sync import CaseSync

_ACTOR = "ir-router"
_NEEDED_SECONDS = 15
_WAIT_SECONDS = 30
_LONGEST_WAIT_SECONDS = 600
_CONTENT_TYPES: Mapping[sealing.Kind, str] = {"html": "text/html", "json": "application/json"}


def synchronise(sync: CaseSync) -> None:
    """Publish the report in progress, the one that a user requested, or the one about the closing."""
    row = sync.row(keys.report(sync.case_id)) or {}
    pending = row.get("pending")
    if pending is None:
        reason = _reason(sync, row)
        if reason is None:
            return
        pending = _begin(sync, row, reason)
    _publish(sync, row, pending)


def before_closing(sync: CaseSync) -> None:
    """Publish the report of a case that ir-router closes next: a closed case accepts no attachments."""
    row = reports.get(sync.case_id)
    pending = row.get("pending")
    if pending is None and not row.get("final"):
        pending = _begin(sync, row, "closing")
    if pending is not None:
        _publish(sync, row, pending)


def _reason(sync: CaseSync, row: Row) -> str | None:
    """Return why a report is due, or None. The report about the closing is made when the closing is first seen."""
    if float(row.get("requested_at") or 0) > float(row.get("answered_at") or 0):
        return "requested"
    is_new = (
        sync.case.is_closed
        and not row.get("final")
        and (not sync.lease.row.get("closed") or row.get("waits") is not None)
    )
    if is_new and _waits(sync, row):
        return None
    return "closed" if is_new else None


def _waits(sync: CaseSync, row: Row) -> bool:
    """Wait for files that are being copied, because the copy computes their SHA-256, but not for long."""
    since = float(row.get("waits") or clock.now())
    missing = [
        one
        for one in sync.case.case_attachments
        if one.attachment_status != "Failed" and not attachments.is_copied(sync, one)
    ]
    if not missing or clock.now() - since >= _LONGEST_WAIT_SECONDS:
        return False
    if row.get("waits") is None:
        reports.save(sync.case_id, waits=since)
    sync.revisit(clock.now() + _WAIT_SECONDS)
    return True


def _begin(sync: CaseSync, row: Row, reason: str) -> Row:
    """Store the content of the next version."""
    sync.deadline.check(_NEEDED_SECONDS)
    version = int(row.get("version") or 0) + 1
    by = str(row.get("requested_by") or "") if reason == "requested" else ""
    report = building.build(report_sources.collect(sync, version, reason, by))
    contents: Mapping[sealing.Kind, bytes] = {
        "html": page.render(report).encode("utf-8", "replace"),
        "json": sealing.canonical(report).encode("ascii"),
    }
    parts = {kind: reports.store(sync.case_id, f"{version}.{kind}", content) for kind, content in contents.items()}
    pending = {"version": version, "reason": reason, "by": by, "parts": parts}
    pending["requested_at"] = row.get("requested_at") or 0
    reports.save(sync.case_id, pending=pending)
    return pending


def _publish(sync: CaseSync, row: Row, pending: Row) -> None:
    sync.deadline.check(_NEEDED_SECONDS)
    version = int(pending["version"])
    contents: dict[sealing.Kind, bytes] = {
        kind: reports.load(sync.case_id, f"{version}.{kind}", int(pending["parts"][kind])) for kind in _CONTENT_TYPES
    }
    report = json.loads(contents["json"])
    record = _record(sync, str(pending.get("by") or _ACTOR), version, contents)
    where = _deliver(sync, version, {kind: sealing.seal(kind, contents[kind], record) for kind in contents})
    claim = sync.claim(keys.note(sync.case_id, f"report-{version}"))
    if claim is not None:
        posting.post(sync.slack, sync.channel_id, claim, report_message.message(report, record, where))
    values = {
        "version": version,
        "answered_at": pending["requested_at"],
        "final": True if pending["reason"] != "requested" else row.get("final"),
        "pending": None,
        "waits": None,
    }
    reports.save(sync.case_id, **values)
    # A later step of this run must not publish this version another time.
    sync.rows[keys.report(sync.case_id).sk] = {**row, **values}
    reports.erase(sync.case_id)
    sync.revisit(clock.now())  # for the bookmark
    logger.info("report.published", extra={"version": version})


def _record(sync: CaseSync, by: str, version: int, contents: Mapping[sealing.Kind, bytes]) -> dict[str, Any]:
    """Write the audit record of a version once, and return it as the files contain it."""
    details = sealing.facts(sync.case_id, version, contents)
    once = f"report/{sync.case_id}/{version}/{details['json_sha256']}"
    audit.append(sealing.ACTION, by, details, once=once)
    found = audit.recorded(once)
    if found is None:
        raise audit.AuditDamagedError("the audit record of the report is missing; run verify_audit")
    return {name: value for name, value in found.items() if name not in ("PK", "SK")}


def _deliver(sync: CaseSync, version: int, files: Mapping[sealing.Kind, bytes]) -> str:
    """Attach the files to the case, or share them in the channel if the case accepts none. Return where they are."""
    names = {kind: f"report-{version}.{kind}" for kind in files}
    try:
        if not sync.case.is_closed:
            for kind, content in files.items():
                own_attachments.attach(sync, names[kind], content)
            link = console_link(sync.case_id, settings().region)
            return f"Attachments {' and '.join(names.values())} of <{link}|the case>"
    except RefusedError as error:
        if error.service != own_attachments.SERVICE:
            raise
        logger.warning("report.attachment_rejected: the channel gets the files", extra={"reason": str(error)})
    found = {
        names[kind]: report_files.share(sync, names[kind], content, _CONTENT_TYPES[kind])
        for kind, content in files.items()
    }
    shown = [f"<{quoted(address, 2_000)}|{name}>" if address else name for name, address in found.items()]
    return f"Files {' and '.join(shown)} in this channel: the case accepts no further attachments"
