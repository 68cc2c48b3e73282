"""AWS clients that only operations need: CloudWatch and its logs, and clients of another region.

Events of global services, and so their trail and rules, are in us-east-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from ir_router import aws

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


@overload
def client(name: Literal["cloudtrail"], region: str) -> CloudTrailClient: ...
@overload
def client(name: Literal["cloudwatch"], region: str) -> CloudWatchClient: ...
@overload
def client(name: Literal["events"], region: str) -> EventBridgeClient: ...
@overload
def client(name: Literal["kms"], region: str) -> Any: ...  # boto3-stubs without KMS
@overload
def client(name: Literal["logs"], region: str) -> CloudWatchLogsClient: ...
@overload
def client(name: Literal["sns"], region: str) -> SNSClient: ...
@overload
def client(name: Literal["sqs"], region: str) -> SQSClient: ...
def client(name: Literal["cloudtrail", "cloudwatch", "events", "kms", "logs", "sns", "sqs"], region: str) -> Any:
    """Return a client of a service in a region. Operations are rare, so clients are not cached."""
    return aws.session().create_client(name, region_name=region, config=aws.CONFIG)
