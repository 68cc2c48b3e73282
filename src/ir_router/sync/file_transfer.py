"""The parts that both directions of copying a file share: the claim, the pauses, the notices, the report of a failure.

files.fifo retries a failed transfer for a few minutes. After that the case's synchronisation queues it again when the
pause in its ledger row is over. A failure that may be transient therefore makes no dead letter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, RefusedError, RetryLaterError, UncertainError, error_id
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim, ClaimLostError
from ir_router.ledger.keys import Key
from ir_router.observability import logger
from ir_router.slack.error_codes import meaning_of
from ir_router.slack.gateway import Names, Slack
from ir_router.slack.messages import Message
from ir_router.sync import comment_claims, failures, posting, queue
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.queue import Record
from ir_router.sync.slack_to_case import is_copied_to_case

# Slack needs up to some minutes to process and share a file. Until then its negative answers are not final.
YOUNG_SECONDS = 600.0
# The pauses after the first transfers of a file's bytes, then the pause after each further one: at most 12 transfers a
# day (tests/trials/bench/failing_files.py).
_TRANSFER_PAUSES = (10.0, 60.0, 300.0, 1_200.0, 3_600.0)
_LONGEST_TRANSFER_PAUSE = 14_400.0
# A transfer whose bytes were sent this often without success is reported.
_REPORTED_AFTER_TRANSFERS = 3
# After about four minutes, or before a longer pause, the case's synchronisation takes over from the queue.
_LAST_RECEIVE = 9
_LONGEST_PAUSE_IN_QUEUE = 300.0
_LONGEST_RETRY_PAUSE = 600.0


class NotReadyError(IrRouterError):
    """Slack does not serve or show a file yet. Nothing was copied, and this is no failure."""


def is_app_error(error: Exception) -> bool:
    """Whether Slack rejected the app or its token, not the file."""
    return meaning_of(error).about == "app"


def is_permanent(error: Exception) -> bool:
    """Return whether a retry cannot help. Errors of the app or the channel are retried: a person can fix them."""
    return comment_claims.is_permanent(error) and meaning_of(error).about not in ("app", "channel")


def _pause_after(transfers: int) -> float:
    if not transfers:
        return 0.0
    return _TRANSFER_PAUSES[transfers - 1] if transfers <= len(_TRANSFER_PAUSES) else _LONGEST_TRANSFER_PAUSE


class Transfer:
    """One transfer of a file, in either direction."""

    def __init__(self, case_id: str, deadline: Deadline, record: Record) -> None:
        """Read the case's channel. `record` has the number of attempts."""
        self.case_id = case_id
        self.deadline = deadline
        self.slack = Slack(deadline)
        self.channel_id = str((table.get(keys.case(case_id)) or {}).get("slackChannelId") or "")
        self.file_name = ""
        """The file's name for notices, once it is known."""
        self.transfers = 0
        """How often the file's bytes were transferred, this attempt included."""
        self._transferred_at = 0.0
        self._retry_at: float | None = None
        self._record = record

    def was_shared_for_the_case(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """Whether a user shared the file, or another app whose messages are copied."""
        names = Names(self.slack, patient=False)
        return is_copied_to_case({"user": event["user_id"]}, str(body.get("app_id") or ""), names)

    def copy(self, key: Key, copy_file: Callable[[], None]) -> None:
        """Copy the file, and report a persistent failure once. A failure that may be transient is retried.

        A transfer that was given up after a permanent rejection is retried only by a replay.

        Raises:
            ClaimHeldError: The queue retries the transfer.
            RefusedError: The transfer is given up. Other errors of `copy_file` are raised before a claim exists.
        """
        given_up = (table.get(key) or {}).get("given_up") if self._record.receive_count > 1 else None
        try:
            if given_up:
                raise RefusedError("The receiving service", "the transfer", str(given_up))
            copy_file()
        except ClaimLostError:
            raise
        except ClaimHeldError as held:
            self._retry(key, held, held.until)
        except (IrRouterError, ClientError, BotoCoreError) as error:
            if self._is_reported(error):
                self._report_failure(key, error)
            if is_permanent(error):
                raise
            self._retry(key, error, self._retry_at)

    def _retry(self, key: Key, error: Exception, until: float | None) -> None:
        """Raise the error for the queue, or leave the transfer to the case's synchronisation."""
        reason = str(error) if isinstance(error, IrRouterError) else type(error).__name__
        pause = until - clock.now() if until is not None else 0.0
        is_last = self._record.receive_count >= _LAST_RECEIVE or pause > _LONGEST_PAUSE_IN_QUEUE
        # The case's synchronisation queues every attachment that is not copied, and the Slack files that have a row.
        if is_last and (key.sk.startswith("FILE#") or table.get(key) is not None):
            leases.add_hint(self.case_id)
            logger.info("file.left_to_case_sync", extra={"reason": reason, "seconds": round(pause)})
            return
        if until is None or isinstance(error, ClaimHeldError):
            raise error
        logger.info("file.transfer_retried", extra={"reason": reason, "seconds": round(pause)})
        raise ClaimHeldError(until) from error

    def claim(self, key: Key, **frozen: Any) -> Claim | None:
        """Return the claim, or None if the file was already copied. Raises ClaimHeldError."""
        self.deadline.check()
        taken = claims.take(key, settle_after=self.deadline.settle_after, **frozen)
        if isinstance(taken, claims.Held):
            raise ClaimHeldError(taken.until)
        return taken if isinstance(taken, Claim) else None

    def remember(self, claim: Claim) -> None:
        """Take the number and time of the file's earlier transfers from its claim."""
        self.transfers = int(claim.row.get("transfers", min(1, claim.attempt - 1)))
        self._transferred_at = float(claim.row.get("transferred_at") or 0.0)
        self.file_name = str(claim.row.get("file_name") or "")

    @property
    def transferred_at(self) -> float:
        """The time of the latest transfer of bytes, 0 if it is unknown."""
        return self._transferred_at

    def begin(self, claim: Claim) -> None:
        """Count a transfer of the file's bytes. Raises ClaimHeldError if its pause is not over."""
        due = self._transferred_at + _pause_after(self.transfers)
        if self._transferred_at and clock.now() < due:
            claims.unanswered(claim, due)
            raise ClaimHeldError(due)
        self.transfers += 1
        self._transferred_at = clock.now()
        if self.transfers > 1:  # `failed` stores the first one, and a second attempt counts one that died
            claims.note(claim, transfers=self.transfers, transferred_at=self._transferred_at)

    def failed(self, claim: Claim, error: IrRouterError, *, may_have_landed: bool, moved: bool) -> None:
        """Give the claim up after a permanent rejection, else hold it until the next attempt.

        Args:
            claim: The open claim.
            error: Why the file was not copied.
            may_have_landed: Whether the effect may have happened all the same.
            moved: Whether this attempt transferred bytes.
        """
        if isinstance(error, RefusedError) and is_permanent(error):
            claims.refused(claim, given_up=error.code)
            return
        # An error of the app stays until a person fixes it, so its attempts count across records of the queue.
        attempts = max(self._record.receive_count, min(claim.attempt, _LAST_RECEIVE) if is_app_error(error) else 0)
        pause = min(60.0, 2.0**attempts)
        if isinstance(error, RetryLaterError):
            pause = max(pause, error.seconds)
        if moved:
            pause = max(pause, _pause_after(self.transfers))
        elif attempts >= _LAST_RECEIVE and not isinstance(error, NotReadyError):
            pause = _LONGEST_RETRY_PAUSE
        self._retry_at = clock.now() + pause * random.uniform(1.0, 1.1)  # noqa: S311
        if isinstance(error, UncertainError) and may_have_landed:
            self._retry_at = max(self._retry_at, self.deadline.settled_from_now)
        noted: dict[str, Any] = {"transfers": self.transfers, "transferred_at": self._transferred_at} if moved else {}
        claims.note(claim, settle_after=self._retry_at, **noted)

    def post_once(self, name: str, message: Message) -> None:
        """Post a message in the channel once. Raises ClaimHeldError."""
        claim = self.claim(keys.note(self.case_id, name))
        if claim is not None and self.channel_id:
            posting.post(self.slack, self.channel_id, claim, message)

    def _is_reported(self, error: Exception) -> bool:
        if isinstance(error, NotReadyError):
            return False
        return (
            comment_claims.is_permanent(error)
            or self._record.receive_count >= queue.REPORTED_AT_RECEIVE_COUNT
            or self.transfers >= _REPORTED_AFTER_TRANSFERS
        )

    def _report_failure(self, key: Key, error: Exception) -> None:
        row = table.get(key) or {}
        failure_name = f"file-{key.sk.replace('#', '-')}"
        permanent = is_permanent(error)
        name = self.file_name or str(row.get("file_name") or row.get("file_id") or "")
        replay = "Once the cause is fixed, ask the operators of ir-router to replay it."
        fix = replay if permanent else meaning_of(error).fix
        failure = failures.Failure(
            name=failure_name,
            what=f"The file {name} could not be copied: {failures.cause(error)}.".replace("  ", " "),
            fix=fix,
            retried=not permanent,
            error_id=failures.first_error_id(self.case_id, failure_name, error_id("file-error")),
            transient=not comment_claims.is_permanent(error),
        )
        failures.report(self.case_id, self.channel_id, failure, self.deadline)
