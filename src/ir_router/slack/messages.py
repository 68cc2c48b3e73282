"""The messages of a case channel, as Block Kit and as plain text. Pure.

Text from a case (titles, descriptions, comments) is rich text, which Slack shows character by character
(https://docs.slack.dev/reference/block-kit/blocks/rich-text-block). Other untrusted text is escaped and marked
`verbatim`, so that it cannot contain mentions or links
(https://api.slack.com/reference/block-kit/composition-objects#text).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ir_router import links
from ir_router.cases import status
from ir_router.cases.changes import FieldChange
from ir_router.cases.comments import set_apart
from ir_router.cases.limits import DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_router.cases.models import Attachment, Case, Comment
from ir_router.slack.text import (
    SECTION_LENGTH,
    TOPIC_LENGTH,
    clean,
    escape,
    length_of,
    one_line,
    quoted,
    remove_bidi_controls,
    shorten,
    slack_date,
    split_escaped,
    unescape,
)

TAG = "[AWS Security IR Update]"
_COMMENT_PART_LENGTH = 2_900
_VALUE_LENGTH = 400
_NAME_LENGTH = 200
_HEADER_LENGTH = 150
_INVITE = "If you have permission to invite users, type `/invite @name` here."
_IN_A_ROW = 5
# Slack rejects a message (`msg_blocks_too_long`) whose blocks have more than 13,200 characters in total. The limit is
# not documented; https://github.com/slackapi/bolt-js/issues/2509 measured it.
_TEXT_LIMIT = 12_000


@dataclass(frozen=True)
class Message:
    """A Slack message. Notifications and screen readers use `text`; the channel shows `blocks`."""

    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None = None


def mentioning(mentions: Sequence[str], message: Message) -> Message:
    """Return the message with mentions in front, which notify users. Without mentions it stays as it is."""
    if not mentions:
        return message
    shown = " ".join(mentions)
    return replace(message, text=f"{shown} {message.text}", blocks=[section(shown), *message.blocks])


def section(text: str) -> dict[str, Any]:
    """Return a section block. `text` is escaped already."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def plain(text: str) -> dict[str, Any]:
    """Return a section block that shows untrusted text character by character, without a rich text's formatting."""
    shown = shorten(remove_bidi_controls(clean(text)), SECTION_LENGTH)
    return {"type": "section", "text": {"type": "plain_text", "text": shown, "emoji": False}}


def context(text: str) -> dict[str, Any]:
    """Return a context block (small print). `text` is escaped already."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def literal(text: str) -> dict[str, Any]:
    """Return a block that shows untrusted text character by character: nothing in it is formatted or acts."""
    shown = remove_bidi_controls(clean(text))
    return _rich_text([_words(shown) if shown.strip() else _words("(empty)", italic=True)])


def _rich_text(elements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def _words(text: str, **style: bool) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def sections(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return escaped lines in as few section blocks as possible, and the number of lines that did not fit.

    Each line has at most SECTION_LENGTH units.
    """
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
    """Return the URL of the case in the AWS console."""
    return links.case(case_id, region)


def at(moment: datetime | None) -> str:
    """Return a time in each reader's own zone, with UTC as fallback."""
    if moment is None:
        return "at an unknown time"
    return slack_date(moment.timestamp(), f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def notice(case: Case, severity: str, region: str) -> Message:
    """Return the first message of a case channel."""
    state = status.shown(case.case_status)
    title = one_line(case.title) or "Untitled case"
    description = shorten(clean(case.description).strip(), DESCRIPTION_LIMIT, "on the case")
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
            *([literal(shorten(title, TITLE_LIMIT, "on the case"))] if length_of(title) > _HEADER_LENGTH else []),
            {
                "type": "section",
                "fields": [{"type": "mrkdwn", "text": fact, "verbatim": True} for fact in facts],
            },
            literal(description or "No description"),
            context(
                f"{TAG} <{console_link(case.case_id, region)}|Open the case in the AWS console> · "
                "Messages and files here are copied to the case. `/security-ir help` lists the commands."
            ),
        ],
    )


def topic(case_status: str, severity: str) -> str:
    """Return the channel's topic, without the characters that Slack stores differently (`&`, `<`, `>`)."""
    plain = re.sub(r"[&<>]", " ", f"Status: {status.shown(case_status)} | Severity: {severity}")
    return shorten(one_line(plain), TOPIC_LENGTH)


def author(creator: str | None) -> str:
    """Return a readable name of a comment's creator: the name in an ARN, AWS's service name, or the account."""
    if not creator:
        return "Unknown"
    if creator.startswith("arn:"):
        name = creator.rpartition("/" if "/" in creator else ":")[2]
        return f"root of account {creator.split(':')[4]}" if name == "root" and "/" not in creator else name or creator
    return {"security-ir.amazonaws.com": "AWS Security Incident Response"}.get(creator, creator)


def comment_parts(comment: Comment) -> list[Message]:
    """Return a comment as one message, or as several numbered messages when it is long."""
    pieces = split_escaped(set_apart(clean(comment.body)) or " ", _COMMENT_PART_LENGTH)
    name = quoted(author(comment.creator), _NAME_LENGTH) or "Unknown"
    messages = []
    for number, piece in enumerate(pieces, start=1):
        part = f" (part {number} of {len(pieces)})" if len(pieces) > 1 else ""
        messages.append(
            Message(
                text=f"{TAG} {name}{part}: {piece}",
                blocks=[
                    _heading(name, f"commented {at(comment.created_date)}{part}{_edited(comment)}"),
                    literal(unescape(piece)),
                ],
            )
        )
    return messages


def _heading(name: str, what: str) -> dict[str, Any]:
    """Return small print with the tag and a name that Slack does not format. Both arguments are escaped already."""
    return {
        "type": "context",
        "elements": [
            {"type": "mrkdwn", "text": TAG, "verbatim": True},
            {"type": "plain_text", "text": name, "emoji": False},
            {"type": "mrkdwn", "text": what, "verbatim": True},
        ],
    }


def _edited(comment: Comment) -> str:
    if comment.last_updated_date is None or comment.last_updated_date == comment.created_date:
        return ""
    return f" · edited {at(comment.last_updated_date)}"


def changes(differences: Sequence[FieldChange], by: Mapping[str, str]) -> Message:
    """Return one message with a line for each changed field.

    Args:
        differences: The changes, each with label, value before and value after.
        by: Field name -> name of the user who changed it from Slack.
    """
    people = {by.get(one.name) for one in differences}
    same = people.pop() if len(differences) > 1 and len(people) == 1 else None
    lines = [_change(one, None if same else by.get(one.name)) for one in differences]
    if len(differences) > 1:
        lines.insert(0, [_words(f"{len(differences)} changes{_by(same)}:")])
    shown = [words for line in lines for words in (_words("\n"), *line)][1:]
    fallback = "".join(_mrkdwn(words) for words in shown)
    if length_of(fallback) > _TEXT_LIMIT:
        fallback = f"{len(differences)} changes"
    return Message(text=f"{TAG} {fallback}", blocks=[_rich_text(shown), context(TAG)])


def _mrkdwn(words: Mapping[str, Any]) -> str:
    return f"*{escape(words['text'])}*" if "style" in words else escape(words["text"])


def _by(name: str | None) -> str:
    return f", by {shorten(one_line(name), _NAME_LENGTH)}" if name else ""


def _change(difference: FieldChange, by: str | None) -> list[dict[str, Any]]:
    before, after = (
        shorten(one_line(value), _VALUE_LENGTH, "on the case") or "(empty)"
        for value in (difference.before, difference.after)
    )
    return [_words(difference.label, bold=True), _words(f": {before} → {after}{_by(by)}")]


def joined(members: Sequence[Mapping[str, Any]]) -> Message:
    """Announce watchers and response team members who were invited to the channel."""
    return _line(_people("Added to this channel as watcher or response team member", members))


def came_back(members: Sequence[Mapping[str, Any]]) -> Message:
    """Announce former watchers who stayed in the channel and now watch the case again."""
    return _line(_people("Watching the case again", members))


def left(members: Sequence[Mapping[str, Any]]) -> Message:
    """Announce users who no longer watch the case, removed from the channel or not."""
    removed = [member for member in members if member.get("removed")]
    staying = [member for member in members if not member.get("removed")]
    lines = []
    if removed:
        lines.append(_people("No longer watching the case, removed from this channel", removed))
    if staying:
        lines.append(_people("No longer watching the case, still in this channel", staying))
    return _line("\n".join(lines))


def _people(what: str, members: Sequence[Mapping[str, Any]]) -> str:
    """Return a few names on one line, or more names as a list."""
    shown = [quoted(str(member["shown"]), _NAME_LENGTH) for member in members]
    return f"{what}: {', '.join(shown)}" if len(shown) <= _IN_A_ROW else "\n• ".join((f"{what}:", *shown))


def not_in_workspace(members: Sequence[Mapping[str, Any]]) -> Message:
    """Report watchers and response team members who cannot be invited, with the fix for each cause."""
    what = f"⚠️ {len(members)} of the case's watchers and response team could not be invited to this channel"
    listed = _people(what, members)
    fixes = dict.fromkeys(str(member.get("fix") or _INVITE) for member in members)  # older rows have no fix
    again = "ir-router looks them up again within a day, or when the case's watchers change."
    how = " ".join((*(quoted(fix, 300) for fix in fixes), again))
    return Message(
        text=f"{TAG} {listed}",
        blocks=[*sections(listed.split("\n")), context(f"{TAG} {how}")],
    )


def outside(members: Sequence[Mapping[str, Any]]) -> Message:
    """Report watchers who are not invited because of the domain of their address."""
    what = f"⚠️ {len(members)} of the case's watchers have an outside address, so ir-router does not invite them"
    return _line(
        f"{_people(what, members)}\nTo invite them, ask your operators to add the domain to `watcher_domains`."
    )


def _line(text: str) -> Message:
    """Return a message of one or more lines that are escaped already."""
    return Message(text=f"{TAG} {text}", blocks=[*sections(text.split("\n")), context(TAG)])


def failure(what: str, retried: bool, fix: str, error_id: str) -> Message:
    """Report a failure.

    Args:
        what: The failure, as a sentence.
        retried: Whether ir-router retries it.
        fix: Advice to the reader, as a sentence; may be empty.
        error_id: The id under which the log has the error.
    """
    retry = "ir-router retries this automatically." if retried else "ir-router does not retry this."
    failed = quoted(what, 1_000)
    return Message(
        text=f"{TAG} ⚠️ {failed} {retry} Error ID: {error_id}",
        blocks=[
            *sections((f"⚠️ {failed}", f"{retry} {quoted(fix, 1_000)}".strip())),
            context(f"{TAG} Error ID: {error_id}"),
        ],
    )


def line(text: str) -> Message:
    """Return one untrusted sentence about the case as a message."""
    return _line(quoted(text, SECTION_LENGTH))


def failed_scan(file_name: str) -> Message:
    """Warn that an attachment did not pass AWS's malware scan."""
    return _line(
        f"⚠️ Attachment {_file(file_name)} failed the malware scan of AWS Security Incident Response. Do not open it. "
        "ir-router did not copy it. Ask the person who added it where it came from."
    )


def _file(name: str) -> str:
    """Return a file name as code, so that Slack does not turn a name like `example.com` into a link."""
    return f"`{quoted(name.replace('`', ' '), _NAME_LENGTH)}`"


def attachment_rejected(name: str, stored_name: str) -> Message:
    """Report a file from Slack that AWS did not accept after its upload."""
    return _line(
        f"⚠️ AWS Security Incident Response did not accept file {_file(name)}: attachment {_file(stored_name)} failed "
        "the malware scan. It is not available on the case. Do not open the file in this channel before you know why."
    )


def file_uploaded(name: str, stored_name: str, remark: str = "") -> Message:
    """Return the specification's confirmation of an upload, with the attachment's name and a remark."""
    text = "📎 File uploaded to AWS Security IR case"
    details = f"{TAG} {_file(name)} as {_file(stored_name)}"
    shown = f"{details} · {quoted(remark, _NAME_LENGTH)}" if remark else details
    return Message(text=text, blocks=[section(text), context(shown)])


def file_only_in_slack(name: str, kind: str, link: str) -> Message:
    """Report a document of Slack (`kind`), or a link to another service (empty `kind`)."""
    shown = quoted(link, 2_000)
    where = f" <{shown}|Open it>" if shown.startswith("https://") and "|" not in shown else ""
    if not kind:
        return _line(f"📎 {_file(name)} is a link to another service. ir-router does not copy it to the case.{where}")
    return _line(f"📎 {_file(name)} is a {kind}. It is in Slack only: ir-router does not copy it to the case.{where}")


def file_not_copied(name: str, reason: str) -> Message:
    """Report a file that cannot become an attachment. This needs no mention."""
    return _line(f"⚠️ File {_file(name)} was not copied to the case: {quoted(reason, 500)}")


def new_attachment(attachment: Attachment) -> str:
    """Return the specification's text for an attachment from the case, with the person who added it."""
    return (
        f"📎 New attachment from AWS Security IR case\n{TAG} {_file(attachment.file_name)}, "
        f"added by {quoted(author(attachment.creator), _NAME_LENGTH)} {at(attachment.created_date)}"
    )


def attachment_too_large(name: str, size: int, link: str) -> Message:
    """Report an attachment over the size limit, with a link to the case."""
    return _line(
        f"📎 Attachment {_file(name)} was not copied: it is {size / 1_048_576:.0f} MB, and the limit is 100 MB. "
        f"Download it from <{link}|the case in the AWS console>."
    )


def attachment_empty(name: str) -> Message:
    """Report an empty attachment, which Slack does not accept."""
    return _line(f"📎 Attachment {_file(name)} was not copied because it is empty.")


def attachment_not_retried(name: str) -> Message:
    """Report an attachment that could not be copied before its case was closed."""
    return _line(
        f"⚠️ Attachment {_file(name)} was not copied before the case was closed, and ir-router no longer retries it. "
        "Download it from the case in the AWS console."
    )
