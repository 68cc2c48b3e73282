"""Open forms, and replace their content with a refusal.

A form opens only within 3 s of the user's press, and the user may close it at any time.
"""

from __future__ import annotations

from typing import Any

from ir_router.commands.command import Command
from ir_router.errors import InvalidInputError, RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger
from ir_router.slack import error_codes
from ir_router.slack.messages import plain


def open_form(command: Command, form: dict[str, Any], again: str) -> str:
    """Open a form and return its view id.

    Args:
        command: The command, with the `trigger_id` of the user's press.
        form: Slack's view.
        again: How the user opens it again, for example `Press Deny again`.

    Raises:
        InvalidInputError: Slack received the request too late.
        RefusedError: Slack rejected the form.
    """
    try:
        answer = command.slack.post("views.open", trigger_id=command.trigger_id, view=form)
    except RefusedError as error:
        if not error_codes.is_expired_trigger(error.code, error.detail):
            raise
        # An earlier attempt may have opened the form before it died.
        is_first = command.claim is None or command.claim.attempt == 1
        why = "Slack did not open the form in time." if is_first else "If no form is open, Slack received it too late."
        raise InvalidInputError(f"{why} {again}.") from error
    return str(answer["view"]["id"])


def show_refusal(command: Command, view_id: str, title: dict[str, Any], text: str) -> None:
    """Replace an open form with a refusal. The user also receives it as an answer, so a closed form is no error."""
    view = {
        "type": "modal",
        "title": title,
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [plain(text)],
    }
    try:
        command.slack.read("views.update", view_id=view_id, view=view)
    except (RefusedError, RetryLaterError, UncertainError) as error:
        if not isinstance(error, RefusedError) or error_codes.meaning(error.code).about != "form":
            logger.warning("slack.form_not_updated: the refusal is only in the answer", extra={"reason": str(error)})
