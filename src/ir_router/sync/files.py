"""Copy files in both directions, from the records of files.fifo. Each file is streamed, and copied once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.cases.ids import is_case_id
from ir_router.deadline import LambdaContext, enforced, of_invocation
from ir_router.ledger import keys, table
from ir_router.observability import correlate, logger
from ir_router.settings import settings
from ir_router.slack import inbound
from ir_router.sync import queue
from ir_router.sync.file_from_slack import FileFromSlack
from ir_router.sync.file_to_slack import FileToSlack
from ir_router.sync.file_transfer import Transfer
from ir_router.sync.queue import Record

# Enough for 100 MB at 1 MB/s. A crash holds a file's claim no longer than this.
TRANSFER_SECONDS = 240
_RESERVE_SECONDS = 15


def handle(event: Mapping[str, Any], context: LambdaContext) -> Any:
    """Handle SQS records of files.fifo, and return the partial batch response."""
    queue_url = settings().require("files_queue_url")

    def one(record: Record) -> None:
        record.require_received(queue_url)
        _record(record, context)

    return queue.process(event, queue_url, one)


def _record(record: Record, context: LambdaContext) -> None:
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=TRANSFER_SECONDS)
    with enforced(deadline):
        if record.body.get("kind") == "attachment":
            case_id, attachment_id = str(record.body["case_id"]), str(record.body["attachment_id"])
            if not is_case_id(case_id):
                logger.warning("file.ignored: the record has no valid case id")
                return
            correlate(case_id)
            transfer = Transfer(case_id, deadline, record)
            transfer.copy(keys.attachment(case_id, attachment_id), FileToSlack(case_id, attachment_id, transfer).copy)
            return
        event = record.body.get("event") or record.body
        channel_id, file_id = str(event.get("channel_id") or ""), str(event.get("file_id") or "")
        owner = table.get(keys.channel(channel_id)) if channel_id else None
        if owner is None or not file_id:
            logger.info("file.ignored: the channel belongs to no case")
            return
        case_id = str(owner["case_id"])
        correlate(case_id)
        transfer = Transfer(case_id, deadline, record)
        # Slackbot shares the notes of a huddle. Its messages are not copied, but the channel names the notes.
        user_id = event.get("user_id")
        if user_id and user_id != inbound.SLACKBOT and not transfer.was_shared_for_the_case(event, record.body):
            return
        key = keys.slack_message(case_id, f"{file_id}#file")
        transfer.copy(key, FileFromSlack(case_id, channel_id, file_id, transfer).copy)
