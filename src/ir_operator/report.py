"""The sub-command report: check the file of a report, offline, and on request against the audit of its deployment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ir_operator import terminal
from ir_operator.deploy import auditing, deployment
from ir_operator.errors import CommandError
from ir_router.ledger import audit
from ir_router.report import sealing
from ir_router.report.sealing import NotAReportError, Opened

_FAILED = 1


def execute_command(options: argparse.Namespace) -> int:
    """Check the file, print the result of each check and return the exit code.

    Raises:
        CommandError: The file or the audit cannot be read.
    """
    try:
        opened = sealing.open_file(_content(options.file))
        fault = _fault(opened, options.record)
    except NotAReportError as error:
        fault = str(error)
    if fault:
        terminal.line("failed", fault)
        return _FAILED
    record = opened.record
    about = sealing.subject(record)
    terminal.line("ok", f"the file is unchanged: report {about.version} about case {about.case_id}")
    found = _records(opened)
    if found:
        terminal.line("ok", f"{len(found)} audit records in the file match their hashes, and follow each other")
    if options.record:
        terminal.line("ok", "the audit record in the file is the given one")
    if options.prefix or options.region:
        there = deployment.find(None, options.prefix, options.region, None)
        return 0 if auditing.has_records(there, [*found, record]) and auditing.verify(there) else _FAILED
    chain, where = record.get("chain", audit.MAIN), f"{record['month']}, record {record['sequence']}"
    terminal.line("ok", f"audit record of the report: {where} of chain {chain}, hash {record['hash']}")
    if not options.record:
        terminal.line(
            "warning",
            "this hash comes from the file itself: compare it with the Slack message (--record) or with the audit of "
            "the deployment (--prefix and --region)",
        )
    return 0


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error


def _fault(opened: Opened, wanted: str | None) -> str | None:
    """Return why the file is not the one that ir-router made, or None."""
    record = opened.record
    if audit.digest(record) != record.get("hash"):
        return "the audit record in the file was changed"
    if sealing.subject(record).digests.get(opened.kind) != opened.sha256:
        return "the file was changed after the report was made"
    if wanted and wanted.lower() != record["hash"]:
        return "the file belongs to another audit record than the given one"
    return _broken(_records(opened))


def _records(opened: Opened) -> list[Mapping[str, Any]]:
    """Return the audit records of the incident and the ties in the file. The page has only their hashes."""
    if opened.report is None:
        return []
    found = opened.report["audit"]
    return [*found["records"], *found["ties"]]


def _broken(records: Sequence[Mapping[str, Any]]) -> str | None:
    by_place = {(one.get("chain", audit.MAIN), one["month"], one["sequence"]): one for one in records}
    for (chain, month, sequence), one in by_place.items():
        place = f"record {sequence} of {month} in chain {chain}"
        if audit.digest(one) != one["hash"]:
            return f"the audit {place} does not match its hash"
        before = by_place.get((chain, month, sequence - 1))
        if before is not None and one["previous"] != before["hash"]:
            return f"the audit {place} does not follow the one before it"
    return None
