"""Comments of the system about itself, on the case: written once, never carried back to Slack."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.cases import comments
from ir_router.ledger import claims, keys
from ir_router.settings import settings
from ir_router.slack.text import split
from ir_router.sync import comment_claims

ORIGIN = "system"


def key_of(case_id: str, name: str) -> keys.Key:
    """The ledger's row of the comment with that name."""
    return keys.note(case_id, f"system-{name}")


def write(case_id: str, name: str, text: str) -> None:
    """Write the comment once; `name` says what it is about and makes it this one (letters, digits, `._:-`).

    A text that is too long for one becomes several, all claimed in one write: what a crash leaves over, the next run
    of the case writes. Raises RefusedError, RetryLaterError or UncertainError.
    """
    parts = _parts(case_id, name, text)
    claimed: Sequence[claims.Claim | claims.Done | claims.Held] | None = None
    if len(parts) > 1:
        claimed = comment_claims.take_all(parts)
    for taken in claimed or [comment_claims.take(*part) for part in parts]:
        if isinstance(taken, claims.Claim):
            comment_claims.settle(case_id, taken, ORIGIN)


def _parts(case_id: str, name: str, text: str) -> list[tuple[keys.Key, str, str]]:
    """The key, the comment's whole text and the `clientToken` of each part."""
    texts = split(text, comments.part_length())
    found = []
    for number, part in enumerate(texts, start=1):
        own_name = f"{name}.part-{number}" if number > 1 else name
        numbered = f"(part {number} of {len(texts)}) " if len(texts) > 1 else ""
        # Two deployments side by side, one for each workspace, write on the same case: each its own.
        token = comment_claims.token_for(settings().name_prefix, case_id, "system", own_name)
        found.append((key_of(case_id, own_name), comments.system_comment(part, own_name, numbered), token))
    return found
