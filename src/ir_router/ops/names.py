"""The names that Terraform gives its resources (terraform/locals.tf, terraform/events.tf).

Environment variables name the other resources. A test compares these names with a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ir_router import cloudtrail
from ir_router.ledger import configuration
from ir_router.settings import settings
from ir_router.workflow.detections import entries, is_direct, rule_name, rule_state

# CloudTrail delivers the events of global services (IAM, root sign-in) in this region only.
GLOBAL_EVENTS_REGION = cloudtrail.GLOBAL_EVENTS_REGION
_DEFAULT_PREFIX = "security-incident"

FUNCTIONS = ("webhook", "slack", "sync", "operations", "workflow", "approval-handler")

# The FIFO queues of terraform/queues.tf. Each has a dead-letter queue.
FIFO_QUEUES = ("slack-events", "files")

# The queue of MEDIUM and LOW events. Its dead letters go to the failures queue.
INTAKE = "intake"

# The alarms of terraform/alarms.tf.
_ALARMS = (
    "api-4xx-flood",
    "api-5xx",
    "approval-near-timeout",
    "case-failing",
    "containment-failed",
    "containment-slow",
    "deployment-differs",
    "detections-cost",
    "detections-flood",
    "failures-not-empty",
    "files-waiting",
    "intake-flood",
    "intake-waiting",
    "operations-errors",
    "operations-silent",
    "polls-failing",
    "slack-events-waiting",
    "sync-behind",
    "sync-errors",
    "sync-silent",
    "workflow-errors",
    "workflow-silent",
)

# Of these alarms, the topic that works without the deployment's key is notified too (terraform/alarms.tf).
_GRAVEST = (
    "containment-failed",
    "deployment-differs",
    "failures-not-empty",
    "operations-errors",
    "operations-silent",
    "polls-failing",
    "sync-errors",
    "sync-silent",
    "workflow-errors",
    "workflow-silent",
)


@dataclass(frozen=True)
class Rule:
    """An EventBridge rule.

    Attributes:
        name: The rule's name.
        bus: Name of its event bus.
        target: Kind of its target.
        state: The expected state. Rules match read-only API calls only in
            `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
        region: The rule's region.
        pattern: The event pattern of a detection. Other patterns are not compared.
    """

    name: str
    bus: str
    target: Literal["sync", "operations", "workflow", "intake", "logs", "bus", "topic", "members"]
    state: str
    region: str
    pattern: Mapping[str, Any] | None = None


def function(part: str) -> str:
    """Return the name of a function; `part` is one of FUNCTIONS."""
    return f"{settings().name_prefix}-{part}"


def containment_role() -> str:
    """Return the role that `-workflow` assumes to contain (terraform/modules/account)."""
    return f"{settings().name_prefix}-containment"


def protection_policies() -> str:
    """Return the beginning of the names of the policies that protect principals from the containment role."""
    return f"{settings().name_prefix}-protected-"


def failures_queue() -> str:
    """Return the queue of events that EventBridge could not deliver, and of invocations that failed."""
    return f"{settings().name_prefix}-failures"


def queues() -> list[str]:
    """Return the names of all queues in the home region."""
    fifo = [f"{settings().name_prefix}-{name}{end}.fifo" for name in FIFO_QUEUES for end in ("", "-dlq")]
    return [*fifo, intake_queue(), f"{settings().name_prefix}-approval", failures_queue()]


def intake_queue() -> str:
    """Return the name of the queue of MEDIUM and LOW events."""
    return f"{settings().name_prefix}-{INTAKE}"


def intake_queue_arn() -> str:
    """Return the ARN of the queue of MEDIUM and LOW events."""
    _, partition, _, region, account, *_ = settings().require("state_machine_arn").split(":")
    return f"arn:{partition}:sqs:{region}:{account}:{intake_queue()}"


def forwarding_failures_queue() -> str:
    """Return the failures queue of the rules in us-east-1 that forward to another home region."""
    return f"{settings().name_prefix}-forwarding-failures"


def log_group(part: str) -> str:
    """Return the log group of a function; `part` is one of FUNCTIONS."""
    return f"/aws/lambda/{function(part)}"


def access_log_group() -> str:
    """Return the log group of the API's access log, which contains no bodies."""
    return f"/aws/apigateway/{_fixed('SlackWebhookApi')}"


def log_groups() -> list[str]:
    """Return every log group. If one is missing, its log lines are lost, because the roles may not create groups."""
    events, executions = _fixed("SlackNotificationsRule"), f"{settings().name_prefix}-response"
    return [
        *(log_group(part) for part in FUNCTIONS),
        *([access_log_group()] if settings().api_access_logs else []),
        f"/aws/events/{events}",
        f"/aws/vendedlogs/states/{executions}",
    ]


def alarms() -> list[str]:
    """Return the alarms of the home region."""
    return [f"{settings().name_prefix}-{name}" for name in _ALARMS]


def essential_alarms() -> list[str]:
    """Return the alarms of the home region that also notify `alarm_topic`."""
    return [f"{settings().name_prefix}-{name}" for name in _GRAVEST]


def forwarding_alarm() -> str:
    """Return the alarm in us-east-1 for events that could not be forwarded to another home region."""
    return f"{forwarding_failures_queue()}-not-empty"


def forwarding_topic() -> str:
    """Return the ARN of the forwarding alarm's topic, which must be in the alarm's region."""
    partition, account = settings().require("alert_topic_arn").split(":")[1:5:3]
    return f"arn:{partition}:sns:{GLOBAL_EVENTS_REGION}:{account}:{settings().name_prefix}-forwarding-alarms"


def page_topic() -> str:
    """Return the ARN of the topic for pages."""
    return f"{settings().require('alert_topic_arn').rpartition(':')[0]}:{settings().name_prefix}-page"


def alarm_topic() -> str:
    """Return the ARN of the topic for the essential alarms, which works without the deployment's key."""
    return f"{settings().require('alert_topic_arn').rpartition(':')[0]}:{settings().name_prefix}-alarms"


def forwards() -> bool:
    """Return whether events of global services are forwarded: they appear outside the home region."""
    return settings().region != GLOBAL_EVENTS_REGION


def poll_rule() -> str:
    """Return the rule that starts the poller."""
    return f"{settings().name_prefix}-poll"


def detections() -> list[dict[str, Any]]:
    """Return the active entries, from which Terraform creates the rules."""
    own = configuration.extra_detections() if settings().extra_detections else []
    return [entry for entry in [*entries(), *own] if entry["id"] not in settings().detections_disabled]


def rules(*, members: bool = False) -> Iterator[Rule]:
    """Yield every rule of this deployment, with those for events of the organisation's other accounts if `members`."""
    prefix, home = settings().name_prefix, settings().region
    bus = settings().require("event_bus_name")
    yield Rule(_fixed("slack-client-rule"), bus, "sync", "ENABLED", home)
    yield Rule(f"{prefix}-approvals", bus, "sync", "ENABLED", home)
    yield Rule(_fixed("SlackNotificationsRule"), bus, "logs", "ENABLED", home)
    yield Rule(f"{prefix}-case-events", "default", "sync", "ENABLED", home)
    yield Rule(poll_rule(), "default", "sync", "ENABLED", home)
    yield Rule(f"{prefix}-upkeep", "default", "operations", "ENABLED", home)
    yield Rule(f"{prefix}-key-changes", "default", "topic", "ENABLED", home)
    yield Rule(f"{prefix}-executions", "default", "topic", "ENABLED", home)
    if members:
        yield Rule(members_rule(), "default", "members", "ENABLED", home)
    severities = dict(settings().severity_overrides)
    for detection in detections():
        state, name = rule_state(detection), rule_name(detection["id"])
        pattern = detection["pattern"]
        severity = severities.get(detection["id"], detection["severity"])
        direct = is_direct(severity, tampering=detection.get("tampering", False))
        target: Literal["workflow", "intake"] = "workflow" if direct else "intake"
        yield Rule(name, "default", target, state, home, pattern)
        if members:
            yield Rule(name, f"{prefix}-detections", target, state, home, pattern)
        if forwards() and detection.get("global_service", False):
            yield Rule(name, "default", "bus", state, GLOBAL_EVENTS_REGION, pattern)


def members_rule() -> str:
    """Return the rule that starts the verification of the organisation's members."""
    return f"{settings().name_prefix}-members"


def _fixed(name: str) -> str:
    """Return a name of the specification, with the prefix unless it is the default one."""
    return name if settings().name_prefix == _DEFAULT_PREFIX else f"{settings().name_prefix}-{name}"
