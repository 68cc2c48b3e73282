"""CloudFormation: pseudo parameters in the conditions of a template, which the emulator takes for names.

Source: docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace

OWNERS = tuple(module(f"services.cloudformation.{name}") for name in ("engine", "handlers", "stacks", "changesets"))
RESPONSES = module("core.responses")

Json = dict[str, Any]

_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Patch the evaluation of conditions where it is used; raises EmulatorChangedError."""
    for owner in OWNERS:
        _originals["conditions"] = replace(owner, "_evaluate_conditions", "e7f9e29b6c01", conditions)


def conditions(template: Json, parameters: Json) -> Any:
    """Evaluate the conditions of a template with the account and region of the request."""
    own = {"AWS::AccountId": RESPONSES.get_account_id(), "AWS::Region": RESPONSES.get_region()}
    return _originals["conditions"](template, {**{name: {"Value": one} for name, one in own.items()}, **parameters})
