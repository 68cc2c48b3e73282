"""`/security-ir create [title]`: open a form. Its submission opens the case and links its channel.

The user's text is stored with the claim for a day. If AWS rejects the case, the error has a button that opens the form
again with this text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.cases.followed_fields import SEVERITY
from ir_router.commands import changing, create_form, execution, forms, modals, people, rendering, watchers
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.commands.forms import CaseForm
from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.slack.messages import plain, section
from ir_router.sync import comment_claims

_AGAIN = "create_again"
# The channel usually exists after two or three seconds. Wait no longer than this to link it.
_CHANNEL_WAIT_SECONDS = 10


def execute_command(command: Command) -> None:
    """Open the form first, because a `trigger_id` expires after 3 s, and then check the user's permission."""
    form = CaseForm(title=command.plain_argument, start=int(clock.now()), watchers=(command.user_id,))
    open_filled(command, form, "Send the command again")


def open_filled(command: Command, form: CaseForm, again: str) -> None:
    """Open the form with these values, and replace it with a refusal if the user may not open cases."""
    view_id = _open_form(command, form, again)
    try:
        people.require_may_create(command)
    except NotPermittedError as error:
        modals.show_refusal(command, view_id, create_form.TITLE, f"❌ {error}")
        raise


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle the submitted form, or the button that opens it again."""
    if payload.get("type") == "view_submission":
        origin = forms.origin_of(payload)
        known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
        command = of_interaction(payload, "create", str(payload["view"]["id"]), context, **known)
        form = forms.read_case(payload)
        execution.execute(command, lambda command: _create(command, form), attempted="open")
    else:
        command = of_interaction(payload, "create", str(payload.get("trigger_id") or ""), context)
        submitted = str(payload["actions"][0].get("value") or "")
        execution.execute(command, lambda command: _open_again(command, submitted), attempted="open")


def _create(command: Command, form: CaseForm) -> Answer:
    command.fix_blocks = [_reopen_button(command.id)]
    command.first("typed", asdict(form))
    if wrong := forms.case_errors(form):
        raise InvalidInputError("\n".join(wrong.values()))
    people.require_may_create(command)
    # Everything that may fail comes before the case is opened. A later failure could make the user open a second case.
    prefix = credentials.channel_prefix()
    command.changes = True
    named = [(user_id, watchers.of_user(command, user_id)) for user_id in form.watchers]
    found = [person for _, person in named if person is not None]
    case_id = security_ir.create_case(
        clientToken=comment_claims.token_for("create", command.id),
        resolverType=settings().case_resolver_type,
        title=form.title,
        description=form.description,
        engagementType=form.kind,
        reportedIncidentStartDate=datetime.fromtimestamp(form.start or clock.now(), UTC),
        impactedAccounts=list(dict.fromkeys(form.accounts)),
        watchers=command.first("watchers", watchers.as_parameter(found)),
        tags={str(SEVERITY.tag): form.severity} if form.severity in forms.SEVERITIES else {},
    )
    command.case_id = case_id
    changing.write_comment(command, f"Opened by {command.identity} from Slack.")
    changing.notify_synchronisation(command, "CaseCreated")
    unreachable = [command.names.real_name(user_id) for user_id, person in named if person is None]
    text = rendering.created(case_id, form.title, command.by, clock.utc_now(), unreachable)
    name = f"#{prefix}{case_id}".lower()
    channel_id = _channel(command)
    channel = f"<#{channel_id}>" if channel_id else f"{name} (being created)"
    return Answer(f"{text}\nChannel: {name}", [plain(text), section(f"Channel: {channel}")])


def _channel(command: Command) -> str:
    """Wait for the case's channel and return its id; empty if it takes too long."""
    for _ in range(_CHANNEL_WAIT_SECONDS):
        row = table.get(keys.case(command.case_id)) or {}
        if row.get("slackChannelId"):
            return str(row["slackChannelId"])
        if command.deadline.remaining() < _CHANNEL_WAIT_SECONDS:
            return ""
        clock.sleep(1)
    return ""


def _open_again(command: Command, submitted: str) -> None:
    typed = (table.get(keys.command(submitted)) or {}).get("typed")
    if typed is None:
        raise InvalidInputError("Your text is no longer stored. To open an empty form, type /security-ir create")
    _open_form(
        command,
        CaseForm(**{**typed, "accounts": tuple(typed["accounts"]), "watchers": tuple(typed["watchers"])}),
        "Press the button again",
    )


def _open_form(command: Command, form: CaseForm, again: str) -> str:
    """Open the form and return its view id. Raises InvalidInputError when the `trigger_id` has expired."""
    origin = {"channel_id": command.channel_id, "response_url": command.response_url}
    return modals.open_form(command, create_form.view(form, origin), again)


def _reopen_button(view_id: str) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": _AGAIN,
                "text": {"type": "plain_text", "text": "Open the form again"},
                "value": view_id,
            }
        ],
    }
