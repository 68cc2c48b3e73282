"""API Gateway's request validation: a body is held to the model of its own content type, or to none.

AWS: "If no matching content type is found, request validation is not performed"
(docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-validation-set-up.html). The emulator takes
the model of `application/json` for every other type, which refuses Slack's forms.
"""

from __future__ import annotations

from ir_local.cloud.ministack_patches.originals import module, rewrite


def apply() -> None:
    """Change the look-up of a method's model; raises EmulatorChangedError."""
    own_type = 'content_type.split(";", 1)[0].strip())'
    or_json = ' or (\n        method_obj.get("requestModels") or {}).get("application/json")'
    rewrite(module("services.apigateway_v1"), "_check_request_validation", (own_type + or_json, own_type))
