"""Estimate the monthly cost: the bench's counts times AWS's list prices, with all assumptions.

Lambda mostly waits. An invocation is therefore taken to last as long as its calls in sequence, at the latencies below,
plus a little work of its own. The latencies are pessimistic assumptions, because nothing here has measured AWS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ir_operator.project import SOURCES
from ir_router.ledger import audit
from tests.trials.bench import prices
from tests.trials.bench.bounds import idle_poll_at_most
from tests.trials.bench.calls import Work

OPEN_CASES = (1, 10, 100)

HOURS = 730
_POLLS = 60 * HOURS
_UPKEEPS = 4 * HOURS

# Seconds per call, response included.
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
    "sts": 0.1,
}
OWN_SECONDS = 0.05
# The calls of one verification, mostly to services that the table above does not list; they take about 0.05 s each.
_VERIFICATION: Mapping[str, int] = {"sns": 130, "slack": 10}

# The source is terraform/functions.tf, in GB; a test compares them.
MEMORY_GB: Mapping[str, float] = {
    "webhook": 0.5,
    "slack": 1.0,
    "sync": 0.5,
    "operations": 0.5,
    "workflow": 0.5,
    "approval-handler": 0.25,
}

# The events of one open case per month. A containment that an analyst approved opened it.
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

# Write request units per write: the item and, for the poller's rows, the index. A transaction writes two items at twice
# the price. Rows are smaller than 1 KB.
WRITE_UNITS: Mapping[str, int] = {"PutItem": 2, "UpdateItem": 2, "DeleteItem": 2, "TransactWriteItems": 8}
# The size of a row of the poller's index in KB. Query reads 8 KB per unit, eventually consistent.
_INDEX_ROW_KB = 0.5
_READ_KB = 8

# Lambda polls an empty queue with five long polls of 20 s, for each of two event source mappings.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_QUEUE_POLLS = 2 * 5 * 3 * 60 * HOURS
# The same for the intake, a standard queue.
_INTAKE_POLLS = 5 * 3 * 60 * HOURS
# Send, receive, delete.
_REQUESTS_PER_MESSAGE = 3
# EventBridge sends each event by itself. Lambda receives and deletes ten messages in a request.
_REQUESTS_PER_EVENT = 1.2
# The own work for a batch of 100 events at Lambda's share of a processor, with a margin (`intake.batch_ms`).
_BATCH_OWN_SECONDS = 1.0
# Data keys are cached for five minutes: by the table, two queues and the secrets of two warm functions.
_KMS_REQUESTS = 5 * 12 * HOURS
# Log volume of an invocation in GB, including its metrics and Lambda's own lines.
_LOGS_PER_INVOCATION = 2.5e-6


# The hours of a month in which one open case gives a metric a value; the others have none. CloudWatch bills only the
# hours in which it gets values (https://aws.amazon.com/cloudwatch/pricing/).
_METRIC_HOURS: Mapping[str, float] = {
    "CommentToMessageSeconds": 300,
    "ContainmentReactionSeconds": 1,
    "ContainmentSeconds": 1,
    "OldestApprovalSeconds": 24,
    "OpenApprovals": 24,
    "SyncLagSeconds": 100,
}


@dataclass(frozen=True)
class Fixed:
    """The number of deployed resources with a fixed cost."""

    alarms: int
    dashboards: int
    keys: int


def custom_metrics() -> int:
    """Return the metrics that the functions emit, each with one dimension of one value."""
    names: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        names |= set(re.findall(r'\bmeasure\("(\w+)"', path.read_text("utf-8")))
    return len(names)


def monthly(cases: int, work: Mapping[str, Work], fixed: Fixed) -> dict[str, float]:
    """Return US dollars by item, with `total`, for this number of open cases.

    Args:
        cases: The number of open cases.
        work: The work of each operation, by name.
        fixed: The number of resources with a fixed cost.
    """
    seconds, invocations = _idle_polls(cases)
    reads = float(_POLLS + _UPKEEPS * (1 + audit.CHAINS) + _POLLS * (2 + math.ceil(cases * _INDEX_ROW_KB / _READ_KB)))
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
        "SQS": (_QUEUE_POLLS + _REQUESTS_PER_MESSAGE * messages) * prices.SQS_FIFO_REQUEST.usd
        + _INTAKE_POLLS * prices.SQS_REQUEST.usd,
        "API Gateway": requests * prices.API_GATEWAY_REQUEST.usd,
        "EventBridge": events * prices.EVENTBRIDGE_EVENT.usd,
        "Step Functions": transitions * prices.STATE_TRANSITION.usd,
        "KMS": fixed.keys * prices.KMS_KEY.usd + _KMS_REQUESTS * prices.KMS_REQUEST.usd,
        "CloudWatch alarms": fixed.alarms * prices.ALARM.usd,
        "CloudWatch metrics": _metric_months(cases) * prices.CUSTOM_METRIC.usd,
        "CloudWatch dashboard": fixed.dashboards * prices.DASHBOARD.usd,
        "CloudWatch logs": invocations * _LOGS_PER_INVOCATION * prices.LOGS_GB.usd,
    }
    rounded = {name: round(usd, 2) for name, usd in items.items()}
    return rounded | {"total": round(sum(items.values()), 2)}


def usd_per_million(work: Work) -> float:
    """Return US dollars for a million events with this work each, of which AWS charges none that it delivers itself."""
    reads = writes = 0.0
    for operation, count in work.operations.items():
        service, _, action = operation.partition(" ")
        if service == "dynamodb":
            writes += count * WRITE_UNITS.get(action, 0)
            reads += count * (action not in WRITE_UNITS)
    invocations = sum(work.invocations.values())
    one = (
        work.transitions * prices.STATE_TRANSITION.usd
        + sum(_gb_seconds(work).values()) * prices.LAMBDA_GB_SECOND.usd
        + invocations * (prices.LAMBDA_REQUEST.usd + _LOGS_PER_INVOCATION * prices.LOGS_GB.usd)
        + reads * prices.DYNAMODB_READ.usd
        + writes * prices.DYNAMODB_WRITE.usd
    )
    return round(one * prices.MILLION, 1)


def usd_per_million_in_batches(work: Work, events: int, read_units: int, write_units: int) -> float:
    """Return US dollars for a million events of which one batch of `events` has this work.

    Args:
        work: The work of the batch.
        events: The events in the batch.
        read_units: DynamoDB's read request units.
        write_units: DynamoDB's write request units.
    """
    seconds = _seconds(work.calls, 0) + _BATCH_OWN_SECONDS
    batch = (
        seconds * MEMORY_GB["workflow"] * prices.LAMBDA_GB_SECOND.usd
        + prices.LAMBDA_REQUEST.usd
        + _LOGS_PER_INVOCATION * prices.LOGS_GB.usd
        + read_units * prices.DYNAMODB_READ.usd
        + write_units * prices.DYNAMODB_WRITE.usd
    )
    return round((batch / events + _REQUESTS_PER_EVENT * prices.SQS_REQUEST.usd) * prices.MILLION, 2)


def _metric_months(cases: int) -> float:
    """Return the custom metrics, each by the share of the month in which it has values."""
    shares = [min(cases * hours / HOURS, 1.0) for hours in _METRIC_HOURS.values()]
    return sum(shares)


def _idle_polls(cases: int) -> tuple[dict[str, float], float]:
    """Return GB-seconds by deployment, and invocations, of one month of idle polls and of the upkeep.

    Every minute -sync polls and -workflow looks for open containments. Every 15 minutes -operations and -workflow do
    the upkeep, and once an hour -operations verifies the deployment.
    """
    calls = {**idle_poll_at_most(cases), "slack": min(cases, 10)}
    sync = _POLLS * _seconds(calls, 1)
    upkeep = _UPKEEPS * _seconds(_VERIFICATION, 1) / 4
    workflow = (_POLLS + _UPKEEPS) * _seconds({"dynamodb": 1}, 1)
    used = {"sync": sync, "operations": upkeep, "workflow": workflow}
    gb_seconds = {name: seconds * MEMORY_GB[name] for name, seconds in used.items()}
    return dict.fromkeys(MEMORY_GB, 0.0) | gb_seconds, float(2 * _POLLS + 2 * _UPKEEPS)


def _gb_seconds(work: Work) -> dict[str, float]:
    """Return GB-seconds by deployment. All calls are attributed to the deployment that does the work."""
    worker = max(work.invocations, key=lambda name: (name != "webhook", work.invocations[name]))
    found = {name: count * OWN_SECONDS * MEMORY_GB[name] for name, count in work.invocations.items()}
    found[worker] += _seconds(work.calls, 0) * MEMORY_GB[worker]
    return found


def _seconds(calls: Mapping[str, int], invocations: int) -> float:
    return sum(count * LATENCY_SECONDS[service] for service, count in calls.items()) + invocations * OWN_SECONDS
