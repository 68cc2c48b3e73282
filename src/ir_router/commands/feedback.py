"""The buttons "Useful" and "Not useful" below a finding of AWS: ask for an optional comment, and send the rating.

The users who may change the case may rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import observability
from ir_router.commands import changing, execution, forms, modals, people
from ir_router.commands.command import Answer, Command, NotPermittedError, case_of, of_interaction
from ir_router.errors import InvalidInputError
from ir_router.ledger import table
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import findings

_NAME = "feedback"


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle the pressed button or the submitted form."""
    if payload.get("type") == "view_submission":
        origin = forms.origin_of(payload)
        known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
        command = _command(of_interaction(payload, _NAME, str(payload["view"]["id"]), context, **known))
        comment = forms.text_of(payload, findings.COMMENT).strip()
        execution.execute(command, lambda command: _send(command, origin, comment), attempted="update")
        return
    action = payload["actions"][0]
    origin = {
        "rating": str(action["action_id"]),
        "finding": str(action.get("value") or ""),
        "message_ts": str(payload["container"].get("message_ts") or ""),
    }
    command = _command(of_interaction(payload, _NAME, str(payload.get("trigger_id")), context))
    execution.execute(command, lambda command: _show(command, origin), attempted="update")


def _command(command: Command) -> Command:
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)
    return command


def _show(command: Command, origin: dict[str, str]) -> None:
    """Open the form first, because a `trigger_id` expires after 3 s, and then check whether the user may rate."""
    _require_posted(command, origin)
    answered_in = {"channel_id": command.channel_id, "response_url": command.response_url}
    form = findings.form(origin | answered_in, origin["rating"])
    view_id = modals.open_form(command, form, "Press the button again")
    try:
        changing.case_to_change(command)
    except NotPermittedError as error:
        modals.show_refusal(command, view_id, form["title"], f"❌ {error}")
        raise


def _send(command: Command, origin: Mapping[str, str], comment: str) -> Answer:
    _require_posted(command, origin)
    changing.case_to_change(command)
    if len(comment) > findings.COMMENT_LENGTH:
        raise InvalidInputError(f"Nothing was sent: AWS accepts at most {findings.COMMENT_LENGTH:,} characters.")
    command.changes = True
    useful = origin.get("rating") == findings.USEFUL
    security_ir.send_feedback(command.case_id, origin["finding"], "USEFUL" if useful else "NOT_USEFUL", comment)
    return Answer(f"✅ AWS has your rating: {'useful' if useful else 'not useful'}.")


def _require_posted(command: Command, origin: Mapping[str, str]) -> None:
    """Raise unless ir-router posted the button: every holder of the bot token can post a message with one."""
    if not command.case_id:
        raise InvalidInputError("This channel no longer belongs to a case, so nothing was sent.")
    row = table.get(findings.key_of(command.case_id, origin.get("finding", "")))
    if not row or not row.get("ts") or row["ts"] != origin.get("message_ts"):
        people.record_refusal(command, "unknown_message")
        raise NotPermittedError("Nothing was sent: ir-router does not know this button.")
