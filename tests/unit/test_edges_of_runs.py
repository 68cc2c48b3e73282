"""Runs of a case's synchronisation: the outcome of each error, the values at the end, and the order of the steps."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import clock
from ir_router.cases import fingerprints
from ir_router.deadline import Deadline
from ir_router.errors import (
    InvalidInputError,
    LeaseLostError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
)
from ir_router.ledger import keys, leases, table
from ir_router.ledger.claims import ClaimLostError
from ir_router.sync import (
    back_off,
    case_to_slack,
    comment_reading,
    hints,
    retention,
)
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.comment_reading import ReadingTooSlowError
from tests.support.answers import client_error
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, nothing, sync_of

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


@pytest.mark.parametrize(
    ("error", "outcome", "effect"),
    [
        (OutOfTimeError("x"), "continues", ("release_unfinished", {"next_try": NOW})),
        (RetryLaterError("Slack", "m", "x", 7), "waiting", ("release_unfinished", {"next_try": NOW + 7})),
        (ClaimHeldError(77.0), "waiting", ("release_unfinished", {"next_try": 77.0})),
        (ClaimLostError("x"), "waiting", ("release_unfinished", {"next_try": NOW})),
        (LeaseLostError("x"), LeaseLostError, None),
        (refused("x"), "failed", ("record", DEADLINE)),
        (client_error("x"), "failed", ("record", DEADLINE)),
        (BotoCoreError(), "failed", ("record", DEADLINE)),
        (
            ReadingTooSlowError("x"),
            "failed",
            ("record", Deadline(soft=NOW + 50, hard=NOW + 50)),
        ),
        (ValueError("odd"), ValueError, ("record", DEADLINE)),
    ],
)
def test_given_an_error_when_a_case_is_synchronised_then_the_lease_ends_with_its_outcome(
    journal: Journal, error: Exception, outcome: Any, effect: Any
) -> None:
    lease: Any = SimpleNamespace(case_id="1")
    journal.replace(case_to_slack, "_work", error)
    journal.replace(leases, "release_unfinished")
    journal.replace(back_off, "record")
    journal.replace(hints, "publish")

    if isinstance(outcome, str):
        assert case_to_slack._run(lease, DEADLINE, "d") == outcome
    else:
        with pytest.raises(outcome) as raised:
            case_to_slack._run(lease, DEADLINE, "d")
        assert raised.value is error
    published = [("publish", [hints.Hint("1", "CaseUpdated")])] if outcome == "continues" else []
    name, value = effect or ("", None)
    call = (name, lease, error, value) if name == "record" else (name, lease, value)
    assert journal.taken() == [("_work", lease, DEADLINE, "d"), *([call] if effect else []), *published]
    journal.replace(case_to_slack, "_work", "synced")
    assert case_to_slack._run(lease, DEADLINE, "d") == "synced"


def lease_of(**row: Any) -> Any:
    return SimpleNamespace(case_id="1", row=row)


def working(journal: Journal, own: Any, *released: bool, erased: bool = False, due: bool = False) -> None:
    """Replace all that `_work` calls."""
    journal.replace(case_to_slack, "begin", own)
    journal.replace(retention, "is_erased", erased)
    journal.replace(retention, "is_due", due)
    journal.replace(retention, "leave", *released)
    journal.replace(retention, "erase", *released)
    journal.replace(case_to_slack, "_reconcile")
    journal.replace(case_to_slack, "_due_at", 99.0)
    journal.replace(case_to_slack, "_reading", "reading")
    journal.replace(fingerprints, "fingerprint", "print")
    journal.replace(fingerprints, "row_digest", "computed")
    for name in ("refresh_hints", "delete", "release_unfinished"):
        journal.replace(leases, name)
    journal.replace(leases, "release_synced", *released)
    journal.replace(table, "get", {"first_poll_at": 1})


def effects(journal: Journal) -> list[tuple[Any, ...]]:
    return [call for call in journal.taken() if call[0] not in ("is_erased", "is_due", "row_digest")]


def ended(lease: Any, digest: str, **changes: Any) -> tuple[Any, ...]:
    values: dict[str, Any] = {"read_to": 5, "row_digest": digest, "fingerprint": "print", "severity": "HIGH"}
    return ("release_synced", lease, {**values, "closed": None, "due_at": 99.0, "channel_id": "C1", **changes})


def test_given_a_hint_during_a_run_when_it_ends_then_a_second_round_reads_the_case_and_computes_its_digest(
    journal: Journal,
) -> None:
    own, lease = sync_of(journal), lease_of(old=1)
    working(journal, own, False, True)

    assert case_to_slack._work(lease, DEADLINE, "given") == "synced"

    merged = {"old": 1, "read_to": 5}
    rounds = [("begin", lease, DEADLINE), ("_reconcile", own), ("_reading", own), ("fingerprint", "reading")]
    due = ("_due_at", own, merged, {"imported": True})
    assert effects(journal) == [
        *rounds,
        due,
        ended(lease, "given"),
        ("refresh_hints", lease),
        *rounds,
        due,
        ended(lease, "computed"),
    ]
    with pytest.raises(OutOfTimeError):
        case_to_slack._work(lease, Deadline(soft=NOW - 1, hard=NOW), None)
    assert effects(journal) == []


@pytest.mark.parametrize("closed", [True, False])
def test_given_a_case_of_before_when_synchronised_then_it_is_not_imported_and_keeps_no_fingerprint(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, closed: bool
) -> None:
    case = case_of(case_status="Closed" if closed else "Acknowledged", created_date=datetime.fromtimestamp(5, UTC))
    own = sync_of(journal, case=case, channel_id="", are_comments_copied=False)
    lease = lease_of(old=1)
    working(journal, own, True)
    monkeypatch.setattr(case_to_slack, "settings", lambda: SimpleNamespace(initial_import="none"))
    journal.replace(table, "get", {"first_poll_at": 6})

    assert case_to_slack._work(lease, DEADLINE, None) == "not imported"

    last = ("release_synced", lease)
    values = {"row_digest": "computed", "fingerprint": None, "severity": "HIGH", "closed": closed or None}
    found = effects(journal)
    assert found == [
        ("begin", lease, DEADLINE),
        ("get", keys.poller()),
        ("_due_at", own, {"old": 1}, {"imported": False}),
        (*last, {**values, "due_at": 99.0, "channel_id": None}),
    ]
    for poller, outcome in (({"first_poll_at": 5}, "synced"), (None, "waiting")):
        journal.replace(table, "get", poller)
        assert case_to_slack._work(lease, DEADLINE, None) == outcome
    assert effects(journal)[-1] == ("release_unfinished", lease, {"next_try": NOW})


def test_given_an_erased_case_or_one_whose_retention_ends_when_hints_come_then_another_round_runs(
    journal: Journal,
) -> None:
    own, lease = sync_of(journal), lease_of()

    working(journal, own, False, True, erased=True)
    assert case_to_slack._work(lease, DEADLINE, "d") == "erased"
    assert effects(journal) == [("leave", lease, "d"), ("refresh_hints", lease), ("leave", lease, "d")]
    for given, digest in (("d", "d"), (None, "computed")):
        working(journal, own, False, True, due=True)
        assert case_to_slack._work(lease, DEADLINE, given) == "erased"
        erased = [("begin", lease, DEADLINE), ("erase", own, digest)]
        assert effects(journal) == [*erased, ("refresh_hints", lease), *erased]


@pytest.mark.parametrize(
    ("code", "row", "unknown"),
    [
        ("ResourceNotFoundException", {}, True),
        ("ValidationException", {}, True),
        ("AccessDeniedException", {}, False),
        ("ValidationException", {"slackChannelId": "C1"}, False),
    ],
)
def test_given_a_case_that_does_not_exist_when_read_then_only_a_row_without_a_channel_is_deleted(
    journal: Journal, code: str, row: dict[str, Any], unknown: bool
) -> None:
    lease = lease_of(**row)
    working(journal, None)
    journal.replace(case_to_slack, "begin", refused(code, "AWS"))

    if unknown:
        assert case_to_slack._work(lease, DEADLINE, None) == "unknown case"
    else:
        with pytest.raises(RefusedError):
            case_to_slack._work(lease, DEADLINE, None)
    assert effects(journal)[1:] == ([("delete", lease)] if unknown else [])


@pytest.mark.parametrize(
    ("row", "at_most"),
    [
        ({}, 120),
        ({"channel_id": "C1"}, 60),
        ({"channel_id": "C1", "slice_seconds": 240}, 240),
        ({"channel_id": "C1", "slice_seconds": 59}, 60),
        ({"slice_seconds": 100, "next_try": NOW}, 120),
    ],
)
def test_given_a_hint_when_synchronised_then_lease_and_deadline_have_the_slice_of_the_case(
    journal: Journal, row: dict[str, Any], at_most: float
) -> None:
    context: Any = object()
    journal.replace(case_to_slack, "correlate")
    journal.replace(leases, "add_hint", row)
    journal.replace(case_to_slack, "of_invocation", DEADLINE)
    journal.replace(case_to_slack, "enforced", lambda _deadline: nothing())
    journal.replace(leases, "take", "lease")
    journal.replace(case_to_slack, "_run", "synced", LeaseLostError("x"))

    assert case_to_slack.synchronise("1", context, "d", compares_comments=True) == {"case_id": "1", "outcome": "synced"}

    assert journal.taken() == [
        ("correlate", "1"),
        ("add_hint", "1", {"compares_comments": True}),
        ("of_invocation", context, {"reserve": 12, "at_most": at_most}),
        ("take", "1", {"until": DEADLINE.settle_after}),
        ("enforced", DEADLINE),
        ("_run", "lease", DEADLINE, "d"),
    ]
    assert case_to_slack.synchronise("1", context) == {"case_id": "1", "outcome": "lost"}
    assert ("add_hint", "1", {"compares_comments": False}) in journal.calls
    journal.replace(leases, "take")
    assert case_to_slack.synchronise("1", context) == {"case_id": "1", "outcome": "held"}
    journal.replace(leases, "add_hint", {"next_try": NOW + 0.1})
    assert case_to_slack.synchronise("1", context) == {"case_id": "1", "outcome": "deferred"}
    assert journal.calls[-1][0] == "add_hint"


@pytest.mark.parametrize(
    ("event", "given", "compares"),
    [
        ({"detail": {"caseId": "1234567890", "rowDigest": "d"}}, ("1234567890", "d"), False),
        ({"detail": {"caseId": "1234567890", "compareComments": True}}, ("1234567890", None), True),
        (
            {"detail-type": "Case Comment Updated", "resources": ["arn:aws:x:case/1234567890", "case/2"]},
            ("1234567890", None),
            True,
        ),
        ({"detail": "x", "resources": ["arn:case/1234567890"]}, ("1234567890", None), False),
        ({"detail": {}, "resources": []}, None, False),
        ({"detail": {"caseId": "../x"}}, None, False),
    ],
)
def test_given_an_event_when_handled_then_case_digest_and_comparison_come_from_it(
    journal: Journal, event: dict[str, Any], given: tuple[str, str | None] | None, compares: bool
) -> None:
    context: Any = object()
    journal.replace(case_to_slack, "synchronise", {"outcome": "x"})

    if given is None:
        with pytest.raises(InvalidInputError):
            case_to_slack.handle(event, context)
        return
    assert case_to_slack.handle(event, context) == {"outcome": "x"}
    case_id, digest = given
    assert journal.calls == [("synchronise", case_id, context, digest, {"compares_comments": compares})]


def test_given_no_reason_for_another_run_when_the_next_one_is_planned_then_there_is_none(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(comment_reading, "next_at", lambda row: row["next"])
    own = sync_of(journal)

    assert case_to_slack._due_at(own, {"next": None}, imported=True) is None
    assert case_to_slack._due_at(own, {"next": 7.0}, imported=True) == 7.0
