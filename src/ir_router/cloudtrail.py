"""CloudTrail's event history: LookupEvents of one Region.

Rules: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. A request has at most one
attribute. AWS answers two requests per second, account and Region, at most 50 events each, newest first. The history
has the management events of 90 days, some minutes after the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, denials, json_text
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient

Attribute = Literal["AccessKeyId", "ResourceName", "Username"]

# Events of global services, such as IAM, appear only there.
GLOBAL_EVENTS_REGION = "us-east-1"
PAGE_SIZE = 50
# Between two requests to a Region.
PAUSE_SECONDS = 0.55
TOKEN_INVALID = "InvalidNextTokenException"  # noqa: S105 - an error code
_SERVICE = "CloudTrail"
_FOR_NOW = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "MaxConcurrentQueriesException",
        "RequestExpired",
        "Throttling",
        "ThrottlingException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class Page(NamedTuple):
    """The records of one page, newest first, and the token of the next page, or None.

    A source that is still at work returns no records and the token for the next request (`at_work`).
    """

    records: list[Mapping[str, Any]]
    token: str | None
    at_work: bool = False


def _own_client(region: str) -> CloudTrailClient:
    return aws.client_of_region("cloudtrail", region)


class EventHistory:
    """The event history of one account: the management events of 90 days.

    Attributes:
        pause: Seconds between two requests to a Region.
        page_size: The largest number of calls in a page.
    """

    pause = PAUSE_SECONDS
    page_size = PAGE_SIZE

    def __init__(self, client_of: Callable[[str], CloudTrailClient] = _own_client) -> None:
        """`client_of` returns the account's client of a Region. Default: this account."""
        self._client_of = client_of

    def look_up(
        self, region: str, attribute: Attribute, value: str, start: float, end: float, token: str | None
    ) -> Page:
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
        with translated("LookupEvents"):
            answer = self._client_of(region).lookup_events(
                LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}],
                StartTime=datetime.fromtimestamp(start, UTC),
                EndTime=datetime.fromtimestamp(end, UTC),
                MaxResults=PAGE_SIZE,
                **({"NextToken": token} if token else {}),  # type: ignore[arg-type]
            )
        return Page([_record(event, region) for event in answer.get("Events", [])], answer.get("NextToken") or None)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise botocore's errors as those of `EventHistory.look_up`."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _FOR_NOW or status == 429:
            raise RetryLaterError(_SERVICE, operation, code, 1.0) from error
        if status >= 500:
            raise UncertainError(_SERVICE, operation, code) from error
        message = str(error.response.get("Error", {}).get("Message", ""))
        why = denials.read(message).why if code in _DENIED else ""
        raise RefusedError(_SERVICE, operation, code, why) from error
    except BotoCoreError as error:
        raise UncertainError(_SERVICE, operation, type(error).__name__) from error


def _record(event: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    """Return the record of an event, or its known fields if the record is unreadable."""
    try:
        record = json_text.parsed(event.get("CloudTrailEvent") or "")
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
