"""Verification of the EventBridge rules: each there, in the right state, with a target that is ours and a way out for
what cannot be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, failed, ok, run
from ir_router.ops.names import Rule
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


def checks() -> Iterator[Check]:
    """A line for each rule that starts something of ours, and one for all detections together."""
    good = 0
    clients: dict[str, EventBridgeClient] = {}
    for rule in names.rules():
        if rule.region not in clients:
            clients[rule.region] = regions.client("events", rule.region)
        events = clients[rule.region]
        where = "" if rule.region == settings().region else f" in {rule.region}"
        label = f"rule {rule.name}{where}"
        for check in run(label, partial(_rule, rule, label, events)):
            if "-detect-" in rule.name and check.state == "ok":
                good += 1
            else:
                yield check
    if good:
        yield ok("detections", f"{good} rules, each to its target")


def _rule(rule: Rule, label: str, events: EventBridgeClient) -> Iterator[Check]:
    found = events.describe_rule(Name=rule.name, EventBusName=rule.bus)
    state = found.get("State", "unknown")
    if state != rule.state:
        yield failed(label, f"it is {state}, not {rule.state}", APPLY)
        return
    targets = events.list_targets_by_rule(Rule=rule.name, EventBusName=rule.bus)["Targets"]
    target = next((target for target in targets if _is_target(rule, target["Arn"])), None)
    if target is None:
        yield failed(label, f"it starts nothing of ours (wanted: {_WANTED[rule.target]})", APPLY)
    elif not target.get("DeadLetterConfig", {}).get("Arn"):
        yield failed(label, "what it cannot deliver would be lost: its target has no dead-letter queue", APPLY)
    else:
        yield ok(label, f"to {_WANTED[rule.target]}")


_WANTED = {"sync": "-sync", "workflow": "the workflow", "logs": "CloudWatch Logs", "bus": "the home region's bus"}


def _is_target(rule: Rule, arn: str) -> bool:
    if rule.target == "sync":
        return arn.endswith(f":function:{names.function('sync')}")
    if rule.target == "workflow":
        return arn == settings().require("state_machine_arn")
    if rule.target == "bus":
        return f":{settings().region}:" in arn and arn.endswith(":event-bus/default")
    return ":log-group:" in arn
