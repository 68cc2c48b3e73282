"""Execute a command once and answer the user.

A command is claimed by its id. A certain outcome, success or failure, is answered and ends the command. Without a
certain outcome the user is notified that the work continues, and the error is raised. Lambda then retries after one
and two minutes. The retry looks at what happened, does the rest and answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.commands import rejections, rendering
from ir_router.commands.command import Answer, Command, NotPermittedError
from ir_router.errors import (
    InvalidInputError,
    IrRouterError,
    LeaseLostError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    UncertainError,
    error_id,
)
from ir_router.ledger import audit, claims, keys
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack.announcements import announce

# No command is redelivered after a day.
_KEPT_SECONDS = 24 * 3600
# Lambda's first attempt and its two retries (terraform/functions.tf).
_ATTEMPTS = 3

Work = Callable[[Command], Answer | None]
Attempted = Literal["open", "read", "update"]
Outcome = Literal["done", "failed", "not_permitted", "refused", "unknown"]


class StillAtWorkError(LeaseLostError):
    """Requests of an earlier attempt may still take effect. Lambda retries later."""


def execute(command: Command, work: Work, *, attempted: Attempted) -> None:
    """Run `work` unless the command was executed before, send its answer and report the outcome.

    Args:
        command: The command.
        work: Does the work. It returns the answer, or None for no answer.
        attempted: The verb in the specification's service error: `update`, `read` or `open`.

    Raises:
        UncertainError: The outcome is unknown, so Lambda retries. So do RetryLaterError, OutOfTimeError and
            botocore's errors.
        StillAtWorkError: Another attempt holds the claim, so Lambda retries.
    """
    if not _claim(command):
        return
    outcome: Outcome
    try:
        answer, outcome = work(command), "done"
    except NotPermittedError as error:
        answer, outcome = command.error(f"❌ {error}"), "not_permitted"
    except InvalidInputError as error:
        answer, outcome = command.error(f"❌ {error}"), "refused"
    except RefusedError as error:
        answer, outcome = _rejected(command, error, attempted)
    except (RetryLaterError, UncertainError, OutOfTimeError, BotoCoreError, ClientError) as error:
        # botocore's errors come from the ledger or the event bus. Some of the work may be done.
        if command.claim is not None and command.claim.attempt < _ATTEMPTS:
            _postpone(command, error)
            raise
        answer, outcome = _give_up(command, error), "unknown"
    except LeaseLostError:
        raise  # another attempt has taken over, and answers
    except Exception as error:
        _finish(command, _failed(command, error, attempted), "failed")
        raise  # a bug: the invocation must fail, so that the alarm sees it
    _finish(command, answer, outcome)


def _claim(command: Command) -> bool:
    """Return whether this invocation executes the command."""
    taken = claims.take(
        keys.command(command.id),
        settle_after=command.deadline.settle_after,
        expires_at=int(clock.now()) + _KEPT_SECONDS,
        command=command.name,
    )
    if isinstance(taken, claims.Held):
        raise StillAtWorkError("another attempt is running, or ended without an outcome; Lambda retries")
    if isinstance(taken, claims.Done):
        logger.info("command.duplicate_ignored: it was already executed", extra={"command": command.name})
        return False
    command.claim = taken
    return True


def _postpone(command: Command, error: Exception) -> None:
    """Notify the user once that work continues, and let the next attempt start after the settling time."""
    shown = error_id("network-error")
    logger.error("command.postponed: Lambda retries it", extra=_details(command, error, shown))
    if command.claim is None:
        return
    claims.note(command.claim, settle_after=clock.now() + settings().settle_seconds)
    if command.claim.attempt == 1:
        command.answer(command.error(rendering.connectivity(shown)))


def _give_up(command: Command, error: Exception) -> Answer:
    shown = error_id("network-error")
    logger.error("command.outcome_unknown: no retry is left", extra=_details(command, error, shown))
    return command.error(rendering.outcome_unknown(command.name, shown))


def _details(command: Command, error: Exception, shown: str) -> dict[str, str]:
    """Return the log's details: the text of this package's errors, but only the type of others."""
    reason = str(error) if isinstance(error, IrRouterError) else type(error).__name__
    return {"error_id": shown, "command": command.name, "error": reason}


def _closed_meanwhile(command: Command, error: RefusedError) -> Answer | None:
    """Return the answer if AWS rejected the change because the case was closed after it was read; else None."""
    if error.code != "ConflictException" or not command.case_id:
        return None
    try:
        case = security_ir.get_case(command.case_id)
    except IrRouterError:
        return None
    return command.error(f"❌ {rendering.cannot_change_closed(case)}") if case.is_closed else None


def _rejected(command: Command, error: RefusedError, attempted: Attempted) -> tuple[Answer, Outcome]:
    if closed := _closed_meanwhile(command, error):
        return closed, "refused"
    reason = rejections.explain(error)
    if not reason:
        return _failed(command, error, attempted), "failed"
    details = {"command": command.name, "operation": error.operation, "code": error.code}
    logger.warning("command.rejected_by_aws: the user received the reason", extra=details)
    return command.error(f"❌ {reason}"), "refused"


def _failed(command: Command, error: Exception, attempted: Attempted) -> Answer:
    shown = error_id("api-error")
    details = {"error_id": shown, "command": command.name, "error": type(error).__name__}
    if isinstance(error, RefusedError):
        details |= {
            "refused_by": error.service,
            "operation": error.operation,
            "code": error.code,
            "detail": error.detail,
        }
    logger.error("command.failed: the user received the error id", extra=details)
    return command.error(rendering.service_error(shown, attempted))


def _finish(command: Command, answer: Answer | None, outcome: Outcome) -> None:
    if answer is not None:
        command.answer(answer)
    _report(command, outcome)
    if command.changes:
        _record(command, outcome)
    if command.claim is not None:
        claims.confirm(command.claim, outcome=outcome)


def _record(command: Command, outcome: Outcome) -> None:
    """Record in the audit who changed the case: by ids, because users can change their names, and without text."""
    details = {
        "command": command.name,
        "outcome": outcome,
        "case_id": command.case_id or None,
        "channel_id": command.channel_id,
        "slack_user_id": command.user_id,
    }
    audit.append("command_executed", command.identity, details, once=f"command/{command.id}/executed")


def _report(command: Command, outcome: Outcome) -> None:
    """Publish the event that the command was executed, with ids only. No function depends on it."""
    detail = {"caseId": command.case_id, "channelId": command.channel_id, "userId": command.user_id}
    announce("CommandExecuted", {"command": command.name, "outcome": outcome, **detail})
