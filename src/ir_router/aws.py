"""AWS clients, created on first use and kept for the life of the process, with explicit timeouts and retries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload
from xml.etree import ElementTree

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path

from ir_router import json_text, tls
from ir_router.errors import FunctionFailedError
from ir_router.unicode import replace_lone_surrogates

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

# One attempt takes at most 8 s. Three attempts with their short pauses end before API Gateway's limit of 29 s, so the
# webhook can still answer when a service is silent. Lambda ends the webhook after 29 s.
CONFIG = Config(connect_timeout=2, read_timeout=6, retries={"mode": "standard", "total_max_attempts": 3})
# Organizations gives names for texts, and a containment must not wait for them.
_CONFIGS = {"organizations": Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})}


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
@overload
def client(name: Literal["organizations", "s3", "sts"]) -> Any: ...
def client(name: str) -> Any:
    """Return the client of a service. `AWS_ENDPOINT_URL` and its per-service forms set the endpoints."""
    return _client(name)


def client_of_region(name: Literal["cloudtrail"], region: str) -> CloudTrailClient:
    """Return the client of a service in a region."""
    made: CloudTrailClient = _client_of_region(name, region)
    return made


def iam_of_session(credentials: Mapping[str, Any]) -> IAMClient:
    """Return a client of IAM with the credentials of a role's session. All such clients share their connections."""
    made: Any = _spare.pop() if _spare else _iam_of_no_session()
    # botocore has no public way to the credentials of a client that exists.
    held = made._request_signer._credentials  # noqa: SLF001
    held.access_key, held.secret_key = credentials["AccessKeyId"], credentials["SecretAccessKey"]
    held.token = credentials["SessionToken"]
    answer: IAMClient = made
    return answer


def prepare_iam_of_session() -> None:
    """Create the next client of `iam_of_session`, which takes 5 ms of a full processor, before it is needed."""
    _spare.append(_iam_of_no_session())


# Clients for `iam_of_session` that have no credentials yet.
_spare: list[Any] = []


def _iam_of_no_session() -> Any:
    none = {"AccessKeyId": "-", "SecretAccessKey": "-", "SessionToken": "-"}
    made = client_of_session("iam", None, none)
    # botocore has no public way to a client's connections.
    made._endpoint.http_session = _client("iam")._endpoint.http_session  # noqa: SLF001
    return made


def client_of_session(name: str, region: str | None, credentials: Mapping[str, Any]) -> Any:
    """Return a client of a service in a region with the credentials of a role's session."""
    return session().create_client(
        name,
        region_name=region,
        config=CONFIG,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def create(name: str) -> None:
    """Create the client of a service before its first use."""
    _client(name)


def connect(name: str) -> None:
    """Open a connection of a service's client with a request that needs no permission.

    If that fails, the client's first call opens the connection and reports the error.
    """
    # botocore has no public way to a client's connections.
    endpoint = _client(name)._endpoint  # noqa: SLF001
    with suppress(BotoCoreError):
        endpoint.http_session.send(AWSRequest("HEAD", endpoint.host).prepare())


def invoke(function: str, event: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """Invoke a Lambda function, wait up to `seconds` for its result, and return the result.

    Raises:
        ClientError: Lambda refused the call.
        BotoCoreError: Lambda did not answer.
        FunctionFailedError: The function raised an error.
    """
    # A retry of the call would run the function again.
    config = CONFIG.merge(Config(read_timeout=seconds, retries={"total_max_attempts": 1}))
    calling: Any = session().create_client("lambda", config=config)
    answer = calling.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    content: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise FunctionFailedError(f"{function} raised {content.get('errorType')}: {content.get('errorMessage')}")
    return content


def invoke_later(function: str, event: Mapping[str, Any]) -> None:
    """Invoke a Lambda function asynchronously.

    Raises:
        ClientError: Lambda refused the call.
        BotoCoreError: Lambda did not answer.
    """
    answer = client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload=json_text.written(event).encode()
    )
    # The answer is empty. Until it is read, its connection is not free, and the next call opens another one.
    answer["Payload"].read()


@cache
def _client(name: str) -> Any:
    return session().create_client(name, config=_CONFIGS.get(name, CONFIG))


@cache
def _client_of_region(name: str, region: str) -> Any:
    return session().create_client(name, region_name=region, config=CONFIG)


@cache
def session() -> Session:
    """Return the botocore session that all clients share.

    boto3's clients are the same, but importing boto3 takes 50 % longer.
    """
    tls.share_with_botocore()
    made = botocore.session.get_session()
    made.register("before-parse", _require_complete)
    made.register("needs-retry", _fail_when_incomplete)
    made.register("needs-retry.security-ir", _keep_a_long_wait)
    return made


def ca_bundle() -> str:
    """Return the path of the bundle of certification authorities that all clients trust."""
    configured: str | None = session().get_config_variable("ca_bundle")
    return configured or str(get_cert_path(True))


# botocore's standard mode retries this code at once and with the same idempotency tokens.
_INCOMPLETE = "RequestTimeout"
# Services with the REST protocol name the error here, so the body is not needed.
_ERROR_TYPE = "x-amzn-errortype"
# Proxies answer with plain text or HTML, which botocore reports with its status.
_AWS_BODIES = (b"{", b"<ErrorResponse", b"<?xml")
_THROTTLED = 429
# Before the second attempt: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_LONGEST_PAUSE_OF_BOTOCORE = 1


def _require_complete(**answer: Any) -> None:
    """Turn an answer with a truncated body into a server error, because the effect may have happened.

    botocore parses a truncated JSON body as an empty answer: a GetItem would then report that the row does not exist,
    and a rejection would have the HTTP status as its code. It raises a parser error for truncated XML. In a complete
    body, lone surrogates are replaced.
    """
    operation: OperationModel = answer["operation_model"]
    response: dict[str, Any] = answer["response_dict"]
    body: bytes = response["body"]
    is_error = response["status_code"] >= 400
    if not body or (operation.has_streaming_output and not is_error) or 300 <= response["status_code"] < 400:
        return
    protocol = operation.service_model.resolved_protocol or ""
    is_named = protocol == "rest-json" and _ERROR_TYPE in response["headers"]
    if is_error and (is_named or not body.startswith(_AWS_BODIES)):
        return
    try:
        if "json" in protocol:
            answered = json_text.parsed(body)
            if b"\\ud" in body.lower() and (replaced := replace_lone_surrogates(answered)) != answered:
                response["body"] = json.dumps(replaced).encode()
        elif protocol == "query":
            ElementTree.fromstring(body)  # noqa: S314 - AWS's answer, which botocore parses likewise
    except (ValueError, ElementTree.ParseError):
        answer_json = {"__type": _INCOMPLETE, "code": _INCOMPLETE, "message": "the response body is truncated"}
        error = f"<ErrorResponse><Error><Code>{_INCOMPLETE}</Code></Error></ErrorResponse>"
        response["status_code"] = 500
        response["body"] = (json.dumps(answer_json) if "json" in protocol else error).encode()


def _fail_when_incomplete(**attempt: Any) -> None:
    """After the last attempt, let botocore raise the error of `_require_complete`: it goes by the HTTP status."""
    if attempt["response"] is None:
        return
    http, parsed = attempt["response"]
    if http.status_code < 300 and parsed.get("Error", {}).get("Code") == _INCOMPLETE:
        http.status_code = 500


def _keep_a_long_wait(**attempt: Any) -> None:
    """Raise the error of a throttled call whose Retry-After is longer than botocore waits before it retries."""
    if attempt["response"] is None:
        return
    http, parsed = attempt["response"]
    wait = str(http.headers.get("Retry-After") or "")
    if http.status_code == _THROTTLED and wait.isdigit() and int(wait) > _LONGEST_PAUSE_OF_BOTOCORE:
        raise ClientError(parsed, attempt["operation"].name)


def forget_clients() -> None:
    """Drop the cached clients. Tests change the endpoints."""
    _client.cache_clear()
    _client_of_region.cache_clear()
    _spare.clear()


def forget_session() -> None:
    """Drop the session and its clients. Each simulator of the tests registers its own hooks."""
    session.cache_clear()
    forget_clients()
