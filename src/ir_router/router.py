"""Which route an event takes: one table, decided by the shape of the event alone.

A deployment imports the routes that it serves and no others, so that its cold start pays only for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ir_router import aws
from ir_router.errors import RouteNotServedError, UnknownEventError

Event = Mapping[str, Any]
Handler = Callable[[Event, Any], Any]

# Route -> the module whose `handle(event, context)` serves it. Terraform's `IR_ROUTES` uses these names.
ROUTES: Mapping[str, str] = {
    "webhook": "ir_router.webhook",
    "slack_event": "ir_router.sync.slack_to_case",
    "slash_command": "ir_router.commands.handler",
    "interaction": "ir_router.commands.interactions",
    "poll": "ir_router.sync.poll",
    "sync_case": "ir_router.sync.case_to_slack",
    "file_transfer": "ir_router.sync.files",
    "approval_notice": "ir_router.sync.approvals",
    "operations": "ir_router.ops.handler",
    "workflow": "ir_router.workflow.handler",
    "approval": "ir_router.workflow.approval",
}

# Route -> the AWS services that its usual event needs. Their clients are made when the deployment starts.
CLIENTS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("ssm", "sqs"),
    "slack_event": ("dynamodb", "ssm", "security-ir", "events"),
    "slash_command": ("dynamodb", "ssm", "security-ir", "events"),
    "interaction": ("dynamodb", "ssm", "security-ir", "events", "lambda"),
    "poll": ("dynamodb", "ssm", "security-ir", "events"),
    "sync_case": ("dynamodb", "ssm", "security-ir", "sqs"),
    "file_transfer": ("dynamodb", "ssm", "security-ir", "events"),
    "workflow": ("dynamodb", "iam", "sns", "sqs", "security-ir", "events"),
    "approval": ("dynamodb", "stepfunctions", "events"),
}

# A task that names one of these routes' own work; every other task belongs to the workflow.
_TASK_ROUTES: Mapping[str, str] = {
    "poll": "poll",
    "slash_command": "slash_command",
    "interaction": "interaction",
    "verify": "operations",
    "replay": "operations",
    "resync": "operations",
}

_APPROVAL_EVENTS = frozenset({"ApprovalRequested", "ApprovalDecided", "ApprovalTimedOut"})
_CASE_SOURCES = frozenset({"security-ir", "aws.security-ir"})


def recognise(event: object) -> str:
    """The route of an event. Raises UnknownEventError, naming the routes, when it is none of ours."""
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
    raise UnknownEventError(_unknown("The records come from no queue of ours."))


def _unknown(why: str) -> str:
    return (
        f'{why} Known: {{"task": ...}}, an API Gateway proxy event, SQS records of slack-events.fifo or files.fifo, '
        "EventBridge events of source security-ir or aws.security-ir, "
        '{"task_token" or "approval_id", "decision", "analyst", "notes"}.'
    )


def load(served: frozenset[str]) -> None:
    """Import the routes of a deployment and make its clients, so that its first event finds them."""
    for route in served & ROUTES.keys():
        importlib.import_module(ROUTES[route])
    aws.prepare({service for route in served for service in CLIENTS.get(route, ())})


def handler_of(route: str, served: frozenset[str]) -> Handler:
    """The handler of a route. Raises RouteNotServedError before any code of it is imported."""
    if route not in served:
        raise RouteNotServedError(
            f"This deployment does not serve the route {route}; it serves {', '.join(sorted(served)) or 'none'}."
        )
    handler: Handler = importlib.import_module(ROUTES[route]).handle
    return handler
