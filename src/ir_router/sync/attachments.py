"""The case's attachments: each handed to files.fifo, so that a large file never holds the lease of a case."""

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
from ir_router.sync import posting
from ir_router.sync.run import Run

# A pending scan is looked at again, for AWS publishes no event for its end: soon at first, then ever more rarely.
_SCAN_LOOKED_AT_AFTER = 60.0
_SCAN_LOOKED_AT_AT_LEAST = 3600.0
# A transfer that was asked for and is not done by then is asked for again: its function may have died.
_ASKED_AGAIN_SECONDS = 600


def synchronise(run: Run) -> None:
    """Hand over what is verified and new; say once what failed its scan; come again for what is pending."""
    for attachment in sorted(run.case.case_attachments, key=lambda one: (one.created_date, one.attachment_id)):
        key = keys.attachment(run.case_id, attachment.attachment_id)
        if attachment.attachment_status == "Failed":
            _tell_failed_scan(run, attachment)
        elif run.is_done(key) or _came_from_slack(run, attachment):
            continue
        elif attachment.attachment_status == "Pending":
            age = clock.now() - attachment.created_date.timestamp()
            run.revisit(clock.now() + min(_SCAN_LOOKED_AT_AT_LEAST, max(_SCAN_LOOKED_AT_AFTER, age / 2)))
        else:
            message: dict[str, object] = {"kind": "attachment", "attachment_id": attachment.attachment_id}
            _hand_over(run, message, attachment.attachment_id, run.row(key))


def resume_slack_files(run: Run) -> None:
    """Hand over the files from Slack that were announced or begun, and not finished."""
    for row in run.rows_of("SLACK#"):
        if row.get("kind") == "file" and row.get("state") != "done":
            message: dict[str, object] = {
                "kind": "slack_file",
                "channel_id": row["channel_id"],
                "file_id": row["file_id"],
            }
            _hand_over(run, message, str(row["file_id"]), row)


def _came_from_slack(run: Run, attachment: Attachment) -> bool:
    file_id = slack_file_id(attachment.file_name)
    row = run.row(keys.slack_message(run.case_id, f"{file_id}#file")) if file_id else None
    return row is not None and row.get("origin") == "slack"


def _hand_over(run: Run, message: dict[str, object], file_id: str, row: Row | None) -> None:
    """Ask for a transfer, unless one is at work or was given up for good, and see later what became of it."""
    if row is not None and row.get("given_up"):
        return
    due = float(row["settle_after"]) if row is not None else 0.0
    if clock.now() < due:
        run.revisit(due)
        return
    # A transfer whose function died keeps its message group for long: each further attempt has a group of its own.
    attempt = int(row["attempt"]) if row is not None else 0
    name = digest([message["kind"], run.case_id, file_id, attempt])
    aws.client("sqs").send_message(
        QueueUrl=settings().require("files_queue_url"),
        MessageBody=json.dumps({**message, "case_id": run.case_id}),
        MessageGroupId=name,
        # Within five minutes the queue takes the same transfer once, whoever asks for it.
        MessageDeduplicationId=name,
    )
    run.revisit(clock.now() + _ASKED_AGAIN_SECONDS)


def _tell_failed_scan(run: Run, attachment: Attachment) -> None:
    claim = run.claim(keys.note(run.case_id, f"scan-failed-{attachment.attachment_id}"))
    if claim is not None:
        posting.post(run.slack, run.channel_id, claim, messages.failed_scan(attachment.file_name))
