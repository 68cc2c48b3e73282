"""Buttons and forms: what Slack sends for them, to the module that made them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ir_router.observability import logger

# The leading letters of an action id or a callback id -> the module whose `handle(payload, context)` serves it.
_MODULES: Mapping[str, str] = {
    "approval": "ir_router.commands.approval_buttons",
    "close": "ir_router.commands.close",
    "create": "ir_router.commands.create",
}
_PREFIX = re.compile(r"[a-z]+")


def handle(event: Mapping[str, Any], context: Any) -> None:
    """Carry out `{"task": "interaction", "payload": <Slack's payload>}`."""
    payload = event["payload"]
    prefix = _PREFIX.match(name_of(payload))
    module = _MODULES.get(prefix[0]) if prefix else None
    if module is None:
        logger.info("an interaction of no form or button of ours", extra={"type": str(payload.get("type"))})
        return
    serve: Callable[[Mapping[str, Any], Any], None] = importlib.import_module(module).handle
    serve(payload, context)


def name_of(payload: Mapping[str, Any]) -> str:
    """The action id of a pressed button or the callback id of a submitted form; empty for anything else."""
    kind, actions = payload.get("type"), payload.get("actions")
    if kind == "block_actions" and isinstance(actions, list) and actions:
        return _member(actions[0], "action_id")
    if kind == "view_submission":
        return _member(payload.get("view"), "callback_id")
    return ""


def _member(value: object, name: str) -> str:
    return str(value.get(name) or "") if isinstance(value, Mapping) else ""
