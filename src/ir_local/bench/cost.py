"""What the system costs in a month: the bench's counts times AWS's list prices, with what is assumed written down.

Lambda's time is mostly waiting: an invocation's is taken as its calls, one after the other, at the latencies below,
and a little work of its own. They are assumptions (nothing here has measured AWS), on the slow side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ir_local.bench import prices
from ir_local.bench.bounds import idle_poll_at_most
from ir_local.bench.calls import Work
from ir_local.build.project import SOURCES

OPEN_CASES = (1, 10, 100)

HOURS = 730
_POLLS = 60 * HOURS

# Seconds that a call takes, answer included.
LATENCY_SECONDS: Mapping[str, float] = {
    "dynamodb": 0.01,
    "events": 0.03,
    "files": 1.0,
    "iam": 0.1,
    "lambda": 0.05,
    "security_ir": 0.15,
    "slack": 0.2,
    "sns": 0.05,
    "sqs": 0.02,
    "ssm": 0.03,
    "stepfunctions": 0.05,
}
OWN_SECONDS = 0.05

# As terraform/functions.tf has them, in GB (a test compares them).
MEMORY_GB: Mapping[str, float] = {
    "webhook": 0.5,
    "slack": 1.0,
    "sync": 0.5,
    "workflow": 0.25,
    "approval-handler": 0.25,
}

# What one open case sees in a month. It was opened by a containment that a person approved.
TRAFFIC_PER_CASE: Mapping[str, float] = {
    "containment": 1,
    "containment_approve": 1,
    "comment_to_slack": 300,
    "message_to_case": 600,
    "file_from_slack": 30,
    "file_to_slack": 30,
    "command_status": 90,
    "command_update_status": 15,
}

# What a write costs in write request units: the item and, where it is one of the poller's, the index. A transaction
# writes two items at twice the price. Rows are smaller than 1 KB.
WRITE_UNITS: Mapping[str, int] = {"PutItem": 2, "UpdateItem": 2, "DeleteItem": 2, "TransactWriteItems": 8}
# A row of the poller's index in KB; Query reads 8 KB for each unit, eventually consistent.
_INDEX_ROW_KB = 0.5
_READ_KB = 8

# Lambda asks an empty queue with five long polls at a time, each of 20 s, for each of two event source mappings.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_QUEUE_POLLS = 2 * 5 * 3 * 60 * HOURS
# Sent, received, deleted.
_REQUESTS_PER_MESSAGE = 3
# Data keys are kept for five minutes: by the table, two queues and the secrets of two warm functions.
_KMS_REQUESTS = 5 * 12 * HOURS
# What an invocation logs, its metrics and Lambda's own lines included, in GB.
_LOGS_PER_INVOCATION = 2.5e-6


@dataclass(frozen=True)
class Fixed:
    """What costs something while nothing happens: as many as Terraform makes."""

    alarms: int
    dashboards: int
    keys: int


def custom_metrics() -> int:
    """The metrics that the functions emit, each with one dimension of one value."""
    names: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        names |= set(re.findall(r'\bmeasure\("(\w+)"', path.read_text("utf-8")))
    return len(names)


def monthly(cases: int, work: Mapping[str, Work], fixed: Fixed) -> dict[str, float]:
    """US dollars by item, with `total`, for so many open cases. `work` is what each operation takes."""
    seconds, invocations = _idle_polls(cases)
    reads = float(_POLLS * (2 + math.ceil(cases * _INDEX_ROW_KB / _READ_KB)))
    writes = messages = requests = events = transitions = 0.0
    for name, times_per_case in TRAFFIC_PER_CASE.items():
        times, one = times_per_case * cases, work[name]
        for deployment, gb_seconds in _gb_seconds(one).items():
            seconds[deployment] += times * gb_seconds
            invocations += times * one.invocations[deployment]
        for operation, count in one.operations.items():
            service, _, action = operation.partition(" ")
            if service == "dynamodb":
                writes += times * count * WRITE_UNITS.get(action, 0)
                reads += times * count * (action not in WRITE_UNITS)
            messages += times * count * (operation == "sqs SendMessage")
        requests += times * one.invocations.get("webhook", 0)
        events += times * one.calls.get("events", 0)
        transitions += times * one.transitions
    items = {
        "Lambda": sum(seconds.values()) * prices.LAMBDA_GB_SECOND.usd + invocations * prices.LAMBDA_REQUEST.usd,
        "DynamoDB": reads * prices.DYNAMODB_READ.usd + writes * prices.DYNAMODB_WRITE.usd,
        "SQS": (_QUEUE_POLLS + _REQUESTS_PER_MESSAGE * messages) * prices.SQS_FIFO_REQUEST.usd,
        "API Gateway": requests * prices.API_GATEWAY_REQUEST.usd,
        "EventBridge": events * prices.EVENTBRIDGE_EVENT.usd,
        "Step Functions": transitions * prices.STATE_TRANSITION.usd,
        "KMS": fixed.keys * prices.KMS_KEY.usd + _KMS_REQUESTS * prices.KMS_REQUEST.usd,
        "CloudWatch alarms": fixed.alarms * prices.ALARM.usd,
        "CloudWatch metrics": custom_metrics() * prices.CUSTOM_METRIC.usd,
        "CloudWatch dashboard": fixed.dashboards * prices.DASHBOARD.usd,
        "CloudWatch logs": invocations * _LOGS_PER_INVOCATION * prices.LOGS_GB.usd,
    }
    rounded = {name: round(usd, 2) for name, usd in items.items()}
    return rounded | {"total": round(sum(items.values()), 2)}


def _idle_polls(cases: int) -> tuple[dict[str, float], float]:
    """GB-seconds by deployment, and invocations, of a month's polls in which nothing has happened."""
    calls = {**idle_poll_at_most(cases), "slack": min(cases, 10)}
    gb_seconds = _POLLS * MEMORY_GB["sync"] * _seconds(calls, 1)
    return {**dict.fromkeys(MEMORY_GB, 0.0), "sync": gb_seconds}, float(_POLLS)


def _gb_seconds(work: Work) -> dict[str, float]:
    """By deployment. All its calls are taken to be made by the one that does the work, however many it invokes."""
    worker = max(work.invocations, key=lambda name: (name != "webhook", work.invocations[name]))
    found = {name: count * OWN_SECONDS * MEMORY_GB[name] for name, count in work.invocations.items()}
    found[worker] += _seconds(work.calls, 0) * MEMORY_GB[worker]
    return found


def _seconds(calls: Mapping[str, int], invocations: int) -> float:
    return sum(count * LATENCY_SECONDS[service] for service, count in calls.items()) + invocations * OWN_SECONDS
