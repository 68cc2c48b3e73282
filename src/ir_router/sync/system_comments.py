"""Comments of the system about itself, on the case: written once, never carried back to Slack."""

from __future__ import annotations

from ir_router.cases import comments
from ir_router.ledger import claims, keys
from ir_router.settings import settings
from ir_router.sync import comment_claims

ORIGIN = "system"


def key_of(case_id: str, name: str) -> keys.Key:
    """The ledger's row of the comment with that name."""
    return keys.note(case_id, f"system-{name}")


def write(case_id: str, name: str, text: str) -> None:
    """Write the comment once; `name` says what it is about and makes it this one (letters, digits, `._:-`).

    Raises RefusedError, RetryLaterError or UncertainError.
    """
    body = comments.system_comment(text, name)
    # Two deployments side by side, one for each workspace, write on the same case: each its own.
    token = comment_claims.token_for(settings().name_prefix, case_id, "system", name)
    taken = comment_claims.take(key_of(case_id, name), body, token)
    if isinstance(taken, claims.Claim):
        comment_claims.settle(case_id, taken, ORIGIN)
