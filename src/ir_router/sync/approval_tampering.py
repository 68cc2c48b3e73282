"""Notice approval requests that another holder of the bot token changed, deleted or imitated; restore and report them.

The token is enough to edit the app's messages (chat.update) and to post new ones with the same buttons. The forms
behind the buttons show the ledger's facts, so such a message cannot decide by itself. It can still mislead an analyst,
and it shows that the token has leaked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ir_router import bus
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, RefusedError
from ir_router.ledger import approvals, claims, keys, security_channel, table
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.slack import inbound
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, sections
from ir_router.slack.text import escape, shorten
from ir_router.sync import approval_places, hints, posting, system_comments
from ir_router.sync.approval_places import Place
from ir_router.sync.case_sync import ClaimHeldError

DETAIL_TYPE = "ApprovalMessageChanged"
# A program that deletes every message of the app must not make ir-router repost forever.
_MOST_RESTORED = 20
_HEADLINE_LENGTH = 200
_ROTATE = "Someone else has the app's bot token. Rotate it now (make rotate)."
_SAFE = "Decisions are safe: the forms of Approve and Deny show the facts from the ledger."

Show = Callable[[str, Deadline], int]


def notice(event: Mapping[str, Any]) -> bool:
    """Publish a hint for a changed approval request, and return whether the event is about one.

    Args:
        event: A trimmed event (`slack.inbound`) of a changed or deleted message.
    """
    channel_id = inbound.channel_of(event)
    message = event.get("message") or {}
    ts = str(event.get("deleted_ts") or message.get("ts") or "")
    for approval_id in event.get(inbound.APPROVALS) or ():
        row = approvals.get(str(approval_id))
        if row is None or not approval_places.is_posted(row, channel_id, ts):
            continue
        if not event.get("deleted_ts") and approval_places.is_version(row, ts, posting.version(message)):
            return True  # an edit of ir-router itself
        publish(str(approval_id), channel_id, ts)
        return True
    return False


def publish(approval_id: str, channel_id: str, ts: str) -> None:
    """Publish the hint that this message is not as ir-router posted it. `check` reads the message itself."""
    detail = {"approval_id": approval_id, "channel_id": channel_id, "ts": ts}
    for code in bus.put([bus.Event(hints.SOURCE, DETAIL_TYPE, detail)]):
        logger.error("approval.change_not_checked: the event was rejected", extra={"code": code, **detail})


def check(detail: Mapping[str, Any], deadline: Deadline, show: Show) -> None:
    """Compare an approval's messages with the versions that ir-router posted, restore and report the others.

    Args:
        detail: `approval_id`, and the `channel_id` and `ts` of the message that a hint is about.
        deadline: The end of this invocation.
        show: Updates the messages of an approval to its row.
    """
    approval_id = str(detail["approval_id"])
    row = approvals.get(approval_id)
    if row is None:
        return
    slack = Slack(deadline)
    for place in approval_places.of(row):
        _check(place, row, slack, show)
    channel_id, ts = str(detail.get("channel_id") or ""), str(detail.get("ts") or "")
    if not ts or approval_places.is_posted(row, channel_id, ts) or approval_places.is_being_posted(row):
        return
    message = _read(slack, channel_id, ts)
    if message is not None:
        _report(row, slack, f"In <#{channel_id}>, a message imitates", "", digest([channel_id, ts]))


def _check(place: Place, row: Row, slack: Slack, show: Show) -> None:
    posted = table.get(place.key) or {}
    if posted.get("state") != "done" or not posted.get("ts"):
        return
    channel_id, ts = str(posted["channel_id"]), str(posted["ts"])
    message = _read(slack, channel_id, ts)
    found = posting.version(message) if message is not None else ""
    # Read again: the run that edited the message stores its version afterwards.
    posted = table.get(place.key) or {}
    versions = posted.get("versions") or []
    if posted.get("ts") != ts or (versions and versions[-1] == found):
        return
    if message is None and row["state"] != approvals.PENDING:
        return
    again = table.update(place.key, "SET shown = :none ADD restored :one", none="", one=1)
    approvals.note_shown(str(row["approval_id"]), "")
    if int(again["restored"]) > _MOST_RESTORED:
        logger.error("approval.not_restored: the message was changed too often", extra={"channel": channel_id})
        return
    try:
        show(str(row["approval_id"]), slack.deadline)
    except ClaimHeldError:
        logger.info("approval.restoring: another run posts the message; the next poll looks again")
        return
    restored = _read(slack, channel_id, ts)
    if restored is None or message is None:
        logger.warning("approval.message_reposted: the message was deleted", extra={"channel": channel_id})
        return
    current = posting.version(restored)
    known = table.get(place.key) or {}
    table.update(place.key, "SET versions = :versions", versions=approval_places.versions_with(known, current))
    if versions and found not in versions and found != current:
        _report(row, slack, f"In <#{channel_id}>, someone changed", " ir-router restored it.", found)


def _read(slack: Slack, channel_id: str, ts: str) -> Mapping[str, Any] | None:
    """Return the message as Slack stores it now, or None if it is gone or in a channel that the app cannot read."""
    where: dict[str, Any] = {"channel": channel_id, "oldest": ts, "latest": ts, "inclusive": True, "limit": 1}
    try:
        messages = slack.read("conversations.history", **where).get("messages") or []
    except RefusedError as error:
        logger.warning("approval.message_unreadable", extra={"channel": channel_id, "code": error.code})
        return None
    return next((one for one in messages if one.get("ts") == ts and one.get("subtype") != "tombstone"), None)


def _report(row: Row, slack: Slack, what: str, done: str, name: str) -> None:
    """Report once, in the security channel (or the case's) and on the case, that the token has leaked."""
    about = shorten(str(row["headline"]), _HEADLINE_LENGTH)
    measure("FailuresTold")
    logger.error("approval.message_tampered: rotate the bot token", extra={"approval_id": row["approval_id"]})
    case_place = next(approval_places.in_case_channel(row), None)
    channel = security_channel.known_id() or (case_place.channel_id if case_place else "")
    if row.get("case_id"):
        try:
            text = f'{_ROTATE} The approval request "{about}" was changed or imitated in Slack.{done} {_SAFE}'
            system_comments.write(str(row["case_id"]), f"tampered-{name}", text)
        except IrRouterError as error:
            logger.warning("approval.tampering_not_on_case", extra={"reason": str(error)})
    if not channel:
        return
    key = keys.deduplication(f"APPROVAL-MESSAGE#TAMPERED#{name}")
    taken = claims.take(key, settle_after=slack.deadline.settle_after)
    if isinstance(taken, claims.Claim):
        lines = [f"🚨 *{_ROTATE}*", f'{what} the approval request "{escape(about)}".{done} {_SAFE}']
        posting.post(slack, channel, taken, Message(text=" ".join(lines), blocks=sections(lines)))
