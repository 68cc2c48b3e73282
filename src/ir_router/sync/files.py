"""Files of both directions, from files.fifo: streamed, each once, whichever event asks for it first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.deadline import Deadline, LambdaContext, enforced, of_invocation
from ir_router.errors import IrRouterError, RefusedError, RetryLaterError, error_id
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.keys import Key
from ir_router.observability import correlate, logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message
from ir_router.sync import failures, posting, queue
from ir_router.sync.file_from_slack import FileFromSlack
from ir_router.sync.file_to_slack import FileToSlack
from ir_router.sync.queue import Record
from ir_router.sync.run import ClaimHeldError

# 100 MB pass in well under this at 1 MB/s; a crash holds a file's claim no longer than it.
TRANSFER_SECONDS = 240
_RESERVE_SECONDS = 15


def handle(event: Mapping[str, Any], context: LambdaContext) -> Any:
    """SQS records of files.fifo; answers with the partial batch response."""
    return queue.process(event, settings().require("files_queue_url"), lambda record: _record(record, context))


def _record(record: Record, context: LambdaContext) -> None:
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=TRANSFER_SECONDS)
    with enforced(deadline):
        if record.body.get("kind") == "attachment":
            case_id, attachment_id = str(record.body["case_id"]), str(record.body["attachment_id"])
            correlate(case_id)
            transfer = Transfer(case_id, deadline, record)
            transfer.run(attachment_id, FileToSlack(transfer.case_id, attachment_id, transfer).copy)
            return
        event = record.body.get("event") or record.body
        channel_id, file_id = str(event.get("channel_id") or ""), str(event.get("file_id") or "")
        owner = table.get(keys.channel(channel_id)) if channel_id else None
        if owner is None or not file_id:
            logger.info("a file of a channel that is not ours")
            return
        correlate(str(owner["case_id"]))
        transfer = Transfer(str(owner["case_id"]), deadline, record)
        transfer.run(file_id, FileFromSlack(transfer.case_id, channel_id, file_id, transfer).copy)


class Transfer:
    """What both directions need: the claim, the notices, the telling of failures."""

    def __init__(self, case_id: str, deadline: Deadline, record: Record) -> None:
        """`record` says how often it was tried."""
        self.case_id = case_id
        self.deadline = deadline
        self.slack = Slack(deadline)
        self.channel_id = str((table.get(keys.case(case_id)) or {}).get("slackChannelId") or "")
        self._record = record

    def run(self, name: str, copy: Any) -> None:
        """Copy, and tell people once about a failure that stays. Raises what `copy` raises."""
        try:
            copy()
        except (RetryLaterError, ClaimHeldError):
            raise
        except IrRouterError as error:
            if isinstance(error, RefusedError) or self._record.receive_count >= queue.TOLD_AT_RECEIVE_COUNT:
                self._tell(name, error)
            raise

    def claim(self, key: Key, **frozen: Any) -> Claim | None:
        """The claim, or None when the file was copied before. Raises ClaimHeldError."""
        self.deadline.check()
        taken = claims.take(key, settle_after=self.deadline.settle_after, **frozen)
        if isinstance(taken, claims.Held):
            raise ClaimHeldError(taken.until)
        return taken if isinstance(taken, Claim) else None

    def say(self, name: str, message: Message) -> None:
        """Say something in the channel once. Raises ClaimHeldError."""
        claim = self.claim(keys.note(self.case_id, name))
        if claim is not None and self.channel_id:
            posting.post(self.slack, self.channel_id, claim, message)

    def _tell(self, name: str, error: IrRouterError) -> None:
        failure_name = f"file-{name}"
        code = f"{error.service} answers {error.code}" if isinstance(error, RefusedError) else "no answer came in time"
        failure = failures.Failure(
            name=failure_name,
            what=f"A file ({name}) could not be copied: {code}.",
            mend="If it stays so, ask whoever operates the integration to replay it once the cause is mended.",
            retried=True,
            error_id=failures.first_error_id(self.case_id, failure_name, error_id("file-error")),
        )
        failures.tell(self.case_id, self.channel_id, failure, self.deadline)
