"""The gateway to AWS Security Incident Response at its limits: attempts, waits, page ends and the order of comments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.cases.models import Comment
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.security_ir import gateway
from tests.support.answers import AnswersInTurn

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = 1_000.0
Answering = Callable[..., AnswersInTurn]


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the calls; the clock moves with them."""
    waits: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: NOW + sum(waits))
    monkeypatch.setattr(clock, "sleep", waits.append)
    return waits


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, waited: list[float]) -> Answering:
    def make(*answers: Any) -> AnswersInTurn:
        client = AnswersInTurn(*answers)
        monkeypatch.setattr(aws, "client", {"security-ir": client}.__getitem__)
        return client

    return make


def throttled(seconds: float = 3.0) -> ClientError:
    answer: Any = {"Error": {"Code": "ThrottlingException"}, "retryAfterSeconds": seconds}
    return ClientError(answer, "any")


def comments(*hours: float) -> list[dict[str, Any]]:
    return [{"commentId": str(hour), "createdDate": START + timedelta(hours=hour)} for hour in hours]


def seconds(hour: float) -> float:
    return (START + timedelta(hours=hour)).timestamp()


def test_given_a_page_that_is_throttled_three_times_when_read_then_the_fourth_attempt_is_the_last_one(
    answering: Answering, waited: list[float]
) -> None:
    client = answering(throttled(1.0), throttled(2.0), throttled(3.0), {"items": comments(1)})
    found = gateway.list_comments("1", deadline=Deadline(NOW + 600, NOW + 700))
    assert ([one.comment_id for one in found.comments], found.is_complete) == (["1"], True)
    assert (len(client.asked), waited) == (4, [1.0, 2.0, 3.0])


def test_given_a_page_that_stays_throttled_when_read_then_the_error_comes_after_four_attempts_without_another_wait(
    answering: Answering, waited: list[float]
) -> None:
    client = answering(*[throttled()] * 9)
    with pytest.raises(RetryLaterError):
        gateway.list_comments("1", deadline=Deadline(NOW + 600, NOW + 700))
    assert (len(client.asked), waited) == (4, [3.0, 3.0, 3.0])


def test_given_no_deadline_when_a_page_is_throttled_then_the_first_error_ends_the_reading(
    answering: Answering, waited: list[float]
) -> None:
    client = answering(*[throttled()] * 2)
    with pytest.raises(RetryLaterError):
        gateway.list_comments("1")
    assert (len(client.asked), waited) == (1, [])


def test_given_too_little_time_when_a_page_is_throttled_then_the_run_ends_instead_of_a_wait(
    answering: Answering, waited: list[float]
) -> None:
    client = answering(*[throttled()] * 2)
    with pytest.raises(OutOfTimeError):
        gateway.list_comments("1", deadline=Deadline(NOW + 2.9, NOW + 700))
    assert (len(client.asked), waited) == (1, [])
    client = answering(throttled())
    with pytest.raises(OutOfTimeError):
        gateway.list_comments("1", deadline=Deadline(NOW - 0.1, NOW + 700))
    assert client.asked == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({}, 5.0),
        ({"retryAfterSeconds": 7}, 7.0),
        ({"retryAfterSeconds": 0}, 5.0),
        ({"retryAfterSeconds": -1}, 5.0),
        ({"retryAfterSeconds": 0.5}, 0.5),
        ({"retryAfterSeconds": 900}, 900.0),
        ({"retryAfterSeconds": 901}, 900.0),
        ({"retryAfterSeconds": "soon"}, 5.0),
        ({"retryAfterSeconds": []}, 5.0),
        ({"retryAfterSeconds": [1]}, 5.0),
        ({"ResponseMetadata": {"HTTPHeaders": {"retry-after": "8"}}}, 8.0),
        ({"ResponseMetadata": {"HTTPHeaders": {"retry-after": "0"}}}, 5.0),
        ({"retryAfterSeconds": 7, "ResponseMetadata": {"HTTPHeaders": {"retry-after": "8"}}}, 7.0),
    ],
)
def test_given_an_answer_when_throttled_then_its_wait_counts_within_limits(answer: Any, expected: float) -> None:
    assert gateway._retry_after(answer) == expected


@pytest.mark.parametrize(
    ("status", "kind"), [(428, RefusedError), (429, RetryLaterError), (430, RefusedError), (500, UncertainError)]
)
def test_given_an_unknown_code_when_called_then_the_status_decides(
    answering: Answering, status: int, kind: type[Exception]
) -> None:
    answer: Any = {"Error": {"Code": "Unheard"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    answering(ClientError(answer, "any"))
    with pytest.raises(kind):
        gateway.close_case("1")


@pytest.mark.parametrize(
    ("number", "since", "passed"),
    [
        (25, seconds(76), True),
        (25, seconds(76) - 1, False),
        (24, seconds(90), False),
        (26, seconds(76), True),
        (25, seconds(200), True),
    ],
)
def test_given_a_page_when_the_oldest_comment_is_older_than_asked_for_then_only_a_complete_page_ends_the_reading(
    number: int, since: float, passed: bool
) -> None:
    """The oldest of 25 comments is one second older than hour 76."""
    newest = [Comment.model_validate(one) for one in comments(*(100.0 - step for step in range(number - 1)))]
    oldest = {"commentId": "old", "createdDate": START + timedelta(hours=76, seconds=-1)}
    assert gateway._has_passed([*newest, Comment.model_validate(oldest)], since) is passed


def test_given_comments_in_another_order_when_compared_then_the_reading_goes_on() -> None:
    newest_first = [Comment.model_validate(one) for one in comments(*(100.0 - step for step in range(25)))]
    assert gateway._has_passed(newest_first, seconds(99))
    assert not gateway._has_passed(newest_first[::-1], seconds(200))
    swapped = [newest_first[1], newest_first[0], *newest_first[2:]]
    assert not gateway._has_passed(swapped, seconds(99))
    same_moment = [newest_first[0]] * 25
    assert not gateway._has_passed(same_moment, seconds(200))
    without_time = [*newest_first[:24], Comment.model_validate({"commentId": "none"})]
    assert gateway._has_passed(without_time, seconds(1))


def test_given_two_pages_when_the_first_is_old_enough_then_the_second_is_left_out_and_the_list_is_not_complete(
    answering: Answering,
) -> None:
    items = comments(*(100.0 - step for step in range(25)))
    client = answering({"items": items, "nextToken": "more"}, {"items": []})
    found = gateway.list_comments("1", since=seconds(76.5))
    assert (len(found.comments), found.is_complete, len(client.asked)) == (25, False, 1)

    client = answering({"items": items, "nextToken": "more"}, {"items": comments(1)})
    found = gateway.list_comments("1", since=seconds(76))
    assert (len(found.comments), found.is_complete, len(client.asked)) == (26, True, 2)
    assert [found.comments[0].comment_id, found.comments[-1].comment_id] == ["1", "100.0"]


def test_given_a_token_that_repeats_when_read_then_the_answer_is_uncertain(
    answering: Answering,
) -> None:
    client = answering(
        {"items": [], "nextToken": "a"}, {"items": [], "nextToken": "b"}, {"items": [], "nextToken": "b"}
    )
    with pytest.raises(UncertainError, match="a repeated page token"):
        gateway.comments("1")
    assert len(client.asked) == 3


def test_given_an_empty_token_when_a_page_is_read_then_it_is_the_last_one(
    answering: Answering,
) -> None:
    answering({"items": [], "nextToken": ""}, {"items": [], "nextToken": ""})
    assert gateway.list_cases() == ([], None)
    assert gateway.list_comments("1").is_complete


def test_given_investigations_when_read_then_only_the_completed_ones_are_returned_with_the_oldest_first(
    answering: Answering,
) -> None:
    actions = [
        {
            "investigationId": name,
            "status": status,
            "lastUpdated": START + timedelta(hours=hour),
            "actionType": "Evidence",
        }
        for name, status, hour in (("c", "Completed", 3), ("b", "Running", 2), ("a", "Completed", 1))
    ]
    client = answering({"investigationActions": actions[:2], "nextToken": "n"}, {"investigationActions": actions[2:]})
    assert [one.investigation_id for one in gateway.findings("1")] == ["a", "c"]
    assert client.asked == [
        {"caseId": "1", "maxResults": 25},
        {"caseId": "1", "maxResults": 25, "nextToken": "n"},
    ]


@pytest.mark.parametrize(("comment", "sent"), [("", {}), ("good", {"comment": "good"})])
def test_given_a_rating_when_sent_then_an_empty_comment_is_left_out(
    answering: Answering, comment: str, sent: dict[str, str]
) -> None:
    client = answering({})
    gateway.send_feedback("1", "i", "USEFUL", comment)
    assert client.asked == [{"caseId": "1", "resultId": "i", "usefulness": "USEFUL", **sent}]


def test_given_rejected_fields_when_explained_then_each_is_named_without_its_value(
    answering: Answering,
) -> None:
    fields = [{"name": "title", "message": "'secret' is too long"}, "odd", {"name": "regions"}]
    answer: Any = {"Error": {"Code": "ValidationException", "Message": "not shown"}, "fieldList": fields}
    answering(ClientError(answer, "any"))
    with pytest.raises(RefusedError) as error:
        gateway.close_case("1")
    assert error.value.detail == "title: ... is too long; regions: "

    answer = {"Error": {"Code": "ConflictException", "Message": "not shown"}}
    answering(ClientError(answer, "any"))
    with pytest.raises(RefusedError) as error:
        gateway.close_case("1")
    assert error.value.detail == ""
