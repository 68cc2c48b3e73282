"""The methods `views.open`, `views.publish`, `views.push` and `views.update`."""

from __future__ import annotations

from ir_sandbox.slack.call import Call
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.web_api.registry import web_api_method


@web_api_method("views.open", tier=4, takes_json=True)
def views_open(call: Call) -> Json:
    """Open a modal, within 3 s of the user's action."""
    view = call.workspace.views.open(call.app, call.text("trigger_id"), call.arguments.get("view"))
    return {"view": view.body}


@web_api_method("views.publish", tier=4, takes_json=True)
def views_publish(call: Call) -> Json:
    """Replace the Home tab that a user sees."""
    view = call.workspace.views.publish(
        call.app, call.text("user_id"), call.optional("hash"), call.arguments.get("view")
    )
    return {"view": view.body}


@web_api_method("views.push", tier=4, takes_json=True)
def views_push(call: Call) -> Json:
    """Open a modal above another one."""
    view = call.workspace.views.push(call.app, call.text("trigger_id"), call.arguments.get("view"))
    return {"view": view.body}


@web_api_method("views.update", tier=4, takes_json=True)
def views_update(call: Call) -> Json:
    """Change an open modal."""
    view = call.workspace.views.update(
        call.app,
        call.optional("view_id"),
        call.optional("external_id"),
        call.optional("hash"),
        call.arguments.get("view"),
    )
    return {"view": view.body}
