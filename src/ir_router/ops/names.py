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

# terraform/alarms.tf; beside these, two for each function.
_ALARMS = (
    "api-4xx-flood",
    "api-5xx",
    "approval-near-timeout",
    "case-failing",
    "containment-failed",
    "containment-slow",
    "detections-flood",
    "executions-aborted",
    "executions-failed",
    "executions-timed-out",
    "failures-not-empty",
    "files-dlq-not-empty",
    "files-waiting",
    "poller-silent",
    "secret-age",
    "slack-events-dlq-not-empty",
    "slack-events-waiting",
    "sync-behind",
)


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


def log_groups() -> list[str]:
    """Every log group. Without its group a function's or a rule's lines are lost: its role may make none."""
    events, executions = _fixed("SlackNotificationsRule"), f"{settings().name_prefix}-response"
    return [
        *(log_group(part) for part in FUNCTIONS),
        access_log_group(),
        f"/aws/events/{events}",
        f"/aws/vendedlogs/states/{executions}",
    ]


def alarms() -> list[str]:
    """The alarms of the home region."""
    functions = [f"{part}-{what}" for part in FUNCTIONS for what in ("errors", "throttles")]
    return [f"{settings().name_prefix}-{name}" for name in (*functions, *_ALARMS)]


def forwarding_alarm() -> str:
    """The alarm in us-east-1 about what could not be forwarded to another home region."""
    return f"{forwarding_failures_queue()}-not-empty"


def forwarding_topic() -> str:
    """The topic of that alarm, by its ARN: a topic must be in the region of its alarm."""
    partition, account = settings().require("alert_topic_arn").split(":")[1:5:3]
    return f"arn:{partition}:sns:{GLOBAL_EVENTS_REGION}:{account}:{settings().name_prefix}-forwarding-alarms"


def dashboard() -> str:
    """The dashboard."""
    return settings().name_prefix


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
