"""Writers of the audit that meet, the link to the record before, and the reading and verification of a chain."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import audit, audit_reading, audit_verification, keys, table
from ir_router.ledger.audit import AuditContendedError, AuditDamagedError, Position
from ir_router.ledger.table import TransactionFailedError

NOW = 1_767_261_720.0  # 2026-01-01T10:02:00Z
HELD, FAILED = "None", "ConditionalCheckFailed"


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """The rows of the ledger by partition and sort key, which a test changes."""
    rows: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "utc_now", lambda: datetime.fromtimestamp(clock.now(), UTC))
    monkeypatch.setattr(table, "get", lambda key: rows.get(f"{key.pk} {key.sk}"))
    for name in ("put_item", "update_item"):
        monkeypatch.setattr(table, name, lambda key, row, condition=None, **values: (key.pk, row, condition, values))
    monkeypatch.setattr(audit, "settings", lambda: SimpleNamespace(audit_retention_days=400))
    monkeypatch.setattr(audit_verification, "settings", lambda: SimpleNamespace(audit_retention_days=400))
    audit.forget()
    yield rows
    audit.forget()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(clock, "sleep", lambda seconds: waited.append(round(seconds, 3)))
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    monkeypatch.setattr(random, "randrange", lambda chains: 5)
    return waited


@pytest.fixture
def transacting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[Any]]]:
    """Let each transaction fail with these reasons in turn, and the others succeed."""

    def use(*reasons: Sequence[str]) -> list[list[Any]]:
        left, written = list(reasons), []

        def transact(items: Sequence[Any]) -> None:
            written.append(list(items))
            if left:
                raise TransactionFailedError(list(left.pop(0)))

        monkeypatch.setattr(table, "transact", transact)
        return written

    return use


def head(month: str = "2026-01", sequence: int = 4) -> dict[str, Any]:
    return {"month": month, "sequence": sequence, "chain_hash": "h", "record_expires_at": 5}


def place(key: keys.Key) -> str:
    return f"{key.pk} {key.sk}"


def test_given_a_head_that_moves_when_written_then_25_attempts_are_made_with_longer_pauses(
    transacting: Callable[..., list[list[Any]]], waits: list[float]
) -> None:
    written = transacting(*[[HELD, HELD]] * 30)
    with pytest.raises(AuditContendedError, match="was not written"):
        audit.append("a", "b", {})
    assert len(written) == 25
    assert waits == [round(0.03 * min(number, 10), 3) for number in range(1, 26)]


@pytest.mark.parametrize(
    ("reasons", "chains"),
    [
        ([[HELD, FAILED]] * 2, [0, 0, 0]),
        ([[HELD, FAILED]] * 3, [0, 0, 0, 5]),
        ([[FAILED, HELD]] * 3, [0, 0, 0, 0]),
        ([[FAILED]] * 3, [0, 0, 0, 5]),
    ],
)
def test_given_a_writer_that_others_keep_overtaking_when_it_failed_three_times_then_it_moves_to_another_chain(
    transacting: Callable[..., list[list[Any]]], waits: list[float], reasons: list[list[str]], chains: list[int]
) -> None:
    written = transacting(*reasons)
    record = audit.append("a", "b", {})
    assert [items[1][0] for items in written] == [keys.audit_head(chain).pk for chain in chains]
    assert record is not None
    assert (record.chain, record.sequence, record.month) == (chains[-1], 1, "2026-01")


def test_given_items_of_a_caller_when_one_fails_then_the_error_is_theirs_and_that_of_the_record_is_retried(
    transacting: Callable[..., list[list[Any]]], waits: list[float]
) -> None:
    first: Any = "first"
    second: Any = "second"
    written = transacting([HELD, FAILED, HELD, HELD])
    with pytest.raises(TransactionFailedError):
        audit.append("a", "b", {}, together_with=[first, second])
    assert [items[:2] for items in written] == [["first", "second"]]
    written = transacting([HELD, HELD, FAILED, HELD])
    assert audit.append("a", "b", {}, together_with=[first, second]) is not None
    assert len(written) == 2


def test_given_a_fact_that_was_recorded_when_recorded_again_then_nothing_is_written(
    transacting: Callable[..., list[list[Any]]], waits: list[float]
) -> None:
    written = transacting([HELD, FAILED, HELD], [HELD, HELD, FAILED])
    assert audit.append("a", "b", {}, once="fact") is None
    assert len(written) == 2
    mark = written[0][-1]
    assert mark[1:] == (
        {"month": "2026-01", "sequence": 1, "chain": 0, "expires_at": int(NOW) + 30 * 86_400},
        "attribute_not_exists(PK)",
        {},
    )


@pytest.mark.parametrize(
    ("stored_head", "month", "sequence", "closes"),
    [
        (None, "2026-01", 1, False),
        (head(), "2026-01", 5, False),
        (head("2025-12"), "2026-01", 1, True),
        (head("2026-02"), "2026-02", 5, False),
    ],
)
def test_given_a_head_when_a_record_follows_then_a_new_month_begins_with_one_and_closes_the_month_before(
    stored: dict[str, Any],
    transacting: Callable[..., list[list[Any]]],
    stored_head: dict[str, Any] | None,
    month: str,
    sequence: int,
    *,
    closes: bool,
) -> None:
    if stored_head:
        stored[place(keys.audit_head())] = stored_head
    written = transacting()
    record = audit.append("key_deleted", "Jane", {"b": "é", "a": 1})

    assert record is not None
    assert (record.month, record.sequence, record.chain) == (month, sequence, 0)
    (items,) = written
    row = items[0][1]
    assert (row["at"], row["details"]) == ("2026-01-01T10:02:00.000Z", '{"a": 1, "b": "é"}')
    assert (row["previous"], row["previous_expires_at"]) == (("h", 5) if stored_head else (None, None))
    assert row["expires_at"] == int(NOW) + 400 * 86_400
    assert items[1][2] == ("chain_hash = :before" if stored_head else "attribute_not_exists(PK)")
    assert [item[1]["month"] for item in items[2:]] == (["2025-12"] if closes else [])
    assert "after" not in row
    assert audit.digest({**row, "PK": "x", "SK": "y"}) == row["hash"]


@pytest.mark.parametrize(("age", "after"), [(60.0, "2026-01 4 h"), (60.1, "2026-01 5 new")])
def test_given_another_chain_when_written_then_the_head_of_the_main_chain_is_read_after_a_minute(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any], age: float, after: str
) -> None:
    stored[place(keys.audit_head())] = head()
    audit._head(0)
    stored[place(keys.audit_head())] = {**head(sequence=5), "chain_hash": "new"}
    monkeypatch.setattr(clock, "now", lambda: NOW + age)
    assert audit._next(3, None, "a", "b", {})["after"] == after
    audit.forget()
    assert audit._after() == "2026-01 5 new"


def test_given_a_head_that_lacks_an_attribute_when_written_then_the_error_names_its_row(stored: dict[str, Any]) -> None:
    for name in ("month", "sequence", "chain_hash", "record_expires_at"):
        stored[place(keys.audit_head(3))] = {key: value for key, value in head().items() if key != name}
        with pytest.raises(AuditDamagedError, match="lacks attributes; nothing was written"):
            audit._head(3)
    assert Position.read(str(Position("2026-01", 4, "h"))) == Position("2026-01", 4, "h")
    with pytest.raises(ValueError, match="unpack"):
        Position.read("2026-01 4")


def test_given_chains_when_tied_then_only_new_heads_are_named_and_a_lost_one_is_an_error(
    stored: dict[str, Any], transacting: Callable[..., list[list[Any]]], waits: list[float]
) -> None:
    for chain in (1, 15):
        stored[place(keys.audit_head(chain))] = head(sequence=chain)
    stored[place(keys.audit_tied())] = {"heads": {"1": "2026-01 1 h"}}
    written = transacting([FAILED])
    record = audit.tie()
    assert (record is not None, len(written), waits) == (True, 2, [0.03])
    row, mark = written[1][0][1], written[1][-1][1]
    assert json.loads(row["details"]) == {"heads": {"15": "2026-01 15 h"}}
    assert audit.heads_of(row) == {15: Position("2026-01", 15, "h")}
    assert mark == {"heads": {"1": "2026-01 1 h", "15": "2026-01 15 h"}}

    stored[place(keys.audit_tied())] = mark
    assert audit.tie() is None
    transacting(*[[FAILED]] * 30)
    stored[place(keys.audit_head(15))] = head(sequence=16)
    with pytest.raises(AuditContendedError):
        audit.tie()
    assert len(waits) == 26
    del stored[place(keys.audit_head(15))]
    with pytest.raises(AuditDamagedError, match="is missing"):
        audit.tie()


def chain_of(*months: str) -> list[dict[str, Any]]:
    """Return linked records, each an hour after the one before it and the last one at 10:00."""
    rows: list[dict[str, Any]] = []
    for number, month in enumerate(months):
        hour = 10 - (len(months) - 1 - number)
        sequence = rows[-1]["sequence"] + 1 if rows and rows[-1]["month"] == month else 1
        row = {
            "month": month,
            "sequence": sequence,
            "at": f"{month}-01T{hour:02}:00:00.000Z",
            "previous": rows[-1]["hash"] if rows else None,
        }
        rows.append({**row, "hash": audit.digest(row)})
    return rows


def reading(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any], rows: list[dict[str, Any]], **changes: Any
) -> None:
    last = rows[-1]
    stored[place(keys.audit_head())] = {
        "month": last["month"],
        "sequence": last["sequence"],
        "chain_hash": last["hash"],
        **changes,
    }

    def query(pk: str, *, descending: bool) -> list[dict[str, Any]]:
        assert descending
        return [{**row, "PK": pk, "SK": "s"} for row in reversed(rows) if keys.audit_record(row["month"], 0).pk == pk]

    monkeypatch.setattr(table, "query", query)


@pytest.mark.parametrize(
    ("since", "first"), [("09:05:00", 3), ("09:05:00.001", 4), ("09:04:59.999", 3), ("08:00:00", 2), ("10:06:00", None)]
)
def test_given_a_time_when_the_audit_is_read_then_records_from_five_minutes_before_it_are_included(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any], since: str, first: int | None
) -> None:
    reading(monkeypatch, stored, chain_of(*["2026-01"] * 4))
    found = audit_reading.spans(datetime.fromisoformat(f"2026-01-01T{since}+00:00").timestamp())
    if first is None:
        assert found == []
        return
    (span,) = found
    assert [row["sequence"] for row in span.records] == list(range(first, 5))
    assert (span.chain, span.broken, span.is_cut, "PK" in span.records[0]) == (0, None, False, False)


def test_given_two_months_when_the_audit_is_read_then_the_earlier_one_is_read_too_and_the_number_is_limited(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    rows = chain_of("2025-12", "2026-01", "2026-01")
    reading(monkeypatch, stored, rows)
    since = datetime(2025, 12, 1, tzinfo=UTC).timestamp() + 300
    for most, number, is_cut in ((3, 3, False), (2, 2, True), (1, 1, True)):
        monkeypatch.setattr(audit_reading, "_MOST_RECORDS", most)
        (span,) = audit_reading.spans(since)
        assert (len(span.records), span.is_cut, span.broken) == (number, is_cut, None)
    monkeypatch.setattr(audit_reading, "_MOST_RECORDS", 9)
    (span,) = audit_reading.spans(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 300)
    assert [row["month"] for row in span.records] == ["2026-01", "2026-01"]


def test_given_a_record_that_was_written_since_when_the_audit_is_read_then_the_head_ends_the_span(
    monkeypatch: pytest.MonkeyPatch, stored: dict[str, Any]
) -> None:
    rows = chain_of(*["2026-01"] * 3)
    reading(monkeypatch, stored, rows, sequence=2, chain_hash=rows[1]["hash"])
    (span,) = audit_reading.spans(NOW - 86_400)
    assert ([row["sequence"] for row in span.records], span.broken) == ([1, 2], None)
    reading(monkeypatch, stored, rows, chain_hash="other")
    assert audit_reading.spans(NOW - 86_400)[0].broken == "the newest record is missing"
    reading(monkeypatch, stored, [rows[0], rows[2]])
    assert audit_reading.spans(NOW - 86_400)[0].broken == "record 3 of 2026-01 does not follow the one before it"
    reading(monkeypatch, stored, [rows[0], {**rows[1], "actor": "x"}, rows[2]])
    assert audit_reading.spans(NOW - 86_400)[0].broken == "record 2 of 2026-01 was changed after it was written"


def test_given_a_chain_without_a_head_when_verified_then_the_newest_closing_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closings = [{"month": "2025-11", "sequence": 7}, {"month": "2025-12", "sequence": 9}]
    records: list[dict[str, Any]] = [{"month": "2026-01", "sequence": 1}]
    monkeypatch.setattr(table, "query", lambda pk, limit: records[:limit])
    walk = audit_verification._Walk(0, NOW)

    def named(closed: list[dict[str, Any]], walk: audit_verification._Walk) -> list[tuple[str, int]]:
        return [(link.month, link.sequence) for link in walk._headless(closed)]

    assert named(closings, walk) == [("2025-12", 9)]
    assert named(closings[:1], walk) == [("2025-11", 7)]
    assert named([], walk) == [("2026-01", 1)]
    records.clear()
    assert named([], walk) == []
    tied = [
        audit_verification._Tied(Position("2026-01", number, "h"), Position("2026-01", 1, "m")) for number in (2, 3)
    ]
    assert named([], audit_verification._Walk(4, NOW, tied)) == [("2026-01", 3)]


def test_given_a_month_when_its_retention_ends_then_it_counts_as_expired_from_that_moment_on() -> None:
    ends = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + 400 * 86_400
    walks = [audit_verification._Walk(0, now) for now in (ends - 1, ends, ends + 1)]
    assert [walk._month_expired("2026-01") for walk in walks] == [False, True, True]
    assert [walk._expired(ends) for walk in walks] == [False, True, True]
    assert not walks[2]._expired(None)
