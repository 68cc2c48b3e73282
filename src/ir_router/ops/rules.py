"""Verify that each EventBridge rule exists and has the right state, target and dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ir_router import aws
from ir_router.ledger import configuration
from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, failed, ok, run_checks
from ir_router.ops.names import Rule
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


def checks() -> Iterator[Check]:
    """Yield a line for each rule, and one for all detections together."""
    good = 0
    clients: dict[str, EventBridgeClient] = {}
    for rule in names.rules(members=configuration.organization_id() is not None):
        if rule.region not in clients:
            clients[rule.region] = regions.client("events", rule.region)
        events = clients[rule.region]
        where = f" of {rule.bus}" if rule.bus not in ("default", settings().event_bus_name) else ""
        where += "" if rule.region == settings().region else f" in {rule.region}"
        label = f"rule {rule.name}{where}"
        for check in run_checks(label, partial(_rule, rule, label, events)):
            if rule.target in ("workflow", "intake", "bus") and check.state == "ok":
                good += 1
            else:
                yield check
    if good:
        yield ok("detections", "; ".join([f"{good} rules, each with its target", *_changed_detections()]))
    yield _regions()


def _changed_detections() -> Iterator[str]:
    """Yield how the deployment's variables change the table of detections."""
    given = settings()
    if given.detections_disabled:
        yield f"disabled: {', '.join(given.detections_disabled)}"
    if given.severity_overrides:
        yield f"severity changed: {', '.join(f'{name} {severity}' for name, severity in given.severity_overrides)}"
    if given.extra_detections:
        yield f"your own: {', '.join(entry['id'] for entry in configuration.extra_detections())}"


def _regions() -> Check:
    """Return the regions whose events no rule matches. Events of IAM and most sign-ins appear in us-east-1."""
    seen = list(dict.fromkeys([settings().region, names.GLOBAL_EVENTS_REGION]))
    known = aws.session().get_available_regions("events", settings().require("state_machine_arn").split(":")[1])
    unseen = sorted(set(known) - set(seen))
    return ok("regions", f"rules in {', '.join(seen)}; API calls in other regions are not seen: {', '.join(unseen)}")


def _rule(rule: Rule, label: str, events: EventBridgeClient) -> Iterator[Check]:
    found = events.describe_rule(Name=rule.name, EventBusName=rule.bus)
    state = found.get("State", "unknown")
    if state != rule.state:
        yield failed(label, f"the state is {state}, expected {rule.state}", APPLY)
        return
    if rule.pattern is not None and json.loads(found.get("EventPattern") or "{}") != rule.pattern:
        yield failed(label, "the event pattern was changed, so events may not be detected", APPLY)
        return
    targets = events.list_targets_by_rule(Rule=rule.name, EventBusName=rule.bus)["Targets"]
    target = next((target for target in targets if _is_target(rule, target["Arn"])), None)
    if target is None:
        yield failed(label, f"the rule has no target {_WANTED[rule.target]}", APPLY)
    elif not target.get("DeadLetterConfig", {}).get("Arn"):
        yield failed(label, "its target has no dead-letter queue, so undelivered events would be lost", APPLY)
    else:
        yield ok(label, f"target {_WANTED[rule.target]}")


_WANTED = {
    "sync": "the -sync function",
    "operations": "the -operations function",
    "workflow": "the workflow",
    "intake": "the intake queue",
    "logs": "CloudWatch Logs",
    "bus": "the home region's bus",
    "topic": "the alarm topic",
    "members": "the -workflow function",
}


def _is_target(rule: Rule, arn: str) -> bool:
    if rule.target == "members":
        return arn.endswith(f":function:{names.function('workflow')}")
    if rule.target in ("sync", "operations"):
        return arn.endswith(f":function:{names.function(rule.target)}")
    if rule.target == "workflow":
        return arn == settings().require("state_machine_arn")
    if rule.target == "intake":
        return arn == names.intake_queue_arn()
    if rule.target == "topic":
        return arn == names.alarm_topic()
    if rule.target == "bus":
        return f":{settings().region}:" in arn and arn.endswith(":event-bus/default")
    return ":log-group:" in arn
