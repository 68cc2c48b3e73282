"""API Gateway: request validation by the body's content type, and the role for logs that the account needs.

AWS: "If no matching content type is found, request validation is not performed"
(docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-validation-set-up.html). The emulator uses
the model of `application/json` for every other type and so rejects Slack's forms.

A stage writes logs only if the account has a role for them in the region
(docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html). Most accounts have one, so the emulator
starts with one.
"""

# ruff: noqa: SLF001 - a patch uses private members of the patched module
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace, rewrite

GATEWAY = module("services.apigateway_v1")

ROLE = "arn:aws:iam::000000000000:role/logs-of-all-apis"

_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Patch the lookup of a method's model and the change of a stage; raises EmulatorChangedError."""
    own_type = 'content_type.split(";", 1)[0].strip())'
    or_json = ' or (\n        method_obj.get("requestModels") or {}).get("application/json")'
    rewrite(GATEWAY, "_check_request_validation", (own_type + or_json, own_type))
    _originals["stage"] = replace(GATEWAY, "_update_stage", "dcea426981d7", update_stage)
    GATEWAY._ACCOUNT_DEFAULTS["cloudwatchRoleArn"] = ROLE


def update_stage(api_id: str, stage_name: str, request: dict[str, Any]) -> Any:
    """Change a stage; refuse access logs if the account has no role for them."""
    settings = {**GATEWAY._ACCOUNT_DEFAULTS, **(GATEWAY._account_settings.get("settings") or {})}
    logs = [
        change
        for change in request.get("patchOperations", [])
        if change.get("path", "").startswith("/accessLogSettings") and change.get("op") != "remove"
    ]
    if logs and not settings.get("cloudwatchRoleArn"):
        message = "CloudWatch Logs role ARN must be set in account settings to enable logging"
        return GATEWAY._v1_error("BadRequestException", message, 400)
    return _originals["stage"](api_id, stage_name, request)
