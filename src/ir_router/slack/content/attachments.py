"""Secondary attachments as plain text: messages of apps, tables that people paste, forwarded messages.

https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ir_router.slack.content.blocks import blocks
from ir_router.slack.content.reading import Reading, lines, mapping, mappings, string
from ir_router.slack.text import link, one_line, shorten, utc

# Slack's own words in the place of content that a client cannot show.
_PLACEHOLDER = re.compile(
    r"\s*(\[?no preview available\]?|this content can.t be displayed\.?|this message contains interactive elements\.?)"
    r"\s*",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_NAME_LENGTH = 80


def is_forward(attachment: Mapping[str, Any]) -> bool:
    """Whether a person shared another message."""
    return attachment.get("is_share") is True


def is_unfurl(attachment: Mapping[str, Any]) -> bool:
    """Whether Slack or an app added the attachment for a link in the message."""
    named = any(attachment.get(name) for name in ("from_url", "original_url", "app_unfurl_url", "is_app_unfurl"))
    return not is_forward(attachment) and (named or attachment.get("is_msg_unfurl") is True)


def is_preview(attachment: Mapping[str, Any]) -> bool:
    """Whether the attachment is the preview of a page that the message links to."""
    return is_unfurl(attachment) and attachment.get("is_msg_unfurl") is not True


def combined(text: str, shown: str) -> str:
    """Return blocks, with the text for notifications if it has other words.

    Args:
        text: The `text` of the message or attachment, as plain text.
        shown: Its blocks, as plain text.
    """
    if not shown.strip() or not text.strip() or _PLACEHOLDER.fullmatch(text):
        return shown if shown.strip() or _PLACEHOLDER.fullmatch(text) else text
    said = Counter(_words(text))
    rest = more_words(text, shown)
    if any(any(sign.isdigit() for sign in word) for word in rest) or rest.total() * 2 > said.total():
        return f"{text}\n{shown}"
    return shown


def more_words(text: str, shown: str) -> Counter[str]:
    """Return the words of `text` that `shown` does not have."""
    return Counter(_words(text)) - Counter(_words(shown))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("_", " ").lower())


def attachment(found: Mapping[str, Any], reading: Reading) -> str:
    """Return an attachment as text: a forwarded message with its author, channel and time, or an app's content."""
    deeper = reading.deeper()
    if deeper is None:
        return ""
    if is_forward(found) or found.get("is_msg_unfurl") is True:
        return _message(found, deeper)
    author = link(string(found.get("author_link")), deeper.mrkdwn(found.get("author_name")))
    title = link(string(found.get("title_link")), deeper.mrkdwn(found.get("title")))
    text = lines(
        deeper.mrkdwn(found.get("pretext")),
        author,
        title,
        _body(found, deeper),
        *(_field(field, deeper) for field in mappings(found.get("fields"))),
        " ".join(_button(action, deeper) for action in mappings(found.get("actions"))),
        f"[Image] {found['image_url']}" if isinstance(found.get("image_url"), str) else "",
        " · ".join(filter(None, (deeper.mrkdwn(found.get("footer")), _time(found)))) if found.get("footer") else "",
    )
    fallback = deeper.mrkdwn(found.get("fallback"))
    return text or ("" if _PLACEHOLDER.fullmatch(fallback) else fallback)


def _body(found: Mapping[str, Any], reading: Reading) -> str:
    """Return the text, the blocks and the nested messages of an attachment, each once."""
    shown = [blocks(found.get("blocks"), reading)]
    for one in mappings(found.get("message_blocks")):
        message = mapping(one.get("message"))
        shown.append(combined(reading.mrkdwn(message.get("text")), blocks(message.get("blocks"), reading)))
        shown += [attachment(inner, reading) for inner in mappings(message.get("attachments"))]
    shown += [attachment(inner, reading) for inner in mappings(found.get("attachments"))]
    return combined(reading.mrkdwn(found.get("text")), lines(*shown))


def _message(found: Mapping[str, Any], reading: Reading) -> str:
    what = "Forwarded message" if is_forward(found) else "Linked message"
    author = string(found.get("author_name")) or string(found.get("author_subname"))
    if not author and isinstance(found.get("author_id"), str):
        author = reading.lookup.real_name(found["author_id"])
    facts = (_channel(found, reading), _time(found), string(found.get("from_url") or found.get("original_url")))
    about = ", ".join(filter(None, facts))
    body = lines(
        reading.mrkdwn(found.get("pretext")),
        link(string(found.get("title_link")), reading.mrkdwn(found.get("title"))),
        _body(found, reading),
        *(_field(field, reading) for field in mappings(found.get("fields"))),
    )
    head = f"{what} by {shorten(one_line(author) or 'an unknown author', _NAME_LENGTH)}{f' ({about})' if about else ''}"
    return f"{head}:\n{body}" if body else head


def _channel(found: Mapping[str, Any], reading: Reading) -> str:
    """Return the channel of a forwarded message: Slack's own words, or the channel's name."""
    if isinstance(found.get("footer"), str) and found["footer"]:
        return one_line(reading.mrkdwn(found["footer"]))
    channel_id = string(found.get("channel_id"))
    name = string(found.get("channel_name")) or (reading.lookup.channel(channel_id) if channel_id else "")
    return f"posted in #{one_line(name)}" if name else ""


def _time(found: Mapping[str, Any]) -> str:
    return utc(string(found.get("ts")))


def _field(field: Mapping[str, Any], reading: Reading) -> str:
    return ": ".join(filter(None, (reading.mrkdwn(field.get("title")), reading.mrkdwn(field.get("value")))))


def _button(action: Mapping[str, Any], reading: Reading) -> str:
    url = string(action.get("url"))
    text = reading.text_object(action.get("text"))
    return f"[{text}]{f' ({url})' if url else ''}" if text else ""


def files_of(found: Mapping[str, Any], level: int = 0) -> list[Mapping[str, Any]]:
    """Return the files of an attachment and of the messages in it."""
    files = mappings(found.get("files"))
    if level > 5:
        return files
    messages = [mapping(one.get("message")) for one in mappings(found.get("message_blocks"))]
    for inner in [*messages, *mappings(found.get("attachments"))]:
        files += files_of(inner, level + 1)
    return files
