"""Carrying a command out once, and telling the person what became of it.

The command is claimed by its id. A certain outcome, good or bad, is told and ends it. Without a certain answer the
person is told that work goes on, and the error is raised: Lambda invokes again after a minute, and twice at most; that
attempt finds out what happened, goes on from there, and tells the outcome.
"""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.commands import rendering
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
from ir_router.settings import settings
from ir_router.slack.announcements import announce

# Nothing delivers a command again after a day.
_KEPT_SECONDS = 24 * 3600
# Lambda's first attempt and its two repetitions (terraform/functions.tf).
_ATTEMPTS = 3

Work = Callable[[Command], Answer | None]


class StillAtWorkError(LeaseLostError):
    """An earlier attempt's requests may still land; Lambda invokes again later."""


def execute(command: Command, work: Work, *, attempted: str) -> None:
    """Carry `work` out unless it was done before, answer with what it returns (None: nothing to say), report it.

    `attempted` is what an error says was not possible: `update`, `read` or `open`.
    Raises UncertainError, RetryLaterError or OutOfTimeError for Lambda to try again, and StillAtWorkError.
    """
    if not _claim(command):
        return
    try:
        answer, outcome = work(command), "done"
    except NotPermittedError as error:
        answer, outcome = command.error(f"❌ {error}"), "not_permitted"
    except InvalidInputError as error:
        answer, outcome = command.error(f"❌ {error}"), "refused"
    except (RetryLaterError, UncertainError, OutOfTimeError, BotoCoreError, ClientError) as error:
        # Of botocore: the ledger or a bus that does not answer. Some of the work may be done.
        if command.claim is not None and command.claim.attempt < _ATTEMPTS:
            _postpone(command, error)
            raise
        answer, outcome = _give_up(command, error), "unknown"
    except LeaseLostError:
        raise  # another attempt has taken over, and tells the outcome
    except Exception as error:
        _finish(command, _failed(command, error, attempted), "failed")
        if not isinstance(error, RefusedError):
            raise  # a mistake of ours: it must be seen as one
        return
    _finish(command, answer, outcome)


def _claim(command: Command) -> bool:
    """Whether this invocation is to carry the command out."""
    taken = claims.take(
        keys.command(command.id),
        settle_after=command.deadline.settle_after,
        expires_at=int(clock.now()) + _KEPT_SECONDS,
        command=command.name,
    )
    if isinstance(taken, claims.Held):
        raise StillAtWorkError("another attempt is at work, or ended without saying how; it is settled later")
    if isinstance(taken, claims.Done):
        logger.info("a command was delivered twice", extra={"command": command.name})
        return False
    command.claim = taken
    return True


def _postpone(command: Command, error: Exception) -> None:
    """Tell that work goes on, once, and let the next attempt begin as soon as what was sent has landed."""
    shown = error_id("network-error")
    logger.error("a command goes on later", extra=_details(command, error, shown))
    if command.claim is None:
        return
    claims.note(command.claim, settle_after=clock.now() + settings().settle_seconds)
    if command.claim.attempt == 1:
        command.answer(command.error(rendering.connectivity(shown)))


def _give_up(command: Command, error: Exception) -> Answer:
    shown = error_id("network-error")
    logger.error("a command was given up", extra=_details(command, error, shown))
    return command.error(rendering.outcome_unknown(command.name, shown))


def _details(command: Command, error: Exception, shown: str) -> dict[str, str]:
    """Of our own errors what they say; of others, whose words are not ours, their type."""
    said = str(error) if isinstance(error, IrRouterError) else type(error).__name__
    return {"error_id": shown, "command": command.name, "error": said}


def _failed(command: Command, error: Exception, attempted: str) -> Answer:
    shown = error_id("api-error")
    details = {"error_id": shown, "command": command.name, "error": type(error).__name__}
    if isinstance(error, RefusedError):
        details |= {"refused_by": error.service, "operation": error.operation, "code": error.code}
    logger.error("a command failed", extra=details)
    return command.error(rendering.service_error(shown, attempted))


def _finish(command: Command, answer: Answer | None, outcome: str) -> None:
    if answer is not None:
        command.answer(answer)
    _report(command, outcome)
    if command.changes:
        _record(command, outcome)
    if command.claim is not None:
        claims.confirm(command.claim, outcome=outcome)


def _record(command: Command, outcome: str) -> None:
    """Who changed the case, for good: ids, since names and addresses can be changed, and no text."""
    details = {
        "command": command.name,
        "outcome": outcome,
        "case_id": command.case_id or None,
        "channel_id": command.channel_id,
        "slack_user_id": command.user_id,
    }
    audit.append("command_executed", command.real_name, details, once=f"command/{command.id}/executed")


def _report(command: Command, outcome: str) -> None:
    """The event that a command was run: ids only. It is a record for people who watch; nothing depends on it."""
    detail = {"caseId": command.case_id, "channelId": command.channel_id, "userId": command.user_id}
    announce("CommandExecuted", {"command": command.name, "outcome": outcome, **detail})
