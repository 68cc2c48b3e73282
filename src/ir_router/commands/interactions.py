"""Buttons, forms and the Home tab: pass Slack's payload to the module that made them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ir_router.commands import visitors
from ir_router.commands.command import of_interaction
from ir_router.observability import logger
from ir_router.slack import envelopes, inbound

HOME = "home"

# Prefix of an action id or callback id -> the module whose `handle_interaction(payload, context)` serves it.
_FORMS: Mapping[str, str] = {
    "approval": "ir_router.commands.approval_buttons",
    "create": "ir_router.commands.create",
    "creator": "ir_router.commands.creator_button",
    "feedback": "ir_router.commands.feedback",
    "release": "ir_router.commands.release",
}
_BUTTONS: Mapping[str, str] = {
    **_FORMS,
    "alert": "ir_router.commands.alert_button",
    "close": "ir_router.commands.close",
    "escalate": "ir_router.commands.escalate",
    HOME: "ir_router.commands.home",
    "request": "ir_router.commands.request_buttons",
}
_OBJECTS = ("user", "team", "enterprise", "channel", "container", "view")
_PREFIX = re.compile(r"[a-z]+")


def prepare() -> None:
    """Import the modules of buttons and forms before the first press."""
    for module in _BUTTONS.values():
        importlib.import_module(module)


def handle(event: Mapping[str, Any], context: Any) -> None:
    """Handle `{"task": "interaction", "payload": <Slack's payload>, "is_ours": <names our workspace>}`."""
    payload = _shaped(event["payload"])
    prefix = _PREFIX.match(name_of(payload))
    modules = _FORMS if payload.get("type") == "view_submission" else _BUTTONS
    module = modules.get(prefix[0]) if prefix else None
    if module is None:
        logger.info("slack.interaction_ignored: unknown action id")
        return
    if not event.get("is_ours", True):
        command = of_interaction(payload, name_of(payload), "", context)
        if not visitors.is_accepted(command, envelopes.of_interaction(payload)):
            return
    handle_interaction: Callable[[Mapping[str, Any], Any], None] = importlib.import_module(module).handle_interaction
    handle_interaction(payload, context)


def _shaped(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload with an empty object in place of each expected object that is missing or malformed."""
    objects = {name: payload.get(name) for name in _OBJECTS}
    return {**payload, **{name: value if isinstance(value, Mapping) else {} for name, value in objects.items()}}


def name_of(payload: Mapping[str, Any]) -> str:
    """Return the action id of a pressed button or the callback id of a submitted form; `home` for an opened Home tab.

    It is empty for anything else, and if the payload lacks the id that makes its execution unique. Slack always sends
    that id.
    """
    kind, actions, view = payload.get("type"), payload.get("actions"), payload.get("view")
    if kind == "block_actions" and isinstance(actions, list) and actions and _member(payload, "trigger_id"):
        return _member(actions[0], "action_id")
    if kind == "view_submission" and _member(view, "id"):
        return _member(view, "callback_id")
    return HOME if kind == inbound.HOME_OPENED and _member(payload.get("user"), "id") else ""


def _member(value: object, name: str) -> str:
    member = value.get(name) if isinstance(value, Mapping) else None
    return member if isinstance(member, str) else ""
