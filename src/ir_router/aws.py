"""AWS clients: made when first used, kept for the life of the process, with explicit time-outs and retry mode."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload
from xml.etree import ElementTree

import botocore.session
from botocore.config import Config

from ir_router.whole_text import whole

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from botocore.session import Session
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_security_ir import SecurityIncidentResponseClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

# One try is at most 8 s, so that three (the pauses after silence are short) leave the door time to answer for a service
# that is silent: API Gateway gives it up after 29 s, and Lambda ends the shortest functions after 30 s.
CONFIG = Config(connect_timeout=2, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 3})


@overload
def client(name: Literal["cloudtrail"]) -> CloudTrailClient: ...
@overload
def client(name: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(name: Literal["events"]) -> EventBridgeClient: ...
@overload
def client(name: Literal["iam"]) -> IAMClient: ...
@overload
def client(name: Literal["lambda"]) -> LambdaClient: ...
@overload
def client(name: Literal["security-ir"]) -> SecurityIncidentResponseClient: ...
@overload
def client(name: Literal["sns"]) -> SNSClient: ...
@overload
def client(name: Literal["sqs"]) -> SQSClient: ...
@overload
def client(name: Literal["ssm"]) -> SSMClient: ...
@overload
def client(name: Literal["stepfunctions"]) -> SFNClient: ...
def client(name: str) -> Any:
    """The client of a service; endpoints come from `AWS_ENDPOINT_URL` and its per-service forms."""
    return _client(name)


def prepare(names: Iterable[str]) -> None:
    """Make the clients of these services now rather than when first used."""
    for name in names:
        _client(name)


@cache
def _client(name: str) -> Any:
    return session().create_client(name, config=CONFIG)


@cache
def session() -> Session:
    """What all clients share. botocore's own: boto3's client is the same, but its import takes half as long again."""
    made = botocore.session.get_session()
    made.register("before-parse", _require_whole)
    made.register("needs-retry", _fail_when_not_whole)
    return made


# A code that botocore's standard mode tries again, at once and with the same idempotency tokens.
_NOT_WHOLE = "RequestTimeout"


def _require_whole(**answer: Any) -> None:
    """Take a successful answer that is half a document for none: the effect may have been made.

    botocore takes half a JSON document for an empty answer (of a GetItem that would say that there is no row), and
    gives up at half an XML one. In a whole one, halves of characters are replaced.
    """
    operation: OperationModel = answer["operation_model"]
    response: dict[str, Any] = answer["response_dict"]
    body: bytes = response["body"]
    if not body or operation.has_streaming_output or response["status_code"] >= 300:
        return
    protocol = operation.service_model.resolved_protocol or ""
    try:
        if "json" in protocol:
            answered = json.loads(body)
            if b"\\ud" in body.lower() and (mended := whole(answered)) != answered:
                response["body"] = json.dumps(mended).encode()
        elif protocol == "query":
            ElementTree.fromstring(body)  # noqa: S314 - AWS's answer, which botocore parses likewise
    except (ValueError, ElementTree.ParseError):
        told = {"__type": _NOT_WHOLE, "code": _NOT_WHOLE, "message": "the answer was not whole"}
        error = f"<ErrorResponse><Error><Code>{_NOT_WHOLE}</Code></Error></ErrorResponse>"
        response["status_code"] = 500
        response["body"] = (json.dumps(told) if "json" in protocol else error).encode()


def _fail_when_not_whole(**attempt: Any) -> None:
    """When no more tries are left, let botocore raise what `_require_whole` said: it goes by the HTTP status."""
    if attempt["response"] is None:
        return
    http, parsed = attempt["response"]
    if http.status_code < 300 and parsed.get("Error", {}).get("Code") == _NOT_WHOLE:
        http.status_code = 500


def forget_clients() -> None:
    """Drop the kept clients (tests change endpoints between cases)."""
    _client.cache_clear()


def forget_session() -> None:
    """Drop the session and its clients (each world of the tests has its own hooks in it)."""
    session.cache_clear()
    forget_clients()
