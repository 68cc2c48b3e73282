"""Names that AWS and Slack give: each code and event of a list has its effect, and a similar one has another."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import cloudtrail
from ir_router.cases import trail_calls
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import alerts, unavailable
from ir_router.settings import settings
from ir_router.sync import comments
from ir_router.workflow import notices
from tests.support.answers import client_error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(
            (code, RetryLaterError)
            for code in (
                "ExpiredToken",
                "ExpiredTokenException",
                "MaxConcurrentQueriesException",
                "RequestExpired",
                "Throttling",
                "ThrottlingException",
            )
        ),
        *((code, RefusedError) for code in ("Throttling_", "ExpiredToken_", "AccessDenied", "AccessDeniedException")),
    ],
)
def test_given_a_code_of_cloudtrail_when_returned_then_only_a_passing_one_is_retried(
    code: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as found, cloudtrail.translated("LookupEvents"):
        raise client_error(code, "LookupEvents")
    assert code in str(found.value)


@pytest.mark.parametrize(("status", "kind"), [(429, RetryLaterError), (499, RefusedError), (500, UncertainError)])
def test_given_a_status_of_cloudtrail_when_returned_then_it_decides_without_a_known_code(
    status: int, kind: type[Exception]
) -> None:
    answer: Any = {"Error": {"Code": "Other"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(kind), cloudtrail.translated("LookupEvents"):
        raise ClientError(answer, "LookupEvents")


@pytest.mark.parametrize(
    ("code", "is_of_key"),
    [
        *(
            (code, True)
            for code in ("KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound", "KMSOptInRequired")
        ),
        ("KMSThrottling", False),
        ("AuthorizationError", False),
    ],
)
def test_given_a_topic_whose_key_cannot_be_used_when_alerted_then_the_alarm_topic_has_the_alert(
    monkeypatch: pytest.MonkeyPatch, code: str, is_of_key: bool
) -> None:
    sent: list[str] = []

    def send(topic: str, *_: Any) -> None:
        sent.append(topic)
        if topic.endswith("alerts"):
            raise client_error(code, "Publish")

    monkeypatch.setenv("IR_ALERT_TOPIC_ARN", "arn:alerts")
    monkeypatch.setenv("IR_ALARM_TOPIC_ARN", "arn:alarms")
    settings.cache_clear()
    monkeypatch.setattr(notices, "_send", send)
    alert = alerts.Alert("a", "HIGH", "s", "t")
    try:
        if is_of_key:
            notices.mail(alert)
        else:
            with pytest.raises(ClientError):
                notices.mail(alert)
    finally:
        settings.cache_clear()

    assert sent == (["arn:alerts", "arn:alarms"] if is_of_key else ["arn:alerts"])


@pytest.mark.parametrize(
    ("operation", "code", "is_unavailable"),
    [
        *(
            (operation, "AccessDeniedException", True)
            for operation in (
                "BatchGetItem",
                "DeleteItem",
                "GetItem",
                "PutItem",
                "Query",
                "TransactWriteItems",
                "UpdateItem",
            )
        ),
        ("GetItem", "ItemCollectionSizeLimitExceededException", False),
        ("GetItem", "ValidationException", False),
        ("GetUser", "AccessDeniedException", False),
    ],
)
def test_given_an_error_of_dynamodb_when_read_then_each_operation_of_the_ledger_counts(
    operation: str, code: str, is_unavailable: bool
) -> None:
    assert unavailable.is_unavailable(client_error(code, operation)) is is_unavailable


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        *(
            (name, True)
            for name in (
                "AssumeRole",
                "AssumeRoleWithSAML",
                "AssumeRoleWithWebIdentity",
                "AssumeRoot",
                "GetFederationToken",
                "GetSessionToken",
            )
        ),
        ("GetCallerIdentity", False),
    ],
)
def test_given_a_call_that_opens_a_session_when_read_then_its_key_is_known(name: str, opens: bool) -> None:
    record = {
        "eventID": "e",
        "eventTime": "2026-01-15T18:05:00Z",
        "eventName": name,
        "eventSource": "sts.amazonaws.com",
        "responseElements": {"credentials": {"accessKeyId": "ASIA1"}},
    }
    assert (trail_calls.opened_session(record) is not None) is opens


def test_given_codes_of_slack_for_the_content_when_listed_then_they_are_those_that_slack_documents() -> None:
    documented = {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text"}
    assert documented == comments._CANNOT_BE_SHOWN
