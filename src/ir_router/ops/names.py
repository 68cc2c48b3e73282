"""The names that Terraform gives (terraform/locals.tf, terraform/events.tf), for what no environment variable tells.

A test compares them with a plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from ir_router.settings import settings

# CloudTrail delivers the events of global services (IAM, root sign-in) in this region only.
GLOBAL_EVENTS_REGION = "us-east-1"
_DEFAULT_PREFIX = "security-incident"

FUNCTIONS = ("webhook", "slack", "sync", "workflow", "approval-handler")


@dataclass(frozen=True)
class Rule:
    """An EventBridge rule. `bus` is the name of its event bus, `target` the kind of what it starts.

    `state` is what it must be in: read-only API calls match in `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS` only.
    """

    name: str
    bus: str
    target: Literal["sync", "workflow", "logs", "bus"]
    state: str
    region: str


def function(part: str) -> str:
    """A function, by its part: one of FUNCTIONS."""
    return f"{settings().name_prefix}-{part}"


def failures_queue() -> str:
    """What EventBridge could not deliver, and what functions gave up on."""
    return f"{settings().name_prefix}-failures"


def forwarding_failures_queue() -> str:
    """The same of the rules in us-east-1 that forward to another home region."""
    return f"{settings().name_prefix}-forwarding-failures"


def log_group(part: str) -> str:
    """The log group of a function."""
    return f"/aws/lambda/{function(part)}"


def access_log_group() -> str:
    """Who asked the API for what, and what became of it; no bodies."""
    return f"/aws/apigateway/{_fixed('SlackWebhookApi')}"


def forwards() -> bool:
    """Whether the home region is another than the one where events of global services appear."""
    return settings().region != GLOBAL_EVENTS_REGION


def poll_rule() -> str:
    """The poller's schedule."""
    return f"{settings().name_prefix}-poll"


def detections() -> list[dict[str, Any]]:
    """The entries of detections.json, of which Terraform makes the rules."""
    text = files("ir_router.workflow").joinpath("detections.json").read_text("utf-8")
    entries: list[dict[str, Any]] = json.loads(text)["detections"]
    return entries


def rules() -> Iterator[Rule]:
    """Every rule of this deployment."""
    prefix, home = settings().name_prefix, settings().region
    bus = settings().require("event_bus_name")
    yield Rule(_fixed("slack-client-rule"), bus, "sync", "ENABLED", home)
    yield Rule(f"{prefix}-approvals", bus, "sync", "ENABLED", home)
    yield Rule(_fixed("SlackNotificationsRule"), bus, "logs", "ENABLED", home)
    yield Rule(f"{prefix}-case-events", "default", "sync", "ENABLED", home)
    yield Rule(poll_rule(), "default", "sync", "ENABLED", home)
    for detection in detections():
        state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" if detection["read_only_calls"] else "ENABLED"
        name = f"{prefix}-detect-{detection['id'].replace('_', '-')}"
        yield Rule(name, "default", "workflow", state, home)
        if forwards() and detection["global_service"]:
            yield Rule(name, "default", "bus", state, GLOBAL_EVENTS_REGION)


def _fixed(name: str) -> str:
    """The specification's names take the prefix only when it is not the default."""
    return name if settings().name_prefix == _DEFAULT_PREFIX else f"{settings().name_prefix}-{name}"
