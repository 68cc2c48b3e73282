"""The case's comments in the channel: new ones in order, edits in place, our own recognised."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases import comments
from ir_router.cases.models import Comment
from ir_router.ledger import claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.slack import messages
from ir_router.sync import comment_claims, posting, system_comments
from ir_router.sync.run import Run

# A young claim's own run is probably still at work.
_LEFT_ALONE_SECONDS = 60
_EDITED_AWAY = "This part of the comment was removed by an edit."


def synchronise(run: Run) -> None:
    """Bring every comment over, oldest first; the first that cannot be posted now stops those after it."""
    for comment in run.comments:
        row = run.row(keys.comment(run.case_id, comment.comment_id))
        if row is not None and row.get("origin") != "aws":
            _tell_foreign_edit(run, comment, row)
        elif row is None and _recognise(run, comment):
            continue
        else:
            _carry(run, comment, row)


def resume_open_claims(run: Run) -> None:
    """Finish comments of ours that an earlier run claimed and did not confirm (a crash, or an event given up)."""
    for sk, row in sorted(run.rows.items(), key=lambda item: float(item[1].get("claimed_at", 0))):
        if row.get("state") != "claimed" or "client_token" not in row or "body" not in row:
            continue
        due = float(row["claimed_at"]) + _LEFT_ALONE_SECONDS
        if clock.now() < due:
            run.revisit(due)
            continue
        key = Key(keys.case(run.case_id).pk, sk)
        run.deadline.check()
        taken = claims.take(key, settle_after=clock.now())
        if isinstance(taken, claims.Claim):
            comment_claims.settle(run.case_id, taken, "system" if sk.startswith("NOTE#") else "slack")


def _recognise(run: Run, comment: Comment) -> bool:
    """Whether an unknown comment is ours after all: written, but not confirmed yet. It is confirmed now."""
    slack_reference = comments.slack_reference(comment.body)
    name = comments.system_reference(comment.body)
    if slack_reference is not None and slack_reference.channel_id == run.channel_id:
        key, origin = keys.slack_message(run.case_id, slack_reference.row), "slack"
    elif name is not None:
        key, origin = system_comments.key_of(run.case_id, name), system_comments.ORIGIN
    else:
        return False
    row = run.row(key)
    if row is None or not comment_claims.belongs_to(row, comment):
        return False
    if row["state"] == "claimed":
        comment_claims.confirm(run.case_id, key, int(row["attempt"]), row, comment.comment_id, origin)
        row |= {"state": "done", "comment_id": comment.comment_id}
    return True


def _carry(run: Run, comment: Comment, row: Row | None) -> None:
    """Post what is new, replace what was edited."""
    parts = messages.comment_parts(comment)
    now = comments.body_hash(comment.body)
    for number, part in enumerate(parts):
        key = keys.comment(run.case_id, comment.comment_id, number)
        known = run.row(key)
        if known is not None and known["state"] == "done":
            if row is not None and row["hash"] != now:
                run.deadline.check()
                posting.replace(run.slack, str(known["channel_id"]), str(known["ts"]), part)
            continue
        claim = run.claim(key, origin="aws", hash=now)
        if claim is not None:
            posting.post(run.slack, run.channel_id, claim, part)
    if row is None or row["hash"] == now:
        return
    _clear_surplus(run, comment, len(parts))
    table.update(keys.comment(run.case_id, comment.comment_id), "SET #hash = :hash", hash=now)


def _clear_surplus(run: Run, comment: Comment, parts: int) -> None:
    number = parts
    while (known := run.row(keys.comment(run.case_id, comment.comment_id, number))) is not None:
        if known["state"] == "done":
            posting.replace(run.slack, str(known["channel_id"]), str(known["ts"]), messages.line(_EDITED_AWAY))
        number += 1


def _tell_foreign_edit(run: Run, comment: Comment, row: Row) -> None:
    """A comment that came from Slack (or from us) was edited on the case: show what it says now."""
    now = comments.body_hash(comment.body)
    if now in (row.get("hash"), row.get("pending_hash")):
        return
    claim = run.claim(keys.note(run.case_id, f"edited-{comment.comment_id}-{now[:16]}"))
    if claim is not None:
        posting.post(run.slack, run.channel_id, claim, messages.comment_parts(comment)[0])
    table.update(keys.comment(run.case_id, comment.comment_id), "SET #hash = :hash", hash=now)
