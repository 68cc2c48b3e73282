"""What the system says in a channel: Block Kit with the same in plain text. Pure.

Text from outside is escaped and marked `verbatim`, so that nothing in it can mention or link
(https://api.slack.com/reference/block-kit/composition-objects#text).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ir_router.cases import status
from ir_router.cases.changes import FieldChange
from ir_router.cases.models import Attachment, Case, Comment
from ir_router.slack.text import SECTION_LENGTH, TOPIC_LENGTH, escape, shorten, slack_date, split_escaped

TAG = "[AWS Security IR Update]"
_NOTICE_DESCRIPTION_LENGTH = 1_500
_COMMENT_PART_LENGTH = 2_900
_VALUE_LENGTH = 300
_HEADER_LENGTH = 150


@dataclass(frozen=True)
class Message:
    """`text` is what notifications and screen readers show; `blocks` is what the channel shows."""

    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None = None


def section(text: str) -> dict[str, Any]:
    """A section of escaped text."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def context(text: str) -> dict[str, Any]:
    """A line of small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def console_link(case_id: str, region: str) -> str:
    """The case in the AWS console."""
    return f"https://console.aws.amazon.com/security-ir/home?region={region}#/cases/{case_id}"


def at(moment: datetime | None) -> str:
    """A time in each reader's own zone, with UTC as fallback."""
    if moment is None:
        return "at an unknown time"
    return slack_date(moment.timestamp(), f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def notice(case: Case, severity: str, region: str) -> Message:
    """The first message of a channel: what the case is, and where."""
    title = shorten(case.title, 250)
    state = status.shown(case.case_status)
    description = shorten(case.description, _NOTICE_DESCRIPTION_LENGTH, "on the case")
    link = console_link(case.case_id, region)
    facts = (
        f"*Case*\n{escape(case.case_id)}",
        f"*Status*\n{escape(state)}",
        f"*Severity*\n{escape(severity)}",
        f"*Created*\n{at(case.created_date)}",
    )
    return Message(
        text=(
            f"{TAG} Case {escape(case.case_id)}: {escape(title)}. Status: {escape(state)}. "
            f"Severity: {escape(severity)}."
        ),
        blocks=[
            {
                "type": "header",
                "text": {"type": "plain_text", "text": shorten(title or "Untitled case", _HEADER_LENGTH)},
            },
            {
                "type": "section",
                "fields": [{"type": "mrkdwn", "text": fact, "verbatim": True} for fact in facts],
            },
            section(escape(description)[:SECTION_LENGTH] or "_No description_"),
            context(
                f"{TAG} <{link}|Open the case in the AWS console> · Messages and files here are copied to the case. "
                "`/security-ir help` lists the commands."
            ),
        ],
    )


def topic(case_status: str, severity: str) -> str:
    """The channel's topic."""
    return shorten(f"Status: {status.shown(case_status)} | Severity: {severity}", TOPIC_LENGTH)


def author(creator: str | None) -> str:
    """A comment's creator as people name it: an ARN's last part, `AWS Responder`, or the account."""
    if not creator:
        return "Unknown"
    if creator.startswith("arn:"):
        return creator.rpartition("/")[2] or creator
    return {"security-ir.amazonaws.com": "AWS Security Incident Response"}.get(creator, creator)


def comment_parts(comment: Comment) -> list[Message]:
    """A comment as one message, or several when it is long; the parts are numbered."""
    pieces = split_escaped(comment.body or " ", _COMMENT_PART_LENGTH)
    name = escape(author(comment.creator))
    messages = []
    for number, piece in enumerate(pieces, start=1):
        part = f" (part {number} of {len(pieces)})" if len(pieces) > 1 else ""
        messages.append(
            Message(
                text=f"{TAG} {name}{part}: {piece}",
                blocks=[
                    context(f"{TAG} *{name}* commented {at(comment.created_date)}{part}{_edited(comment)}"),
                    section(piece if piece.strip() else "_(empty)_"),
                ],
            )
        )
    return messages


def _edited(comment: Comment) -> str:
    if comment.last_updated_date is None or comment.last_updated_date == comment.created_date:
        return ""
    return f" · edited {at(comment.last_updated_date)}"


def changes(differences: Sequence[FieldChange], by: str | None) -> Message:
    """What changed from what to what: a line for each field, in one message."""
    ending = f", by {escape(by)}" if by else ""
    lines = [_change(difference) for difference in differences]
    first = f"{lines[0]}{ending}" if len(lines) == 1 else f"{len(lines)} changes{ending}"
    body = lines[0] + ending if len(lines) == 1 else "\n".join((f"{len(lines)} changes{ending}:", *lines))
    return Message(text=f"{TAG} {first}", blocks=[section(f"{body}"[:SECTION_LENGTH]), context(TAG)])


def _change(difference: FieldChange) -> str:
    before, after = (escape(shorten(value, _VALUE_LENGTH, "on the case")) for value in _values(difference))
    return f"*{difference.label}*: {before} → {after}"


def _values(difference: FieldChange) -> tuple[str, str]:
    return difference.before or "(empty)", difference.after or "(empty)"


def joined(members: Sequence[Mapping[str, Any]]) -> Message:
    """People were invited because the case names them."""
    return _line(f"Added to this channel, as the case names them: {_names(members)}")


def left(members: Sequence[Mapping[str, Any]]) -> Message:
    """People are no longer named by the case."""
    removed = [member for member in members if member.get("removed")]
    staying = [member for member in members if not member.get("removed")]
    lines = []
    if removed:
        lines.append(f"No longer watching the case, removed from this channel: {_names(removed)}")
    if staying:
        lines.append(f"No longer watching the case, still in this channel: {_names(staying)}")
    return _line("\n".join(lines))


def not_in_workspace(members: Sequence[Mapping[str, Any]]) -> Message:
    """People whom the case names cannot be invited; says how to mend that."""
    one = len(members) == 1
    text = f"⚠️ {len(members)} {'person' if one else 'people'} whom the case names could not be invited"
    listed = "\n".join(f"• {escape(str(member['shown']))}" for member in members)
    how = (
        "Somebody who may invite people: add them to the workspace with this e-mail address, then type "
        "`/invite @name` here. They are looked up again within a day, or when the case's watchers change."
    )
    return Message(
        text=f"{TAG} {text}: {_names(members)}",
        blocks=[section(f"{text}\n{listed}"[:SECTION_LENGTH]), context(f"{TAG} {how}")],
    )


def _names(members: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(escape(str(member["shown"])) for member in members)


def _line(text: str) -> Message:
    return Message(text=f"{TAG} {text}", blocks=[section(text[:SECTION_LENGTH]), context(TAG)])


def failure(what: str, retried: bool, mend: str, error_id: str) -> Message:
    """Something could not be done: what, whether it is tried again, what the reader can do, the id to quote."""
    again = "It is tried again by itself." if retried else "It is not tried again by itself."
    return Message(
        text=f"{TAG} ⚠️ {escape(what)} {again} Error ID: {error_id}",
        blocks=[section(f"⚠️ {escape(what)}\n{again} {escape(mend)}"), context(f"{TAG} Error ID: {error_id}")],
    )


def line(text: str) -> Message:
    """One escaped sentence about the case."""
    return _line(escape(text))


def failed_scan(file_name: str) -> Message:
    """An attachment did not pass AWS's malware scan."""
    return _line(
        f"⚠️ Attachment `{escape(shorten(file_name, 200))}` failed the malware scan of AWS Security Incident Response "
        "and is not copied here. Do not open it; ask whoever added it to the case."
    )


def file_uploaded(name: str, stored_name: str) -> Message:
    """The specification's confirmation, with the name that the attachment has."""
    text = "📎 File uploaded to AWS Security IR case"
    return Message(
        text=text,
        blocks=[section(text), context(f"{TAG} {escape(shorten(name, 200))} as {escape(stored_name)}")],
    )


def file_not_copied(name: str, reason: str) -> Message:
    """A file cannot become an attachment; nobody needs to be woken for it."""
    return _line(f"⚠️ File {escape(shorten(name, 200))} was not copied to the case: {escape(reason)}")


def new_attachment(attachment: Attachment) -> str:
    """The specification's text for an attachment that came from the case, and who added it."""
    return (
        f"📎 New attachment from AWS Security IR case\n{TAG} {escape(attachment.file_name)}, "
        f"added by {escape(author(attachment.creator))} {at(attachment.created_date)}"
    )


def attachment_too_large(name: str, size: int, link: str) -> Message:
    """An attachment over the limit: how to get it."""
    return _line(
        f"📎 Attachment {escape(shorten(name, 200))} has {size / 1_048_576:.0f} MB; at most 100 MB are copied. "
        f"Download it from <{link}|the case in the AWS console>."
    )
