"""Files of both directions, from files.fifo: streamed, each once, whichever event asks for it first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.deadline import Deadline, LambdaContext, enforced, of_invocation
from ir_router.errors import IrRouterError, RefusedError, RetryLaterError, UncertainError, error_id
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim, ClaimLostError
from ir_router.ledger.keys import Key
from ir_router.observability import correlate, logger
from ir_router.settings import settings
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.messages import Message
from ir_router.sync import comment_claims, failures, posting, queue
from ir_router.sync.file_from_slack import FileFromSlack
from ir_router.sync.file_to_slack import FileToSlack
from ir_router.sync.queue import Record
from ir_router.sync.run import ClaimHeldError
from ir_router.sync.slack_to_case import is_for_the_case

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
            transfer.run(keys.attachment(case_id, attachment_id), FileToSlack(case_id, attachment_id, transfer).copy)
            return
        event = record.body.get("event") or record.body
        channel_id, file_id = str(event.get("channel_id") or ""), str(event.get("file_id") or "")
        owner = table.get(keys.channel(channel_id)) if channel_id else None
        if owner is None or not file_id:
            logger.info("a file of a channel that is not ours")
            return
        case_id = str(owner["case_id"])
        correlate(case_id)
        transfer = Transfer(case_id, deadline, record)
        if event.get("user_id") and not transfer.was_shared_for_the_case(event, record.body):
            return
        key = keys.slack_message(case_id, f"{file_id}#file")
        transfer.run(key, FileFromSlack(case_id, channel_id, file_id, transfer).copy)


class Transfer:
    """What both directions need: the claim, the notices, the telling of failures."""

    def __init__(self, case_id: str, deadline: Deadline, record: Record) -> None:
        """`record` says how often it was tried."""
        self.case_id = case_id
        self.deadline = deadline
        self.slack = Slack(deadline)
        self.channel_id = str((table.get(keys.case(case_id)) or {}).get("slackChannelId") or "")
        self._record = record

    def was_shared_for_the_case(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """Whether a person shared it, or another app whose messages are copied too."""
        names = Names(self.slack, patient=False)
        return is_for_the_case({"user": event["user_id"]}, str(body.get("app_id") or ""), names)

    def run(self, key: Key, copy: Callable[[], None]) -> None:
        """Copy, and tell people once about a failure that stays. Raises what `copy` raises.

        What was given up after a permanent refusal is tried again only when it is asked for anew (a replay).
        """
        given_up = (table.get(key) or {}).get("given_up") if self._record.receive_count > 1 else None
        try:
            if given_up:
                raise RefusedError("the other side", "the transfer", str(given_up))
            copy()
        except (ClaimHeldError, ClaimLostError):
            raise
        except (IrRouterError, ClientError, BotoCoreError) as error:
            if comment_claims.is_permanent(error) or self._record.receive_count >= queue.TOLD_AT_RECEIVE_COUNT:
                self._tell(key, error)
            raise

    def claim(self, key: Key, **frozen: Any) -> Claim | None:
        """The claim, or None when the file was copied before. Raises ClaimHeldError."""
        self.deadline.check()
        taken = claims.take(key, settle_after=self.deadline.settle_after, **frozen)
        if isinstance(taken, claims.Held):
            raise ClaimHeldError(taken.until)
        return taken if isinstance(taken, Claim) else None

    def failed(
        self, claim: Claim, error: RefusedError | RetryLaterError | UncertainError, *, may_have_landed: bool
    ) -> None:
        """Give the claim back when nothing was made for certain; a permanent refusal gives it up."""
        if isinstance(error, UncertainError) and may_have_landed:
            claims.unanswered(claim, self.deadline.settled_from_now)
            return
        code = error.code if isinstance(error, RefusedError) else None
        claims.refused(claim, given_up=code if comment_claims.is_permanent(error) else None)

    def say(self, name: str, message: Message) -> None:
        """Say something in the channel once. Raises ClaimHeldError."""
        claim = self.claim(keys.note(self.case_id, name))
        if claim is not None and self.channel_id:
            posting.post(self.slack, self.channel_id, claim, message)

    def _tell(self, key: Key, error: Exception) -> None:
        row = table.get(key) or {}
        failure_name = f"file-{key.sk.replace('#', '-')}"
        permanent = comment_claims.is_permanent(error)
        named = f" {row['file_name']}" if row.get("file_name") else ""
        failure = failures.Failure(
            name=failure_name,
            what=f"The file{named} could not be copied: {failures.cause(error)}.",
            mend="Ask whoever operates the integration to replay it once the cause is mended." if permanent else "",
            retried=not permanent,
            error_id=failures.first_error_id(self.case_id, failure_name, error_id("file-error")),
            passing=not permanent,
        )
        failures.tell(self.case_id, self.channel_id, failure, self.deadline)
