"""The case's attachments: each handed to files.fifo, so that a large file never holds the lease of a case."""

from __future__ import annotations

import json

from ir_router import aws, clock
from ir_router.cases.files import slack_file_id
from ir_router.cases.models import Attachment
from ir_router.ledger import keys
from ir_router.ledger.table import Row
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync import posting
from ir_router.sync.run import Run

# A pending scan is looked at again by the poll; AWS publishes no event for its end.
SCAN_CHECKED_AGAIN_SECONDS = 60
# By then the queue has tried the transfer and either made it or given up.
_TRANSFER_SECONDS = 3600


def synchronise(run: Run) -> None:
    """Hand over what is verified and new; say once what failed its scan; come again for what is pending."""
    for attachment in sorted(run.case.case_attachments, key=lambda one: (one.created_date, one.attachment_id)):
        key = keys.attachment(run.case_id, attachment.attachment_id)
        if run.is_done(key) or _came_from_slack(run, attachment):
            continue
        if attachment.attachment_status == "Pending":
            run.revisit(clock.now() + SCAN_CHECKED_AGAIN_SECONDS)
        elif attachment.attachment_status == "Failed":
            _tell_failed_scan(run, attachment)
        else:
            _hand_over(run, attachment, run.row(key))


def resume_slack_files(run: Run) -> None:
    """Hand over again the files from Slack whose transfer was announced or begun, and not finished."""
    for sk, row in run.rows.items():
        if not sk.startswith("SLACK#") or row.get("kind") != "file" or row.get("state") == "done":
            continue
        due = float(row.get("settle_after", 0))
        if clock.now() < due:
            run.revisit(due)
            continue
        _send({"kind": "slack_file", "channel_id": row["channel_id"], "file_id": row["file_id"]}, str(row["file_id"]))
        run.revisit(clock.now() + _TRANSFER_SECONDS)


def _came_from_slack(run: Run, attachment: Attachment) -> bool:
    file_id = slack_file_id(attachment.file_name)
    return file_id is not None and run.row(keys.slack_message(run.case_id, f"{file_id}#file")) is not None


def _hand_over(run: Run, attachment: Attachment, row: Row | None) -> None:
    due = float(row["settle_after"]) if row else 0.0
    if clock.now() < due:
        run.revisit(due)
        return
    _send(
        {"kind": "attachment", "case_id": run.case_id, "attachment_id": attachment.attachment_id},
        attachment.attachment_id,
    )
    run.revisit(clock.now() + _TRANSFER_SECONDS)


def _tell_failed_scan(run: Run, attachment: Attachment) -> None:
    claim = run.claim(keys.note(run.case_id, f"scan-failed-{attachment.attachment_id}"))
    if claim is not None:
        posting.post(run.slack, run.channel_id, claim, messages.failed_scan(attachment.file_name))


def _send(message: dict[str, object], group: str) -> None:
    aws.client("sqs").send_message(
        QueueUrl=settings().require("files_queue_url"),
        MessageBody=json.dumps(message),
        MessageGroupId=group,
        # Within five minutes the queue takes the same transfer once, whoever asks for it.
        MessageDeduplicationId=f"{message['kind']}-{group}",
    )
