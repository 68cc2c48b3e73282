"""CloudTrail's event history: LookupEvents of one Region.

Rules: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. A request has at most one
attribute. AWS answers two requests per second, account and Region, at most 50 events each, newest first. The history
has the management events of 90 days, some minutes after the call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, denials
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger

Attribute = Literal["AccessKeyId", "ResourceName", "Username"]

# Events of global services, such as IAM, appear only there.
GLOBAL_EVENTS_REGION = "us-east-1"
PAGE_SIZE = 50
# Between two requests to a Region.
PAUSE_SECONDS = 0.55
TOKEN_INVALID = "InvalidNextTokenException"  # noqa: S105 - an error code
_SERVICE, _OPERATION = "CloudTrail", "LookupEvents"
_FOR_NOW = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "Throttling", "ThrottlingException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class Page(NamedTuple):
    """The records of one page, newest first, and the token of the next page, or None."""

    records: list[Mapping[str, Any]]
    token: str | None


def look_up(region: str, attribute: Attribute, value: str, start: float, end: float, token: str | None) -> Page:
    """Return one page of the events with this attribute.

    Args:
        region: The Region of the history.
        attribute: The only attribute of the request.
        value: Its value.
        start: Time of the oldest events, in seconds since the epoch.
        end: Time of the newest events.
        token: The token of the page before, with the same other arguments. None: the first page.

    Raises:
        RefusedError: AWS rejected the request. The code is TOKEN_INVALID if the token has expired.
        RetryLaterError: AWS throttled the request.
        UncertainError: There was no answer.
    """
    try:
        answer = aws.client_of_region("cloudtrail", region).lookup_events(
            LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            MaxResults=PAGE_SIZE,
            **({"NextToken": token} if token else {}),  # type: ignore[arg-type]
        )
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _FOR_NOW or status == 429:
            raise RetryLaterError(_SERVICE, _OPERATION, code, 1.0) from error
        if status >= 500:
            raise UncertainError(_SERVICE, _OPERATION, code) from error
        message = str(error.response.get("Error", {}).get("Message", ""))
        why = denials.read(message).why if code in _DENIED else ""
        raise RefusedError(_SERVICE, _OPERATION, code, why) from error
    except BotoCoreError as error:
        raise UncertainError(_SERVICE, _OPERATION, type(error).__name__) from error
    return Page([_record(event, region) for event in answer.get("Events", [])], answer.get("NextToken") or None)


def _record(event: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    """Return the record of an event, or its known fields if the record is unreadable."""
    try:
        record = json.loads(event.get("CloudTrailEvent") or "")
    except ValueError:
        record = None
    if isinstance(record, dict):
        return {"eventID": event.get("EventId"), "awsRegion": region, **record}
    logger.warning("cloudtrail.record_unreadable: only the event's known fields count")
    identity = {"accessKeyId": event.get("AccessKeyId"), "userName": event.get("Username")}
    moment = event.get("EventTime")
    return {
        "eventID": event.get("EventId"),
        "eventName": event.get("EventName"),
        "eventSource": event.get("EventSource"),
        "eventTime": moment.isoformat() if isinstance(moment, datetime) else None,
        "awsRegion": region,
        "userIdentity": identity,
    }
