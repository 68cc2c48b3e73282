"""Write comments on the case exactly once.

A comment is claimed with its frozen text, created with a fixed token, and confirmed in one transaction with the row of
the comment itself. ir-router therefore never mistakes its own comments for those of a user.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Comment
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim, ClaimLostError, Done, Held
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row, TransactionFailedError
from ir_router.security_ir import gateway as security_ir

_NAMESPACE = uuid.UUID("6f0b7a0e-6f5c-4f3c-9d59-9f2f6c5a4c11")
# A comment is created after its claim, and after its Slack message. AWS's and Slack's clocks may differ by less.
CLOCK_SKEW_SECONDS = 600
# Creators of AWS's own comments, which are never ir-router's.
_AWS_CREATORS = ("AWS Responder", "security-ir.amazonaws.com")


def token_for(*parts: str) -> str:
    """Return the same `clientToken` for the same parts, so that retries of CreateCaseComment are idempotent."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def is_permanent(error: Exception) -> bool:
    """Whether a retry would be rejected again. A conflict (409) is transient."""
    return isinstance(error, RefusedError) and error.code != "ConflictException"


def take_all(parts: Sequence[tuple[Key, str, str]], **frozen: Any) -> list[Claim] | None:
    """Claim all parts of one message in one write, so that every later run uses the same parts.

    Args:
        parts: The key, body and client token of each part.
        frozen: Further values to store with each claim.

    Returns:
        The claims, or None if the message was claimed earlier; the texts stored then are valid.
    """
    return claims.take_together(
        [
            (key, {"body": body, "hash": comments.body_hash(body), "client_token": token, **frozen})
            for key, body, token in parts
        ],
        settle_after=clock.now(),
    )


def take(key: Key, body: str, client_token: str, **frozen: Any) -> Claim | Done | Held:
    """Claim a comment and freeze its text.

    Another run can take the claim immediately: with the same `clientToken` and text CreateCaseComment creates one
    comment, even for concurrent calls.
    """
    return claims.take(
        key,
        settle_after=clock.now(),
        body=body,
        hash=comments.body_hash(body),
        client_token=client_token,
        **frozen,
    )


def settle(case_id: str, claim: Claim, origin: str) -> str:
    """Create the claimed comment if necessary, confirm it and return its id.

    For a claim of an earlier run the comment is first searched by its text, whose last line is unique. A rejection
    releases the claim, or gives it up if it is permanent, and is raised.

    Args:
        case_id: The case.
        claim: The claim with the frozen text.
        origin: The origin to store in the comment's row.
    """
    body = str(claim.row["body"])
    found = None
    if claim.must_look:
        listed = security_ir.comments(case_id, since=float(claim.row["claimed_at"]) - CLOCK_SKEW_SECONDS)
        found = next((one.comment_id for one in listed if one.body == body), None)
    if found is None:
        try:
            found = security_ir.create_comment(case_id, body, str(claim.row["client_token"]))
        except RefusedError as error:
            claims.refused(claim, given_up=error.code if is_permanent(error) else None)
            raise
    confirm(case_id, claim.key, claim.attempt, claim.row, found, origin)
    return found


def texts(case_id: str, ts: str) -> dict[str, str]:
    """Return the texts of the comments since a Slack message, by comment id."""
    since = float(ts) - CLOCK_SKEW_SECONDS
    return {comment.comment_id: comment.body for comment in security_ir.comments(case_id, since)}


def update(case_id: str, comment_id: str, body: str) -> str | None:
    """Set the text of a comment and return its id, or None if it already has this text.

    The hash of the new text is stored first, so that the case's synchronisation does not mistake the change for an
    edit on the case.
    """
    key = keys.comment(case_id, comment_id)
    wanted = comments.body_hash(body)
    if (table.get(key) or {}).get("hash") == wanted:
        return None
    table.update(key, "ADD pending_hashes :own", own={wanted})
    security_ir.update_comment(case_id, comment_id, body)
    table.update(key, "SET #hash = :hash DELETE pending_hashes :own", hash=wanted, own={wanted})
    return comment_id


def confirm(case_id: str, key: Key, attempt: int, row: Row, comment_id: str, origin: str) -> None:
    """Confirm the claim and the comment in one transaction. Raises ClaimLostError if another run has the claim."""
    claim = Claim(key, attempt, must_look=False, row=row)
    try:
        table.transact(
            [
                claims.confirm_item(claim, {"comment_id": comment_id, "body": ""}),
                table.put_item(
                    keys.comment(case_id, comment_id),
                    {"state": "done", "origin": origin, "hash": row["hash"], "source": key.sk, "at": clock.now()},
                ),
            ]
        )
    except TransactionFailedError as error:
        stored = table.get(key) or {}
        if stored.get("state") == "done" and stored.get("comment_id") == comment_id:
            return  # the case's synchronisation saw the comment first and confirmed it
        raise ClaimLostError("another run has taken this claim") from error


def belongs_to(row: Row, comment: Comment) -> bool:
    """Whether a claim created the comment: same text, not by AWS, and no other comment was confirmed."""
    if row.get("hash") != comments.body_hash(comment.body) or comment.creator in _AWS_CREATORS:
        return False
    return row["state"] == "claimed" or row.get("comment_id") == comment.comment_id
