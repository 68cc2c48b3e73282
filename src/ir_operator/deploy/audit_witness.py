"""Compare audit records with the copies of their hashes in the functions' logs.

A function logs each record that it writes (`ir_router.ledger.audit`). A user who can change the ledger needs further
permissions to change a log line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import boto3

from ir_operator.deploy.deployment import Deployment
from ir_router.ledger import audit
from ir_router.ledger.table import Row

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

Witness = Literal["confirmed", "different", "absent"]

_WRITERS = ("workflow", "approval-handler", "slack", "operations", "sync")
_SERVICE = "ir-router-audit"
# A record has the time before its transaction, and the line the time after it. Clocks of functions differ.
_BEFORE_MS, _AFTER_MS = 60_000, 120_000

_Place = tuple[int, str, int]


def compare(deployment: Deployment, records: Sequence[Row]) -> list[Witness]:
    """Return for each record whether a log line has its hash, another hash, or there is no line.

    Args:
        deployment: The deployment.
        records: Records of the audit, oldest first.
    """
    client = boto3.client("logs", region_name=deployment.region)
    logged: dict[_Place, set[str]] = {}
    for start, end in _periods(records):
        for part in _WRITERS:
            for line in _lines(client, f"/aws/lambda/{deployment.prefix}-{part}", start, end):
                logged.setdefault((line["chain"], line["month"], line["sequence"]), set()).add(line["hash"])
    return [_state(row, logged.get(_place(row), set())) for row in records]


def _state(row: Row, hashes: set[str]) -> Witness:
    if not hashes:
        return "absent"
    return "confirmed" if hashes == {row.get("hash")} else "different"


def _place(row: Row) -> _Place:
    return int(row.get("chain", audit.MAIN)), str(row["month"]), int(row["sequence"])


def _periods(records: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the periods of time around the records, in milliseconds since the epoch."""
    periods: list[tuple[int, int]] = []
    for row in records:
        at = int(datetime.fromisoformat(row["at"]).timestamp() * 1000)
        if periods and at - _BEFORE_MS <= periods[-1][1]:
            periods[-1] = (periods[-1][0], at + _AFTER_MS)
        else:
            periods.append((at - _BEFORE_MS, at + _AFTER_MS))
    return periods


def _lines(client: CloudWatchLogsClient, group: str, start: int, end: int) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events")
    try:
        for page in pages.paginate(logGroupName=group, startTime=start, endTime=end, filterPattern=f'"{_SERVICE}"'):
            for event in page["events"]:
                line = _parsed(event.get("message", ""))
                if line.get("service") == _SERVICE and line.keys() >= {"chain", "month", "sequence", "hash"}:
                    yield line
    except client.exceptions.ResourceNotFoundException:
        return


def _parsed(message: str) -> dict[str, Any]:
    """Return a log line's JSON object; empty for other lines."""
    try:
        line = json.loads(message)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
