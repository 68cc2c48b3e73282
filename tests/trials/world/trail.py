"""CloudTrail's event history, which moto lacks: it holds records and answers LookupEvents by the documented rules.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html: one lookup attribute per request,
at most 50 events per page, newest first, the last 90 days, two requests per second and Region. Each Region has its own
history. CloudTrail delivers an event minutes after the call
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.trials.world.deployment import ACCOUNT
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.lake import EventDataStore
from tests.trials.world.wire import Wire

Record = Mapping[str, Any]

_MOST_RESULTS = 50
_KEPT = timedelta(days=90)
_PER_SECOND = 2
_OPENS_SESSIONS = ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity")


class _Delivered(NamedTuple):
    """A record, and when the history shows it, in seconds since the epoch."""

    record: Record
    at: float


class Trail:
    """The event histories by account and Region. `requests` has the place, the time and the parameters of each lookup.

    The place is the Region, for a member of the organisation with its account: `222222222222/us-east-1`. `lake` is an
    event data store, which has these records and data events, without a limit of time.
    """

    def __init__(self, wire: Wire, now: Callable[[], float], account_of: Callable[[str], str]) -> None:
        """Start without records. `account_of` returns the account of an access key."""
        self._wire, self._now, self._account_of = wire, now, account_of
        self._delivered: list[_Delivered] = []
        self._tokens: dict[str, tuple[dict[str, Any], list[Record]]] = {}
        self.requests: list[tuple[str, float, dict[str, Any]]] = []
        self.lake = EventDataStore(wire, now, self._delivered_by_now)
        self.refuse_with = ""

    def attach(self, hooks: Any) -> None:
        """Answer LookupEvents from now on."""
        hooks.register("before-call.cloudtrail.LookupEvents", self._answer)
        self.lake.attach(hooks)

    def add(self, *records: Record, after: float = 0.0) -> None:
        """Let the history show these records `after` seconds from now."""
        self._delivered += [_Delivered(record, self._now() + after) for record in records]

    def expire_tokens(self) -> None:
        """Forget the tokens of all pages."""
        self._tokens.clear()

    def _answer(self, params: Mapping[str, Any], context: Mapping[str, Any], request_signer: Any, **_: Any) -> Any:
        account = self._account_of(request_signer._credentials.access_key)
        with self._wire.call("cloudtrail", "LookupEvents"):
            request = json.loads(params["body"])
            region = str(context["client_region"])
            place = region if account == ACCOUNT else f"{account}/{region}"
            recent = [at for where, at, _ in self.requests if where == place and at > self._now() - 1]
            if len(recent) >= _PER_SECOND:
                return _error("ThrottlingException", "Rate exceeded")
            self.requests.append((place, self._now(), request))
            if self.refuse_with:
                return _error(self.refuse_with, "refused on demand")
            return self._look_up(account, region, request)

    def _look_up(self, account: str, region: str, request: dict[str, Any]) -> Any:
        attributes = request.get("LookupAttributes", [])
        size, token = int(request.get("MaxResults", _MOST_RESULTS)), request.get("NextToken")
        start, end = float(request.get("StartTime", 0)), float(request.get("EndTime", self._now()))
        asked = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
        if len(attributes) > 1:
            return _error("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
        if not 1 <= size <= _MOST_RESULTS:
            return _error("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
        if start > end:
            return _error("InvalidTimeRangeException", "The start time is after the end time.")
        if token:
            if self._tokens.get(token, ({},))[0] != asked:
                return _error("InvalidNextTokenException", "The token is not valid.")
            found = self._tokens[token][1]
        else:
            found = sorted(self._shown(account, region, attributes, start, end), key=_time, reverse=True)
        answer: dict[str, Any] = {"Events": [_event(record) for record in found[:size]]}
        if found[size:]:
            answer["NextToken"] = f"token-{len(self._tokens)}-{len(self.requests)}"
            self._tokens[answer["NextToken"]] = (asked, found[size:])
        return HttpAnswer(200), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def _delivered_by_now(self) -> list[Record]:
        return [record for record, at in self._delivered if at <= self._now()]

    def _shown(
        self, account: str, region: str, attributes: list[dict[str, str]], start: float, end: float
    ) -> Iterator[Record]:
        oldest = self._now() - _KEPT.total_seconds()
        for record, at in self._delivered:
            seconds = _time(record).timestamp()
            if (
                (record["recipientAccountId"], record["awsRegion"]) != (account, region)
                or not record.get("managementEvent", True)
                or at > self._now()
                or not max(start, oldest) <= seconds <= end
            ):
                continue
            if all(one["AttributeValue"] in _values(record, one["AttributeKey"]) for one in attributes):
                yield record


def _time(record: Record) -> datetime:
    return datetime.fromisoformat(record["eventTime"])


def _values(record: Record, attribute: str) -> list[str | None]:
    identity = record.get("userIdentity") or {}
    match attribute:
        case "AccessKeyId":
            return [identity.get("accessKeyId")]
        case "Username":
            return [_user_name(record)]
        case "ResourceName":
            return [name for _, name in _resources(record)]
        case "EventName":
            return [record["eventName"]]
        case _:
            raise AssertionError(f"no function looks events up by {attribute}")


def _user_name(record: Record) -> str | None:
    """Return the user's name, or for a session of a role the name of the session."""
    identity = record.get("userIdentity") or {}
    if identity.get("type") == "AssumedRole":
        return str(identity["arn"]).rpartition("/")[2]
    name: str | None = identity.get("userName")
    return name


def _resources(record: Record) -> list[tuple[str, str]]:
    """Return type and name of the resources that the event refers to. Only those of opened sessions are known here."""
    if record["eventName"] not in _OPENS_SESSIONS:
        return []
    role = (record.get("requestParameters") or {}).get("roleArn")
    found = [("AWS::IAM::Role", role)] if role else []
    opened = record.get("responseElements") or {}
    if "credentials" in opened:
        found.append(("AWS::IAM::AccessKey", opened["credentials"]["accessKeyId"]))
    if "assumedRoleUser" in opened:
        found.append(("AWS::STS::AssumedRole", opened["assumedRoleUser"]["arn"]))
    return found


def _event(record: Record) -> dict[str, Any]:
    key = (record.get("userIdentity") or {}).get("accessKeyId")
    event = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(bool(record.get("readOnly"))).lower(),
        "EventTime": _time(record).astimezone(UTC),
        "EventSource": record["eventSource"],
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in _resources(record)],
        "CloudTrailEvent": json.dumps(record),
    }
    name = _user_name(record)
    return event | ({"AccessKeyId": key} if key else {}) | ({"Username": name} if name else {})


def _error(code: str, message: str) -> tuple[HttpAnswer, dict[str, Any]]:
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return HttpAnswer(400), error
