"""The parts of a stored report, and the hours of the allowlist that have ended."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import allowlisted_hours, audit, keys, reports, table
from ir_router.ledger.keys import Key

NOW = 1_767_261_720.0  # 2026-01-01T10:02:00Z
DAY = 86_400


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[Key, dict[str, Any]]:
    """A table in memory, in which rows are put and read."""
    stored: dict[Key, dict[str, Any]] = {}
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(table, "put", lambda key, row: stored.update({key: dict(row)}))
    monkeypatch.setattr(table, "get", stored.get)
    return stored


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (299_999, [299_999]),
        (300_000, [300_000]),
        (300_001, [300_000, 1]),
        (600_000, [300_000, 300_000]),
        (700_000, [300_000, 300_000, 100_000]),
    ],
)
def test_given_a_content_when_stored_then_no_part_is_longer_than_a_row_may_be(
    rows: dict[Key, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, size: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(gzip, "compress", lambda content, mtime: content)
    monkeypatch.setattr(gzip, "decompress", lambda content: content)
    content = bytes(number % 251 for number in range(size))

    assert reports.store("7", "csv", content) == len(sizes)

    assert list(rows) == [keys.report_part("7", f"csv#{number:04}") for number in range(len(sizes))]
    assert [len(row["part"]) for row in rows.values()] == sizes
    assert {row["expires_at"] for row in rows.values()} == {int(NOW) + 30 * DAY}
    assert reports.load("7", "csv", len(sizes)) == content


def test_given_the_same_content_when_stored_later_then_the_bytes_are_the_same(
    rows: dict[Key, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.store("7", "a", b"text")
    monkeypatch.setattr("time.time", lambda: NOW + DAY)
    reports.store("7", "b", b"text")

    first, second = (row["part"] for row in rows.values())
    assert first == second == gzip.compress(b"text", mtime=0)
    assert reports.load("7", "b", 1) == b"text"


def test_given_stored_parts_when_erased_then_each_of_them_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[Key] = []
    part = keys.report_part("7")
    found = {part.pk: [{"PK": part.pk, "SK": "a"}, {"PK": part.pk, "SK": "b"}]}
    monkeypatch.setattr(table, "query", lambda pk: iter(found[pk]))
    monkeypatch.setattr(table, "delete", deleted.append)

    reports.erase("7")

    assert deleted == [Key(part.pk, "a"), Key(part.pk, "b")]


@pytest.mark.parametrize(
    ("now", "recorded"),
    [
        (NOW - 0.5, ["2026-01-01T08:00Z"]),
        (NOW, ["2026-01-01T08:00Z", "2026-01-01T09:00Z"]),
        (NOW + 3_600, ["2026-01-01T08:00Z", "2026-01-01T09:00Z", "2026-01-01T10:00Z"]),
    ],
)
def test_given_hours_when_recorded_then_an_hour_counts_as_ended_two_minutes_after_its_end(
    monkeypatch: pytest.MonkeyPatch, now: float, recorded: list[str]
) -> None:
    hours: list[dict[str, Any]] = [
        {
            "PK": "hours",
            "SK": str(hour),
            "started": f"2026-01-01T{hour:02}:00Z",
            "allowed_by": "10.0.0.0/8",
            "because": "scanner",
            "events": hour,
            "ids_sum": 2**96 + hour,
            "callers": {"b", "a"},
        }
        for hour in (8, 9, 10)
    ]
    written: list[tuple[str, str, dict[str, Any], Any]] = []
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(table, "query", lambda pk: iter(hours))
    monkeypatch.setattr(table, "delete_item", lambda *given, **values: (*given, values))
    monkeypatch.setattr(
        audit,
        "append",
        lambda action, actor, details, together_with: written.append((action, actor, details, together_with)),
    )

    assert allowlisted_hours.record_ended() == len(recorded)

    assert [details["hour"] for _, _, details, _ in written] == recorded
    assert written[0] == (
        "events_allowlisted",
        "ir-router workflow",
        {
            "entry": "10.0.0.0/8",
            "reason": "scanner",
            "hour": "2026-01-01T08:00Z",
            "events": 8,
            "ids_digest": f"{8:024x}",
            "callers": ["a", "b"],
            "detections": [],
        },
        [(Key("hours", "8"), "events = :events", {"events": 8})],
    )


def test_given_events_without_callers_when_counted_then_only_their_number_and_digest_are_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(table, "update_item", lambda *given, **values: asked.append((*given, values)))

    allowlisted_hours.adding("ip", "scanner", ["e1", "e2"], set(), set(), set())
    allowlisted_hours.adding("ip", "scanner", ["e1"], {"c"}, set(), {"d"})

    first, second = asked
    assert first[0] == keys.allowlisted_hour("2026-01-01T10:00Z", first[0].sk.rpartition("#")[2])
    assert first[1].startswith("ADD events :events, ids_sum :ids_sum SET ")
    assert second[1].startswith("ADD events :events, ids_sum :ids_sum, callers :callers, detections :detections SET ")
    assert first[2] == {
        "events": 2,
        "ids_sum": sum(allowlisted_hours._part(one) for one in ("e1", "e2")),
        "allowed_by": "ip",
        "because": "scanner",
        "started": "2026-01-01T10:00Z",
        "expires_at": int(NOW) + 90 * DAY,
    }
    assert (second[2]["callers"], second[2]["detections"]) == ({"c"}, {"d"})
