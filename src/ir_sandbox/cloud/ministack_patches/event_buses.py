"""EventBridge: the policies of event buses, and event buses as targets of rules, also of other accounts and regions.

Sources: docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html (`Policy` replaces the policy of the
bus; a principal is an account), .../API_Target.html and .../API_PutTargets.html (input options are not available for
the bus of another account), docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html (a bus as a target
needs a role; a rule of the receiving bus cannot send the event to a third account or region), and
github.com/aws/aws-cdk/issues/28735 (it takes no retry policy). For a bus of another account, the role and the policy of
the bus must allow `events:PutEvents`; `events:eventBusInvocation` is true for a rule's event of another account
(docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace

EVALUATOR = module("core.iam_evaluator")
EVENTS = module("services.eventbridge")
IDENTITIES = module("services.iam")
request_scope = module("core.responses").request_scope
parse_arn = module("core.arn").parse_arn

INPUT_OPTIONS = ("Input", "InputPath", "InputTransformer")

Json = dict[str, Any]

_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Patch the policies of buses and the validation of targets; raises EmulatorChangedError."""
    _originals["target"] = replace(EVENTS, "_validate_target_arn", "103834fd5c3b", target_error)
    _originals["deliver"] = replace(EVENTS, "_dispatch_to_event_bus", "fef5c8d488f1", deliver)
    replace(EVENTS, "_put_permission", "3f19d0b56bca", put_permission)
    # These read the stored policies.
    checked(EVENTS, "_remove_permission", "be9104c52e23")
    checked(EVENTS, "_describe_event_bus", "831b0ac1b2ef")


def target_error(target: Json) -> Any:
    """Return the error of a target that AWS refuses, or None."""
    error = _originals["target"](target)
    if error:
        return error
    spec = parse_arn(target["Arn"])
    if spec.service != "events" or not spec.resource.startswith("event-bus/"):
        return None
    if not target.get("RoleArn"):
        return refusal(f"RoleArn is required for target {target['Arn']}.")
    if "RetryPolicy" in target:
        return refusal("Retry policy is not supported for Event bus targets.")
    if spec.account_id != EVENTS.get_account_id() and any(option in target for option in INPUT_OPTIONS):
        options = ", ".join(INPUT_OPTIONS)
        return refusal(f"{options} are not supported for an event bus of another account.")
    return None


def deliver(spec: Any, event: Json, rule: Json, path: Any, target_input: str | None = None) -> None:
    """Deliver an event to a bus. To another account or region, it makes one hop, and keeps its account and region."""
    here, there = (EVENTS.get_account_id(), EVENTS.get_region()), (spec.account_id, spec.region)
    if here == there:
        _originals["deliver"](spec, event, rule, path, target_input)
        return
    key = EVENTS._rule_key(rule["Name"], rule.get("EventBusName", "default"))
    target = next(one for one in EVENTS._targets[key] if one["Arn"] == str(spec))
    if event.get("_Hop") or not may_put(spec, rule, target["RoleArn"], here[0]):
        EVENTS.logger.warning("EventBridge -> Event bus: %s refuses an event of %s %s", spec, *here)
        return
    bus = spec.resource.partition("/")[2]
    with request_scope(*there):
        if bus == "default":
            EVENTS._ensure_default_bus()
        if bus not in EVENTS._event_buses:
            EVENTS.logger.warning("EventBridge -> Event bus: event bus %s not found", spec)
            return
        EVENTS._dispatch_event({**event, "EventBusName": bus, "_DispatchPath": [], "_Hop": True})


def may_put(spec: Any, rule: Json, role_arn: str, account: str) -> bool:
    """Return whether the role, and for another account the policy of the bus, allow a rule to put events there."""
    name = role_arn.rpartition("/")[2]
    if role_arn.split(":")[4] != account or IDENTITIES._roles.get_scoped(account, None, name) is None:
        return False
    crosses = spec.account_id != account
    context = EVALUATOR.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/eventbridge",
        principal_type="AssumedRole",
        principal_account=account,
        action="events:PutEvents",
        resource_arn=str(spec),
        region=spec.region,
        service_context={
            "events:eventbusinvocation": "true" if crosses else "false",
            "aws:sourcearn": rule.get("Arn", ""),
            "aws:sourceaccount": account,
        },
    )
    if EVALUATOR.evaluate(context, EVALUATOR._gather_role_policies(name, account)).decision != "Allow":
        return False
    if not crosses:
        return True
    bus = spec.resource.partition("/")[2]
    policy = EVENTS._event_bus_policies.get_scoped(spec.account_id, spec.region, bus) or {"Statement": []}
    return bool(EVALUATOR.evaluate_resource_policy(policy, context).decision == "Allow")


def put_permission(request: Json) -> Any:
    """Replace the policy of a bus (`Policy`), or add one statement to it."""
    bus = str(request.get("EventBusName") or "default").rpartition("/")[2]
    if bus not in EVENTS._event_buses:
        return EVENTS.error_response_json("ResourceNotFoundException", f"Event bus {bus} does not exist.", 400)
    if "Policy" in request:
        try:
            EVENTS._event_bus_policies[bus] = {"Version": "2012-10-17", **json.loads(request["Policy"])}
        except (TypeError, ValueError):
            return refusal("Parameter Policy is not valid. Reason: it is not a JSON object.")
        return EVENTS.json_response({})
    principal = str(request["Principal"])
    statement = {
        "Sid": request["StatementId"],
        "Effect": "Allow",
        "Principal": principal if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": request["Action"],
        "Resource": f"arn:aws:events:{EVENTS.get_region()}:{EVENTS.get_account_id()}:event-bus/{bus}",
    }
    if condition := request.get("Condition"):
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    policy = EVENTS._event_bus_policies.get(bus) or {"Version": "2012-10-17", "Statement": []}
    others = [other for other in policy["Statement"] if other.get("Sid") != statement["Sid"]]
    EVENTS._event_bus_policies[bus] = {**policy, "Statement": [*others, statement]}
    return EVENTS.json_response({})


def refusal(message: str) -> Any:
    """Return AWS's answer to an invalid request."""
    return EVENTS.error_response_json("ValidationException", message, 400)
