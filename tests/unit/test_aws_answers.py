"""Rejections of AWS Security Incident Response: their type, the wait and the cause that people read."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws
from ir_router.commands import rejections
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.security_ir import gateway

DENIED = "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: security-ir:CreateCase on resource: * "


def answer_with(monkeypatch: pytest.MonkeyPatch, status: int, code: str, message: str = "", **members: Any) -> None:
    """Let CreateCase answer with this error."""
    headers = {name: value for name, value in members.items() if name == "retry-after"}
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        **{name: value for name, value in members.items() if name not in headers},
    }

    class Client:
        def create_case(self, **_: Any) -> None:
            raise ClientError(response, "CreateCase")

    monkeypatch.setattr(aws, "client", lambda _name: Client())


@pytest.mark.parametrize(
    ("status", "code", "members", "seconds"),
    [
        (429, "ThrottlingException", {"retryAfterSeconds": 7}, 7),
        (429, "ThrottlingException", {"retry-after": "12"}, 12),
        (429, "ThrottlingException", {"retryAfterSeconds": 86_400}, 900),
        (429, "ThrottlingException", {"retryAfterSeconds": -1}, 5),
        (429, "ThrottlingException", {"retry-after": "0"}, 5),
        (429, "ThrottlingException", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 5),
        (429, "TooManyRequestsException", {}, 5),
        (403, "InvalidSignatureException", {}, 5),
        (403, "RequestTimeTooSkewed", {}, 5),
        (403, "ExpiredTokenException", {}, 5),
        (400, "RequestTimeout", {}, 5),
    ],
)
def test_given_a_rejection_for_now_when_called_then_it_is_retried_after_the_wait(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, members: dict[str, Any], seconds: float
) -> None:
    answer_with(monkeypatch, status, code, **members)

    with pytest.raises(RetryLaterError) as error:
        gateway.create_case(title="x")
    assert error.value.seconds == seconds


def test_given_a_server_error_when_called_then_the_effect_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, 500, "InternalServerException", retryAfterSeconds=3)

    with pytest.raises(UncertainError):
        gateway.create_case(title="x")


@pytest.mark.parametrize(
    ("code", "message", "members", "shown"),
    [
        (
            "ValidationException",
            "",
            {"reason": "FIELD_VALIDATION_FAILED", "fieldList": [{"name": "title", "message": "too long: 'secret'"}]},
            "AWS rejected the input: title: too long: ...",
        ),
        (
            "ValidationException",
            "1 validation error detected: Value 'secret' at 'title' failed to satisfy constraint: length",
            {"reason": "OTHER", "fieldList": None},
            "AWS rejected the input: 1 validation error detected: Value ... at 'title' failed to satisfy",
        ),
        (
            "ValidationException",
            "",
            {"fieldList": [{"name": "title", "message": "Value 'secret' is wrong"}, "x", {"name": "watchers"}]},
            "AWS rejected the input: title: Value ... is wrong; watchers: ",
        ),
        ("ValidationException", "", {"fieldList": ["no object"]}, ""),
        # The specification's service error has the error id, and the log line has the denying policy.
        ("AccessDeniedException", DENIED + "because no session policy allows it", {}, ""),
        ("ServiceQuotaExceededException", "", {"quotaCode": "L-1"}, "because a quota for cases is reached"),
        ("ConflictException", "", {"resourceId": "1", "resourceType": "Case"}, "changed at the same moment"),
        ("SomethingNewException", "later", {}, ""),
    ],
)
def test_given_a_refusal_when_explained_then_the_user_reads_the_cause_without_values(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, members: dict[str, Any], shown: str
) -> None:
    answer_with(monkeypatch, 400, code, message, **members)

    with pytest.raises(RefusedError) as error:
        gateway.create_case(title="x")
    explained = rejections.explain(error.value)
    assert shown in explained
    assert bool(shown) == bool(explained)
    assert "secret" not in f"{error.value} {explained}"
