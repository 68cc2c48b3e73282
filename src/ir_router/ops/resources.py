"""Verification of what Terraform made: table, queues, functions, workflow, deny policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ir_router import aws
from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run, warning
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_REPLAY = "Mend the cause (the function's log group says it), then run make replay."


def checks() -> Iterator[Check]:
    """A line for each resource."""
    yield from run("ledger", _ledger)
    for queue in ("slack-events", "files"):
        yield from run(f"queue {queue}", partial(_fifo, queue))
    yield from run("queue approval", _approval_queue)
    yield from run("queue failures", partial(_failures, "failures", names.failures_queue(), settings().region))
    if names.forwards():
        queue, region = names.forwarding_failures_queue(), names.GLOBAL_EVENTS_REGION
        yield from run("queue forwarding-failures", partial(_failures, "forwarding-failures", queue, region))
    yield from run("functions", _functions)
    yield from run("workflow", _workflow)
    yield from run("deny policy", _deny_policy)


def _ledger() -> Iterator[Check]:
    table = aws.client("dynamodb").describe_table(TableName=settings().require("table_name"))["Table"]
    status = table.get("TableStatus", "UNKNOWN")
    if status not in ("ACTIVE", "UPDATING"):
        yield failed("ledger", f"the table is {status}", "Wait until the table is active; if it stays so, " + APPLY)
        return
    indexes = [index.get("IndexName") for index in table.get("GlobalSecondaryIndexes", [])]
    if "index" not in indexes:
        yield failed("ledger", "the table has no index for the poller", APPLY)
        return
    yield ok("ledger", f"table {table.get('TableName')} is active")


def _fifo(name: str) -> Iterator[Check]:
    """A queue with its consumer, and its dead letters."""
    label = f"queue {name}"
    url = settings().require(f"{name.replace('-', '_')}_queue_url")
    sqs = aws.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
    if not redrive.get("deadLetterTargetArn"):
        yield failed(label, "it has no dead-letter queue: what fails for good would be lost", APPLY)
        return
    yield from _consumer(label, attributes)
    dead = redrive["deadLetterTargetArn"].rpartition(":")[2]
    yield from run(f"dead letters of {name}", partial(_dead_letters, name, dead, sqs))


def _consumer(label: str, attributes: dict[Any, str]) -> Iterator[Check]:
    arn = attributes["QueueArn"]
    found = aws.client("lambda").list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    waiting = count(int(attributes.get("ApproximateNumberOfMessages", 0)), "entry", "entries")
    if not found:
        yield failed(label, f"no function takes from it; {waiting} waiting", APPLY)
        return
    states = sorted({mapping.get("State", "unknown") for mapping in found})
    if "Enabled" not in states:
        yield failed(label, f"its consumer is {', '.join(states)}; {waiting} waiting", APPLY)
        return
    yield ok(label, f"{waiting} waiting")


def _dead_letters(name: str, queue: str, sqs: SQSClient) -> Iterator[Check]:
    label = f"dead letters of {name}"
    depth = _depth(queue, sqs)
    if depth:
        yield failed(label, f"{count(depth, 'entry', 'entries')} in {queue}: given up on after many tries", _REPLAY)
        return
    yield ok(label, "none")


def _approval_queue() -> Iterator[Check]:
    url = settings().require("approval_queue_url")
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    yield ok(
        "queue approval",
        f"{count(int(attributes['ApproximateNumberOfMessages']), 'message', 'messages')}, kept for four days",
    )


def _failures(label: str, queue: str, region: str) -> Iterator[Check]:
    depth = _depth(queue, regions.client("sqs", region))
    if depth:
        yield failed(f"queue {label}", f"{count(depth, 'event', 'events')} not delivered, or given up on", _REPLAY)
        return
    yield ok(f"queue {label}", "empty")


def _depth(queue: str, sqs: SQSClient) -> int:
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes.get("ApproximateNumberOfMessages", 0))


def _functions() -> Iterator[Check]:
    versions: dict[str, list[str]] = {}
    for part in names.FUNCTIONS:
        yield from run(f"function {part}", partial(_function, part, versions))
    if len(versions) > 1:
        shown = "; ".join(f"{', '.join(parts)} run {digest[:8]}" for digest, parts in versions.items())
        yield warning("one version", f"not all functions run the same zip: {shown}", APPLY)


def _function(part: str, versions: dict[str, list[str]]) -> Iterator[Check]:
    label = f"function {part}"
    found = aws.client("lambda").get_function_configuration(FunctionName=names.function(part))
    versions.setdefault(found.get("CodeSha256", ""), []).append(part)
    # An idle function may be Inactive: it wakes with the next invocation.
    state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
    if state not in ("Active", "Inactive") or update == "Failed":
        reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
        yield failed(label, f"{state}, last update {update}: {reason}", APPLY)
        return
    yield ok(label, f"{state.lower()}, {found.get('Runtime')}")


def _workflow() -> Iterator[Check]:
    arn = settings().require("state_machine_arn")
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    if found.get("status", "ACTIVE") != "ACTIVE":
        yield failed("workflow", f"the state machine is {found.get('status')}", APPLY)
        return
    yield ok("workflow", f"{arn.rpartition(':')[2]} is active; containment mode {settings().containment_mode}")


def _deny_policy() -> Iterator[Check]:
    label = "deny policy"
    arn = settings().require("deny_policy_arn")
    policy = aws.client("iam").get_policy(PolicyArn=arn)["Policy"]
    version = policy.get("DefaultVersionId", "v1")
    document = aws.client("iam").get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    if not _denies_everything(document):
        detail = f"its version {version} does not deny everything: whoever it is attached to may go on"
        yield failed(label, detail, APPLY)
        return
    attached = policy.get("AttachmentCount", 0)
    yield ok(label, f"denies everything; attached to {count(attached, 'principal', 'principals')}")


def _denies_everything(document: Any) -> bool:
    """Whether a policy's document (boto3 gives it parsed) has the statement that Terraform writes into it."""
    statements = document.get("Statement", [])
    return any(
        (statement.get("Effect"), statement.get("Action"), statement.get("Resource")) == ("Deny", "*", "*")
        and "Condition" not in statement
        for statement in (statements if isinstance(statements, list) else [statements])
    )
