"""Write ir-router's own comments on the case once. They are never copied to Slack."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.cases import comments
from ir_router.ledger import claims, keys, table
from ir_router.settings import settings
from ir_router.slack.text import split
from ir_router.sync import comment_claims

ORIGIN = "system"


def key_of(case_id: str, name: str) -> keys.Key:
    """Return the ledger key of the comment with this name."""
    return keys.note(case_id, f"system-{name}")


def write(case_id: str, name: str, text: str) -> None:
    """Write a comment on the case once.

    A text that is too long for one comment becomes several. They are claimed in one write, so that after a crash the
    next run of the case writes the remaining ones.

    Args:
        case_id: The case.
        name: Identifies the comment (letters, digits, `._:-`).
        text: The text without tag and reference.

    Raises:
        RefusedError, RetryLaterError, UncertainError: The Security IR gateway failed.
    """
    parts = _parts(case_id, name, text)
    claimed: Sequence[claims.Claim | claims.Done | claims.Held] | None = None
    if len(parts) > 1:
        claimed = comment_claims.take_all(parts)
    for taken in claimed or [comment_claims.take(*part) for part in parts]:
        if isinstance(taken, claims.Claim):
            comment_claims.settle(case_id, taken, ORIGIN)


def _parts(case_id: str, name: str, text: str) -> list[tuple[keys.Key, str, str]]:
    """Return the key, the complete text and the `clientToken` of each part."""
    texts = split(text, comments.part_length())
    found = []
    for number, part in enumerate(texts, start=1):
        own_name = f"{name}.part-{number}" if number > 1 else name
        numbered = f"(part {number} of {len(texts)}) " if len(texts) > 1 else ""
        # The prefix separates two deployments (one for each workspace) that comment on the same case.
        token = comment_claims.token_for(settings().name_prefix, case_id, "system", own_name)
        found.append((key_of(case_id, own_name), comments.system_comment(part, own_name, numbered), token))
    return found


def rewrite(case_id: str, name: str, text: str) -> None:
    """Replace the text of a written comment of one part. Does nothing if it has this text."""
    row = table.get(key_of(case_id, name)) or {}
    if row.get("comment_id"):
        comment_claims.update(case_id, str(row["comment_id"]), comments.system_comment(text, name))
