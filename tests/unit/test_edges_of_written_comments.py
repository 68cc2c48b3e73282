"""Comments of ir-router on a case: reading, creating, updating and confirming them, and the reports of failures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Comment
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, OutOfTimeError, RefusedError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim, ClaimLostError, Done, Held
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.sync import comment_claims, comment_reading, failures, posting, system_comments
from ir_router.sync.comment_reading import CommentReading, ReadingTooSlowError
from ir_router.sync.failures import Failure
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

NOW = 500_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
KEY = keys.note("1", "x")
BODY = comments.body_hash("b")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for name in ("put", "update", "get", "transact"):
        found.replace(table, name)
    for name in ("error", "warning"):
        monkeypatch.setattr(logger, name, lambda *_given, **_more: None)
    return found


@pytest.mark.parametrize(
    ("must_look", "listed", "created"),
    [(False, ["b"], True), (True, ["b"], False), (True, ["other"], True)],
)
def test_given_a_claimed_comment_when_settled_then_an_earlier_one_is_searched_and_confirmed(
    journal: Journal, must_look: bool, listed: list[str], created: bool
) -> None:
    row = {"body": "b", "client_token": "t", "claimed_at": 1_000}
    taken = Claim(KEY, 4, must_look=must_look, row=row)
    found = [Comment(comment_id=f"found-{body}", body=body) for body in ("z", *listed)]
    journal.replace(security_ir, "comments", found)
    journal.replace(security_ir, "create_comment", "made")
    journal.replace(comment_claims, "confirm")

    result = "made" if created else "found-b"
    assert comment_claims.settle("1", taken, "slack") == result
    assert journal.calls == [
        *([("comments", "1", {"since": 400.0})] if must_look else []),
        *([("create_comment", "1", "b", "t")] if created else []),
        ("confirm", "1", KEY, 4, row, result, "slack"),
    ]


@pytest.mark.parametrize(
    ("error", "given_up"),
    [(refused("x", "AWS"), "x"), (refused("ConflictException", "AWS"), None), (UncertainError("AWS", "m", "x"), "")],
)
def test_given_an_error_when_a_comment_is_created_then_only_a_rejection_is_noted(
    journal: Journal, error: Exception, given_up: str | None
) -> None:
    taken = claim(body="b", client_token="t")
    journal.replace(security_ir, "create_comment", error)
    journal.replace(claims, "refused")

    with pytest.raises(type(error)):
        comment_claims.settle("1", taken, "slack")

    noted = [] if given_up == "" else [("refused", taken, {"given_up": given_up})]
    assert journal.calls[1:] == noted


@pytest.mark.parametrize(("stored", "is_written"), [(None, True), ({"hash": "other"}, True), ({"hash": BODY}, False)])
def test_given_a_text_when_updated_then_its_hash_is_pending_before_and_stored_after(
    journal: Journal, stored: Any, is_written: bool
) -> None:
    journal.replace(table, "get", stored)
    journal.replace(security_ir, "update_comment")
    key = keys.comment("1", "c1")

    assert comment_claims.update("1", "c1", "b") == ("c1" if is_written else None)

    sets = "SET #hash = :hash DELETE pending_hashes :own"
    written = [
        ("update", key, "ADD pending_hashes :own", {"own": {BODY}}),
        ("update_comment", "1", "c1", "b"),
        ("update", key, sets, {"hash": BODY, "own": {BODY}}),
    ]
    assert journal.calls == [("get", key), *(written if is_written else [])]


@pytest.mark.parametrize(
    ("error", "stored", "lost"),
    [
        (None, None, False),
        (TransactionFailedError(["x"]), {"state": "done", "comment_id": "c1"}, False),
        (TransactionFailedError(["x"]), {"state": "done", "comment_id": "c2"}, True),
        (TransactionFailedError(["x"]), {"state": "claimed", "comment_id": "c1"}, True),
        (TransactionFailedError(["x"]), None, True),
    ],
)
def test_given_a_comment_when_confirmed_then_claim_and_comment_are_one_transaction(
    journal: Journal, error: Any, stored: Any, lost: bool
) -> None:
    journal.replace(claims, "confirm_item", "confirmed")
    journal.replace(table, "put_item", "stored")
    journal.replace(table, "transact", error)
    journal.replace(table, "get", stored)
    row = {"hash": "h"}

    if lost:
        with pytest.raises(ClaimLostError):
            comment_claims.confirm("1", KEY, 4, row, "c1", "slack")
    else:
        comment_claims.confirm("1", KEY, 4, row, "c1", "slack")
    comment = {"state": "done", "origin": "slack", "hash": "h", "source": KEY.sk, "at": NOW}
    taken = Claim(KEY, 4, must_look=False, row=row)
    assert journal.calls == [
        ("confirm_item", taken, {"comment_id": "c1", "body": ""}),
        ("put_item", keys.comment("1", "c1"), comment),
        ("transact", ["confirmed", "stored"]),
        *([("get", KEY)] if error else []),
    ]


@pytest.mark.parametrize(
    ("row", "creator", "belongs"),
    [
        ({"state": "claimed", "hash": BODY}, "role", True),
        ({"state": "claimed", "hash": "other"}, "role", False),
        ({"state": "claimed", "hash": BODY}, "AWS Responder", False),
        ({"state": "claimed", "hash": BODY}, "security-ir.amazonaws.com", False),
        ({"state": "done", "hash": BODY, "comment_id": "c1"}, None, True),
        ({"state": "done", "hash": BODY, "comment_id": "c2"}, None, False),
    ],
)
def test_given_a_comment_when_a_claim_may_have_made_it_then_text_creator_and_id_count(
    row: dict[str, Any], creator: str | None, belongs: bool
) -> None:
    assert comment_claims.belongs_to(row, Comment(comment_id="c1", body="b", creator=creator)) is belongs


def test_given_parts_when_claimed_then_text_hash_and_token_are_frozen_and_the_claim_is_free_at_once(
    journal: Journal,
) -> None:
    journal.replace(claims, "take_together", "all")
    journal.replace(claims, "take", "one")
    journal.replace(security_ir, "comments", [Comment(comment_id="c1", body="b")])

    given: list[Any] = [
        comment_claims.take_all([(KEY, "b", "t")], kind="k"),
        comment_claims.take(KEY, "b", "t", kind="k"),
    ]

    frozen = {"body": "b", "hash": BODY, "client_token": "t", "kind": "k"}
    assert given == ["all", "one"]
    assert comment_claims.texts("1", "1600.5") == {"c1": "b"}
    assert journal.calls == [
        ("take_together", [(KEY, frozen)], {"settle_after": NOW}),
        ("take", KEY, {"settle_after": NOW, **frozen}),
        ("comments", "1", 1000.5),
    ]


@pytest.mark.parametrize("complete", [True, False])
def test_given_a_reading_when_stored_then_only_a_complete_one_counts_as_a_comparison(complete: bool) -> None:
    found = CommentReading([Comment(comment_id="c1")], complete, 7.0, 3).to_store()

    compared = {"compared_at": 7.0, "compared_comments": 1, "compared_requests": 3}
    assert found == {"comments_read_at": 7.0, **(compared if complete else {})}


@pytest.mark.parametrize(
    ("row", "since"),
    [
        ({}, None),
        (
            {"compared_at": NOW, "compared_comments": 1, "comments_read_at": NOW - 5},
            NOW - 5 - comment_reading._OVERLAP_SECONDS,
        ),
        ({"compared_at": 0, "compared_comments": 1, "comments_read_at": NOW - 5, "comparison_requests": 4}, None),
    ],
)
@pytest.mark.parametrize(("took", "raised"), [(0, None), (14.4, OutOfTimeError), (15, ReadingTooSlowError)])
def test_given_a_case_when_its_comments_are_read_then_a_slow_reading_asks_for_a_longer_slice(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, row: dict[str, Any], since: Any, took: float, raised: Any
) -> None:
    deadline = Deadline(soft=NOW + 500, hard=NOW + 600)

    def listed(*_given: Any) -> Any:
        monkeypatch.setattr(clock, "now", lambda: NOW + took)
        if raised:
            raise OutOfTimeError("x")
        return SimpleNamespace(comments=["c"], is_complete=False)

    journal.replace(security_ir, "list_comments", listed)

    if raised:
        with pytest.raises(OutOfTimeError) as error:
            comment_reading.read("1", row, deadline)
        assert type(error.value) is raised
        if raised is ReadingTooSlowError:
            assert str(error.value) == "AWS took more than 15 s to list the comments"
    else:
        found: Any = comment_reading.read("1", row, deadline)
        expected: Any = CommentReading(["c"], False, NOW, int(row.get("comparison_requests") or 0))  # type: ignore[list-item]
        assert found == expected
    assert journal.calls == [("list_comments", "1", since, deadline)]


FAILURE = Failure("n", "What.", "Fix.", retried=True, error_id="e1", transient=False)


@pytest.mark.parametrize(
    ("transient", "reported", "channel", "retried", "effects"),
    [
        (False, None, "C1", True, ["write", "_post"]),
        (True, True, "C1", False, ["_is_reported_for_outage", "write", "_post"]),
        (True, False, "C1", True, ["_is_reported_for_outage"]),
        (False, None, "", True, ["write"]),
    ],
)
@pytest.mark.parametrize("error", [None, IrRouterError("x"), RefusedError("S", "m", "x")])
def test_given_a_failure_when_reported_then_the_case_comes_before_the_channel_and_errors_are_logged(
    journal: Journal, transient: bool, reported: Any, channel: str, retried: bool, effects: list[str], error: Any
) -> None:
    failure = Failure("n", "What.", "Fix.", retried=retried, error_id="e1", transient=transient, of_case=True)
    journal.replace(failures, "_is_reported_for_outage", reported)
    journal.replace(system_comments, "write", error)
    journal.replace(failures, "_post", error)

    failures.report("1", channel, failure, DEADLINE)

    retry = "ir-router retries this automatically." if retried else "ir-router does not retry this."
    calls = {
        "_is_reported_for_outage": ("_is_reported_for_outage", "1", {"of_case": True}),
        "write": ("write", "1", "failure-n", f"What. {retry} Fix. Error ID: e1"),
        "_post": ("_post", "1", "C1", failure, DEADLINE),
    }
    assert journal.calls == [calls[name] for name in effects]


@pytest.mark.parametrize(("taken", "is_posted"), [(claim(), True), (Done({}), False), (Held(7.0), False)])
def test_given_a_failure_when_posted_then_its_message_appears_once(
    journal: Journal, taken: Any, is_posted: bool
) -> None:
    journal.replace(failures, "Slack", "slack")
    journal.replace(claims, "take", taken)
    journal.replace(posting, "post")

    failures._post("1", "C1", FAILURE, DEADLINE)

    message = messages.failure("What.", True, "Fix.", "e1")
    posted = [("Slack", DEADLINE), ("post", "slack", "C1", taken, message)]
    taking = ("take", keys.note("1", "failure-n"), {"settle_after": DEADLINE.settle_after})
    assert journal.calls == [taking, *(posted if is_posted else [])]


@pytest.mark.parametrize("error", [None, ConditionFailedError({})])
def test_given_an_outage_when_reported_then_the_mark_has_case_and_time(journal: Journal, error: Any) -> None:
    journal.replace(table, "update", error)

    assert failures._is_reported_for_outage("1", of_case=True) is (error is None)

    ((_, key, sets, condition, values),) = journal.calls
    assert (key, sets) == (keys.note("1", "outage"), "SET of_case = :of_case, told_at = :now")
    assert condition == "attribute_not_exists(told_at) OR told_at < :over OR of_case = :of_case"
    assert values == {"of_case": True, "now": NOW, "over": NOW - 900}


@pytest.mark.parametrize(("stored", "measured"), [("new", True), ("earlier", False)])
def test_given_a_failure_when_it_is_the_first_then_it_is_measured_once(
    journal: Journal, stored: str, measured: bool
) -> None:
    journal.replace(table, "update", {"error_id": stored})
    journal.replace(failures, "measure")

    assert failures.first_error_id("1", "n", "new") == stored

    sets = "SET error_id = if_not_exists(error_id, :error_id)"
    call = ("update", keys.note("1", "failing-n"), sets, {"error_id": "new"})
    assert journal.calls == [call, *([("measure", "FailuresTold")] if measured else [])]
