"""AWS clients: made when first used, kept for the life of the process, with explicit time-outs and retry mode."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
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

# One try is at most 12 s, three tries with the pauses between them stay below the 30 s of the shortest function.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})


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


@cache
def _client(name: str) -> Any:
    return session().create_client(name, config=_CONFIG)


@cache
def session() -> Session:
    """What all clients share. botocore's own: boto3's client is the same, but its import takes half as long again."""
    return botocore.session.get_session()


def forget_clients() -> None:
    """Drop the kept clients (tests change endpoints between cases)."""
    _client.cache_clear()


def forget_session() -> None:
    """Drop the session and its clients (each world of the tests has its own hooks in it)."""
    session.cache_clear()
    forget_clients()
