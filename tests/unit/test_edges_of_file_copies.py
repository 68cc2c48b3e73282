"""Files from Slack that stay in Slack or must wait: sizes, modes, ages, and the reasons that users read."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import file_lines
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim
from ir_router.sync import file_from_slack, file_transfer, queue
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.file_from_slack import FileFromSlack
from ir_router.sync.file_transfer import NotReadyError, Transfer
from tests.support.answers import SlackAnswers

NOW = 50_000.0
MEGABYTE = 1_048_576
URL = "https://files.slack.com/a"


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)


def claim(attempt: int = 1, **row: Any) -> Claim:
    return Claim(keys.note("1", "x"), attempt, must_look=attempt > 1, row=row)


def file_of(*answers: Any, **changes: Any) -> FileFromSlack:
    given: Any = SimpleNamespace(slack=SlackAnswers(*answers), transferred_at=0.0, **changes)
    return FileFromSlack("1", "C1", "F1", given)


def check(size: object = 1, attachments: int = 0, *, closed: bool = False, age: float = 600, **file: Any) -> str:
    """Return the two texts of the reason, `not yet` for a file that must wait, or an empty text without a reason."""
    shown: dict[str, Any] = {"id": "F1", "size": size, "mode": "hosted", "url_private_download": URL, **file}
    try:
        file_of()._check(claim(claimed_at=NOW - age), shown, attachments, closed=closed)
    except file_from_slack._StaysInSlackError as stays:
        return f"{stays} ({stays.short})"
    except NotReadyError as error:
        return f"not yet: {error}"
    return ""


def test_given_a_complete_file_when_checked_then_it_is_copied_up_to_the_limits() -> None:
    assert check() == ""
    assert check(100 * MEGABYTE, 49) == ""
    assert check(1, age=0) == ""


def test_given_a_file_that_the_case_cannot_take_when_checked_then_the_reason_has_both_texts() -> None:
    assert check(closed=True) == "the case is closed. (the case is closed)"
    assert check(attachments=50).endswith(" (the case has its maximum of attachments)")
    assert check(100 * MEGABYTE + 1) == (
        "it is 100 MB, and a case accepts at most 100 MB per file. Split it, or post a link. (100 MB, more than a case "
        "accepts)"
    )


NO_URL = "Slack returns no URL for its content"


@pytest.mark.parametrize(
    ("file", "why", "reason"),
    [
        (
            {"mode": "tombstone"},
            "its mode is tombstone",
            f"it was deleted in Slack before it could be copied. ({file_lines.DELETED})",
        ),
        (
            {"mode": "hidden_by_limit"},
            "its mode is hidden_by_limit",
            f"Slack hides it because of the limit of the workspace's plan. ({file_lines.HIDDEN})",
        ),
        (
            {"url_private_download": "", "size": 5},
            "it has no URL",
            f"{NO_URL}. Download it and share it again. ({NO_URL})",
        ),
        ({"url_private_download": "", "size": 0}, "its size is 0", "it is empty. (empty)"),
        ({"url_private_download": "", "size": None}, "its size is 0", "it is empty. (empty)"),
        ({"size": 0}, "its size is 0", ""),
    ],
)
def test_given_a_file_without_content_when_checked_then_a_young_one_waits_and_an_old_one_has_a_reason(
    file: dict[str, Any], why: str, reason: str
) -> None:
    assert check(age=600, **file) == reason
    assert check(age=599, **file) == f"not yet: Slack has not finished with the file: {why}"


@pytest.mark.parametrize(("attempt", "waits"), [(1, True), (2, False)])
def test_given_a_claim_without_a_time_when_a_file_is_not_ready_then_only_the_first_attempt_waits(
    attempt: int, *, waits: bool
) -> None:
    if waits:
        with pytest.raises(NotReadyError, match="because"):
            file_of()._wait_while_young(claim(attempt), "because")
    else:
        file_of()._wait_while_young(claim(attempt), "because")


@pytest.mark.parametrize(
    ("code", "size", "reason"),
    [
        (file_from_slack._WEB_PAGE, 1, "Slack serves a web page instead of its content"),
        ("HTTP 404", 1, "Slack does not serve its content (HTTP 404)"),
    ],
)
def test_given_a_rejected_download_when_the_token_is_valid_then_an_old_file_stays_with_the_cause(
    code: str, size: int, reason: str
) -> None:
    error = RefusedError("Slack", "download", code)
    old, young = claim(claimed_at=NOW - 600), claim(claimed_at=NOW - 599)

    found = file_of()._refused_by_slack(old, {"size": size}, error)
    empty = file_of()._refused_by_slack(old, {}, error)

    assert (str(found), getattr(found, "short", "")) == (f"{reason}. Download it and share it again.", reason)
    assert str(empty) == "it is empty."
    with pytest.raises(NotReadyError, match=code):
        file_of()._refused_by_slack(young, {"size": size}, error)
    with pytest.raises(RefusedError):
        file_of(RefusedError("Slack", "auth.test", "invalid_auth"))._refused_by_slack(old, {"size": size}, error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("file_deleted", "it was deleted in Slack before it could be copied."),
        ("file_not_found", "Slack does not have it, or does not show it to the app (file_not_found)."),
        ("access_denied", "Slack does not have it, or does not show it to the app (access_denied)."),
    ],
)
def test_given_a_file_that_slack_does_not_show_when_read_then_the_reason_names_it(code: str, expected: str) -> None:
    refused = RefusedError("Slack", "files.info", code)

    with pytest.raises(file_from_slack._StaysInSlackError) as stays:
        file_of(refused)._info(claim(claimed_at=NOW - 600))
    with pytest.raises(NotReadyError, match=code):
        file_of(refused)._info(claim(claimed_at=NOW - 599))

    assert str(stays.value) == expected
    assert stays.value.short == (file_lines.DELETED if code == "file_deleted" else "not available")


def test_given_a_rejected_app_when_a_file_is_read_then_the_error_stays() -> None:
    with pytest.raises(RefusedError, match="invalid_auth"):
        file_of(RefusedError("Slack", "files.info", "invalid_auth"))._info(claim(claimed_at=NOW - 600))


def test_given_a_file_of_another_channel_when_checked_then_it_is_not_copied_and_no_reason_is_posted() -> None:
    own = {"id": "F1", "channels": ["C1"]}
    other = {"id": "F1", "channels": ["C2"]}

    file_of()._check_channel(claim(claimed_at=NOW - 600), own)
    with pytest.raises(NotReadyError):
        file_of()._check_channel(claim(claimed_at=NOW - 599), other)
    with pytest.raises(file_from_slack._StaysInSlackError) as stays:
        file_of()._check_channel(claim(claimed_at=NOW - 600), other)
    assert (str(stays.value), stays.value.short) == ("", "not shared in this channel")


@pytest.mark.parametrize(
    ("served", "size", "known", "expected"),
    [
        (1, 1, None, ""),
        (0, 0, None, "it is empty."),
        (100 * MEGABYTE, 100 * MEGABYTE, None, ""),
        (100 * MEGABYTE + 1, 1, None, "it is 100 MB, and a case"),
        (5, 4, None, "Slack serves another length than it announces"),
        (5, 4, 5, ""),
        (5, 4, 6, "Slack serves another length than it announces"),
        (5, None, 5, ""),
    ],
)
def test_given_a_served_length_when_it_differs_then_the_second_equal_one_is_accepted(
    monkeypatch: pytest.MonkeyPatch, served: int, size: int | None, known: int | None, expected: str
) -> None:
    noted: list[dict[str, Any]] = []
    monkeypatch.setattr(claims, "note", lambda _claim, **values: noted.append(values))
    own = claim(claimed_at=NOW - 600, **({"served_length": known} if known else {}))

    try:
        file_of()._check_length(own, {"size": size}, served, is_page=False)
        text = ""
    except (NotReadyError, file_from_slack._StaysInSlackError) as error:
        text = str(error)

    assert text.startswith(expected)
    assert bool(text) is bool(expected)
    assert noted == ([{"served_length": served}] if "another length" in expected else [])


def test_given_an_empty_or_a_web_page_when_young_then_the_copy_waits() -> None:
    young = claim(claimed_at=NOW - 599, served_length=5)

    for served, is_page in ((0, False), (5, True)):
        with pytest.raises(NotReadyError, match="has not finished"):
            file_of()._check_length(young, {"size": 4}, served, is_page=is_page)
    file_of()._check_length(claim(claimed_at=NOW - 600, served_length=5), {"size": 4}, 5, is_page=True)


def transfer(monkeypatch: pytest.MonkeyPatch, receive_count: int = 1) -> Transfer:
    monkeypatch.setattr(table, "get", lambda _key: {"slackChannelId": "C1"})
    record: Any = SimpleNamespace(receive_count=receive_count)
    deadline: Any = SimpleNamespace(check=lambda: None, settle_after=NOW + 9, settled_from_now=NOW + 500)
    return Transfer("1", deadline, record)


@pytest.mark.parametrize(
    ("transfers", "pause"), [(0, 0), (1, 10), (2, 60), (3, 300), (4, 1_200), (5, 3_600), (6, 14_400), (7, 14_400)]
)
def test_given_earlier_transfers_when_a_file_fails_again_then_the_pause_grows(transfers: int, pause: float) -> None:
    assert file_transfer._pause_after(transfers) == pause


@pytest.mark.parametrize(
    ("row", "attempt", "transfers"),
    [({}, 1, 0), ({}, 2, 1), ({}, 3, 1), ({"transfers": 0}, 3, 0), ({"transfers": 4}, 2, 4)],
)
def test_given_an_open_claim_when_taken_over_then_the_earlier_transfers_are_counted(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], attempt: int, transfers: int
) -> None:
    own = transfer(monkeypatch)
    own.remember(claim(attempt, **row))

    assert (own.transfers, own.transferred_at, own.file_name) == (transfers, 0.0, "")


@pytest.mark.parametrize(("ago", "waits"), [(9, True), (10, False)])
def test_given_a_pause_when_a_transfer_begins_then_it_waits_until_exactly_its_end(
    monkeypatch: pytest.MonkeyPatch, ago: float, *, waits: bool
) -> None:
    held: list[float] = []
    noted: list[dict[str, Any]] = []
    monkeypatch.setattr(claims, "unanswered", lambda _claim, until: held.append(until))
    monkeypatch.setattr(claims, "note", lambda _claim, **values: noted.append(values))
    own = transfer(monkeypatch)
    own.remember(claim(2, transfers=1, transferred_at=NOW - ago, file_name="a.txt"))

    if waits:
        with pytest.raises(ClaimHeldError) as error:
            own.begin(claim(2))
        assert (error.value.until, held, noted) == (NOW + 1, [NOW + 1], [])
    else:
        own.begin(claim(2))
        assert (held, noted) == ([], [{"transfers": 2, "transferred_at": NOW}])
    assert own.file_name == "a.txt"


@pytest.mark.parametrize(
    ("error", "receives", "landed", "moved", "until"),
    [
        (UncertainError("AWS", "m", "timeout"), 1, False, False, 2),
        (UncertainError("AWS", "m", "timeout"), 5, False, False, 32),
        (UncertainError("AWS", "m", "timeout"), 8, False, False, 60),
        (UncertainError("AWS", "m", "timeout"), 9, False, False, 600),
        (UncertainError("AWS", "m", "timeout"), 1, True, False, 500),
        (NotReadyError("x"), 1, True, False, 2),
        (NotReadyError("x"), 9, False, False, 60),
        (RetryLaterError("AWS", "m", "Throttled", 90), 1, False, False, 90),
        (RetryLaterError("AWS", "m", "Throttled", 1), 3, False, False, 8),
        (UncertainError("AWS", "m", "timeout"), 1, False, True, 10),
        (UncertainError("AWS", "m", "timeout"), 9, False, True, 60),
    ],
)
def test_given_a_failed_copy_when_it_may_be_retried_then_the_claim_is_held_for_the_longest_reason(
    monkeypatch: pytest.MonkeyPatch, error: Any, receives: int, *, landed: bool, moved: bool, until: float
) -> None:
    noted: list[dict[str, Any]] = []
    monkeypatch.setattr(claims, "note", lambda _claim, **values: noted.append(values))
    own = transfer(monkeypatch, receives)
    own.transfers = 1

    own.failed(claim(), error, may_have_landed=landed, moved=moved)

    counted = {"transfers": 1, "transferred_at": 0.0} if moved else {}
    assert noted == [{"settle_after": NOW + until, **counted}]


@pytest.mark.parametrize(
    ("receives", "pause", "key", "is_left"),
    [
        (8, 300.0, "FILE#1", False),
        (9, 0.0, "FILE#1", True),
        (1, 300.1, "FILE#1", True),
        (9, 0.0, "OTHER#1", False),
    ],
)
def test_given_many_receives_or_a_long_pause_when_a_copy_fails_then_the_synchronisation_of_the_case_takes_over(
    monkeypatch: pytest.MonkeyPatch, receives: int, pause: float, key: str, *, is_left: bool
) -> None:
    hinted: list[str] = []
    own = transfer(monkeypatch, receives)
    monkeypatch.setattr(table, "get", lambda _key: None)
    monkeypatch.setattr(leases, "add_hint", hinted.append)

    def retry() -> None:
        own._retry(keys.Key("CASE#1", key), NotReadyError("x"), NOW + pause)

    if is_left:
        retry()
    else:
        with pytest.raises(ClaimHeldError):
            retry()
    assert hinted == ["1"] * is_left


@pytest.mark.parametrize(
    ("error", "receives", "transfers", "reported"),
    [
        (NotReadyError("x"), 99, 9, False),
        (UncertainError("AWS", "m", "x"), queue.REPORTED_AT_RECEIVE_COUNT - 1, 2, False),
        (UncertainError("AWS", "m", "x"), queue.REPORTED_AT_RECEIVE_COUNT, 0, True),
        (UncertainError("AWS", "m", "x"), 1, 3, True),
        (RefusedError("AWS", "m", "ValidationException"), 1, 0, True),
        (RefusedError("AWS", "m", "ConflictException"), 1, 0, False),
    ],
)
def test_given_a_failed_copy_when_it_lasts_then_it_is_reported(
    monkeypatch: pytest.MonkeyPatch, error: Exception, receives: int, transfers: int, *, reported: bool
) -> None:
    own = transfer(monkeypatch, receives)
    own.transfers = transfers

    assert own._is_reported(error) is reported
