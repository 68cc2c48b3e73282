"""The text of ir-router's comments, and how ir-router recognises them. Pure.

Each comment ends with a line that names its source: `(Slack C0123/1700000000.000100)` or `(ir-router <name>)`. By this
line a comment that the ledger has not confirmed yet is matched with the open claims.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ir_router.cases.limits import COMMENT_LIMIT

SLACK_TAG = "[Slack Update]"
# The ledger's origin of a comment for AWS only, which is never copied to the channel.
PRIVATE = "private"
SYSTEM_TAG = "[AWS Security IR Update]"
DELETED = "(This message was deleted in Slack.)"

_SLACK_REFERENCE = re.compile(r"\(Slack ([A-Z0-9]+)/(\d+\.\d+)(?: part (\d+))?\)\s*\Z")
_SYSTEM_REFERENCE = re.compile(r"\(ir-router ([A-Za-z0-9._:-]+)\)\s*\Z")
# The start of a line that a reader could take for ir-router's, in lower case and without invisible characters.
_FRAME = re.compile(
    r"[\s*_~`]*(?:\[\s*slack\s+update\s*\]|\[\s*aws\s+security\s+ir\s+update\s*\]"
    rf"|{re.escape(DELETED.lower())}|\(slack [a-z0-9]+/|\(ir-router )"
)
_FROM_SLACK = re.compile(rf"{re.escape(SLACK_TAG)} (?P<author>.*) \((?P<at>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\)\n")
_FRAME_START_LENGTH = 200
_APPROVAL = "approval-"
# Reserved for the tag, the name, the excerpt of the thread, the time and the reference around a part of a long message.
_FRAME_LENGTH = 600


@dataclass(frozen=True)
class SlackReference:
    """The Slack message that a comment names as its source."""

    channel_id: str
    ts: str
    part: int

    @property
    def row(self) -> str:
        """Return the part of the ledger's sort key after `SLACK#`."""
        return f"{self.ts}#{self.part}"


def slack_reference(body: str) -> SlackReference | None:
    """Return the reference at the end of a comment from Slack, or None."""
    found = _SLACK_REFERENCE.search(body)
    return SlackReference(found[1], found[2], int(found[3] or 1) - 1) if found else None


def system_reference(body: str) -> str | None:
    """Return the name at the end of a comment by ir-router, or None."""
    found = _SYSTEM_REFERENCE.search(body)
    return found[1] if found else None


def body_hash(body: str) -> str:
    """Return the hash by which comment texts are compared."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def set_apart(text: str) -> str:
    """Prefix lines of a user's text that look like ir-router's tags or references with `> `.

    ir-router itself cannot mistake such a line, but readers of the case and of the channel could.
    """
    lines = text.split("\n")
    return "\n".join(f"> {line}" if _FRAME.match(_visible(line)) else line for line in lines)


def _visible(line: str) -> str:
    """Return the start of a line in lower case, with compatible characters unified and invisible ones removed."""
    unified = unicodedata.normalize("NFKC", line[:_FRAME_START_LENGTH])
    return "".join(character for character in unified if unicodedata.category(character) != "Cf").lower()


def system_comment(text: str, name: str, numbered: str = "") -> str:
    """Return the body of a comment by ir-router.

    Args:
        text: At most `part_length()` UTF-16 units.
        name: The comment's name in the ledger: letters, digits and `._:-`.
        numbered: For a part of a longer text, its number, such as `(part 2 of 3) `.
    """
    return f"{SYSTEM_TAG} {numbered}{text}\n\n(ir-router {name})"


def shown_by_approval(text: str, approval_id: str) -> str:
    """Return the body of a comment with the same content as an approval's message in the channel."""
    return f"{at_most(part_length(), text)}\n\n(ir-router {_APPROVAL}{approval_id})"


def approval_reference(body: str) -> str | None:
    """Return the id of the approval whose message has the same content as the comment, or None."""
    name = system_reference(body) or ""
    return name.removeprefix(_APPROVAL) if name.startswith(_APPROVAL) else None


def private_comment(text: str, author: str, sent_at: datetime, name: str) -> str:
    """Return the body of a comment from Slack that is not copied to the channel. `name` as in `system_comment`."""
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
    """Return the comment bodies of a Slack message, one for each part.

    Args:
        parts: The texts of the parts.
        author: The sender's name.
        sent_at: The time of the message, in UTC.
        channel_id: The channel.
        ts: The message's `ts`.
        remarks: Text after the name, such as `, edited`.
        only_part: If `parts` is a single part of a longer message, its index.
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


def sender(body: str) -> tuple[str, datetime | None, str]:
    """Return the author, the time and the text of a comment from Slack. The author is empty for another text."""
    found = _FROM_SLACK.match(body)
    if found is None:
        return "", None, ""
    text = _SLACK_REFERENCE.sub("", body[found.end() :]).strip()
    return found["author"], datetime.fromisoformat(f"{found['at']}+00:00"), text


def marked_deleted(body: str) -> str:
    """Mark a comment as deleted in Slack. Its text stays for the record."""
    if DELETED in body:
        return body
    first, line_end, rest = body.partition("\n")
    marked = f"{first}\n{DELETED}{line_end}{rest}"
    # Only a comment that was extended on the case has no room for the mark.
    return at_most(COMMENT_LIMIT, marked)


def at_most(length: int, text: str) -> str:
    """Cut a text to `length` UTF-16 units, and append how many characters it has in total."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) // 2 <= length:
        return text
    ending = f"… (cut; {len(text):,} characters in all)"
    return units[: 2 * (length - len(ending))].decode("utf-16-le", "ignore") + ending


def part_length() -> int:
    """Return the length of a message that fits into one comment, in UTF-16 units (see `slack.text.length_of`)."""
    return COMMENT_LIMIT - _FRAME_LENGTH
