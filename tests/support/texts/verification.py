"""Lines of the verification, with the requests behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ir_router import aws
from ir_router.ops import (
    activity,
    credentials,
    failing_cases,
    members,
    membership,
    names,
    protected,
    resources,
    rules,
    trails,
    verify,
    watch,
    watching,
)
from ir_router.ops.checks import Check
from ir_router.ops.names import Rule
from ir_router.ops.trails import Trail
from tests.support.requests_to_aws import NOW, NoSuchEntityError, requests

Cases = dict[str, tuple[Callable[[], Any], list[Any]]]
HOME = "eu-west-1"
MACHINE = f"arn:aws:states:{HOME}:111122223333:stateMachine:prefix-response"
CODE, POLICY = "zip1", {"b": 1, "a": [2]}
DIGESTS = {
    "code": CODE,
    "definition": resources._digest("{}"),
    "role_trust": resources._digest('{"a":[2],"b":1}'),
    "role_policy": resources._digest('{"a":[2],"b":1}'),
    "protection": resources._digest("prefix-protected-1,prefix-protected-2"),
}
ENVIRONMENT = {
    "AWS_REGION": HOME,
    "IR_NAME_PREFIX": "prefix",
    "IR_EVENT_BUS_NAME": "bus",
    "IR_SLACK_EVENTS_QUEUE_URL": "https://sqs/slack-events",
    "IR_FILES_QUEUE_URL": "https://sqs/files",
    "IR_APPROVAL_QUEUE_URL": "https://sqs/approval",
    "IR_ALERT_TOPIC_ARN": f"arn:aws:sns:{HOME}:111122223333:prefix-alerts",
    "IR_STATE_MACHINE_ARN": MACHINE,
    "IR_KEY_ARN": "key-1",
    "IR_DIGESTS": json.dumps(DIGESTS),
    "IR_CONTAINMENT_MODE": "enforce",
    "IR_API_ACCESS_LOGS": "true",
}


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    cases = _resources() | _rules() | _cases() | _members()
    found = {name: requests(call, *answers, environment=ENVIRONMENT) for name, (call, answers) in cases.items()}
    denied = {
        name: requests(partial(_all, look), environment=ENVIRONMENT, otherwise="AccessDenied")
        for name, look in {
            "resources": resources.checks,
            "dead letters": resources.dead_letters,
            "watching": watching.checks,
            "trails": trails.checks,
            "membership": lambda: membership.checks([]),
            "parameters": credentials.checks,
            "activity": activity.checks,
            "failing cases": failing_cases.checks,
            "watch": watch._checks,
        }.items()
    }
    return (
        found
        | {f"without permissions: {name}": text for name, text in denied.items()}
        | {
            "in us-east-1": requests(
                lambda: [names.forwards(), *watching.checks()],
                environment={**ENVIRONMENT, "AWS_REGION": "us-east-1"},
                otherwise="AccessDenied",
            ),
            "not configured": requests(
                lambda: list(verify._environment()),
                environment={**ENVIRONMENT, "IR_KEY_ARN": "", "IR_EVENT_BUS_NAME": ""},
            ),
            "names": _names(),
        }
    )


def _all(look: Callable[[], Iterator[Check]]) -> list[Check]:
    return list(look())


def _names() -> str:
    def named() -> Any:
        return [
            names.containment_role(), names.protection_policies(), names.queues(), names.intake_queue_arn(),
            names.forwarding_failures_queue(), names.log_groups(), names.alarms(), names.essential_alarms(),
            names.forwarding_alarm(), names.forwarding_topic(), names.page_topic(), names.alarm_topic(),
            names.members_rule(), [(one.name, one.bus, one.target, one.state, one.region) for one in names.rules()][:9],
            sorted({(one.bus, one.target, one.region) for one in names.rules(members=True)}),
        ]  # fmt: skip

    plain = {**ENVIRONMENT, "IR_NAME_PREFIX": "security-incident", "IR_API_ACCESS_LOGS": "false"}
    return "\n".join(requests(named, environment=given) for given in (ENVIRONMENT, plain))


def _resources() -> Cases:
    arn = "arn:aws:sqs:eu-west-1:1:dead"
    redrive = {"QueueArn": "arn:q", "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn})}
    url, fine = {"QueueUrl": "u"}, {"CodeSha256": f"{CODE}...", "Runtime": "python"}
    machine = {"status": "ACTIVE", "definition": "{}", "encryptionConfiguration": {"kmsKeyId": "k"}}
    attached = [
        {"AttachedPolicies": [{"PolicyName": "prefix-protected-2"}, {"PolicyName": "other"}]},
        {"AttachedPolicies": [{"PolicyName": "prefix-protected-1"}]},
    ]
    trust, policy = {"Role": {"AssumeRolePolicyDocument": POLICY}}, {"PolicyDocument": POLICY}

    def messages(number: int, **more: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": str(number), **more}}

    def consumers(*states: str) -> Any:
        return {"EventSourceMappings": [{"State": one} if one else {} for one in states]}

    def key() -> Any:
        return resources._key("the key", lambda: "key-1", "nothing works")

    def function() -> Any:
        return resources._function("sync", {}, {})

    def variables(**changed: str) -> Any:
        found = {part: {"URL": "http://h:1/x"} for part in names.FUNCTIONS if part != "operations"}
        return resources._variables({**found, **{name: {"URL": value} for name, value in changed.items()}})

    same = {name: {"CodeSha256": f"{CODE}{name}"} for name in "ab"}
    ledger = {"TableName": "ledger", "TableStatus": "ACTIVE", "GlobalSecondaryIndexes": [{"IndexName": "index"}]}
    return {
        "key": (key, [{"KeyMetadata": {"KeyState": "Enabled"}}]),
        "key, disabled": (key, [{"KeyMetadata": {"KeyState": "PendingDeletion"}}]),
        "key, unknown": (key, [{"KeyMetadata": {}}]),
        "table": (resources._ledger, [{"Table": ledger}]),
        "table, updating": (resources._ledger, [{"Table": {**ledger, "TableStatus": "UPDATING"}}]),
        "table, deleted": (resources._ledger, [{"Table": {**ledger, "TableStatus": "DELETING"}}]),
        "table, unknown": (resources._ledger, [{"Table": {}}]),
        "table, without the index": (resources._ledger, [{"Table": {**ledger, "GlobalSecondaryIndexes": [{}]}}]),
        "queue": (
            lambda: resources._fifo("slack-events"),
            [messages(1, **redrive), consumers("Enabled", "Disabled"), url, messages(0)],
        ),
        "queue with dead letters": (
            lambda: resources._fifo("files"),
            [messages(0, **redrive), consumers("Enabled"), url, messages(2)],
        ),
        "queue without dead letters": (lambda: resources._fifo("files"), [messages(0)]),
        "queue without a consumer": (
            lambda: resources._fifo("files"),
            [messages(2, **redrive), consumers(), url, {"Attributes": {}}],
        ),
        "queue with a disabled consumer": (
            lambda: resources._fifo("files"),
            [{"Attributes": redrive}, consumers("Disabling", "", "Disabled"), url, messages(1)],
        ),
        "dead letters of a queue": (
            lambda: resources._dead_letters_of("files"),
            [messages(0, **redrive), url, messages(1)],
        ),
        "intake": (resources._intake, [url, messages(3, **redrive), consumers("Enabled")]),
        "intake without dead letters": (resources._intake, [url, messages(3, QueueArn="arn:q")]),
        "approvals": (resources._approval_queue, [messages(1)]),
        "failures": (lambda: resources._failures("failures", "q", HOME), [url, messages(0)]),
        "failures that wait": (lambda: resources._failures("failures", "q", HOME), [url, messages(1)]),
        "function": (function, [fine]),
        "function, inactive": (function, [{**fine, "State": "Inactive", "LastUpdateStatus": "InProgress"}]),
        "function, failed": (
            function,
            [{**fine, "State": "Failed", "StateReason": "r", "LastUpdateStatusReason": "s"}],
        ),
        "function, update failed": (function, [{**fine, "LastUpdateStatus": "Failed", "LastUpdateStatusReason": "s"}]),
        "function, pending": (function, [{**fine, "State": "Pending"}]),
        "function, changed": (function, [{**fine, "CodeSha256": "zip2"}]),
        "functions": (resources._functions, [fine] * 6),
        "functions of two versions": (resources._functions, [same["a"], same["b"], same["a"], same["b"], same["a"]]),
        "variables": (variables, []),
        "variables, missing": (lambda: resources._variables({"sync": {}}), []),
        "digests": (
            lambda: [
                resources._digest("a"),
                resources._digest_of(POLICY),
                resources._is_deployed("code", CODE),
                resources._is_deployed("code", "x"),
                resources._is_deployed("none", "x"),
                resources.variables_digest({"b": {"y": "1", "x": "http://h:8/"}, "a": {}}),
            ],
            [],
        ),
        "workflow": (resources._workflow, [machine, {"workflow_arn": "k"}]),
        "workflow, unstated": (resources._workflow, [{**machine, "status": "ACTIVE"}, {"workflow_arn": "k2"}]),
        "workflow, deleted": (resources._workflow, [{**machine, "status": "DELETING"}]),
        "workflow, changed": (resources._workflow, [{**machine, "definition": "{ }"}]),
        "role": (resources._containment_role, [trust, policy, attached]),
        "role, missing": (resources._containment_role, [trust, NoSuchEntityError()]),
        "role, trust changed": (resources._containment_role, [{"Role": {"AssumeRolePolicyDocument": {}}}, policy]),
        "role, policy changed": (resources._containment_role, [trust, {"PolicyDocument": {}}]),
        "role, protection changed": (resources._containment_role, [trust, policy, attached[:1]]),
    }


def _rules() -> Cases:
    def rule(target: Any = "sync", **more: Any) -> Any:
        one = Rule("r", "bus", target, "ENABLED", HOME, **more)
        return rules._rule(one, "rule r", aws.client("events"))

    enabled, dead = {"State": "ENABLED"}, {"DeadLetterConfig": {"Arn": "a"}}
    arns = {
        "sync": ":function:prefix-sync",
        "operations": ":function:prefix-operations",
        "members": ":function:prefix-workflow",
        "workflow": MACHINE,
        "intake": f"arn:aws:sqs:{HOME}:111122223333:prefix-intake",
        "topic": f"arn:aws:sns:{HOME}:111122223333:prefix-alarms",
        "bus": f"arn:aws:events:{HOME}:1:event-bus/default",
        "logs": "arn:aws:logs:r:1:log-group:x",
        "other": "arn:aws:events:eu-west-2:1:event-bus/default",
    }
    return {
        "rule": (rule, [enabled, {"Targets": [{"Arn": "x"}, {"Arn": arns["sync"], **dead}]}]),
        "rule, disabled": (rule, [{"State": "DISABLED"}]),
        "rule, unknown": (rule, [{}]),
        "rule with a pattern": (
            lambda: rule(pattern={"a": [1]}),
            [{**enabled, "EventPattern": '{"a":[1]}'}, {"Targets": []}],
        ),
        "rule, changed": (lambda: rule(pattern={"a": [1]}), [enabled]),
        "rule without dead letters": (rule, [enabled, {"Targets": [{"Arn": arns["sync"]}]}]),
        "targets": (
            lambda: [
                [name for name, arn in arns.items() if rules._is_target(Rule("r", "b", target, "s", HOME), arn)]  # type: ignore[arg-type]
                for target in rules._WANTED
            ],
            [],
        ),
        "regions": (rules._regions, [["us-east-1", "eu-west-2", HOME, "ap-east-1"]]),
        "trails": (
            lambda: [
                trails._line(region, list(given))
                for region in ("us-east-1", HOME)
                for given in (
                    [],
                    [Trail("a", "n", None, True, False, True)],
                    [Trail("a", "n", None, True, True, False)],
                    [Trail("a", "n", None, True, True, True, False)],
                    [Trail("a", "n", None, True, True, True, False), Trail("b", "m", None, True, True, False)],
                )
            ],
            [],
        ),
        "trails, covered": (
            lambda: [
                Trail("a", "n", where, there, True, True).covers(region)
                for where in (None, "us-east-1", HOME)
                for there in (True, False)
                for region in ("us-east-1", HOME)
            ],
            [],
        ),
        "trails, read": (
            lambda: trails._logging(HOME),
            [
                {
                    "trailList": [
                        {"TrailARN": "a", "HomeRegion": "us-east-1", "Name": "n", "IsMultiRegionTrail": True},
                        {"TrailARN": "b", "IncludeGlobalServiceEvents": True},
                        {"TrailARN": "c"},
                    ]
                },
                {"IsLogging": True},
                {},
                {"IsLogging": True},
                {"EventSelectors": [{"ReadWriteType": "ReadOnly"}]},
                {"IsLogging": False},
            ],
        ),
        "trails, selected": (
            lambda: [trails._selected(aws.client("cloudtrail"), "a") for _ in range(5)],
            [
                {"EventSelectors": [{"ReadWriteType": "WriteOnly"}, {"IncludeManagementEvents": False}]},
                {"EventSelectors": [{}]},
                {"AdvancedEventSelectors": [{"FieldSelectors": []}]},
                {"EventSelectors": [{"ReadWriteType": "ReadOnly"}, {"ReadWriteType": "WriteOnly"}]},
                NoSuchEntityError(),
            ],
        ),
        "page topic": (watching._page_topic, [{}, [{"Subscriptions": []}]]),
        "page topic, confirmed": (watching._page_topic, [{}, [{"Subscriptions": [{"SubscriptionArn": "arn:a"}]}] * 2]),
        "page topic, unconfirmed": (
            watching._page_topic,
            [{}, [{"Subscriptions": [{"SubscriptionArn": "arn:a"}, {"SubscriptionArn": "Pending"}]}]],
        ),
    }


def _cases() -> Cases:
    memberships = [{"items": [{"membershipStatus": "Terminated"}, {"membershipStatus": "Cancelled"}]}, {}]
    rows = [{"index_sk": str(number), "next_try": NOW + 1 if number else NOW} for number in range(5)]
    return {
        "membership, none": (lambda: membership._membership([]), [[{"items": []}]]),
        "membership, ended": (lambda: membership._membership([]), [memberships]),
        "membership, statuses": (membership._statuses, [[{"items": [{}, {"membershipStatus": "Active"}]}]]),
        "membership, unreachable": (lambda: [membership._unreachable("l")], []),
        "failing": (
            failing_cases.checks,
            [rows, {"failing_reason": "a", "failing_fix": "f"}, {"failing_reason": "b"}, {}, {"failing_reason": "b"}],
        ),
        "failing, none": (failing_cases.checks, [rows[:1]]),
        "environment": (verify._environment, []),
        "protected": (
            protected.checks,
            [{"protected_entries": json.dumps({f"a:{n:02}": list("abcd")[: 3 + n % 2] for n in range(20)})}],
        ),
        "protected, more": (
            protected.checks,
            [{"protected_entries": json.dumps({f"a:{n:02}": ["b:c"][: n % 2] for n in range(44)})}],
        ),
        "protected, none": (protected.checks, []),
    }


def _members() -> Cases:
    organisation = {"organization_id": "o-1"}
    entry = {"shown": "shop (1)", "detail": "d", "fix": "Do it"}
    row: dict[str, Any] = {
        "at": NOW - 150,
        "known": ["a", "b"],
        "not_ready_count": 0,
        "not_ready": {},
        "listed": True,
        "complete": True,
        "others_count": 0,
        "others": [],
    }
    some = {f"m{number}": {**entry, "shown": f"m{number}", "fix": ""} for number in range(21)}
    late = {**row, "at": NOW - 3 * 3_600 - 1}
    changed: dict[str, Any] = {
        "ready": {},
        "of one": {"known": ["a"], "at": NOW - 59},
        "not listed": {"listed": False},
        "not complete": {"complete": False},
        "with others": {"others_count": 20, "others": [f"o{number}" for number in range(20)]},
        "with more others": {"others_count": 21, "others": [f"o{number}" for number in range(21)]},
        "not ready": {"not_ready_count": 1, "not_ready": {"a": entry}},
        "many not ready": {"not_ready_count": 22, "not_ready": some},
        "twenty not ready": {"not_ready_count": 20, "not_ready": dict(list(some.items())[:20])},
        "late": {"at": NOW - 3 * 3_600 - 1},
    }
    return {
        "members, no organisation": (lambda: [*members.checks(), *members.not_ready()], []),
        "members, unchecked": (members.checks, [organisation]),
        "members, unchecked and not ready": (members.not_ready, [organisation]),
        "members, late and not ready": (members.not_ready, [organisation, late]),
        "members, not late and not ready": (members.not_ready, [organisation, {**late, "at": NOW - 3 * 3_600}]),
        **{f"members, {name}": (members.checks, [organisation, {**row, **values}]) for name, values in changed.items()},
    }
