"""What the system says in a channel: Block Kit with the same in plain text. Pure.

Text from outside is escaped and marked `verbatim`, so that nothing in it can mention or link
(https://api.slack.com/reference/block-kit/composition-objects#text).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ir_router.cases import status
from ir_router.cases.changes import FieldChange
from ir_router.cases.models import Attachment, Case, Comment
from ir_router.slack.text import (
    SECTION_LENGTH,
    TOPIC_LENGTH,
    clean,
    length_of,
    one_line,
    quoted,
    shorten,
    slack_date,
    split_escaped,
)

TAG = "[AWS Security IR Update]"
_NOTICE_DESCRIPTION_LENGTH = 1_500
_COMMENT_PART_LENGTH = 2_900
_VALUE_LENGTH = 400
_NAME_LENGTH = 200
_HEADER_LENGTH = 150
_IN_A_ROW = 5
# Slack refuses a message (`msg_blocks_too_long`) whose blocks have more than 13,200 characters in all: undocumented,
# measured in https://github.com/slackapi/bolt-js/issues/2509.
_TEXT_LIMIT = 12_000


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


def sections(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Escaped lines, each at most SECTION_LENGTH, in as few sections as hold them; says what there is no room for."""
    filled: list[str] = []
    room = _TEXT_LIMIT
    for number, line in enumerate(lines):
        room -= length_of(line) + 1
        shown = line if room > 0 else f"… and {len(lines) - number} more lines"
        if filled and length_of(filled[-1]) + 1 + length_of(shown) <= SECTION_LENGTH:
            filled[-1] += "\n" + shown
        else:
            filled.append(shown)
        if room <= 0:
            break
    return [section(text if text.strip() else "(empty)") for text in filled]


def console_link(case_id: str, region: str) -> str:
    """The case in the AWS console."""
    where = quote(case_id, safe="", errors="replace")
    return f"https://console.aws.amazon.com/security-ir/home?region={region}#/cases/{where}"


def at(moment: datetime | None) -> str:
    """A time in each reader's own zone, with UTC as fallback."""
    if moment is None:
        return "at an unknown time"
    return slack_date(moment.timestamp(), f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def notice(case: Case, severity: str, region: str) -> Message:
    """The first message of a channel: what the case is, and where."""
    state = status.shown(case.case_status)
    title = one_line(case.title) or "Untitled case"
    description = shorten(clean(case.description).strip(), _NOTICE_DESCRIPTION_LENGTH, "on the case")
    facts = (
        f"*Case*\n{quoted(case.case_id, _NAME_LENGTH)}",
        f"*Status*\n{quoted(state, _NAME_LENGTH)}",
        f"*Severity*\n{quoted(severity, _NAME_LENGTH)}",
        f"*Created*\n{at(case.created_date)}",
    )
    return Message(
        text=(
            f"{TAG} Case {quoted(case.case_id, _NAME_LENGTH)}: {quoted(title, 500)}. "
            f"Status: {quoted(state, _NAME_LENGTH)}. Severity: {quoted(severity, _NAME_LENGTH)}."
        ),
        blocks=[
            {
                "type": "header",
                "text": {"type": "plain_text", "text": quoted(title, _HEADER_LENGTH), "emoji": False},
            },
            {
                "type": "section",
                "fields": [{"type": "mrkdwn", "text": fact, "verbatim": True} for fact in facts],
            },
            *(section(piece) for piece in split_escaped(description or "No description", SECTION_LENGTH)),
            context(
                f"{TAG} <{console_link(case.case_id, region)}|Open the case in the AWS console> · "
                "Messages and files here are copied to the case. `/security-ir help` lists the commands."
            ),
        ],
    )


def topic(case_status: str, severity: str) -> str:
    """The channel's topic. Without the characters that Slack writes in another way than they were set."""
    plain = re.sub(r"[&<>]", " ", f"Status: {status.shown(case_status)} | Severity: {severity}")
    return shorten(one_line(plain), TOPIC_LENGTH)


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
    name = quoted(author(comment.creator), _NAME_LENGTH)
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


def changes(differences: Sequence[FieldChange], by: Mapping[str, str]) -> Message:
    """What changed from what to what: a line for each field, in one message. `by`: who did it, by the field's name."""
    lines = [f"{_change(one)}{_by(by.get(one.name))}" for one in differences]
    first, *rest = lines
    if len(differences) > 1:
        first, rest = f"{len(differences)} changes:", lines
        people = {by.get(one.name) for one in differences}
        if len(people) == 1:
            first = f"{len(differences)} changes{_by(people.pop())}:"
            rest = [_change(one) for one in differences]
    return Message(text="\n".join((f"{TAG} {first}", *rest)), blocks=[*sections((first, *rest)), context(TAG)])


def _by(name: str | None) -> str:
    return f", by {quoted(name, _NAME_LENGTH)}" if name else ""


def _change(difference: FieldChange) -> str:
    before, after = (
        quoted(value, _VALUE_LENGTH, "on the case") or "(empty)" for value in (difference.before, difference.after)
    )
    return f"*{difference.label}*: {before} → {after}"


def joined(members: Sequence[Mapping[str, Any]]) -> Message:
    """Watchers of the case and members of the response team were invited."""
    return _line(_people("Added to this channel as watcher or response team", members))


def came_back(members: Sequence[Mapping[str, Any]]) -> Message:
    """People who had been told to be gone are named by the case again, and had stayed in the channel."""
    return _line(_people("Watching the case again", members))


def left(members: Sequence[Mapping[str, Any]]) -> Message:
    """People are no longer named by the case."""
    removed = [member for member in members if member.get("removed")]
    staying = [member for member in members if not member.get("removed")]
    lines = []
    if removed:
        lines.append(_people("No longer watching the case, removed from this channel", removed))
    if staying:
        lines.append(_people("No longer watching the case, still in this channel", staying))
    return _line("\n".join(lines))


def _people(what: str, members: Sequence[Mapping[str, Any]]) -> str:
    """A few in a row, more below each other."""
    shown = [quoted(str(member["shown"]), _NAME_LENGTH) for member in members]
    return f"{what}: {', '.join(shown)}" if len(shown) <= _IN_A_ROW else "\n• ".join((f"{what}:", *shown))


def not_in_workspace(members: Sequence[Mapping[str, Any]]) -> Message:
    """Watchers or response team cannot be invited; says how to mend that."""
    what = f"⚠️ {len(members)} of the case's watchers and response team could not be invited"
    listed = _people(what, members)
    how = (
        "Somebody who may invite people: add them to the workspace with this e-mail address, then type "
        "`/invite @name` here. They are looked up again within a day, or when the case's watchers change."
    )
    return Message(
        text=f"{TAG} {listed}",
        blocks=[*sections(listed.split("\n")), context(f"{TAG} {how}")],
    )


def _line(text: str) -> Message:
    """One or more lines that are escaped already."""
    return Message(text=f"{TAG} {text}", blocks=[*sections(text.split("\n")), context(TAG)])


def failure(what: str, retried: bool, mend: str, error_id: str) -> Message:
    """Something could not be done: what, whether it is tried again, what the reader can do, the id to quote."""
    again = "It is tried again by itself." if retried else "It is not tried again by itself."
    said = quoted(what, 1_000)
    return Message(
        text=f"{TAG} ⚠️ {said} {again} Error ID: {error_id}",
        blocks=[
            *sections((f"⚠️ {said}", f"{again} {quoted(mend, 1_000)}".strip())),
            context(f"{TAG} Error ID: {error_id}"),
        ],
    )


def line(text: str) -> Message:
    """One escaped sentence about the case."""
    return _line(quoted(text, SECTION_LENGTH))


def failed_scan(file_name: str) -> Message:
    """An attachment did not pass AWS's malware scan."""
    return _line(
        f"⚠️ Attachment {_file(file_name)} failed the malware scan of AWS Security Incident Response. Do not open it. "
        "It is not copied; ask whoever added it."
    )


def _file(name: str) -> str:
    """A file's name as code, so that one like `example.com` is not made a link."""
    return f"`{quoted(name.replace('`', ' '), _NAME_LENGTH)}`"


def file_uploaded(name: str, stored_name: str) -> Message:
    """The specification's confirmation, with the name that the attachment has."""
    text = "📎 File uploaded to AWS Security IR case"
    return Message(text=text, blocks=[section(text), context(f"{TAG} {_file(name)} as {_file(stored_name)}")])


def file_not_copied(name: str, reason: str) -> Message:
    """A file cannot become an attachment; nobody needs to be woken for it."""
    return _line(f"⚠️ File {_file(name)} was not copied to the case: {quoted(reason, 500)}")


def new_attachment(attachment: Attachment) -> str:
    """The specification's text for an attachment that came from the case, and who added it."""
    return (
        f"📎 New attachment from AWS Security IR case\n{TAG} {_file(attachment.file_name)}, "
        f"added by {quoted(author(attachment.creator), _NAME_LENGTH)} {at(attachment.created_date)}"
    )


def attachment_too_large(name: str, size: int, link: str) -> Message:
    """An attachment over the limit: how to get it."""
    return _line(
        f"📎 Attachment {_file(name)} has {size / 1_048_576:.0f} MB; at most 100 MB are copied. "
        f"Download it from <{link}|the case in the AWS console>."
    )


def attachment_empty(name: str) -> Message:
    """Slack takes no empty file."""
    return _line(f"📎 Attachment {_file(name)} is empty, so there is nothing to copy.")
