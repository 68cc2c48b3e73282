"""Select the route of an event by the event's shape alone.

A deployment imports only the routes that it serves, which keeps its cold start short.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Thread
from typing import Any

from ir_router import aws
from ir_router.errors import RouteNotServedError, UnknownEventError

Event = Mapping[str, Any]
Handler = Callable[[Event, Any], Any]

# Route -> the module whose `handle(event, context)` serves it. `IR_ROUTES`, which Terraform sets, uses these names.
ROUTES: Mapping[str, str] = {
    "webhook": "ir_router.webhook",
    "slack_event": "ir_router.sync.slack_to_case",
    "slash_command": "ir_router.commands.handler",
    "interaction": "ir_router.commands.interactions",
    "poll": "ir_router.sync.poll",
    "sync_case": "ir_router.sync.case_to_slack",
    "file_transfer": "ir_router.sync.files",
    "approval_notice": "ir_router.sync.approvals",
    "alert_notice": "ir_router.sync.alerts",
    "operations": "ir_router.ops.handler",
    "workflow": "ir_router.workflow.handler",
    "intake": "ir_router.workflow.intake",
    "approval": "ir_router.workflow.approval",
}

# Lambda allows ten seconds for initialisation, then it starts again within the first event.
PREPARATION_SECONDS = 3.0

# Route -> the AWS services that its usual event needs. `load` creates and connects their clients.
CLIENTS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("ssm", "sqs", "lambda"),
    "slack_event": ("dynamodb", "ssm", "security-ir", "events"),
    "slash_command": ("dynamodb", "ssm", "security-ir", "events"),
    "interaction": ("dynamodb", "ssm", "security-ir", "events", "lambda"),
    "poll": ("dynamodb", "ssm", "security-ir", "events"),
    "sync_case": ("dynamodb", "ssm", "security-ir", "sqs"),
    "file_transfer": ("dynamodb", "ssm", "security-ir", "events", "sqs"),
    "workflow": ("dynamodb", "iam", "sts", "sns", "sqs", "security-ir", "events"),
    "intake": ("dynamodb", "stepfunctions"),
    "approval": ("dynamodb", "stepfunctions", "events"),
}
# Containment makes up to three calls to IAM at the same time.
_CONNECTIONS = {"iam": 3}

# Task -> route. Every other task belongs to the workflow.
_TASK_ROUTES: Mapping[str, str] = {
    "poll": "poll",
    "slash_command": "slash_command",
    "interaction": "interaction",
    "list_approvals": "approval",
    "record_access_change": "approval",
    "verify": "operations",
    "watch": "operations",
    "start_oversized": "operations",
    "replay": "operations",
    "resync": "operations",
    "forget": "operations",
}

_APPROVAL_EVENTS = frozenset({"ApprovalRequested", "ApprovalDecided", "ApprovalTimedOut", "ApprovalMessageChanged"})
_CASE_SOURCES = frozenset({"security-ir", "aws.security-ir"})


def recognise(event: object) -> str:
    """Return the route of an event, a key of ROUTES. Raises UnknownEventError, which lists the known events."""
    if not isinstance(event, Mapping):
        raise UnknownEventError(_unknown("The event is not a JSON object."))
    task = event.get("task")
    if isinstance(task, str):
        return _TASK_ROUTES.get(task, "workflow")
    if "httpMethod" in event and "requestContext" in event:
        return "webhook"
    records = event.get("Records")
    if isinstance(records, list) and records:
        return _queue_route(records[0])
    if event.get("source") in _CASE_SOURCES:
        if event.get("detail-type") == "AlertRaised":
            return "alert_notice"
        return "approval_notice" if event.get("detail-type") in _APPROVAL_EVENTS else "sync_case"
    if "decision" in event and ("task_token" in event or "approval_id" in event):
        return "approval"
    raise UnknownEventError(_unknown("No route recognises this event."))


def _queue_route(record: object) -> str:
    if isinstance(record, Mapping) and record.get("eventSource") == "aws:sqs":
        queue = str(record.get("eventSourceARN", "")).rpartition(":")[2]
        if queue.endswith("slack-events.fifo"):
            return "slack_event"
        if queue.endswith("files.fifo"):
            return "file_transfer"
        if queue.endswith("-intake"):
            return "intake"
    raise UnknownEventError(_unknown("The records come from an unknown queue."))


def _unknown(why: str) -> str:
    return (
        f'{why} Known events: {{"task": ...}}, an API Gateway proxy event, '
        "SQS records of slack-events.fifo, files.fifo or intake, "
        "EventBridge events of source security-ir or aws.security-ir, "
        '{"task_token" or "approval_id", "decision", "analyst", "notes"}.'
    )


def load(served: frozenset[str]) -> None:
    """Import the routes of a deployment, connect its clients and let the routes prepare, all before the first event.

    During initialisation a function has a full processor; later the same work takes several times as long. A module
    prepares a route in `prepare()`. After PREPARATION_SECONDS the first event does the rest.
    """
    modules = [importlib.import_module(ROUTES[route]) for route in sorted(served & ROUTES.keys())]
    services = sorted({service for route in served for service in CLIENTS.get(route, ())})
    for service in services:
        aws.create(service)  # botocore creates one client at a time
    _at_once([partial(aws.connect, service) for service in services for _ in range(_CONNECTIONS.get(service, 1))])
    _at_once([module.prepare for module in modules if hasattr(module, "prepare")])


def _at_once(steps: Sequence[Callable[[], None]]) -> None:
    threads = [Thread(target=step, daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PREPARATION_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def handler_of(route: str, served: frozenset[str]) -> Handler:
    """Return the handler of a route. Raises RouteNotServedError before it imports any of the route's code."""
    if route not in served:
        raise RouteNotServedError(
            f"This deployment does not serve the route {route}; it serves {', '.join(sorted(served)) or 'none'}."
        )
    handler: Handler = importlib.import_module(ROUTES[route]).handle
    return handler
