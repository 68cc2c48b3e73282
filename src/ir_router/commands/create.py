"""`/security-ir create [title]`: a form; its submission opens the case and says where its channel is.

What was typed is kept with the claim for a day, so that a refusal by AWS costs nobody their text: the error has a
button that opens the form again, filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.commands import changing, create_form, execution, forms, people, rendering, watchers
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.commands.forms import CaseForm
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.slack.messages import section
from ir_router.slack.text import escape
from ir_router.sync import comment_claims

_AGAIN = "create_again"
# The channel is usually there after two or three seconds; its link is worth waiting for, no more than this.
_CHANNEL_WAIT_SECONDS = 10


def run(command: Command) -> None:
    """Open the form at once, since a `trigger_id` lives 3 s; then see whether the person may open cases."""
    form = CaseForm(title=command.plain_argument, start=int(clock.now()), watchers=(command.user_id,))
    view_id = _open_form(command, form)
    try:
        people.require_may_create(command)
    except NotPermittedError as error:
        command.slack.read("views.update", view_id=view_id, view=create_form.refusal(f"❌ {error}"))
        raise


def handle(payload: Mapping[str, Any], context: Any) -> None:
    """The form was submitted, or asked for again."""
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
    command.mend = [_again_button(command.id)]
    command.first("typed", asdict(form))
    if wrong := forms.case_errors(form):
        raise InvalidInputError("\n".join(wrong.values()))
    people.require_may_create(command)
    # Whatever may fail comes before the case is opened: what fails after it must not invite to open another.
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
        tags={security_ir.SEVERITY_TAG: form.severity} if form.severity in forms.SEVERITIES else {},
    )
    command.case_id = case_id
    changing.remember_person(command, "case", "created")
    changing.write_comment(command, f"Opened by {command.real_name} from Slack.")
    changing.tell_synchronisation(command, "CaseCreated")
    unreachable = [command.names.real_name(user_id) for user_id, person in named if person is None]
    text = rendering.created(case_id, form.title, command.by, clock.utc_now(), unreachable)
    name = f"#{prefix}{case_id}".lower()
    channel_id = _channel(command)
    channel = f"<#{channel_id}>" if channel_id else f"{name}, as soon as it is made"
    return Answer(f"{text}\nChannel: {name}", [section(f"{escape(text)}\nChannel: {channel}")])


def _channel(command: Command) -> str:
    """The case's channel, once it is made; empty when that takes longer than is worth waiting."""
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
        raise InvalidInputError("What was typed is not kept any longer; /security-ir create opens an empty form")
    _open_form(
        command,
        CaseForm(**{**typed, "accounts": tuple(typed["accounts"]), "watchers": tuple(typed["watchers"])}),
    )


def _open_form(command: Command, form: CaseForm) -> str:
    """Open the form; its view id. Raises InvalidInputError when the `trigger_id` has expired."""
    origin = {"channel_id": command.channel_id, "response_url": command.response_url}
    try:
        answer = command.slack.post("views.open", trigger_id=command.trigger_id, view=create_form.view(form, origin))
    except RefusedError as error:
        if not error.code.endswith("trigger_id"):
            raise
        raise InvalidInputError("The form could not be opened within Slack's 3 seconds; please try again") from error
    return str(answer["view"]["id"])


def _again_button(view_id: str) -> dict[str, Any]:
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
