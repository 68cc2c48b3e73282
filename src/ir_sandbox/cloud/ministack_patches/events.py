"""EventBridge: AWS's own events, rules for read-only API calls, log groups as targets, retries, dead-letter queues.

Sources: docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html (messages in a dead-letter queue and their
attributes), .../eb-service-event-cloudtrail.html (read-only events), and
docs.aws.amazon.com/lambda/latest/dg/invocation-async.html (EventBridge invokes functions asynchronously).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace, replace_value, rewrite

EVENTS = module("services.eventbridge")
FUNCTIONS = module("services.lambda_svc")
LOGS = module("services.cloudwatch_logs")
QUEUES = module("services.sqs")
TOPICS = module("services.sns")
WORKFLOWS = module("services.stepfunctions")
parse_arn = module("core.arn").parse_arn

READ_ONLY_TOO = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"

Json = dict[str, Any]


def apply() -> None:
    """Patch the receipt and delivery of events; raises EmulatorChangedError."""
    # Local services stand in for the AWS services whose events have a source that starts with `aws.`.
    put_events = checked(EVENTS, "_put_events", "ebcda0f38061")
    put_events.__defaults__ = (True,)

    EVENTS._rule_takes = rule_takes
    rewrite(EVENTS, "_dispatch_event", ('if rule.get("State") != "ENABLED":', "if not _rule_takes(rule, view):"))

    # The interval in seconds between checks of the schedules, and so the largest delay of a rule.
    replace_value(EVENTS, "_SCHEDULER_TICK_INTERVAL", 10, 1)

    checked(FUNCTIONS, "invoke_async_with_retry", "289fe4d3cbd4")
    replace(EVENTS, "_dispatch_to_lambda", "1f95adbaed3a", invoke_function)
    checked(LOGS, "_create_log_stream", "99fc231b9677")
    checked(LOGS, "_put_log_events", "acd4fda33a38")
    checked(QUEUES, "_queue_by_arn", "b4981875c818")
    _deliver_to_the_rest["original"] = replace(EVENTS, "_invoke_target", "550e304af080", deliver)


_deliver_to_the_rest: dict[str, Callable[..., None]] = {}


def rule_takes(rule: Json, view: Any) -> bool:
    """Return whether a rule's state accepts an event; read-only API calls need a rule that includes them."""
    state = rule.get("State")
    if state == READ_ONLY_TOO:
        return True
    detail = view.event_with_detail().get("detail")
    is_call = view.envelope()["detail-type"] == "AWS API Call via CloudTrail"
    read_only = is_call and isinstance(detail, dict) and detail.get("readOnly") is True
    return state == "ENABLED" and not read_only


def invoke_function(arn: str, payload: str) -> None:
    """Invoke a function as EventBridge does: asynchronously, with the function's retries and destination."""
    function, config, _name = FUNCTIONS._get_func_record_for_ref(arn)
    record = FUNCTIONS._execution_record_for_config(function, config)
    FUNCTIONS.invoke_async_with_retry(record, json.loads(payload))


def deliver(target: Json, event: Json, rule: Json, view: Any = None) -> None:
    """Deliver an event to a target, or to its dead-letter queue without retries if the target does not exist."""
    view = view or EVENTS._pattern_event_view(event)
    arn = target.get("Arn", "")
    if not target_exists(arn):
        send_to_dead_letter_queue(target, rule, view)
    elif parse_arn(arn).service == "logs":
        write_to_log_group(arn, view)
    else:
        _deliver_to_the_rest["original"](target, event, rule, view)


def target_exists(arn: str) -> bool:
    """Return whether a rule's target exists; True for unknown kinds of targets."""
    spec = parse_arn(arn)
    checks: dict[str, Callable[[], object]] = {
        "lambda": lambda: FUNCTIONS._get_func_record_for_ref(arn)[0],
        "sqs": lambda: QUEUES._queue_by_arn(arn),
        "sns": lambda: TOPICS._topics.get(arn),
        "states": lambda: WORKFLOWS._resolve_state_machine_arn(arn),
        "logs": lambda: log_group(arn) in LOGS._log_groups,
    }
    check = checks.get(spec.service)
    return check is None or bool(check())


def log_group(arn: str) -> str:
    """Return the name in a log group's ARN, which may end with `:*`."""
    return str(parse_arn(arn).resource).removeprefix("log-group:").removesuffix(":*")


def write_to_log_group(arn: str, view: Any) -> None:
    """Write an event to a new stream in a log group."""
    event = view.event_with_detail()
    stream = {"logGroupName": log_group(arn), "logStreamName": event["id"]}
    LOGS._create_log_stream(stream)
    line = {"timestamp": int(time.time() * 1000), "message": json.dumps(event)}
    LOGS._put_log_events({**stream, "logEvents": [line]})


def send_to_dead_letter_queue(target: Json, rule: Json, view: Any) -> None:
    """Send an undeliverable event to the target's dead-letter queue, if it has one that exists."""
    dead_letter_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    queue = QUEUES._queue_by_arn(dead_letter_arn) if dead_letter_arn else None
    if queue is None:
        return
    reasons = {
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": "NO_RESOURCE",
        "ERROR_MESSAGE": "The specified target does not exist.",
        "RETRY_ATTEMPTS": "0",
    }
    body = json.dumps(view.event_with_detail())
    EVENTS._dispatch_to_sqs(parse_arn(dead_letter_arn), body)
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in reasons.items()}
    message = next(message for message in reversed(queue["messages"]) if message["body"] == body)
    message["message_attributes"] = attributes
