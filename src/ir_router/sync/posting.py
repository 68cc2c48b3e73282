"""Posting to a channel exactly once: claim, look where an earlier attempt may have landed, post, confirm.

Slack has no idempotency key, so every message carries its ledger key as metadata and is looked for by it.
"""

from __future__ import annotations

from typing import Any

from ir_router import clock
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message

EVENT_TYPE = "ir_router"
# Slack's answers when a message of ours is gone, or the workspace lets nobody edit it any more.
CANNOT_BE_EDITED = frozenset({"message_not_found", "edit_window_closed", "cant_update_message"})
# Slack's clock and ours may differ a little.
_CLOCK_SKEW_SECONDS = 60


def post(slack: Slack, channel_id: str, claim: Claim, message: Message, **confirmed: Any) -> str:
    """Make the claimed message exist once, confirm the claim, and return its `ts`.

    `confirmed` is stored with the confirmation. A certain refusal gives the claim back before it is raised.
    """
    ts = find(slack, channel_id, claim, message.thread_ts) if claim.must_look else None
    if ts is None:
        try:
            ts = _send(slack, channel_id, claim, message)
        except (RefusedError, RetryLaterError, OutOfTimeError):  # out of time: before it was sent, or after a 429
            claims.refused(claim)
            raise
        except UncertainError:
            claims.unanswered(claim, slack.deadline.settled_from_now)
            raise
    claims.confirm(claim, ts=ts, channel_id=channel_id, posted_at=clock.now(), **confirmed)
    return ts


def find(slack: Slack, channel_id: str, claim: Claim, thread_ts: str | None = None) -> str | None:
    """The `ts` of the message that carries the claim's key, or None. If there are two, the later ones are deleted."""
    since = f"{float(claim.row.get('claimed_at', 0)) - _CLOCK_SKEW_SECONDS:.6f}"
    where: dict[str, Any] = {"channel": channel_id, "oldest": since, "include_all_metadata": True}
    method = "conversations.history"
    if thread_ts:
        where["ts"], method = thread_ts, "conversations.replies"
    # A message of a thread's page may be its parent, which is in every page.
    found = sorted(
        {
            str(message["ts"])
            for message in slack.pages(method, "messages", **where)
            if _key_of(message) == _payload(claim)
        }
    )
    for surplus in found[1:]:
        logger.error("deleted a message that was posted twice", extra={"key": claim.key.sk, "ts": surplus})
        _delete(slack, channel_id, surplus)
    return found[0] if found else None


def _delete(slack: Slack, channel_id: str, ts: str) -> None:
    try:
        slack.read("chat.delete", channel=channel_id, ts=ts)
    except RefusedError as error:
        if error.code != "message_not_found":
            raise


def replace(slack: Slack, channel_id: str, ts: str, message: Message) -> None:
    """Set a message's content (chat.update can be repeated without harm)."""
    slack.read("chat.update", channel=channel_id, ts=ts, text=message.text, blocks=message.blocks, parse="none")


def _send(slack: Slack, channel_id: str, claim: Claim, message: Message) -> str:
    arguments: dict[str, Any] = {
        "channel": channel_id,
        "text": message.text,
        "blocks": message.blocks,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": _payload(claim)},
        "parse": "none",  # or addresses in the fallback text would be made links
        "unfurl_links": False,
        "unfurl_media": False,
        "link_names": False,
    }
    if message.thread_ts:
        arguments["thread_ts"] = message.thread_ts
    return str(slack.post("chat.postMessage", **arguments)["ts"])


def _payload(claim: Claim) -> dict[str, str]:
    return {"row": claim.key.pk, "key": claim.key.sk}


def _key_of(message: dict[str, Any]) -> dict[str, str] | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload") or {}
    return {name: str(payload.get(name, "")) for name in ("row", "key")}
