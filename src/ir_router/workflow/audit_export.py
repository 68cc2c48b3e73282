"""Export the audit to an S3 bucket with Object Lock: one object for each day, written once (`audit_export_bucket`).

An object has a first line about the day, and then the day's records, chain by chain. The first line has the newest
position of each chain at the end of the day. On the last day of a month these are the closing hashes of the month.

Each object is written on the condition that its key is new. If a function ends between the object and the mark of the
day, the next run meets the object and only sets the mark.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import notices

# A record gets its time before its transaction, and the clocks of functions differ.
_SETTLED_SECONDS = 600
_MOST_DAYS = 7
_KEPT_SECONDS = 400 * 86_400
_MARK = keys.deduplication("AUDIT-EXPORT")


def run() -> list[str]:
    """Export each complete day that is not exported yet, at most a week of them, and return their keys.

    The first exported day is the day before the variable was set. A failure is alerted once a day and retried.
    """
    bucket = settings().audit_export_bucket
    if not bucket:
        return []
    last_complete = datetime.fromtimestamp(clock.now() - _SETTLED_SECONDS, UTC).date() - timedelta(days=1)
    mark = table.get(_MARK) or {}
    day = date.fromisoformat(mark["day"]) + timedelta(days=1) if "day" in mark else last_complete
    written: list[str] = []
    while day <= last_complete and len(written) < _MOST_DAYS:
        name = f"{settings().name_prefix}/{settings().region}/{day:%Y/%m/%Y-%m-%d}.jsonl"
        try:
            _write(bucket, name, "\n".join(_lines(day)) + "\n")
        except (BotoCoreError, ClientError) as error:
            _report(bucket, day, error, mark)
            return written
        mark = {"day": day.isoformat(), "expires_at": int(clock.now()) + _KEPT_SECONDS}
        table.put(_MARK, mark)
        written.append(name)
        day += timedelta(days=1)
    return written


def _write(bucket: str, name: str, text: str) -> None:
    until = clock.utc_now() + timedelta(days=settings().audit_retention_days)
    try:
        aws.client("s3").put_object(
            Bucket=bucket,
            Key=name,
            Body=text.encode(),
            ContentType="application/x-ndjson",
            ChecksumAlgorithm="SHA256",
            IfNoneMatch="*",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        logger.info("audit.already_exported: the bucket has the object of this day", extra={"object": name})


def _lines(day: date) -> Iterator[str]:
    """Yield the object's lines: first the day with the newest position of each chain, then the records."""
    ends: dict[str, str] = {}
    rows: list[str] = []
    for chain in range(audit.CHAINS):
        records = list(_records(chain, day))
        end = audit.Position(records[-1]["month"], records[-1]["sequence"], records[-1]["hash"]) if records else None
        end = end or _end_before(chain, day)
        if end:
            ends[str(chain)] = str(end)
        rows += [_line(row) for row in records]
    closes = (day + timedelta(days=1)).day == 1
    yield _line({"day": day.isoformat(), "records": len(rows), "ends": ends, "closes_month": closes})
    yield from rows


def _records(chain: int, day: date) -> list[Row]:
    """Return the chain's records with a time on this day, oldest first."""
    found: list[Row] = []
    # A writer whose clock is slow at the end of a month writes into the next month.
    months = sorted({f"{day:%Y-%m}", f"{day + timedelta(days=1):%Y-%m}"}, reverse=True)
    earlier = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(seconds=_SETTLED_SECONDS)
    for month in months:
        for row in table.query(keys.audit_record(month, 0, chain).pk, descending=True):
            if datetime.fromisoformat(row["at"]) < earlier:
                break
            if row["at"].startswith(day.isoformat()):
                found.append(row)
    return found[::-1]


def _end_before(chain: int, day: date) -> audit.Position | None:
    """Return the newest position of a chain without records on this day."""
    for row in table.query(keys.audit_record(f"{day:%Y-%m}", 0, chain).pk, descending=True):
        if row["at"] < day.isoformat():
            return audit.Position(row["month"], row["sequence"], row["hash"])
    for closing in table.query(keys.audit_closing("", chain).pk, descending=True):
        if closing["month"] < f"{day:%Y-%m}":
            return audit.position_of(closing)
    head = table.get(keys.audit_head(chain))
    return audit.position_of(head) if head and head["month"] < f"{day:%Y-%m}" else None


def _line(row: Row) -> str:
    shown: dict[str, Any] = {name: value for name, value in row.items() if name not in ("PK", "SK")}
    return json.dumps(shown, sort_keys=True, ensure_ascii=False)


def _report(bucket: str, day: date, error: Exception, mark: Row) -> None:
    """Alert once a day that the export fails."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    logger.error("audit.export_failed: ir-router retries in 15 minutes", extra={"code": code, "day": day.isoformat()})
    today = f"{clock.utc_now():%Y-%m-%d}"
    if mark.get("failed_on") == today:
        return
    subject = f"FIX the audit export: bucket {bucket} refuses the records of {day}"
    text = (
        f"ir-router could not write the audit records of {day} to the bucket {bucket} ({code}). It retries every 15 "
        "minutes. The records stay in the ledger.\n\nCheck that the bucket exists, that Object Lock is enabled, and "
        "that its policy allows the role of the workflow function."
    )
    notices.alert_everywhere(Alert(f"audit-export-{today}", "MEDIUM", subject, text))
    table.put(_MARK, {**mark, "failed_on": today, "expires_at": int(clock.now()) + _KEPT_SECONDS})
