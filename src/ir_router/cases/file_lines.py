"""The line about a file in the comment of its message. Pure.

A comment is written before its files are copied. The line therefore first names the file's id; `replaced` puts the
result in its place. A line about an attachment contains the id in the attachment's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir_router.cases import files
from ir_router.cases.limits import FILE_SIZE_LIMIT

DELETED = "deleted before it was copied"
"""The reason for a file that was not copied because it no longer exists."""

HIDDEN = "hidden by the limit of the workspace's Slack plan"
"""The reason for a file that Slack does not show any more on a free plan."""

_MEGABYTE = 1_048_576


def pending(name: str, file_id: str) -> str:
    """Return the line about a file that is not copied yet."""
    return f"📎 {name} (file {file_id}, being copied to the case)"


def finished(name: str, file_id: str, row: Mapping[str, Any], *, is_gone: bool = False) -> str:
    """Return the line about a file whose ledger row is done.

    Args:
        name: The file's name in Slack, on one line.
        file_id: The Slack file's id.
        row: The ledger's row of the file, with `outcome`, `stored_name` and `reason` if they are known.
        is_gone: Whether the file was deleted in Slack afterwards.
    """
    if row.get("outcome") == "not copied":
        reason = str(row.get("reason") or "not copied")
        if is_gone or reason == DELETED:
            return deleted(name)
        return f"📎 {name} (in Slack only: {reason})"
    stored = str(row.get("stored_name") or files.safe_name(name, file_id))
    if row.get("outcome") == "rejected":
        return f"📎 {name} (attachment {stored}: rejected by AWS, not available)"
    if is_gone:
        return f"📎 {name} (deleted in Slack; the copy on the case stays: attachment {stored})"
    return f"📎 {name} (attachment {stored})"


def deleted(name: str) -> str:
    """Return the line about a file that was deleted in Slack before it was copied."""
    return f"📎 {name} (deleted in Slack)"


def from_case(name: str, stored_name: str) -> str:
    """Return the line about a file that ir-router had copied from the case to Slack."""
    return f"📎 {name} (attachment {stored_name} of this case)" if stored_name else f"📎 {name} (from this case)"


def certain_reason(file: Mapping[str, Any]) -> str | None:
    """Return why the file of a message certainly stays in Slack, or None. Its size and state can still change."""
    kind = files.document_kind(file)
    where = f": {files.link(file)}" if files.link(file) else ""
    if kind is not None:
        return f"a {kind}{where}"
    if files.is_external(file):
        return f"an external link{where}"
    size = file.get("size")
    if isinstance(size, int) and size > FILE_SIZE_LIMIT:
        return f"{size / _MEGABYTE:.0f} MB, more than a case accepts"
    return None


def stays(name: str, reason: str) -> str:
    """Return the line about a file that is not copied."""
    return f"📎 {name} (in Slack only: {reason})"


def replaced(body: str, file_id: str, line: str) -> str:
    """Return a comment with `line` in place of the line about the file; unchanged without such a line."""
    found = re.compile(rf"^📎 .*\((?=[^()\n]*\b{re.escape(file_id)}\b)[^()\n]*\)$", re.MULTILINE)
    return found.sub(lambda _: line, body, count=1)
