"""The audit export: the days that are written, the records of a day, and the end of a chain without records."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.keys import Key
from ir_router.observability import logger
from ir_router.workflow import audit_export, notices
from tests.support.answers import AnswersInTurn, client_error

MARK = Key("DEDUP#AUDIT-EXPORT", "META")
YEAR_AND_MORE = 400 * 86_400
DAY = date(2026, 1, 15)


class Stored:
    """The rows of the ledger by key, with the order of its queries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: dict[Key, dict[str, Any]] = {}
        self.read: list[str] = []
        monkeypatch.setattr(table, "get", self.rows.get)
        monkeypatch.setattr(table, "put", self.rows.__setitem__)
        monkeypatch.setattr(table, "query", self.query)

    def query(self, pk: str, *, descending: bool) -> Any:
        for key in sorted((key for key in self.rows if key.pk == pk), reverse=descending):
            self.read.append(f"{key.pk} {key.sk}")
            yield {"PK": key.pk, "SK": key.sk, **self.rows[key]}

    def record(self, month: str, sequence: int, at: str, chain: int = 0) -> dict[str, Any]:
        row = {"at": at, "month": month, "sequence": sequence, "hash": f"h{sequence}"}
        self.rows[keys.audit_record(month, sequence, chain)] = row
        return row


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    return Stored(monkeypatch)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "marked", "days"),
    [
        ("2026-03-10T00:09:59", None, ["08"]),
        ("2026-03-10T00:10:00", None, ["09"]),
        ("2026-03-10T00:10:00", "2026-03-09", []),
        ("2026-03-10T00:10:00", "2026-03-08", ["09"]),
        ("2026-03-10T00:10:00", "2026-03-01", ["02", "03", "04", "05", "06", "07", "08"]),
        ("2026-03-10T00:10:00", "", ["09"]),
    ],
)
def test_given_complete_days_when_exported_then_each_is_written_and_marked_and_a_week_at_most(
    monkeypatch: pytest.MonkeyPatch, stored: Stored, now: str, marked: str | None, days: list[str]
) -> None:
    client = AnswersInTurn(*[{}] * len(days))
    wanted = SimpleNamespace(audit_export_bucket="b", name_prefix="p", region="r", audit_retention_days=1)
    monkeypatch.setattr(audit_export, "settings", lambda: wanted)
    monkeypatch.setattr(audit_export, "_lines", lambda day: iter((f"of {day}", "row")))
    monkeypatch.setattr(aws, "client", lambda service: client if service == "s3" else None)
    monkeypatch.setattr(clock, "now", lambda: moment(now) + 0.5)
    if marked is not None:
        stored.rows[MARK] = {"day": marked} if marked else {"failed_on": "2026-03-09"}
    before = dict(stored.rows)

    written = audit_export.run()

    assert written == [f"p/r/2026/03/2026-03-{day}.jsonl" for day in days]
    assert [(one["Bucket"], one["Key"], one["Body"].decode()) for one in client.asked] == [
        ("b", name, f"of 2026-03-{day}\nrow\n") for name, day in zip(written, days, strict=True)
    ]
    mark = {"day": f"2026-03-{days[-1]}", "expires_at": int(moment(now)) + YEAR_AND_MORE} if days else {}
    assert stored.rows == ({MARK: mark} if days else before)
    wanted.audit_export_bucket = ""
    assert audit_export.run() == []


def test_given_a_day_when_its_records_are_read_then_a_slow_clock_at_its_ends_misses_none(stored: Stored) -> None:
    stored.record("2026-01", 1, "2026-01-14T23:49:59+00:00")
    stored.record("2026-01", 2, "2026-01-15T00:00:01+00:00")  # behind a record that is too early to read further
    stored.record("2026-01", 3, "2026-01-14T23:49:59.999+00:00")
    first = stored.record("2026-01", 4, "2026-01-15T00:00:00+00:00")
    stored.record("2026-01", 5, "2026-01-14T23:50:00+00:00")  # the clock of another function
    last = stored.record("2026-01", 6, "2026-01-15T23:59:59+00:00")
    stored.record("2026-01", 7, "2026-01-16T00:00:00+00:00")
    stored.record("2026-01", 1, "2026-01-15T10:00:00+00:00", chain=1)

    def named(*rows: dict[str, Any], chain: int = 0) -> list[dict[str, Any]]:
        found = [(keys.audit_record(row["month"], row["sequence"], chain), row) for row in rows]
        return [{"PK": key.pk, "SK": key.sk, **row} for key, row in found]

    assert audit_export._records(0, DAY) == named(first, last)
    assert [one.split()[1].lstrip("0") for one in stored.read] == ["7", "6", "5", "4", "3"]
    assert [row["sequence"] for row in audit_export._records(1, DAY)] == [1]

    end = stored.record("2026-01", 8, "2026-01-31T12:00:00+00:00")
    slow = stored.record("2026-02", 1, "2026-01-31T23:59:59+00:00")
    stored.record("2026-02", 2, "2026-02-01T00:00:00+00:00")
    assert audit_export._records(0, date(2026, 1, 31)) == named(end, slow)
    assert [row["sequence"] for row in audit_export._records(0, date(2026, 2, 1))] == [2]


def test_given_a_chain_without_records_on_a_day_when_its_end_is_read_then_the_newest_earlier_position_counts(
    stored: Stored,
) -> None:
    def end(chain: int = 3) -> str:
        return str(audit_export._end_before(chain, DAY))

    def position(month: str, number: int) -> dict[str, Any]:
        return {"month": month, "sequence": number, "chain_hash": f"c{number}"}

    assert end() == "None"
    stored.rows[keys.audit_head(3)] = position("2026-01", 9)
    assert end() == "None"  # the head is of this month: its records began after the day
    stored.rows[keys.audit_head(3)] = position("2025-12", 9)
    assert end() == "2025-12 9 c9"
    stored.rows[keys.audit_closing("2026-01", 3)] = position("2026-01", 8)
    assert end() == "2025-12 9 c9"
    for month, number in (("2025-10", 5), ("2025-11", 6)):
        stored.rows[keys.audit_closing(month, 3)] = position(month, number)
    assert end() == "2025-11 6 c6"
    stored.record("2026-01", 1, "2026-01-14T10:00:00+00:00", chain=3)
    stored.record("2026-01", 2, "2026-01-14T23:59:59+00:00", chain=3)
    stored.record("2026-01", 3, "2026-01-15", chain=3)
    stored.record("2026-01", 4, "2026-01-16T00:00:00+00:00", chain=3)
    assert audit_export._end_before(3, DAY) == audit.Position("2026-01", 2, "h2")
    assert end(4) == "None"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_error("NoSuchBucket", "PutObject"), "NoSuchBucket"),
        (EndpointConnectionError(endpoint_url="x"), "EndpointConnectionError"),
    ],
    ids=["service", "network"],
)
def test_given_a_bucket_that_refuses_a_day_when_reported_then_the_alert_and_the_log_name_the_error(
    monkeypatch: pytest.MonkeyPatch,
    stored: Stored,
    error: Exception,
    code: str,
) -> None:
    sent: list[Alert] = []
    logged: list[Any] = []
    monkeypatch.setattr(notices, "alert_everywhere", sent.append)
    monkeypatch.setattr(logger, "error", lambda text, extra: logged.append((text, extra)))
    monkeypatch.setattr(clock, "now", lambda: moment("2026-01-16T00:20:00") + 0.5)
    stored.rows[MARK] = {"day": "2026-01-14"}

    for _ in range(2):
        audit_export._report("b", DAY, error, stored.rows[MARK])

    assert sent == [
        Alert(
            "audit-export-2026-01-16",
            "MEDIUM",
            "FIX the audit export: bucket b refuses the records of 2026-01-15",
            f"ir-router could not write the audit records of 2026-01-15 to the bucket b ({code}). It retries every 15 "
            "minutes. The records stay in the ledger.\n\nCheck that the bucket exists, that Object Lock is enabled, "
            "and that its policy allows the role of the workflow function.",
        )
    ]
    told = {"code": code, "day": "2026-01-15"}
    assert logged == [("audit.export_failed: ir-router retries in 15 minutes", told)] * 2
    kept = int(moment("2026-01-16T00:20:00")) + YEAR_AND_MORE
    assert stored.rows == {MARK: {"day": "2026-01-14", "failed_on": "2026-01-16", "expires_at": kept}}


def test_given_all_chains_when_a_day_is_written_then_the_lines_follow_chain_by_chain_without_their_keys(
    stored: Stored,
) -> None:
    for chain in (0, 15):
        for number in (1, 2):
            stored.record("2026-01", number, f"2026-01-15T0{number}:00:00+00:00", chain)["who"] = "Zoë"
    stored.record("2026-01", 7, "2026-01-14T01:00:00+00:00", 2)

    first, *others = audit_export._lines(DAY)

    ends = {"0": "2026-01 2 h2", "2": "2026-01 7 h7", "15": "2026-01 2 h2"}
    assert json.loads(first) == {"day": "2026-01-15", "records": 4, "ends": ends, "closes_month": False}
    lines = [
        f'{{"at": "2026-01-15T0{number}:00:00+00:00", "hash": "h{number}", "month": "2026-01", "sequence": {number}, '
        '"who": "Zoë"}'
        for number in (1, 2)
    ]
    assert others == lines * 2
    stored.record("2026-01", 8, "2026-01-31T23:58:00+00:00", 5)
    stored.record("2026-02", 1, "2026-01-31T23:59:00+00:00", 5)
    closing = json.loads(next(audit_export._lines(date(2026, 1, 31))))
    assert (closing["ends"]["5"], closing["records"], closing["closes_month"]) == ("2026-02 1 h1", 2, True)
