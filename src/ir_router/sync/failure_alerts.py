"""Post in the security channel that a case is out of sync. Of one cause, one case an hour is named."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, console_link, context, sections
from ir_router.slack.text import escape, shorten
from ir_router.sync import posting
from ir_router.sync.failures import Failure

_HOUR = 3_600
_KEPT_SECONDS = 86_400
_LINE_LENGTH = 600


def post(case_id: str, channel_id: str, failure: Failure, deadline: Deadline) -> None:
    """Post the failure of a case once, unless another case had the same one within the hour. Errors are logged."""
    try:
        where = security_channel.known_id()
        if not where:
            return
        taken = claims.take(keys.note(case_id, f"alerted-{failure.name}"), settle_after=deadline.settle_after)
        if not isinstance(taken, claims.Claim):
            return
        if not _is_first(case_id, failure):
            claims.confirm(taken, grouped=True)
            return
        posting.post(Slack(deadline), where, taken, _message(case_id, channel_id, failure))
    except (IrRouterError, ClientError, BotoCoreError) as error:
        logger.warning("sync.failure_not_in_security_channel", extra={"error": type(error).__name__})


def _is_first(case_id: str, failure: Failure) -> bool:
    """Whether no other case had this failure within the hour."""
    own, now = f"{case_id}/{failure.name}", clock.now()
    row = {"of": own, "until": now + _HOUR, "expires_at": int(now) + _KEPT_SECONDS}
    key = keys.deduplication(f"SYNC-FAILURE#{digest([failure.what, failure.fix])}")
    try:
        table.put(key, row, "attribute_not_exists(PK) OR #until <= :now OR #of = :own", now=now, own=own)
    except ConditionFailedError:
        return False
    return True


def _message(case_id: str, channel_id: str, failure: Failure) -> Message:
    link = f"<{console_link(case_id, settings().region)}|{escape(case_id)}>"
    head = f"⚠️ *Case {link} is out of sync with its Slack channel{f' <#{channel_id}>' if channel_id else ''}.*"
    retry = "ir-router retries this automatically." if failure.retried else "ir-router does not retry this."
    lines = [head, _line(failure.what), f"{retry} {_line(failure.fix)}"]
    small = f"For one hour, further cases with this failure are not listed here. Error ID: {escape(failure.error_id)}"
    text = f"⚠️ Case {escape(case_id)} is out of sync with its Slack channel. {_line(failure.what)}"
    return Message(text=text, blocks=[*sections(lines), context(small)])


def _line(text: str) -> str:
    return escape(shorten(text, _LINE_LENGTH))
