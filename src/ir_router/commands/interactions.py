"""Buttons and forms: what Slack sends for them, to the module that made them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ir_router.observability import logger

# The leading letters of an action id or a callback id -> the module whose `handle(payload, context)` serves it.
_FORMS: Mapping[str, str] = {
    "approval": "ir_router.commands.approval_buttons",
    "create": "ir_router.commands.create",
}
_BUTTONS: Mapping[str, str] = {**_FORMS, "close": "ir_router.commands.close"}
_OBJECTS = ("user", "team", "enterprise", "channel", "container", "view")
_PREFIX = re.compile(r"[a-z]+")


def handle(event: Mapping[str, Any], context: Any) -> None:
    """Carry out `{"task": "interaction", "payload": <Slack's payload>}`."""
    payload = _shaped(event["payload"])
    prefix = _PREFIX.match(name_of(payload))
    modules = _FORMS if payload.get("type") == "view_submission" else _BUTTONS
    module = modules.get(prefix[0]) if prefix else None
    if module is None:
        logger.info("an interaction of no form or button of ours")
        return
    serve: Callable[[Mapping[str, Any], Any], None] = importlib.import_module(module).handle
    serve(payload, context)


def _shaped(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with an object wherever Slack has one, an empty one where it has something else or nothing."""
    objects = {name: payload.get(name) for name in _OBJECTS}
    return {**payload, **{name: value if isinstance(value, Mapping) else {} for name, value in objects.items()}}


def name_of(payload: Mapping[str, Any]) -> str:
    """The action id of a pressed button or the callback id of a submitted form; empty for anything else.

    Also for what lacks the id by which it is carried out once: Slack always gives one.
    """
    kind, actions, view = payload.get("type"), payload.get("actions"), payload.get("view")
    if kind == "block_actions" and isinstance(actions, list) and actions and _member(payload, "trigger_id"):
        return _member(actions[0], "action_id")
    if kind == "view_submission" and _member(view, "id"):
        return _member(view, "callback_id")
    return ""


def _member(value: object, name: str) -> str:
    member = value.get(name) if isinstance(value, Mapping) else None
    return member if isinstance(member, str) else ""
