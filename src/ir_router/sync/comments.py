"""The case's comments in the channel: new ones in order, edits in place, our own recognised."""

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
from ir_router.sync.run import Run

# A young claim's own run is probably still at work.
_LEFT_ALONE_SECONDS = 60
_EDITED_AWAY = "This part of the comment was removed by an edit."
_NOT_SHOWN = "A comment by {} cannot be shown in Slack; read it on the case."
# Slack's answers to what a message holds: the same again would be refused again.
_CANNOT_BE_SHOWN = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text"}
)


def synchronise(run: Run) -> None:
    """Bring every comment over, oldest first; the first that cannot be posted now stops those after it."""
    for comment in run.comments:
        row = run.row(keys.comment(run.case_id, comment.comment_id))
        origin = row.get("origin") if row is not None else None
        if origin == comments.PRIVATE or (row is None and _recognise(run, comment)):
            continue
        if row is not None and origin != "aws":
            _tell_foreign_edit(run, comment, row)
        else:
            _carry(run, comment, row)


def resume_open_claims(run: Run) -> None:
    """Finish comments of ours that an earlier run claimed and did not confirm (a crash, or an event given up).

    A closed case takes no more comments; one that it has already is recognised by `synchronise`.
    """
    if run.case.is_closed:
        return
    for row in sorted(run.rows.values(), key=lambda row: (float(row.get("claimed_at", 0)), str(row["SK"]))):
        if row.get("state") != "claimed" or "client_token" not in row or row.get("given_up"):
            continue
        due = float(row["claimed_at"]) + _LEFT_ALONE_SECONDS
        if clock.now() < due:
            run.revisit(due)
            continue
        run.deadline.check()
        taken = claims.take(Key(row["PK"], row["SK"]), settle_after=clock.now())
        if isinstance(taken, claims.Claim):
            comment_claims.settle(run.case_id, taken, _origin(row))


def _recognise(run: Run, comment: Comment) -> bool:
    """Whether an unknown comment is ours after all: written, but not confirmed yet. It is confirmed now."""
    if _is_shown_by_approval(run, comment):
        return True
    slack_reference = comments.slack_reference(comment.body)
    name = comments.system_reference(comment.body)
    if slack_reference is not None and slack_reference.channel_id == run.channel_id:
        key = keys.slack_message(run.case_id, slack_reference.row)
    elif name is not None:
        key = system_comments.key_of(run.case_id, name)
    else:
        return False
    row = run.row(key)
    if row is None or not comment_claims.belongs_to(row, comment):
        return False
    if row["state"] == "claimed":
        comment_claims.confirm(run.case_id, key, int(row["attempt"]), row, comment.comment_id, _origin(row))
        row |= {"state": "done", "comment_id": comment.comment_id}
    return True


def _is_shown_by_approval(run: Run, comment: Comment) -> bool:
    """Whether the workflow wrote it, to say on the case what an approval's message says in the channel."""
    approval_id = comments.approval_reference(comment.body)
    approval = approvals.get(approval_id) if approval_id else None
    now = comments.body_hash(comment.body)
    if approval is None or approval.get("case_id") != run.case_id or now not in approval.get("comment_hashes", ()):
        return False
    row: Row = {"state": "done", "origin": system_comments.ORIGIN, "hash": now, "at": clock.now()}
    with suppress(ConditionFailedError):
        table.put(keys.comment(run.case_id, comment.comment_id), row, "attribute_not_exists(PK)")
    return True


def _origin(row: Row) -> str:
    """The origin of the comment that a claim of ours makes."""
    default = system_comments.ORIGIN if str(row["SK"]).startswith("NOTE#") else "slack"
    return str(row.get("origin") or default)


def _carry(run: Run, comment: Comment, row: Row | None) -> None:
    """Post what is new, replace what was edited."""
    parts = messages.comment_parts(comment)
    now = comments.body_hash(comment.body)
    edited = row is not None and row["hash"] != now
    for number, part in enumerate(parts):
        key = keys.comment(run.case_id, comment.comment_id, number)
        known = run.row(key)
        if known is None or known["state"] != "done":
            _post(run, comment, key, part, now)
        elif edited and not _replace(run, known, part):
            _post_edit(run, comment, now)
            break
    if row is None or not edited:
        return
    _clear_surplus(run, comment, len(parts))
    table.update(keys.comment(run.case_id, comment.comment_id), "SET #hash = :hash", hash=now)


def _post(run: Run, comment: Comment, key: Key, part: Message, now: str) -> None:
    claim = run.claim(key, origin="aws", hash=now)
    if claim is None:
        return
    try:
        ts = posting.post(run.slack, run.channel_id, claim, part)
    except RefusedError as error:
        if error.code not in _CANNOT_BE_SHOWN:
            raise
        # One comment must not hold up all that come after it.
        logger.error("Slack does not take a comment", extra={"comment_id": comment.comment_id, "code": error.code})
        again = run.claim(key)
        if again is not None:
            message = messages.line(_NOT_SHOWN.format(messages.author(comment.creator)))
            posting.post(run.slack, run.channel_id, again, message)
        return
    if run.lease.row.get("synced_hints") and comment.created_date:  # not while a case is first brought over
        measure("CommentToMessageSeconds", clock.now() - comment.created_date.timestamp(), "Seconds")
    if claim.row["hash"] != now:
        # An earlier run may have posted it as it was then: it was edited before that could be settled.
        posting.replace(run.slack, run.channel_id, ts, part)


def _replace(run: Run, known: Row, message: Message) -> bool:
    """Set a message's text; False when it can no longer be edited."""
    run.deadline.check()
    try:
        posting.replace(run.slack, str(known["channel_id"]), str(known["ts"]), message)
    except RefusedError as error:
        if error.code not in posting.CANNOT_BE_EDITED:
            raise
        logger.warning("a message can no longer be edited", extra={"code": error.code})
        return False
    return True


def _clear_surplus(run: Run, comment: Comment, parts: int) -> None:
    number = parts
    while (known := run.row(keys.comment(run.case_id, comment.comment_id, number))) is not None:
        if known["state"] == "done":
            _replace(run, known, messages.line(_EDITED_AWAY))
        number += 1


def _tell_foreign_edit(run: Run, comment: Comment, row: Row) -> None:
    """A comment that came from Slack (or from us) was edited on the case: show what it says now."""
    now = comments.body_hash(comment.body)
    if now == row.get("hash") or now in row.get("pending_hashes", ()):
        return
    _post_edit(run, comment, now)
    table.update(keys.comment(run.case_id, comment.comment_id), "SET #hash = :hash", hash=now)


def _post_edit(run: Run, comment: Comment, now: str) -> None:
    """Show an edited comment as a message of its own, once for each edit."""
    at = int(comment.last_updated_date.timestamp()) if comment.last_updated_date else 0
    for number, part in enumerate(messages.comment_parts(comment)):
        claim = run.claim(keys.note(run.case_id, f"edited-{comment.comment_id}-{now[:16]}-{at}-{number}"))
        if claim is not None:
            posting.post(run.slack, run.channel_id, claim, part)
