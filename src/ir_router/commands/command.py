"""A command in execution: the user, the request, and the means to execute and answer it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ir_router import clock
from ir_router import deadline as deadlines
from ir_router.commands import linking
from ir_router.deadline import Deadline, LambdaContext
from ir_router.errors import InvalidInputError, IrRouterError, RefusedError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import response_url
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.messages import plain
from ir_router.slack.text import MESSAGE_LENGTH, escape, shorten, to_plain

# Time reserved for the answer: a response_url call that fails, then an ephemeral message.
_RESERVE_SECONDS = 12.0
# Lambda retries an attempt that ended without an outcome after one minute.
_LATE_SECONDS = 30.0
_STRAY = re.compile(r"<(?![@#!]|[a-z]+:)")


@dataclass(frozen=True)
class Answer:
    """The answer to the user.

    Attributes:
        text: Plain text, which is escaped when it is sent.
        blocks: Block Kit to show instead of the text, for buttons and links.
        replaces: Whether it replaces the message whose button was pressed.
        removes: Whether it only removes that message.
    """

    text: str
    blocks: list[dict[str, Any]] | None = None
    replaces: bool = False
    removes: bool = False


class NotPermittedError(InvalidInputError):
    """The user may not do this. The message is shown to the user."""


@dataclass
class Command:
    """A slash command, a submitted form or a pressed button.

    Attributes:
        id: The `trigger_id` of a slash command, or the id of a form or a pressed button. Each id is executed once.
        case_id: Empty if the command needs no case.
        replaces: Whether errors replace the message whose button was pressed, because the button is used up.
        changes: Whether it has begun to change the case. If so, the audit records its outcome.
        fix_blocks: Blocks below an error, for example a button that opens the form again with the user's text.
        pressed_at: When the button was pressed, by Slack's clock; None for other commands.
        claim: The claim while the command is executed.
    """

    id: str
    name: str
    argument: str
    user_id: str
    user_name: str
    channel_id: str
    response_url: str
    trigger_id: str
    deadline: Deadline
    slack: Slack
    names: Names
    case_id: str = ""
    replaces: bool = False
    changes: bool = False
    fix_blocks: list[dict[str, Any]] = field(default_factory=list, repr=False)
    pressed_at: float | None = None
    claim: Claim | None = field(default=None, repr=False)

    @property
    def is_repeated(self) -> bool:
        """Whether an earlier attempt may have had an effect, or its end before the claim made the user press again."""
        if self.claim is None:
            return False
        return self.claim.attempt > 1 or self._claimed_at - self.began_at > _LATE_SECONDS

    @property
    def began_at(self) -> float:
        """When the user pressed the button, or else the first claim of the command, in seconds since the epoch."""
        return self._claimed_at if self.pressed_at is None else min(self.pressed_at, self._claimed_at)

    @property
    def _claimed_at(self) -> float:
        claimed_at = self.claim.row.get("claimed_at") if self.claim is not None else None
        return clock.now() if claimed_at is None else float(claimed_at)

    @property
    def by(self) -> str:
        """The user's handle, as Slack shows it after an `@`."""
        return str(self.names.user(self.user_id).get("name") or self.user_name or self.user_id)

    @property
    def real_name(self) -> str:
        """The user's real name."""
        return self.names.real_name(self.user_id)

    @property
    def identity(self) -> str:
        """The user as `Name (address, Slack user id)`, for comments and the audit."""
        return self.names.identified(self.user_id)

    @property
    def plain_argument(self) -> str:
        """The argument as plain text: mentions and links become names, and `&lt;` becomes `<`.

        Slack escapes the argument only if the command's settings require it. A `<` that begins no markup stays.
        """
        return to_plain(_STRAY.sub("&lt;", self.argument), self.names.real_name, self.names.channel, self.names.group)

    def first(self, name: str, value: Any) -> Any:
        """Return the value that the first attempt had, and store it at the first attempt.

        A repeated attempt thereby reports the state that the first one found.
        """
        if self.claim is None:
            return value
        if name in self.claim.row:
            return self.claim.row[name]
        claims.note(self.claim, **{name: value})
        self.claim.row[name] = value
        return value

    def error(self, text: str) -> Answer:
        """Return an error as an answer, with `fix_blocks` below it."""
        blocks = [plain(text), *self.fix_blocks] if self.fix_blocks else None
        return Answer(text, blocks, replaces=self.replaces)

    def answer(self, answer: Answer) -> None:
        """Send an answer to the `response_url`, or as an ephemeral message if that fails.

        A failure of both is logged and not raised, because the command itself has ended.
        """
        text = escape(shorten(answer.text, MESSAGE_LENGTH))
        body: dict[str, Any] = {"response_type": "ephemeral", "text": text, "mrkdwn": False}
        if answer.removes:
            body = {"delete_original": True}
        elif answer.replaces:
            body["replace_original"] = True
        blocks = answer.blocks if answer.blocks is not None else self._linking(answer.text)
        if blocks is not None and not answer.removes:
            body["blocks"] = blocks
        try:
            response_url.post(self.response_url, body)
        except (RefusedError, UncertainError) as error:
            details = {"error": str(error), "command": self.name}
            logger.warning("slack.response_url_rejected: an ephemeral message is sent instead", extra=details)
            if not answer.removes:
                self._whisper(text, blocks)

    def _linking(self, text: str) -> list[dict[str, Any]] | None:
        """Return blocks with the id of the case as a link, if the answer names it."""
        return linking.blocks(shorten(text, MESSAGE_LENGTH), self.case_id, settings().region)

    def _whisper(self, text: str, blocks: list[dict[str, Any]] | None) -> None:
        try:
            self.slack.post(
                "chat.postEphemeral",
                channel=self.channel_id,
                user=self.user_id,
                text=text,
                **({"blocks": blocks} if blocks else {}),
            )
        except IrRouterError as error:
            details = {"error": str(error), "command": self.name}
            logger.error("command.answer_not_delivered: the user did not receive the outcome", extra=details)


def case_of(channel_id: str) -> str:
    """Return the case id of a channel; empty for a channel without a case."""
    row = table.get(keys.channel(channel_id)) if channel_id else None
    return str(row["case_id"]) if row else ""


def of_slash_command(form: Mapping[str, str], name: str, argument: str, context: LambdaContext) -> Command:
    """Build the command from a slash command's form (https://api.slack.com/interactivity/slash-commands).

    Args:
        form: Slack's fields.
        name: Name of the sub-command.
        argument: The rest of the text.
        context: Lambda's context object.
    """
    deadline, slack = _means(context)
    return Command(
        id=form.get("trigger_id") or str(getattr(context, "aws_request_id", "")),
        name=name,
        argument=argument,
        user_id=form.get("user_id", ""),
        user_name=form.get("user_name", ""),
        channel_id=form.get("channel_id", ""),
        response_url=form.get("response_url", ""),
        trigger_id=form.get("trigger_id", ""),
        deadline=deadline,
        slack=slack,
        names=Names(slack),
    )


def of_interaction(
    payload: Mapping[str, Any], name: str, command_id: str, context: LambdaContext, **known: str
) -> Command:
    """Build the command of a pressed button or a submitted form.

    Args:
        payload: Slack's payload.
        name: Name of the command.
        command_id: Id of the form or the pressed button.
        context: Lambda's context object.
        known: Attributes that the payload lacks: channel_id, response_url, case_id.
    """
    deadline, slack = _means(context)
    user = payload.get("user") or {}
    return Command(
        id=command_id,
        name=name,
        argument="",
        user_id=str(user.get("id") or ""),
        user_name=str(user.get("name") or user.get("username") or ""),
        channel_id=known.get("channel_id") or str((payload.get("channel") or {}).get("id") or ""),
        response_url=known.get("response_url") or str(payload.get("response_url") or ""),
        trigger_id=str(payload.get("trigger_id") or ""),
        deadline=deadline,
        slack=slack,
        names=Names(slack),
        case_id=known.get("case_id", ""),
        pressed_at=_pressed_at(payload),
    )


def _pressed_at(payload: Mapping[str, Any]) -> float | None:
    """Return the time of a pressed button (https://api.slack.com/reference/interaction-payloads/block-actions)."""
    actions = payload.get("actions") or [{}]
    try:
        pressed_at = float(actions[0]["action_ts"])
    except (KeyError, TypeError, ValueError):
        return None
    return pressed_at if math.isfinite(pressed_at) else None


def _means(context: LambdaContext) -> tuple[Deadline, Slack]:
    deadline = deadlines.of_invocation(context, reserve=_RESERVE_SECONDS)
    return deadline, Slack(deadline)
