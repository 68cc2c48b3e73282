"""Queue the transfers of a case's files in files.fifo, so that a large file never holds the lease of a case."""

from __future__ import annotations

import json

from ir_router import aws, clock
from ir_router.cases.changes import digest
from ir_router.cases.files import slack_file_id
from ir_router.cases.models import Attachment
from ir_router.ledger import keys
from ir_router.ledger.table import Row
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync import file_comments, posting
from ir_router.sync.case_sync import CaseSync

# AWS publishes no event when a malware scan ends, so a pending scan is checked again: soon at first, then more rarely.
_FIRST_SCAN_CHECK_SECONDS = 60.0
_LONGEST_SCAN_CHECK_SECONDS = 3600.0
# A transfer that is not done by then is queued again: its function may have died.
_REQUEUED_SECONDS = 600


def synchronise(sync: CaseSync) -> None:
    """Queue new verified attachments, announce failed scans once, and revisit attachments with a pending scan."""
    for attachment in sorted(sync.case.case_attachments, key=lambda one: (one.created_date, one.attachment_id)):
        key = keys.attachment(sync.case_id, attachment.attachment_id)
        from_slack = _row_of_slack_file(sync, attachment)
        if attachment.attachment_status == "Failed":
            _announce_failed_scan(sync, attachment, from_slack)
        elif sync.is_done(key) or (from_slack is not None and attachment.attachment_status != "Pending"):
            continue
        elif attachment.attachment_status == "Pending":
            age = clock.now() - attachment.created_date.timestamp()
            sync.revisit(clock.now() + min(_LONGEST_SCAN_CHECK_SECONDS, max(_FIRST_SCAN_CHECK_SECONDS, age / 2)))
        else:
            message: dict[str, object] = {"kind": "attachment", "attachment_id": attachment.attachment_id}
            _queue_transfer(sync, message, attachment.attachment_id, sync.row(key))


def resume_slack_files(sync: CaseSync) -> None:
    """Queue the files from Slack whose transfer is not finished, and name the finished ones in their comments."""
    for row in sync.rows_of("SLACK#"):
        if row.get("kind") != "file":
            continue
        if row.get("state") == "done" and row.get("shown_in"):
            file_comments.settle(sync.case_id, str(row["file_id"]))
        elif row.get("state") != "done":
            message: dict[str, object] = {
                "kind": "slack_file",
                "channel_id": row["channel_id"],
                "file_id": row["file_id"],
            }
            _queue_transfer(sync, message, str(row["file_id"]), row)


def is_copied(sync: CaseSync, attachment: Attachment) -> bool:
    """Return whether the transfer of an attachment has ended, in either direction."""
    return sync.is_done(keys.attachment(sync.case_id, attachment.attachment_id)) or bool(
        (_row_of_slack_file(sync, attachment) or {}).get("state") == "done"
    )


def _row_of_slack_file(sync: CaseSync, attachment: Attachment) -> Row | None:
    """Return the ledger's row of the Slack file that the attachment is a copy of, or None."""
    file_id = slack_file_id(attachment.file_name)
    row = sync.row(file_comments.key_of(sync.case_id, file_id)) if file_id else None
    return row if row is not None and row.get("origin") == "slack" else None


def _queue_transfer(sync: CaseSync, message: dict[str, object], file_id: str, row: Row | None) -> None:
    """Queue a transfer unless one is running or was given up, and revisit the case to check the result."""
    if row is not None and row.get("given_up"):
        return
    due = float(row["settle_after"]) if row is not None else 0.0
    if clock.now() < due:
        sync.revisit(due)
        return
    # A message in flight blocks its group for long if its function died or could not return it to the queue. So each
    # attempt has its own group, and each repetition too. The claim lets one of them transfer the file.
    attempt = int(row["attempt"]) if row is not None else 0
    name = digest([message["kind"], sync.case_id, file_id, attempt, int(clock.now() // _REQUEUED_SECONDS)])
    aws.client("sqs").send_message(
        QueueUrl=settings().require("files_queue_url"),
        MessageBody=json.dumps({**message, "case_id": sync.case_id}),
        MessageGroupId=name,
        # The queue drops duplicates of a transfer within five minutes.
        MessageDeduplicationId=name,
    )
    sync.revisit(clock.now() + _REQUEUED_SECONDS)


def _announce_failed_scan(sync: CaseSync, attachment: Attachment, from_slack: Row | None) -> None:
    claim = sync.claim(keys.note(sync.case_id, f"scan-failed-{attachment.attachment_id}"))
    if claim is not None:
        message = messages.failed_scan(attachment.file_name)
        if from_slack is not None:
            name = str(from_slack.get("file_name") or attachment.file_name)
            message = messages.attachment_rejected(name, attachment.file_name)
        posting.post(sync.slack, sync.channel_id, claim, message)
    if from_slack is not None and from_slack.get("outcome") == "copied":
        file_comments.reject(sync.case_id, from_slack)
