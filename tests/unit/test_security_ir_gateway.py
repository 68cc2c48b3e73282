"""Each function of the gateway: its one API call, its answer, and the operation that its errors name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.cases.models import Case, CaseRow, Person
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.security_ir import gateway

ARN = "arn:aws:security-ir:us-east-1:111122223333:case/1"
CASE = {"caseArn": ARN, "caseStatus": "Submitted", "title": "t"}
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


class Function(NamedTuple):
    """A function of the gateway. `call` makes its one API call with `arguments`; `answer` becomes `result`."""

    call: Callable[[], object]
    operation: str
    arguments: Mapping[str, object]
    answer: Mapping[str, object]
    result: object


FUNCTIONS = [
    Function(gateway.list_cases, "ListCases", {"maxResults": 25}, {}, ([], None)),
    Function(
        lambda: gateway.list_cases("page-2"),
        "ListCases",
        {"maxResults": 25, "nextToken": "page-2"},
        {"nextToken": "page-3", "items": [{"caseId": "1"}]},
        ([CaseRow(case_id="1")], "page-3"),
    ),
    Function(lambda: gateway.get_case("1"), "GetCase", {"caseId": "1"}, CASE, Case(case_id="1", **CASE)),
    Function(lambda: gateway.tags(ARN), "ListTagsForResource", {"resourceArn": ARN}, {"tags": {"a": "b"}}, {"a": "b"}),
    Function(lambda: gateway.tag(ARN, {"a": "b"}), "TagResource", {"resourceArn": ARN, "tags": {"a": "b"}}, {}, None),
    Function(lambda: gateway.comments("1"), "ListComments", {"caseId": "1", "maxResults": 25}, {}, []),
    Function(lambda: gateway.edits("1"), "ListCaseEdits", {"caseId": "1", "maxResults": 25}, {}, []),
    Function(gateway.response_team, "ListMemberships", {"maxResults": 25}, {}, []),
    Function(lambda: gateway.create_case(title="t"), "CreateCase", {"title": "t"}, {"caseId": 1}, "1"),
    Function(lambda: gateway.update_case("1", title="t"), "UpdateCase", {"caseId": "1", "title": "t"}, {}, None),
    Function(
        lambda: gateway.update_status("1", "Submitted"),
        "UpdateCaseStatus",
        {"caseId": "1", "caseStatus": "Submitted"},
        {},
        None,
    ),
    Function(lambda: gateway.close_case("1"), "CloseCase", {"caseId": "1"}, {}, None),
    Function(
        lambda: gateway.create_comment("1", "body", "token"),
        "CreateCaseComment",
        {"caseId": "1", "body": "body", "clientToken": "token"},
        {"commentId": "c"},
        "c",
    ),
    Function(
        lambda: gateway.update_comment("1", "c", "body"),
        "UpdateCaseComment",
        {"caseId": "1", "commentId": "c", "body": "body"},
        {},
        None,
    ),
    Function(
        lambda: gateway.upload_url("1", "a.txt", 7, "token"),
        "GetCaseAttachmentUploadUrl",
        {"caseId": "1", "fileName": "a.txt", "contentLength": 7, "clientToken": "token"},
        {"attachmentPresignedUrl": "https://u"},
        "https://u",
    ),
    Function(
        lambda: gateway.download_url("1", "a"),
        "GetCaseAttachmentDownloadUrl",
        {"caseId": "1", "attachmentId": "a"},
        {"attachmentPresignedUrl": "https://d"},
        "https://d",
    ),
]


class Client:
    """A client of the API that gives these answers in turn, or raises them."""

    def __init__(self, answers: Sequence[Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.asked.append((method.replace("_", "").lower(), arguments))
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Client]:
    def make(*answers: Any) -> Client:
        client = Client(answers)
        monkeypatch.setattr(aws, "client", {"security-ir": client}.__getitem__)
        return client

    return make


def rejection(code: str, status: int = 400, message: str = "") -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "any")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.operation)
def test_given_a_function_when_called_then_it_makes_one_call_and_its_errors_name_the_operation(
    answering: Callable[..., Client], function: Function
) -> None:
    client = answering(function.answer)
    assert function.call() == function.result
    assert client.asked == [(function.operation.lower(), function.arguments)]

    answering(rejection("ConflictException"))
    with pytest.raises(RefusedError) as error:
        function.call()
    assert (error.value.service, error.value.operation, error.value.code) == (
        "AWS Security Incident Response",
        function.operation,
        "ConflictException",
    )


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ],
)
def test_given_a_code_that_passes_when_called_then_the_call_is_retried_whatever_the_status(
    answering: Callable[..., Client], code: str
) -> None:
    answering(rejection(code))
    with pytest.raises(RetryLaterError, match=f"({code})"):
        gateway.close_case("1")


@pytest.mark.parametrize(("status", "kind"), [(499, RefusedError), (500, UncertainError), (503, UncertainError)])
def test_given_a_status_when_called_then_from_500_on_the_effect_is_uncertain(
    answering: Callable[..., Client], status: int, kind: type[Exception]
) -> None:
    answering(rejection("Any", status))
    with pytest.raises(kind):
        gateway.close_case("1")


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
def test_given_a_denied_call_when_explained_then_the_policy_is_named(
    answering: Callable[..., Client], code: str
) -> None:
    answering(rejection(code, 403, "not authorized because no identity-based policy allows the action"))
    with pytest.raises(RefusedError) as error:
        gateway.close_case("1")
    assert error.value.detail == "no identity-based policy allows it"


def test_given_a_long_reason_when_explained_then_500_characters_of_it_are_kept(
    answering: Callable[..., Client],
) -> None:
    answering(rejection("ValidationException", 400, "x" * 501))
    with pytest.raises(RefusedError) as error:
        gateway.close_case("1")
    assert error.value.detail == "x" * 500


def test_given_a_rejected_form_when_explained_then_no_regular_expression_is_shown(
    answering: Callable[..., Client],
) -> None:
    why = "1 validation error detected: Value 'a\"b' at 'title' failed to satisfy constraint: Member must satisfy "
    answering(rejection("ValidationException", 400, why + r"regular expression pattern: ^[\w'\"]+$"))
    with pytest.raises(RefusedError) as error:
        gateway.close_case("1")
    assert error.value.detail == (
        "1 validation error detected: Value ... at 'title' failed to satisfy constraint: Member has characters or a "
        "form that AWS does not accept"
    )


@pytest.mark.parametrize("listed", [["new", "old"], ["old", "new"]], ids=str)
def test_given_lists_in_any_order_when_read_then_the_oldest_is_first(
    answering: Callable[..., Client], listed: list[str]
) -> None:
    moments = {"old": EARLY, "new": LATE}
    answering({"items": [{"commentId": name, "createdDate": moments[name]} for name in listed]})
    assert [comment.comment_id for comment in gateway.comments("1")] == ["old", "new"]

    answering({"items": [{"action": name, "eventTimestamp": moments[name]} for name in listed]})
    assert [edit.action for edit in gateway.edits("1")] == ["old", "new"]


def test_given_items_of_the_same_moment_when_read_then_the_last_of_the_list_is_the_oldest(
    answering: Callable[..., Client],
) -> None:
    at_once = [{"commentId": name, "createdDate": LATE} for name in ("third", "second")]
    without_time = {"commentId": "first"}
    answering({"items": [*at_once, without_time]})
    assert [comment.comment_id for comment in gateway.comments("1")] == ["first", "second", "third"]
    answering({"items": [without_time, *reversed(at_once)]})
    assert [comment.comment_id for comment in gateway.comments("1")] == ["first", "second", "third"]
    answering({"items": at_once})
    assert [comment.comment_id for comment in gateway.comments("1")] == ["second", "third"]


def test_given_several_pages_when_read_then_each_is_asked_for_with_the_token_before_it(
    answering: Callable[..., Client],
) -> None:
    items = [{"commentId": name, "createdDate": EARLY} for name in "abc"]
    client = answering(*({"items": [item], "nextToken": f"after-{item['commentId']}"} for item in items), {})

    assert len(gateway.comments("1")) == 3
    assert [arguments.get("nextToken") for _, arguments in client.asked] == [None, "after-a", "after-b", "after-c"]


def test_given_memberships_when_the_team_is_read_then_those_that_ended_are_left_out(
    answering: Callable[..., Client],
) -> None:
    memberships = [
        {"membershipId": "gone", "membershipStatus": "Cancelled"},
        {"membershipId": "active", "membershipStatus": "Active"},
        {"membershipId": "unstated"},
    ]
    team = {"incidentResponseTeam": [{"email": "jane@example.com", "name": "Jane"}]}
    client = answering({"items": memberships}, team, {})

    assert gateway.response_team() == [Person(email="jane@example.com", name="Jane")]
    assert client.asked[1:] == [
        ("getmembership", {"membershipId": "active"}),
        ("getmembership", {"membershipId": "unstated"}),
    ]

    answering({"items": memberships[1:2]}, rejection("ConflictException"))
    with pytest.raises(RefusedError, match="GetMembership"):
        gateway.response_team()


@pytest.mark.parametrize(("asked_for", "waits"), [(3.0, [3.0]), (20.0, [20.0]), (20.5, None), (60.0, None)])
def test_given_a_throttled_page_when_comments_are_read_then_only_a_wait_of_at_most_twenty_seconds_is_waited_for(
    answering: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, asked_for: float, waits: list[float] | None
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    monkeypatch.setattr(clock, "sleep", waited.append)
    answer: Any = {"Error": {"Code": "ThrottlingException"}, "retryAfterSeconds": asked_for}
    throttled = ClientError(answer, "any")
    client = answering(throttled, {"items": [{"commentId": "a", "createdDate": EARLY}]})

    with nullcontext() if waits else pytest.raises(RetryLaterError):
        found = gateway.list_comments("1", deadline=Deadline(1_600.0, 1_700.0))
        assert len(found.comments) == 1

    assert waited == (waits or [])
    assert len(client.asked) == (2 if waits else 1)
