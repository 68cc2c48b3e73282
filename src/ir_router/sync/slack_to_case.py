"""Flow 2: what people do in a case's channel, in order, onto the case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, RefusedError, error_id
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import ClaimLostError
from ir_router.observability import correlate, logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.slack.announcements import announce
from ir_router.slack.gateway import Names, Slack
from ir_router.sync import comment_claims, failures, posting, queue
from ir_router.sync.queue import Record
from ir_router.sync.run import ClaimHeldError
from ir_router.sync.slack_message import SlackMessage

_RESERVE_SECONDS = 10
# A name that Slack cannot give after this many tries is replaced by the id: the message matters more.
_PATIENT_TRIES = 3
_CLOSED = "The case is closed: what is said here from now on is not copied to it."
_MEMBERSHIP = {"member_joined_channel": "MemberJoined", "member_left_channel": "MemberLeft"}


def handle(event: Mapping[str, Any], context: LambdaContext) -> Any:
    """SQS records of slack-events.fifo; answers with the partial batch response."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    return queue.process(event, settings().require("slack_events_queue_url"), lambda record: _record(record, deadline))


def _record(record: Record, deadline: Deadline) -> None:
    event = record.body["event"]
    channel_id = str(event.get("channel") or "")
    owner = table.get(keys.channel(channel_id)) if channel_id else None
    if owner is None:
        logger.info("an event of a channel that is not ours")
        return
    case_id = str(owner["case_id"])
    correlate(case_id)
    deadline.check()
    slack = Slack(deadline)
    names = Names(slack, patient=record.receive_count <= _PATIENT_TRIES)
    if event["type"] in _MEMBERSHIP:
        _membership(event, case_id, channel_id, names)
        return
    try:
        _message(event, record, case_id, slack, names)
    except ClaimLostError:
        raise
    except (IrRouterError, ClientError, BotoCoreError) as error:
        if isinstance(error, RefusedError) and _told_of_closing(case_id, channel_id, slack, deadline):
            return
        if comment_claims.is_permanent(error) or record.receive_count >= queue.TOLD_AT_RECEIVE_COUNT:
            _tell(event, error, case_id, channel_id, deadline)
        raise


def _message(event: Mapping[str, Any], record: Record, case_id: str, slack: Slack, names: Names) -> None:
    subtype = event.get("subtype") or ""
    said = event.get("message") or {} if subtype == "message_changed" else event
    # A deleted message that has replies is changed into a stone.
    is_deleted = subtype == "message_deleted" or said.get("subtype") == "tombstone"
    if not is_deleted and not is_for_the_case(said, str(record.body.get("app_id") or ""), names):
        return
    message = SlackMessage(case_id, str(event["channel"]), str(record.body.get("team_id") or ""), said, slack, names)
    repeated = record.receive_count > 1
    if is_deleted:
        written = message.delete(str(event.get("deleted_ts") or said.get("ts") or ""))
    elif subtype == "message_changed":
        written = message.edit(str(event.get("event_ts") or event.get("ts") or ""), repeated=repeated)
    else:
        written = message.create(repeated=repeated)
    if written:
        announce(
            "MessageSynchronized",
            {"caseId": case_id, "channelId": event["channel"], "ts": said.get("ts"), "commentIds": written},
        )


def is_for_the_case(said: Mapping[str, Any], app_id: str, names: Names) -> bool:
    """People always; other bots when the deployer wants them; our own app never, whatever it shares.

    `said` has Slack's `user`, `bot_id` and `app_id`, as far as there are any.
    """
    user_id = str(said.get("user") or "")
    if said.get("app_id") and said["app_id"] == app_id:
        return False
    if not said.get("bot_id") and not user_id:
        return False
    user = names.user(user_id) if user_id else {}
    if not said.get("bot_id") and not user.get("is_bot"):
        return True
    is_ours = (user.get("profile") or {}).get("api_app_id") == app_id
    return settings().mirror_bots and not is_ours


def _told_of_closing(case_id: str, channel_id: str, slack: Slack, deadline: Deadline) -> bool:
    """Whether the case takes nothing more because it is closed; the channel is told once."""
    if not security_ir.get_case(case_id).is_closed:
        return False
    taken = claims.take(keys.note(case_id, "closed-to-messages"), settle_after=deadline.settle_after)
    if isinstance(taken, claims.Held):
        raise ClaimHeldError(taken.until)
    if isinstance(taken, claims.Claim):
        posting.post(slack, channel_id, taken, messages.line(_CLOSED))
    return True


def _membership(event: Mapping[str, Any], case_id: str, channel_id: str, names: Names) -> None:
    user_id = str(event.get("user") or "")
    announce(
        _MEMBERSHIP[event["type"]],
        {"caseId": case_id, "channelId": channel_id, "userId": user_id, "name": names.real_name(user_id)},
    )


def _tell(event: Mapping[str, Any], error: Exception, case_id: str, channel_id: str, deadline: Deadline) -> None:
    ts = str((event.get("message") or event).get("ts") or event.get("deleted_ts") or "")
    # The sync of the case finishes what was claimed, also when the queue gives the event up.
    leases.add_hint(case_id)
    name = f"message-{ts}"
    permanent = comment_claims.is_permanent(error)
    where = "" if permanent else " Nothing is lost: it is kept until it can be copied."
    said_at = f"{datetime.fromtimestamp(float(ts or 0), UTC):%H:%M:%S} UTC"
    failure = failures.Failure(
        name=name,
        what=f"A Slack message of {said_at} could not be copied to the case: {failures.cause(error)}.{where}",
        mend="Ask whoever operates the integration to replay it once the cause is mended." if permanent else "",
        retried=not permanent,
        error_id=failures.first_error_id(case_id, name, error_id("api-error")),
        passing=not permanent,
    )
    failures.tell(case_id, channel_id, failure, deadline)
