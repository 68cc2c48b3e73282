"""Comments that we write on the case: claimed with their frozen text, created with a fixed token, confirmed in one
transaction with the comment's own row, so that none of them is ever taken for somebody else's.
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
# Whoever AWS's own people are, they are not our role.
_NEVER_OURS = ("AWS Responder", "security-ir.amazonaws.com")


def token_for(*parts: str) -> str:
    """The same parts give the same `clientToken`, so that CreateCaseComment makes one comment of many tries."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def is_permanent(error: Exception) -> bool:
    """Whether the same request would be refused again. A conflict (409) may be over in a moment."""
    return isinstance(error, RefusedError) and error.code != "ConflictException"


def take_all(parts: Sequence[tuple[Key, str, str]], **frozen: Any) -> list[Claim] | None:
    """Claim all parts (key, body, client token) of one message in one write, so that every later run makes the same
    parts of it. None when they were claimed before: what was frozen then stands.
    """
    return claims.take_together(
        [
            (key, {"body": body, "hash": comments.body_hash(body), "client_token": token, **frozen})
            for key, body, token in parts
        ],
        settle_after=clock.now(),
    )


def take(key: Key, body: str, client_token: str, **frozen: Any) -> Claim | Done | Held:
    """Claim a comment with the text that it will have whatever happens in between.

    It may be taken over at once: with the same `clientToken` and text CreateCaseComment makes one comment, however
    many runs call it at the same time.
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
    """Make the claimed comment exist, confirm it, and return its id.

    A claim that was taken over is looked for by its text, whose last line is this claim's alone, before it is made
    again. A certain refusal gives the claim back before it is raised; a permanent one gives it up.
    """
    body = str(claim.row["body"])
    found = None
    if claim.must_look:
        found = next((one.comment_id for one in security_ir.comments(case_id) if one.body == body), None)
    if found is None:
        try:
            found = security_ir.create_comment(case_id, body, str(claim.row["client_token"]))
        except RefusedError as error:
            claims.refused(claim, given_up=error.code if is_permanent(error) else None)
            raise
    confirm(case_id, claim.key, claim.attempt, claim.row, found, origin)
    return found


def confirm(case_id: str, key: Key, attempt: int, row: Row, comment_id: str, origin: str) -> None:
    """Claim done and comment ours, in one transaction. Raises ClaimLostError when the claim is another run's."""
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
        now = table.get(key) or {}
        if now.get("state") == "done" and now.get("comment_id") == comment_id:
            return  # the sync of the case met the comment first and confirmed it for us
        raise ClaimLostError("another run has taken this claim over") from error


def belongs_to(row: Row, comment: Comment) -> bool:
    """Whether a comment is the one that a claim of ours made: its text, not AWS's own, and no other was confirmed."""
    if row.get("hash") != comments.body_hash(comment.body) or comment.creator in _NEVER_OURS:
        return False
    return row["state"] == "claimed" or row.get("comment_id") == comment.comment_id
