"""Copy the case's comments to the channel: new ones in order, edits in place, without ir-router's own comments."""

from __future__ import annotations

from contextlib import suppress

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Comment
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger, measure
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_router.sync import comment_claims, posting, system_comments
from ir_router.sync.case_sync import CaseSync

# A claim younger than this probably belongs to a run that is still working on it.
_LEFT_ALONE_SECONDS = 60
_EDITED_AWAY = "This part of the comment was removed by an edit."
_NOT_SHOWN = "A comment by {} cannot be shown in Slack. Read it on the case."
# Slack's error codes for the content of a message; a retry would be rejected again.
_CANNOT_BE_SHOWN = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text"}
)


def synchronise(sync: CaseSync) -> None:
    """Copy the comments, oldest first. One that cannot be posted now stops those after it, to keep their order."""
    for comment in sync.comments:
        row = sync.row(keys.comment(sync.case_id, comment.comment_id))
        origin = row.get("origin") if row is not None else None
        if origin == comments.PRIVATE or (row is None and _recognise(sync, comment)):
            continue
        if row is not None and origin != "aws":
            _announce_case_edit(sync, comment, row)
        else:
            _copy(sync, comment, row)
    sync.are_comments_copied = True


def resume_open_claims(sync: CaseSync) -> None:
    """Finish comments that an earlier run claimed but did not confirm (after a crash, or an event that was given up).

    A closed case accepts no comments. If it already has the comment, `synchronise` recognises it.
    """
    if sync.case.is_closed:
        return
    for row in sorted(sync.rows.values(), key=lambda row: (float(row.get("claimed_at", 0)), str(row["SK"]))):
        if row.get("state") != "claimed" or "client_token" not in row or row.get("given_up"):
            continue
        due = float(row["claimed_at"]) + _LEFT_ALONE_SECONDS
        if clock.now() < due:
            sync.revisit(due)
            continue
        sync.deadline.check()
        taken = claims.take(Key(row["PK"], row["SK"]), settle_after=clock.now())
        if isinstance(taken, claims.Claim):
            comment_claims.settle(sync.case_id, taken, _origin(row))


def _recognise(sync: CaseSync, comment: Comment) -> bool:
    """Whether ir-router wrote an unknown comment that is not confirmed yet. If so, confirm it."""
    if _is_shown_by_approval(sync, comment):
        return True
    slack_reference = comments.slack_reference(comment.body)
    name = comments.system_reference(comment.body)
    if slack_reference is not None and slack_reference.channel_id == sync.channel_id:
        key = keys.slack_message(sync.case_id, slack_reference.row)
    elif name is not None:
        key = system_comments.key_of(sync.case_id, name)
    else:
        return False
    row = sync.row(key)
    if row is None or not comment_claims.belongs_to(row, comment):
        return False
    if row["state"] == "claimed":
        comment_claims.confirm(sync.case_id, key, int(row["attempt"]), row, comment.comment_id, _origin(row))
        row |= {"state": "done", "comment_id": comment.comment_id}
    return True


def _is_shown_by_approval(sync: CaseSync, comment: Comment) -> bool:
    """Whether the workflow wrote the comment and an approval's message shows the same content in the channel."""
    approval_id = comments.approval_reference(comment.body)
    approval = approvals.get(approval_id) if approval_id else None
    comment_hash = comments.body_hash(comment.body)
    if (
        approval is None
        or approval.get("case_id") != sync.case_id
        or comment_hash not in approval.get("comment_hashes", ())
    ):
        return False
    row: Row = {"state": "done", "origin": system_comments.ORIGIN, "hash": comment_hash, "at": clock.now()}
    with suppress(ConditionFailedError):
        table.put(keys.comment(sync.case_id, comment.comment_id), row, "attribute_not_exists(PK)")
    return True


def _origin(row: Row) -> str:
    """Return the origin of the comment that a claim creates."""
    default = system_comments.ORIGIN if str(row["SK"]).startswith("NOTE#") else "slack"
    return str(row.get("origin") or default)


def _copy(sync: CaseSync, comment: Comment, row: Row | None) -> None:
    """Post a new comment, or update the messages of an edited one."""
    parts = messages.comment_parts(comment)
    comment_hash = comments.body_hash(comment.body)
    edited = row is not None and row["hash"] != comment_hash
    for number, part in enumerate(parts):
        key = keys.comment(sync.case_id, comment.comment_id, number)
        known = sync.row(key)
        if known is None or known["state"] != "done":
            _post(sync, comment, key, part, comment_hash)
        elif edited and not _replace(sync, known, part):
            _post_edit(sync, comment, comment_hash)
            break
    if row is None or not edited:
        return
    _clear_surplus(sync, comment, len(parts))
    table.update(keys.comment(sync.case_id, comment.comment_id), "SET #hash = :hash", hash=comment_hash)


def _post(sync: CaseSync, comment: Comment, key: Key, part: Message, comment_hash: str) -> None:
    claim = sync.claim(key, origin="aws", hash=comment_hash)
    if claim is None:
        return
    try:
        ts = posting.post(sync.slack, sync.channel_id, claim, part)
    except RefusedError as error:
        if error.code not in _CANNOT_BE_SHOWN:
            raise
        # One comment must not hold up all comments after it.
        logger.error(
            "comment.not_shown: Slack rejected the message",
            extra={"comment_id": comment.comment_id, "code": error.code},
        )
        again = sync.claim(key)
        if again is not None:
            message = messages.line(_NOT_SHOWN.format(messages.author(comment.creator)))
            posting.post(sync.slack, sync.channel_id, again, message)
        return
    if sync.lease.row.get("synced_hints") and comment.created_date:  # not during a case's first synchronisation
        measure("CommentToMessageSeconds", clock.now() - comment.created_date.timestamp(), "Seconds")
    if claim.row["hash"] != comment_hash:
        # An earlier run may have posted an older text, if the comment was edited before the claim was settled.
        posting.replace(sync.slack, sync.channel_id, ts, part)


def _replace(sync: CaseSync, known: Row, message: Message) -> bool:
    """Update a message. Returns False if it can no longer be edited."""
    sync.deadline.check()
    try:
        posting.replace(sync.slack, str(known["channel_id"]), str(known["ts"]), message)
    except RefusedError as error:
        if error.code not in posting.CANNOT_BE_EDITED:
            raise
        logger.warning("message.not_editable: a new message shows the edit", extra={"code": error.code})
        return False
    return True


def _clear_surplus(sync: CaseSync, comment: Comment, parts: int) -> None:
    number = parts
    while (known := sync.row(keys.comment(sync.case_id, comment.comment_id, number))) is not None:
        if known["state"] == "done":
            _replace(sync, known, messages.line(_EDITED_AWAY))
        number += 1


def _announce_case_edit(sync: CaseSync, comment: Comment, row: Row) -> None:
    """Show the current text of a comment from Slack (or from ir-router) that was edited on the case."""
    comment_hash = comments.body_hash(comment.body)
    if comment_hash == row.get("hash") or comment_hash in row.get("pending_hashes", ()):
        return
    _post_edit(sync, comment, comment_hash)
    table.update(keys.comment(sync.case_id, comment.comment_id), "SET #hash = :hash", hash=comment_hash)


def _post_edit(sync: CaseSync, comment: Comment, comment_hash: str) -> None:
    """Post the edited comment as a new message, once for each edit."""
    at = int(comment.last_updated_date.timestamp()) if comment.last_updated_date else 0
    for number, part in enumerate(messages.comment_parts(comment)):
        claim = sync.claim(keys.note(sync.case_id, f"edited-{comment.comment_id}-{comment_hash[:16]}-{at}-{number}"))
        if claim is not None:
            posting.post(sync.slack, sync.channel_id, claim, part)
