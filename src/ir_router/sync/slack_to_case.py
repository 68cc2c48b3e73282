"""Flow 2: copy messages and membership changes of a case's channel to the case, in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases.files import files_of
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, RefusedError, error_id
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import ClaimLostError
from ir_router.observability import correlate, logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import inbound, messages
from ir_router.slack.announcements import announce
from ir_router.slack.gateway import Names, Slack
from ir_router.sync import approval_tampering, comment_claims, failures, file_comments, hints, posting, queue
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.queue import Record
from ir_router.sync.slack_message import SlackMessage

_RESERVE_SECONDS = 10
# After this many attempts a name that Slack cannot provide is replaced by the id: the message matters more.
_PATIENT_TRIES = 3
# The case's synchronisation settles an open claim at its next run.
_SETTLED_EVERY_SECONDS = 60
_CLOSED = "The case is closed. New messages in this channel are not copied to it."
_MEMBERSHIP = {"member_joined_channel": "MemberJoined", "member_left_channel": "MemberLeft"}
_CHANNEL = frozenset({"channel_id_changed", "channel_deleted", "group_deleted"})


def handle(event: Mapping[str, Any], context: LambdaContext) -> Any:
    """Handle SQS records of slack-events.fifo, and return the partial batch response."""
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    return queue.process(event, settings().require("slack_events_queue_url"), lambda record: _record(record, deadline))


def _record(record: Record, deadline: Deadline) -> None:
    event = record.body["event"]
    if event["type"] == inbound.FILE_DELETED:
        _file_deleted(event)
        return
    if event.get(inbound.APPROVALS) and approval_tampering.notice(event):
        return
    channel_id = inbound.channel_of(event)
    owner = table.get(keys.channel(channel_id))
    if owner is None:
        logger.info("slack.event_ignored: the channel belongs to no case")
        return
    case_id = str(owner["case_id"])
    correlate(case_id)
    if event["type"] in _CHANNEL:
        _channel(event, case_id, channel_id)
        return
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
        if isinstance(error, RefusedError) and _announced_as_closed(case_id, channel_id, slack, deadline):
            return
        if comment_claims.is_permanent(error) or record.receive_count >= queue.REPORTED_AT_RECEIVE_COUNT:
            _report_failure(event, error, case_id, channel_id, deadline)
        raise


def _message(event: Mapping[str, Any], record: Record, case_id: str, slack: Slack, names: Names) -> None:
    subtype = event.get("subtype") or ""
    slack_message = event.get("message") or {} if subtype == "message_changed" else event
    if slack_message.get(inbound.IN_HISTORY):
        slack_message = {**slack_message, **_in_history(slack_message, str(event["channel"]), slack)}
    # Slack turns a deleted message that has replies into a tombstone.
    is_deleted = subtype == "message_deleted" or slack_message.get("subtype") == "tombstone"
    if not is_deleted:
        if not is_copied_to_case(slack_message, str(record.body.get("app_id") or ""), names):
            return
        patient = record.receive_count < queue.REPORTED_AT_RECEIVE_COUNT
        if not _is_of_another(slack_message, names) and _is_in_ledger(case_id, slack_message, patient=patient):
            logger.info("slack.event_ignored: ir-router posted the message")
            return
    message = SlackMessage(
        case_id,
        str(event["channel"]),
        str(record.body.get("team_id") or ""),
        slack_message,
        slack,
        names,
        before=event.get("previous_message"),
    )
    repeated = record.receive_count > 1
    if is_deleted:
        written = message.delete(str(event.get("deleted_ts") or slack_message.get("ts") or ""))
    elif subtype == "message_changed":
        written = message.edit(str(event.get("event_ts") or event.get("ts") or ""), repeated=repeated)
    else:
        written = message.create(repeated=repeated)
    if written:
        announce(
            "MessageSynchronized",
            {"caseId": case_id, "channelId": event["channel"], "ts": slack_message.get("ts"), "commentIds": written},
        )


def _in_history(slack_message: Mapping[str, Any], channel_id: str, slack: Slack) -> Mapping[str, Any]:
    """Return a message whose content was too long for the queue from the channel's history, or {} if it is gone."""
    ts = str(slack_message["ts"])
    thread_ts = str(slack_message.get("thread_ts") or ts)
    method = "conversations.replies" if thread_ts != ts else "conversations.history"
    arguments = {"channel": channel_id, "oldest": ts, "latest": ts, "inclusive": True}
    if thread_ts != ts:
        arguments["ts"] = thread_ts
    return next((one for one in slack.pages(method, "messages", **arguments) if one.get("ts") == ts), {})


def is_copied_to_case(slack_message: Mapping[str, Any], app_id: str, names: Names) -> bool:
    """Whether a message is copied: always for users, by variable for other bots, never for this app and Slackbot.

    A message that an app posted with a user's token counts as the user's.

    Args:
        slack_message: Slack's message with `user`, `bot_id` and `app_id`, if it has them.
        app_id: The id of this app.
        names: Looks up the user.
    """
    user_id, bot_id = str(slack_message.get("user") or ""), str(slack_message.get("bot_id") or "")
    posted_by = slack_message.get("app_id") or (slack_message.get("bot_profile") or {}).get("app_id")
    if user_id == inbound.SLACKBOT or not (user_id or bot_id) or (posted_by and posted_by == app_id):
        return False
    # Slack leaves out the app id of some messages of an app.
    if bot_id and not posted_by and bot_id in names.own_ids():
        return False
    user = names.user(user_id) if user_id else {}
    if user_id and not user.get("is_bot") and (user or not bot_id):
        return bool(user) or user_id not in names.own_ids()
    return settings().mirror_bots and (user.get("profile") or {}).get("api_app_id") != app_id


def _is_of_another(slack_message: Mapping[str, Any], names: Names) -> bool:
    """Whether the author is certainly not this app: a user, or an app that Slack names."""
    if slack_message.get("app_id") or (slack_message.get("bot_profile") or {}).get("app_id"):
        return True  # `is_copied_to_case` refuses the id of this app
    user_id = str(slack_message.get("user") or "")
    user = names.user(user_id) if user_id and not slack_message.get("bot_id") else {}
    return bool(user) and not user.get("is_bot")


def _is_in_ledger(case_id: str, slack_message: Mapping[str, Any], *, patient: bool) -> bool:
    """Whether ir-router itself posted the message or shared its files. The message may name another author.

    Raises ClaimHeldError if `patient` and the message may be one that the ledger does not confirm yet.
    """
    ts = str(slack_message.get("ts") or "")
    shared = [str(file["id"]) for file in files_of(slack_message)]
    files = [table.get(file_comments.key_of(case_id, file_id)) or {} for file_id in shared]
    if files and all(row.get("origin") == "aws" for row in files):
        return True
    rows = list(table.query(keys.case(case_id).pk))
    if any(row.get("ts") == ts for row in rows):
        return True
    unconfirmed = [float(row["settle_after"]) for row in rows if posting.is_unconfirmed(row, ts)]
    if unconfirmed and patient:
        raise ClaimHeldError(max(*unconfirmed, clock.now() + _SETTLED_EVERY_SECONDS))
    return False


def _announced_as_closed(case_id: str, channel_id: str, slack: Slack, deadline: Deadline) -> bool:
    """Whether the case accepts no comments because it is closed. If so, announce that once in the channel."""
    if not security_ir.get_case(case_id).is_closed:
        return False
    taken = claims.take(keys.note(case_id, "closed-to-messages"), settle_after=deadline.settle_after)
    if isinstance(taken, claims.Held):
        raise ClaimHeldError(taken.until)
    if isinstance(taken, claims.Claim):
        posting.post(slack, channel_id, taken, messages.line(_CLOSED))
    return True


def _channel(event: Mapping[str, Any], case_id: str, channel_id: str) -> None:
    """Record that the channel has another id or was deleted. The case's synchronisation does the rest."""
    new = str(event.get("new_channel_id") or "")
    if event["type"] != "channel_id_changed":
        table.put(keys.channel(channel_id), {"case_id": case_id, "deleted": True})
    elif new:
        # Under the new id, messages and commands are accepted at once.
        table.put(keys.channel(new), {"case_id": case_id})
        table.put(keys.channel(channel_id), {"case_id": case_id, "moved_to": new})
    leases.add_hint(case_id)
    hints.publish([hints.Hint(case_id, "CaseUpdated")])


def _file_deleted(event: Mapping[str, Any]) -> None:
    """Note on each case with the file that it was deleted. Slack names its channels, or only the file."""
    file_id = str(event.get("file_id") or "")
    owners = [table.get(keys.channel(channel_id)) for channel_id in inbound.channel_ids(event)]
    found = {str(row["case_id"]) for row in [*owners, table.get(keys.shared_file(file_id))] if row}
    for case_id in sorted(found):
        correlate(case_id)
        file_comments.mark_deleted(case_id, file_id)


def _membership(event: Mapping[str, Any], case_id: str, channel_id: str, names: Names) -> None:
    user_id = str(event.get("user") or "")
    announce(
        _MEMBERSHIP[event["type"]],
        {"caseId": case_id, "channelId": channel_id, "userId": user_id, "name": names.real_name(user_id)},
    )


def _report_failure(
    event: Mapping[str, Any], error: Exception, case_id: str, channel_id: str, deadline: Deadline
) -> None:
    ts = str((event.get("message") or event).get("ts") or event.get("deleted_ts") or "")
    # The case's synchronisation finishes open claims, even if the queue gives up the event.
    leases.add_hint(case_id)
    name = f"message-{ts}"
    permanent = comment_claims.is_permanent(error)
    kept = "" if permanent else " No data is lost: ir-router keeps the message until it can be copied."
    sent_at = f"{datetime.fromtimestamp(float(ts or 0), UTC):%H:%M:%S} UTC"
    failure = failures.Failure(
        name=name,
        what=f"The message sent at {sent_at} could not be copied to the case: {failures.cause(error)}.{kept}",
        fix="Once the cause is fixed, ask the operators of ir-router to replay it." if permanent else "",
        retried=not permanent,
        error_id=failures.first_error_id(case_id, name, error_id("api-error")),
        transient=not permanent,
    )
    failures.report(case_id, channel_id, failure, deadline)
