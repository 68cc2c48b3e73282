"""Read a Slack message: everything that a person sees, once, as plain text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ir_router.slack.content.attachments import attachment, combined, files_of, is_preview, is_unfurl, more_words
from ir_router.slack.content.blocks import blocks
from ir_router.slack.content.reading import Ids, Lookup, Reading, lines, mappings, string
from ir_router.slack.text import clean

_ENTITY = re.compile(r"&(?:lt|gt|amp);")
# Characters that differ between a message's text and its rich text: spaces, marks of styles, bullets.
_FORMATTING = re.compile(r"[\s*_~`>•◦▪︎]+")


@dataclass(frozen=True)
class Content:
    """The content of a message.

    Attributes:
        text: The text, without the files.
        files: The message's own files.
        forwarded_files: The files of forwarded messages. Slack sends no `file_shared` event for them.
        missing: The types of blocks that have no readable text.
    """

    text: str
    files: Sequence[Mapping[str, Any]]
    forwarded_files: Sequence[Mapping[str, Any]]
    missing: Sequence[str]


def read(message: Mapping[str, Any], lookup: Lookup) -> Content:
    """Return the content of a message.

    Args:
        message: Slack's message: `text`, `blocks`, `attachments` and `files`, as far as it has them.
        lookup: Returns names of users, channels and groups.
    """
    attached = mappings(message.get("attachments"))
    reading = Reading(lookup)
    own = lines(_body(message, reading), *(attachment(one, reading) for one in attached if not is_preview(one)))
    if not own:
        own = lines(*(attachment(one, reading) for one in attached))
    files = [file for file in mappings(message.get("files")) if file.get("id")]
    known = {file["id"] for file in files if isinstance(file["id"], str)}
    forwarded = {
        file["id"]: file
        for one in attached
        for file in files_of(one)
        if isinstance(file.get("id"), str) and file["id"] and file["id"] not in known
    }
    return Content(clean(own).strip("\n"), files, list(forwarded.values()), list(dict.fromkeys(reading.missing)))


def _body(message: Mapping[str, Any], reading: Reading) -> str:
    """Return the message's text and blocks. The rich text of a person's message has the same words as its text."""
    text = reading.mrkdwn(message.get("text"))
    found = message.get("blocks")
    shown = blocks(found, reading)
    if shown and text and _ENTITY.search(shown + json.dumps(found)):
        # Slack does not document whether rich text is escaped. The text of the same message shows it.
        literally = blocks(found, Reading(reading.lookup, decodes=False))
        if _squeezed(literally) == _squeezed(text) != _squeezed(shown):
            return literally
    kinds = {string(block.get("type")) for block in mappings(found)}
    if kinds == {"rich_text"} and shown and not reading.missing:
        return shown
    if kinds == {"rich_text"} and more_words(text, shown) and not more_words(shown, text):
        # Slack's text has words for the elements that have none here.
        reading.missing.clear()
        return text
    return combined(text, shown)


def _squeezed(text: str) -> str:
    return _FORMATTING.sub("", text)


def fingerprint(message: Mapping[str, Any]) -> str:
    """Return a value by which `is_same_content` compares two versions of a message.

    Unfurled links, reply counts and reactions are not part of it.
    """
    kept = [one for one in mappings(message.get("attachments")) if not is_unfurl(one)]
    files = [(string(file.get("id")), file.get("mode") == "tombstone") for file in mappings(message.get("files"))]
    rest = {"attachments": kept, "files": message.get("files")}
    with_blocks = read({**rest, "text": message.get("text"), "blocks": message.get("blocks")}, Ids())
    without_blocks = read({**rest, "text": message.get("text")}, Ids())
    has_blocks = bool(mappings(message.get("blocks")))
    is_deleted = message.get("subtype") == "tombstone"
    hashes = [_hash([is_deleted, files, content.text]) for content in (with_blocks, without_blocks)]
    return ".".join([*hashes, "blocks" if has_blocks else "text"])


def is_same_content(before: str, after: str) -> bool:
    """Whether two fingerprints are of the same content. Slack may add or leave out the blocks of the same text."""
    (shown, text, form), (new_shown, new_text, new_form) = before.split("."), after.split(".")
    return shown == new_shown or (form != new_form and text == new_text)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii", "replace")).hexdigest()[:32]
