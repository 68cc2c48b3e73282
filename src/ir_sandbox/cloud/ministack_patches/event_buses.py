"""EventBridge: the policies of event buses, and event buses as targets of rules.

Sources: docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html (`Policy` replaces the policy of the
bus; a principal is an account), .../API_Target.html and .../API_PutTargets.html (input options are not available for
the bus of another account), docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html (a bus as a target
needs a role), and github.com/aws/aws-cdk/issues/28735 (it takes no retry policy).
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace

EVENTS = module("services.eventbridge")
parse_arn = module("core.arn").parse_arn

INPUT_OPTIONS = ("Input", "InputPath", "InputTransformer")

Json = dict[str, Any]

_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Patch the policies of buses and the validation of targets; raises EmulatorChangedError."""
    _originals["target"] = replace(EVENTS, "_validate_target_arn", "103834fd5c3b", target_error)
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
