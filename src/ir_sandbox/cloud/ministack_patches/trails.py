"""CloudTrail: the event history has the records of the API calls that were put on the default bus.

Rules: docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. One lookup attribute per request, at
most 50 events per page, newest first, the last 90 days, two requests per second, account and Region. The emulator's
own history has neither pages nor a rate, and records the calls of all functions.
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace

EVENTS = module("services.eventbridge")
TRAILS = module("services.cloudtrail")

CALL = "AWS API Call via CloudTrail"
MOST_RESULTS = 50
PER_SECOND = 2
KEPT_SECONDS = 90 * 86_400

Json = dict[str, Any]

_put: dict[str, Callable[..., Any]] = {}
_records: list[Json] = []
_pages: dict[str, tuple[Json, list[Json]]] = {}
_requests: dict[tuple[str, str], list[float]] = {}


def apply() -> None:
    """Patch the receipt of events and the lookup; raises EmulatorChangedError."""
    _put["original"] = EVENTS._put_events  # `events` has checked it
    EVENTS._put_events = put_events
    replace(TRAILS, "_lookup_events", "95a231827046", lookup_events)
    TRAILS._DISPATCH["LookupEvents"] = lookup_events


def put_events(data: Json, *arguments: Any, **more: Any) -> Any:
    """Put events on a bus, and remember the API calls among them."""
    answer = _put["original"](data, *arguments, **more)
    entries = data.get("Entries", [])
    _records.extend(json.loads(entry["Detail"]) for entry in entries if entry.get("DetailType") == CALL)
    return answer


def lookup_events(request: Json) -> Any:
    """Answer LookupEvents."""
    place, now = (TRAILS.get_account_id(), TRAILS.get_region()), time.time()
    recent = [at for at in _requests.get(place, []) if at > now - 1]
    if len(recent) >= PER_SECOND:
        return TRAILS._err("ThrottlingException", "Rate exceeded")
    _requests[place] = [*recent, now]
    attributes, size = request.get("LookupAttributes", []), int(request.get("MaxResults", MOST_RESULTS))
    if len(attributes) > 1:
        return TRAILS._err("InvalidLookupAttributesException", "You can specify only one lookup attribute.")
    if not 1 <= size <= MOST_RESULTS:
        return TRAILS._err("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
    asked = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    if token := request.get("NextToken"):
        if token not in _pages or _pages[token][0] != asked:
            return TRAILS._err("InvalidNextTokenException", "The token is not valid.")
        found = _pages[token][1]
    else:
        found = _found(place, attributes, request, now)
    answer: Json = {"Events": [_event(record) for record in found[:size]]}
    if found[size:]:
        answer["NextToken"] = secrets.token_hex(16)
        _pages[answer["NextToken"]] = (asked, found[size:])
    return TRAILS._ok(answer)


def _found(place: tuple[str, str], attributes: list[Json], request: Json, now: float) -> list[Json]:
    start = max(float(request.get("StartTime", 0)), now - KEPT_SECONDS)
    end = float(request.get("EndTime", now))
    found = [
        record
        for record in _records
        if (record.get("recipientAccountId"), record.get("awsRegion")) == place
        and start <= _time(record) <= end
        and all(one["AttributeValue"] in _values(record, one["AttributeKey"]) for one in attributes)
    ]
    return sorted(found, key=_time, reverse=True)


def _time(record: Json) -> float:
    return datetime.fromisoformat(record["eventTime"]).timestamp()


def _values(record: Json, attribute: str) -> list[Any]:
    identity = record.get("userIdentity") or {}
    found: dict[str, list[Any]] = {
        "AccessKeyId": [identity.get("accessKeyId")],
        "EventId": [record.get("eventID")],
        "EventName": [record.get("eventName")],
        "EventSource": [record.get("eventSource")],
        "ReadOnly": [str(bool(record.get("readOnly"))).lower()],
        "ResourceName": [(record.get("requestParameters") or {}).get("roleArn")],
        "Username": [_user(record)],
    }
    return found.get(attribute, [])


def _user(record: Json) -> str:
    identity = record.get("userIdentity") or {}
    if identity.get("type") == "AssumedRole":
        return str(identity.get("arn")).rpartition("/")[2]
    return str(identity.get("userName") or "")


def _event(record: Json) -> Json:
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "EventSource": record["eventSource"],
        "EventTime": _time(record),
        "ReadOnly": str(bool(record.get("readOnly"))).lower(),
        "AccessKeyId": (record.get("userIdentity") or {}).get("accessKeyId", ""),
        "Username": _user(record),
        "Resources": [],
        "CloudTrailEvent": json.dumps(record),
    }
