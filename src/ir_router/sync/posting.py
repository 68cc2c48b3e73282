"""Post to a channel exactly once: claim, search for the message of an earlier attempt, post, confirm.

Slack has no idempotency key, so every message contains its ledger key as metadata, by which it is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message

EVENT_TYPE = "ir_router"
# Slack's error codes for a message that was deleted or can no longer be edited.
CANNOT_BE_EDITED = frozenset({"message_not_found", "edit_window_closed", "cant_update_message"})
# Slack's clock may differ from Lambda's.
_CLOCK_SKEW_SECONDS = 60


def post(
    slack: Slack, channel_id: str, claim: Claim, message: Message, *, keeps_version: bool = False, **confirmed: Any
) -> str:
    """Post the claimed message if it does not exist, confirm the claim and return the message's `ts`.

    A rejection releases the claim and is raised.

    Args:
        slack: The gateway.
        channel_id: The channel.
        claim: The claim of this message.
        message: The content.
        keeps_version: Whether to store `version` of the message, by which a later change is noticed.
        confirmed: Further values to store with the confirmation.
    """
    ts = find(slack, channel_id, claim, message.thread_ts) if claim.must_look else None
    if ts is None:
        try:
            posted = _send(slack, channel_id, claim, message)
        except (RefusedError, RetryLaterError, OutOfTimeError):  # out of time: before it was sent, or after a 429
            claims.refused(claim)
            raise
        except UncertainError:
            claims.unanswered(claim, slack.deadline.settled_from_now)
            raise
        ts = str(posted["ts"])
        if keeps_version:
            confirmed["versions"] = [version(posted.get("message") or {})]
    claims.confirm(claim, ts=ts, channel_id=channel_id, posted_at=clock.now(), **confirmed)
    return ts


def find(slack: Slack, channel_id: str, claim: Claim, thread_ts: str | None = None) -> str | None:
    """Return the `ts` of the message with the claim's key, or None. Duplicates are deleted; the first one stays."""
    since = f"{float(claim.row.get('claimed_at', 0)) - _CLOCK_SKEW_SECONDS:.6f}"
    where: dict[str, Any] = {"channel": channel_id, "oldest": since, "include_all_metadata": True}
    method = "conversations.history"
    if thread_ts:
        where["ts"], method = thread_ts, "conversations.replies"
    # Every page of a thread contains the parent message.
    found = sorted(
        {
            str(message["ts"])
            for message in slack.pages(method, "messages", **where)
            if _key_of(message) == _payload(claim)
        }
    )
    for surplus in found[1:]:
        logger.error("message.duplicate_deleted", extra={"key": claim.key.sk, "ts": surplus})
        _delete(slack, channel_id, surplus)
    return found[0] if found else None


def _delete(slack: Slack, channel_id: str, ts: str) -> None:
    try:
        slack.read("chat.delete", channel=channel_id, ts=ts)
    except RefusedError as error:
        if error.code != "message_not_found":
            raise


def is_unconfirmed(row: Row, ts: str) -> bool:
    """Whether a row of a case is the open claim of a post that may have become the message with this `ts`."""
    is_post = not str(row["SK"]).startswith("SLACK#") and row.get("state") == "claimed" and not row.get("refused")
    return is_post and float(row.get("claimed_at") or 0) - _CLOCK_SKEW_SECONDS <= float(ts)


def replace(slack: Slack, channel_id: str, ts: str, message: Message) -> str:
    """Update a message's content, and return its new `version`. chat.update is idempotent."""
    answer = slack.read(
        "chat.update",
        channel=channel_id,
        ts=ts,
        text=message.text,
        blocks=message.blocks,
        attachments=[],  # without it, attachments that another holder of the token added would stay
        parse="none",
    )
    return version(answer.get("message") or {})


def version(message: Mapping[str, Any]) -> str:
    """Return a hash of a message's content as Slack stores it.

    Slack adds ids, rewrites emoji and links, and returns the same form in answers, histories and events.
    """
    content = [message.get("text") or "", _without_ids(message.get("blocks") or []), message.get("attachments") or []]
    return digest(content)


def _without_ids(value: Any) -> Any:
    """Return blocks without the block ids: Slack chooses others with each update."""
    if isinstance(value, list):
        return [_without_ids(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _without_ids(inner) for name, inner in value.items() if name != "block_id"}
    return value


def _send(slack: Slack, channel_id: str, claim: Claim, message: Message) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "channel": channel_id,
        "text": message.text,
        "blocks": message.blocks,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": _payload(claim)},
        "parse": "none",  # otherwise Slack turns addresses in the fallback text into links
        "unfurl_links": False,
        "unfurl_media": False,
        "link_names": False,
    }
    if message.thread_ts:
        arguments["thread_ts"] = message.thread_ts
    return slack.post("chat.postMessage", **arguments)


def _payload(claim: Claim) -> dict[str, str]:
    return {"row": claim.key.pk, "key": claim.key.sk}


def _key_of(message: dict[str, Any]) -> dict[str, str] | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload") or {}
    return {name: str(payload.get(name, "")) for name in ("row", "key")}
