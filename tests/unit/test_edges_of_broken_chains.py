"""Each kind of break in the audit's chains, with its place: records in a store that a test damages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import audit, audit_verification, keys, table
from ir_router.ledger.audit import Position
from ir_router.ledger.audit_verification import BrokenLink, verify

NOW = 1_767_261_720.0  # 2026-01-01T10:02:00Z
OLD, NEW = "2025-12", "2026-01"
LATER = NOW + 1


class Store:
    """Two months of the main chain (3 and 2 records) and one month of chain 4 (2 records), in order."""

    def __init__(self) -> None:
        self.rows: dict[keys.Key, dict[str, Any]] = {}
        self.main = self.write(0, OLD, 3) + self.write(0, NEW, 2)
        self.other = self.write(4, NEW, 2)

    def write(self, chain: int, month: str, count: int, **facts: Any) -> list[keys.Key]:
        """Append records to a chain; the head moves, and a month that ends gets its closing."""
        head = self.rows.get(keys.audit_head(chain))
        if head and head["month"] != month:
            self.rows[keys.audit_closing(head["month"], chain)] = dict(head)
        sequence = head["sequence"] if head and head["month"] == month else 0
        previous, written = head["chain_hash"] if head else None, []
        for number in range(sequence + 1, sequence + count + 1):
            row: dict[str, Any] = {
                "month": month,
                "sequence": number,
                "previous": previous,
                "previous_expires_at": LATER,
                "action": "contained",
                "at": f"{month}-{number:02d}",
                "after": None,
                **facts,
            }
            if chain:
                row["chain"] = chain
            previous = row["hash"] = audit.digest(row)
            written.append(keys.audit_record(month, number, chain))
            self.rows[written[-1]] = row
        self.rows[keys.audit_head(chain)] = {
            "month": month,
            "sequence": sequence + count,
            "chain_hash": previous,
        }
        return written

    def row(self, key: keys.Key) -> dict[str, Any]:
        return self.rows[key]

    def change(self, key: keys.Key, **facts: Any) -> None:
        """Change a record and its hash, as an attacker with access to the table would."""
        row = self.row(key)
        row |= facts
        row["hash"] = audit.digest(row)

    def delete(self, *places: keys.Key) -> None:
        for key in places:
            del self.rows[key]

    def query(self, pk: str, **options: Any) -> Iterator[dict[str, Any]]:
        found = [row for (own, _), row in sorted(self.rows.items()) if own == pk]
        return iter(found[: options.get("limit")])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(table, "get", lambda key: made.rows.get(key))
    monkeypatch.setattr(table, "query", made.query)
    monkeypatch.setattr(audit_verification, "settings", lambda: SimpleNamespace(audit_retention_days=10))
    return made


def links() -> list[tuple[str, int, str, int]]:
    """Return every broken link; the first one is also that of a verification without records."""
    found = verify(lambda row: None).links
    assert verify().links == found[:1]
    return [(one.month, one.sequence, one.why, one.chain) for one in found]


def test_given_complete_chains_when_verified_then_every_record_is_read_once_and_nothing_is_broken(store: Store):
    read: list[tuple[int, int]] = []

    found = verify(lambda row: read.append((row.get("chain", 0), row["sequence"])))

    assert (found.records, found.first_at, found.last_at, found.links) == (7, "2025-12-01", "2026-01-02", ())
    assert (found.broken, read) == (None, [(0, 1), (0, 2), (0, 3), (0, 1), (0, 2), (4, 1), (4, 2)])


def test_given_a_changed_record_when_verified_then_it_and_the_next_link_are_named(store: Store):
    store.row(store.main[1])["action"] = "denied"
    assert links() == [(OLD, 2, "the record was changed after it was written", 0)]

    store.change(store.main[1])
    assert links() == [(OLD, 3, "the record does not follow the one before it", 0)]


def test_given_a_record_of_another_chain_when_verified_then_its_chain_is_named(store: Store):
    store.change(store.other[1], chain=9)
    assert links() == [
        (NEW, 2, "the record belongs to chain 9", 4),
        (NEW, 2, "the chain's end and its last record have different hashes", 4),
    ]


@pytest.mark.parametrize(
    ("deleted", "expected"),
    [
        ([0], [(OLD, 2, "records 1 to 1 are missing", 0)]),
        ([1], [(OLD, 3, "records 2 to 2 are missing", 0)]),
        ([0, 1], [(OLD, 3, "records 1 to 2 are missing", 0)]),
        ([2], [(OLD, 3, "records 3 to 3 are missing", 0)]),
        ([1, 2], [(OLD, 2, "records 2 to 3 are missing", 0)]),
        ([4], [(NEW, 2, "records 2 to 2 are missing", 0)]),
        ([3, 4], [(NEW, 1, "records 1 to 2 are missing", 0)]),
    ],
)
def test_given_missing_records_when_verified_then_the_gap_is_named_where_the_next_record_proves_it(
    store: Store, deleted: list[int], expected: list[tuple[str, int, str, int]]
):
    store.delete(*[store.main[number] for number in deleted])
    assert links() == expected


@pytest.mark.parametrize(("expires_at", "is_broken"), [(NOW, False), (NOW + 0.1, True), (None, True)])
def test_given_missing_records_when_their_time_is_over_then_they_have_expired(
    store: Store, expires_at: float | None, is_broken: bool
):
    for key in store.main[2:]:
        store.delete(key)
    store.delete(*store.main[:2])
    del store.rows[keys.audit_closing(OLD)]
    before = "h" * 64
    store.rows[keys.audit_head()] = {"month": NEW, "sequence": 3, "chain_hash": before}
    (last,) = store.write(0, NEW, 1, previous_expires_at=expires_at)

    found = links()

    assert last.sk.endswith("4")
    assert found == ([(NEW, 4, "records 1 to 3 are missing", 0)] if is_broken else [])


def test_given_an_end_without_its_records_when_their_retention_is_over_then_they_have_expired(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.delete(*store.main[3:])
    assert links() == [(NEW, 1, "records 1 to 2 are missing", 0)]

    month = 1_767_225_600.0  # 2026-01-01
    monkeypatch.setattr(clock, "now", lambda: month + 10 * 86_400 - 1)
    assert links() == [(NEW, 1, "records 1 to 2 are missing", 0)]
    monkeypatch.setattr(clock, "now", lambda: month + 10 * 86_400)
    assert links() == []


def test_given_a_record_after_the_end_when_verified_then_only_one_that_was_just_written_is_right(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    head = keys.audit_head(4)
    earlier = dict(store.rows[head])
    store.write(4, NEW, 1)
    now = store.rows[head]
    store.rows[head] = earlier
    assert links() == [(NEW, 3, "the record comes after the chain's end", 4)]

    # The head that the walk reads is older than the one after it.
    answers = {True: earlier, False: now}
    seen: list[keys.Key] = []

    def get(key: keys.Key) -> Any:
        if key != head:
            return store.rows.get(key)
        seen.append(key)
        return answers[len(seen) % 2 == 1]

    monkeypatch.setattr(table, "get", get)
    assert verify().links == ()
    assert len(seen) == 2


def test_given_a_past_month_when_a_record_comes_after_its_closing_then_it_is_never_right(store: Store):
    closing = store.rows[keys.audit_closing(OLD)]
    closing |= {"sequence": 2, "chain_hash": store.row(store.main[1])["hash"]}
    assert links() == [
        (OLD, 3, "the record comes after the chain's end", 0),
        (NEW, 1, "the record does not follow the one before it", 0),
    ]


def test_given_an_end_with_another_hash_when_verified_then_it_is_named(store: Store):
    store.rows[keys.audit_head(4)]["chain_hash"] = "x"
    assert links() == [(NEW, 2, "the chain's end and its last record have different hashes", 4)]


def tie(store: Store, position: Position) -> None:
    """Let the main chain name a record of chain 4."""
    store.write(0, NEW, 1, action=audit.TIED, details=json.dumps({"heads": {"4": str(position)}}))


def test_given_a_tie_when_the_named_record_is_there_then_nothing_is_broken(store: Store):
    tie(store, Position(NEW, 2, store.row(store.other[1])["hash"]))
    assert links() == []


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (2, [(NEW, 2, "record 3 of the main chain in 2026-01 names another record here", 4)]),
        (3, [(NEW, 3, "the main chain names this record, but it is missing", 4)]),
    ],
)
def test_given_a_tie_when_another_record_or_none_is_there_then_the_chain_is_broken(
    store: Store, sequence: int, expected: list[tuple[str, int, str, int]]
):
    tie(store, Position(NEW, sequence, "x"))
    assert links() == expected


def test_given_a_tied_record_before_the_others_when_it_is_missing_then_it_is_named_unless_it_expired(store: Store):
    tie(store, Position(OLD, 7, "x"))
    assert links() == [(OLD, 7, "the main chain names this record, but it is missing", 4)]

    previous = None
    for key in store.other:
        store.change(key, previous_expires_at=NOW, previous=previous)
        previous = store.row(key)["hash"]
    store.rows[keys.audit_head(4)]["chain_hash"] = previous
    assert links() == []


def after(store: Store, position: Position) -> list[tuple[str, int, str, int]]:
    """Let one more record of chain 4 follow a record of the main chain, and verify."""
    store.write(4, NEW, 1, after=str(position))
    return links()


def test_given_a_record_that_follows_the_main_chain_when_verified_then_that_record_must_be_there(store: Store):
    last = store.row(store.main[4])["hash"]
    assert after(store, Position(NEW, 2, last)) == []

    wrong = (NEW, 4, "the record follows another record of the main chain", 4)
    assert after(store, Position(NEW, 2, "x")) == [wrong]
    missing = (NEW, 5, "the record follows a record of the main chain that does not exist", 4)
    assert after(store, Position(NEW, 3, "x")) == [wrong, missing]


def test_given_a_record_that_follows_a_tie_of_a_later_record_when_verified_then_it_is_refused(store: Store):
    third, fourth = store.write(4, NEW, 2)
    tie(store, Position(NEW, 4, store.row(fourth)["hash"]))
    by = audit.position_of(store.rows[keys.audit_head()])
    store.change(third, after=str(by))
    store.change(fourth, previous=store.row(third)["hash"])
    store.rows[keys.audit_head(4)]["chain_hash"] = store.row(fourth)["hash"]

    assert links() == [
        (NEW, 3, "the record claims to follow a record of the main chain that already names it", 4),
        (NEW, 4, "record 3 of the main chain in 2026-01 names another record here", 4),
    ]


def test_given_no_head_when_the_chain_has_records_then_the_first_known_place_is_named(store: Store):
    store.delete(keys.audit_head(4))
    assert verify().broken == BrokenLink(NEW, 1, "the head is missing", 4)

    store.delete(keys.audit_head())
    assert verify().broken == BrokenLink(OLD, 3, "the head is missing", 0)
