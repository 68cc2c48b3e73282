"""The text of comments that we write, and how they are recognised as ours. Pure.

A comment that we write ends with a line that names what it came from, `(Slack C0123/1700000000.000100)` or
`(ir-router <name>)`: a comment that the ledger has not confirmed yet is matched by it against the open claims.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ir_router.cases.limits import COMMENT_LIMIT

SLACK_TAG = "[Slack Update]"
# The ledger's origin of a comment that was written for AWS alone: it never reaches the channel.
PRIVATE = "private"
SYSTEM_TAG = "[AWS Security IR Update]"
DELETED = "(This message was deleted in Slack.)"

_SLACK_REFERENCE = re.compile(r"\(Slack ([A-Z0-9]+)/(\d+\.\d+)(?: part (\d+))?\)\s*\Z")
_SYSTEM_REFERENCE = re.compile(r"\(ir-router ([A-Za-z0-9._:-]+)\)\s*\Z")
_FRAME = re.compile(
    rf"\s*(?:{re.escape(SLACK_TAG)}|{re.escape(SYSTEM_TAG)}|{re.escape(DELETED)}|\(Slack [A-Z0-9]+/|\(ir-router )"
)
_APPROVAL = "approval-"
# Room for the tag, the name, what it answers, the time and the reference around a part of a long message.
_FRAME_LENGTH = 600


@dataclass(frozen=True)
class SlackReference:
    """The Slack message that a comment says it came from."""

    channel_id: str
    ts: str
    part: int

    @property
    def row(self) -> str:
        """The ledger's name of it, behind `SLACK#`."""
        return f"{self.ts}#{self.part}"


def slack_reference(body: str) -> SlackReference | None:
    """The reference at the end of a comment from Slack."""
    found = _SLACK_REFERENCE.search(body)
    return SlackReference(found[1], found[2], int(found[3] or 1) - 1) if found else None


def system_reference(body: str) -> str | None:
    """The name at the end of a comment that the system wrote about itself."""
    found = _SYSTEM_REFERENCE.search(body)
    return found[1] if found else None


def body_hash(body: str) -> str:
    """What a comment's text is compared by."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def set_apart(text: str) -> str:
    """Somebody's words, with `> ` before each line that looks like a frame of ours: a tag, or a reference.

    Nothing takes such a line for ours; people who read the case might.
    """
    lines = text.split("\n")
    return "\n".join(f"> {line}" if _FRAME.match(line) else line for line in lines)


def system_comment(text: str, name: str, numbered: str = "") -> str:
    """A comment of the system about itself; `name` is the ledger's, of letters, digits and `._:-`.

    `text` is at most `part_length()` units; `numbered` stands before it: which part of a longer text it is.
    """
    return f"{SYSTEM_TAG} {numbered}{text}\n\n(ir-router {name})"


def shown_by_approval(text: str, approval_id: str) -> str:
    """A comment that says what the approval's message in the channel says."""
    return f"{at_most(part_length(), text)}\n\n(ir-router {_APPROVAL}{approval_id})"


def approval_reference(body: str) -> str | None:
    """The approval whose message says the same as the comment."""
    name = system_reference(body) or ""
    return name.removeprefix(_APPROVAL) if name.startswith(_APPROVAL) else None


def private_comment(text: str, author: str, sent_at: datetime, name: str) -> str:
    """A comment written from Slack that is not for the channel; `name` as in `system_comment`."""
    return f"{SLACK_TAG} {author}, not in the channel ({sent_at:%Y-%m-%d %H:%M:%S} UTC)\n{text}\n\n(ir-router {name})"


def from_slack(
    parts: Sequence[str],
    author: str,
    sent_at: datetime,
    channel_id: str,
    ts: str,
    remarks: str = "",
    only_part: int | None = None,
) -> list[str]:
    """The comments that a Slack message becomes, one for each part. `remarks` follows the name.

    `only_part` (from 0): `parts` is this one part of a longer message.
    """
    bodies = []
    for index, part in enumerate(parts):
        number = (only_part if only_part is not None else index) + 1
        numbered = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        reference = f"(Slack {channel_id}/{ts}{f' part {number}' if number > 1 else ''})"
        bodies.append(
            f"{SLACK_TAG} {author}{remarks}{numbered} ({sent_at:%Y-%m-%d %H:%M:%S} UTC)\n{part}\n\n{reference}"
        )
    return bodies


def marked_deleted(body: str) -> str:
    """A comment from Slack whose message was deleted there; the text stays, since the record does."""
    if DELETED in body:
        return body
    first, line_end, rest = body.partition("\n")
    marked = f"{first}\n{DELETED}{line_end}{rest}"
    # Only a comment that somebody made longer on the case has no room for the remark.
    return at_most(COMMENT_LIMIT, marked)


def at_most(length: int, text: str) -> str:
    """The text, or as much of it as fits into so many UTF-16 units with a word on what is missing."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) // 2 <= length:
        return text
    ending = f"… (cut; {len(text):,} characters in all)"
    return units[: 2 * (length - len(ending))].decode("utf-16-le", "ignore") + ending


def part_length() -> int:
    """How much of a message fits into one comment, in UTF-16 units (see `slack.text.length_of`)."""
    return COMMENT_LIMIT - _FRAME_LENGTH
