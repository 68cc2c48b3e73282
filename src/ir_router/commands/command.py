"""A command at work: who asked what, where, and the means to do it and to answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ir_router import deadline as deadlines
from ir_router.deadline import Deadline, LambdaContext
from ir_router.errors import InvalidInputError, IrRouterError, RefusedError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.slack import response_url
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.messages import section
from ir_router.slack.text import MESSAGE_LENGTH, escape, shorten, to_plain

# Time kept for the answer when the work took all the rest: a response_url call that fails, then an ephemeral message.
_RESERVE_SECONDS = 12.0
_STRAY = re.compile(r"<(?![@#!]|[a-z]+:)")


@dataclass(frozen=True)
class Answer:
    """What the person is told. `text` is plain; it is escaped where it is sent.

    `blocks` are shown instead of it where they say more (buttons, links). `replaces` takes the place of the message
    whose button was pressed; `removes` takes that message away and says nothing.
    """

    text: str
    blocks: list[dict[str, Any]] | None = None
    replaces: bool = False
    removes: bool = False


class NotPermittedError(InvalidInputError):
    """The person may not change the case; the message is what they are told."""


@dataclass
class Command:
    """`id` makes it once: the `trigger_id` of a slash command, the id of a form or of a pressed button.

    `replaces`: errors take the place of the message whose button was pressed, since the button is used up.
    `mend` are blocks shown below an error: a button that gives back what was typed.
    `case_id` is empty where the command needs no case. `claim` is there while it is carried out. `changes`: it goes on
    to change the case, so that its end belongs into the audit.
    """

    id: str
    name: str
    argument: str
    user_id: str
    user_name: str
    team_id: str
    enterprise_id: str
    channel_id: str
    response_url: str
    trigger_id: str
    deadline: Deadline
    slack: Slack
    names: Names
    case_id: str = ""
    replaces: bool = False
    changes: bool = False
    mend: list[dict[str, Any]] = field(default_factory=list, repr=False)
    claim: Claim | None = field(default=None, repr=False)

    @property
    def is_repeated(self) -> bool:
        """Whether an earlier attempt may have had its effect."""
        return self.claim is not None and self.claim.attempt > 1

    @property
    def by(self) -> str:
        """The person's handle, as Slack shows it behind an `@`."""
        return str(self.names.user(self.user_id).get("name") or self.user_name or self.user_id)

    @property
    def real_name(self) -> str:
        """The person's real name."""
        return self.names.real_name(self.user_id)

    @property
    def plain_argument(self) -> str:
        """The argument without Slack's markup: mentions and links as names, `&lt;` as `<`.

        Slack escapes what was typed only when the command's settings say so: a `<` that begins no markup stays.
        """
        return to_plain(_STRAY.sub("&lt;", self.argument), self.names.real_name, self.names.channel)

    def first(self, name: str, value: Any) -> Any:
        """The value as it was at the first attempt: a repeated one reports what that one found."""
        if self.claim is None:
            return value
        if name in self.claim.row:
            return self.claim.row[name]
        claims.note(self.claim, **{name: value})
        self.claim.row[name] = value
        return value

    def error(self, text: str) -> Answer:
        """An error, with what mends it below."""
        blocks = [section(escape(text)), *self.mend] if self.mend else None
        return Answer(text, blocks, replaces=self.replaces)

    def answer(self, answer: Answer) -> None:
        """Tell the person: at the `response_url`, or else by an ephemeral message. A failure of both is logged.

        The command itself is done by then, so nothing is raised.
        """
        text = escape(shorten(answer.text, MESSAGE_LENGTH))
        body: dict[str, Any] = {"response_type": "ephemeral", "text": text, "mrkdwn": False}
        if answer.removes:
            body = {"delete_original": True}
        elif answer.replaces:
            body["replace_original"] = True
        if answer.blocks is not None:
            body["blocks"] = answer.blocks
        try:
            response_url.post(self.response_url, body)
        except (RefusedError, UncertainError) as error:
            logger.warning("the response_url took no answer", extra={"error": str(error), "command": self.name})
            if not answer.removes:
                self._whisper(text, answer.blocks)

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
            logger.error("a command's outcome could not be told", extra={"error": str(error), "command": self.name})


def case_of(channel_id: str) -> str:
    """The case of a channel; empty when the channel is none of ours."""
    row = table.get(keys.channel(channel_id)) if channel_id else None
    return str(row["case_id"]) if row else ""


def of_slash_command(form: Mapping[str, str], name: str, argument: str, context: LambdaContext) -> Command:
    """The command of a slash command's form (https://api.slack.com/interactivity/slash-commands)."""
    deadline, slack = _means(context)
    return Command(
        id=form.get("trigger_id") or str(getattr(context, "aws_request_id", "")),
        name=name,
        argument=argument,
        user_id=form.get("user_id", ""),
        user_name=form.get("user_name", ""),
        team_id=form.get("team_id", ""),
        enterprise_id=form.get("enterprise_id", ""),
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
    """The command that a pressed button or a submitted form is. `known` fills what its payload does not say."""
    deadline, slack = _means(context)
    user = payload.get("user") or {}
    return Command(
        id=command_id,
        name=name,
        argument="",
        user_id=str(user.get("id") or ""),
        user_name=str(user.get("name") or user.get("username") or ""),
        team_id=str((payload.get("team") or {}).get("id") or ""),
        enterprise_id=str((payload.get("enterprise") or {}).get("id") or ""),
        channel_id=known.get("channel_id") or str((payload.get("channel") or {}).get("id") or ""),
        response_url=known.get("response_url") or str(payload.get("response_url") or ""),
        trigger_id=str(payload.get("trigger_id") or ""),
        deadline=deadline,
        slack=slack,
        names=Names(slack),
        case_id=known.get("case_id", ""),
    )


def _means(context: LambdaContext) -> tuple[Deadline, Slack]:
    deadline = deadlines.of_invocation(context, reserve=_RESERVE_SECONDS)
    return deadline, Slack(deadline)
