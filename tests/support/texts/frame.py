"""Requests and results of the modules that all routes share."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from ir_router import aws, bus, cloudtrail, cloudtrail_lake, command_lines, denials, links, paging, trail_search
from ir_router.cloudtrail import Page
from ir_router.errors import RefusedError, RetryLaterError
from ir_router.trail_search import Lookup, Progress
from tests.support.requests_to_aws import NOW, conflict, requests

USER = "arn:aws:iam::111122223333:user/carol"
ROLE = "arn:aws:iam::444455556666:role/path/admin"
STORE = "arn:aws:cloudtrail:eu-west-1:111122223333:eventdatastore/store-1"
ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "IR_NAME_PREFIX": "prefix",
    "IR_EVENT_BUS_NAME": "bus",
    "IR_PAGE_TOPIC_ARN": "arn:aws:sns:eu-west-1:111122223333:prefix-page",
}
IN_LAKE = {**ENVIRONMENT, "IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE": STORE}
QUERY = "q" * 18 + "-" * 18

Cases = dict[str, tuple[Callable[[], Any], list[Any]]]


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    found = {name: requests(call, *answers, environment=ENVIRONMENT) for name, (call, answers) in _cases().items()}
    lake = {name: requests(call, *answers, environment=IN_LAKE) for name, (call, answers) in _lake().items()}
    return found | {f"in Lake: {name}": text for name, text in lake.items()} | _passes()


def error(code: str, status: int = 400, message: str = "") -> ClientError:
    """Return an error of AWS."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


def _cases() -> Cases:
    def look_up(token: str | None = None) -> Any:
        history = cloudtrail.EventHistory(lambda region: aws.client("cloudtrail"))
        return history.look_up("eu-west-1", "AccessKeyId", "AKIA1", NOW - 60, NOW, token)

    event = {"EventId": "e", "EventName": "GetUser", "EventSource": "iam", "Username": "u", "AccessKeyId": "A"}
    denied = "not authorized because no identity-based policy allows it"
    events = [bus.Event("s", "d", {"é": "\ud800"}, ("r",)), *[bus.Event("s", "d", {})] * 10]
    texts_of_denials = (
        denied, "with an explicit deny in a service control policy: arn:aws:x/y.", "explicit deny", "x",
        "because no permissions boundary allows", "explicit deny in an identity-based policy",
        "because no VPC endpoint policy",
    )  # fmt: skip
    arns = (
        USER,
        ROLE,
        "arn:aws-cn:iam::1:user/a b",
        "arn:aws:iam::1:user/",
        "arn:aws:s3:::b",
        "arn:x:iam::1:user/a",
        "arn",
        "arn:aws:iam::1:group/g",
    )
    state = "arn:aws:states:eu-west-1:1:execution:m:x y"
    return {
        "page": (lambda: paging.page("reason", "a\n headline é", "t" * 2_001), []),
        "page, sent before": (lambda: paging.page("reason", "h", "t"), [conflict(subject="s", message="m")]),
        "page, done before": (lambda: paging.page("reason", "h", "t"), [conflict(state="done")]),
        "page without the ledger": (lambda: paging.page_without_ledger("reason", "h" * 201, "t"), []),
        "events": (
            lambda: bus.put(events),
            [{"Entries": [{}, {"ErrorCode": "E"}, {"ErrorCode": ""}]}, error("Throttled")],
        ),
        "events, lost": (lambda: bus.put(events[:2]), [ReadTimeoutError(endpoint_url="x")]),
        "events, none": (lambda: bus.put([]), []),
        "history": (
            look_up,
            [{"Events": [{**event, "CloudTrailEvent": '{"eventID": "f", "a": 1}'}], "NextToken": "n"}],
        ),
        "history, unreadable": (
            lambda: look_up("n"),
            [
                {
                    "Events": [
                        {**event, "EventTime": datetime(2026, 1, 1, tzinfo=UTC), "CloudTrailEvent": "["},
                        {**event, "EventTime": "x"},
                    ],
                    "NextToken": "",
                }
            ],
        ),
        "history, none": (look_up, [{}]),
        "history, denied": (look_up, [error("AccessDenied", message=denied)]),
        "history, refused": (look_up, [error("Other", message=denied)]),
        "history, throttled": (look_up, [error("Other", 429)]),
        "history, expired": (look_up, [error("ExpiredToken")]),
        "history, failed": (look_up, [error("Other", 500)]),
        "history, not failed": (look_up, [error("Other", 499)]),
        "history, lost": (look_up, [ReadTimeoutError(endpoint_url="x")]),
        "commands": (
            lambda: [
                command_lines.decide("a1", "approve"),
                command_lines.contain_creator("a1", USER),
                command_lines.release_request("a1"),
                command_lines.release(f"{USER}'s"),
                command_lines.invoke({"task": "x"}),
            ],
            [],
        ),
        "denials": (lambda: [denials.read(one) for one in texts_of_denials], []),
        "links": (
            lambda: [
                [links.principal(one) for one in arns],
                links.principals(arns),
                links.case("1 2/é", "r"),
                links.slack_channel("C1/"),
                [
                    links.execution(one)
                    for one in (
                        state,
                        state.rpartition(":")[0],
                        state.replace("execution", "activity"),
                        state.replace("states", "iam"),
                    )
                ],
            ],
            [],
        ),
        "invoke": (lambda: aws.invoke("f", {"é": 1}, seconds=5), [{"Payload": io.BytesIO(b'{"a": 1}')}]),
        "invoke, failed": (
            lambda: aws.invoke("f", {}, seconds=5),
            [{"Payload": io.BytesIO(b'{"errorType": "T", "errorMessage": "m"}'), "FunctionError": "Unhandled"}],
        ),
    }


def _lake() -> Cases:
    def look_up(attribute: Any = "AccessKeyId", value: str = "AKIA1", token: str | None = None) -> Any:
        return cloudtrail_lake.EventDataStore(STORE, "444455556666").look_up(
            "x", attribute, value, NOW - 60, NOW, token
        )

    rows = [[{"EventJson": '{"eventID": "e"}'}, {"other": "x"}], [{"eventjson": "["}], [{"other": "{}"}]]
    return {
        "query": (look_up, [{"QueryId": QUERY}]),
        "query of a user": (lambda: look_up("Username", "carol"), [{"QueryId": QUERY}]),
        "query of a role": (lambda: look_up("ResourceName", ROLE), [{"QueryId": QUERY}]),
        "at work": (lambda: look_up(token=QUERY), [{"QueryStatus": "RUNNING"}]),
        "a page": (
            lambda: look_up(token=f"{QUERY}n1"),
            [{"QueryStatus": "FINISHED", "QueryResultRows": rows, "NextToken": "n2"}],
        ),
        "the last page": (lambda: look_up(token=QUERY), [{"QueryStatus": "FINISHED"}]),
        "cancelled": (lambda: look_up(token=QUERY), [{"QueryStatus": "CANCELLED"}]),
        "refused": (look_up, [error("QueryIdNotFoundException")]),
        "values": (lambda: [cloudtrail_lake.can_ask(one) for one in ("a+b=c,d.e@f_g/h:i-j", "a'b", "", "é")], []),
    }


class _History:
    """A history that gives these pages in turn."""

    pause, page_size = 0.5, 50

    def __init__(self, *pages: Any) -> None:
        """Keep the pages in their order."""
        self._pages = list(pages)
        self.asked: list[Any] = []

    def look_up(self, *given: Any) -> Any:
        """Return the next page."""
        self.asked.append(given)
        page = self._pages.pop(0) if self._pages else Page([], None)
        if isinstance(page, Exception):
            raise page
        return page


def _passes() -> dict[str, str]:
    credentials = [
        {"arn": USER, "name": "carol", "kind": "user", "keys": ["AKIA1", "A'2"], "whole": True},
        {"arn": ROLE, "name": "admin", "kind": "role", "keys": [], "whole": True},
        {"arn": f"{USER}2", "name": "x", "kind": "user", "keys": ["AKIA3"], "whole": False},
    ]
    earlier = {
        "read_to": {"a": 1.5},
        "sessions": {"ASIA1": USER},
        "elsewhere": {"ASIA1": "444455556666"},
        "lost": ["a part"],
    }
    record = {"eventID": "e1", "eventTime": "2026-01-15T17:00:00Z", "eventName": "AssumeRole", "eventSource": "sts.x"}
    opened = {
        **record,
        "userIdentity": {"userName": "carol", "type": "IAMUser"},
        "responseElements": {
            "credentials": {"accessKeyId": "ASIA9"},
            "assumedRoleUser": {"arn": "arn:aws:sts::999900001111:x"},
        },
    }

    def begin(only: str = "", row: Any = earlier) -> Any:
        return vars(trail_search.begin(credentials, NOW - 600, row, only=only))

    def read(*pages: Any, attribute: Any = "AccessKeyId", until: float = NOW + 1) -> Any:
        history = _History(*pages)
        lookups = [Lookup("eu-west-1", attribute, "carol", USER), Lookup("us-east-1", "AccessKeyId", "AKIA1", USER)]
        progress = Progress(NOW, NOW - 600, lookups, read_to={lookups[0].id: NOW - 10})
        saved: list[Any] = []
        done = trail_search.read("12", progress, until, lambda account: history, lambda one: saved.append(one.to_row()))
        assert [Progress.from_row(row).to_row() for row in saved] == saved
        return [done, history.asked, saved]

    refused = RefusedError("CloudTrail", "LookupEvents", cloudtrail.TOKEN_INVALID)
    busy = RetryLaterError("CloudTrail", "LookupEvents", "Throttling", 2.0)
    lake = {"start_query": {"QueryId": QUERY}, "get_query_results": {"QueryStatus": "FINISHED"}}
    calls: dict[str, Callable[[], Any]] = {
        "begin": begin,
        "begin of one account": lambda: begin("444455556666"),
        "begin first": lambda: begin(row={}),
        "read": lambda: read(Page([opened, {"eventID": ""}], "n"), Page([record], None)),
        "read of a user": lambda: read(Page([opened, record], None), attribute="Username"),
        "read of a role": lambda: read(Page([opened], None), attribute="ResourceName"),
        "read, over": lambda: read(until=NOW),
        "read, at work": lambda: read(Page([], "n", at_work=True), refused, Page([], None)),
        "read, refused": lambda: read(refused),
        "read, busy": lambda: read(busy, busy, Page([], None)),
        "read, too busy": lambda: read(busy, busy, busy),
    }
    found = {f"pass, {name}": requests(call, environment=IN_LAKE, known=lake) for name, call in calls.items()}
    return found | {
        "pass, begin without Lake": requests(begin, environment=ENVIRONMENT),
        "regions": json.dumps(trail_search.regions()),
    }
