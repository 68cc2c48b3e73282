"""Copy messages for which there was no event.

Slack sends no events while the app is not a member of the channel. Events before the channel is assigned to a case
(because the run that created it died) are dropped. Once the channel can be used, its history since then is queued as if
Slack had just sent it. Each message appears on the case once, however often it is queued.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ir_router import aws, json_text
from ir_router.cases.changes import digest
from ir_router.ledger import keys
from ir_router.settings import settings
from ir_router.slack import credentials, inbound
from ir_router.sync.case_sync import CaseSync

# How long the app may have been absent before a deep check noticed it (docs/synchronisation.md).
_UNNOTICED_SECONDS = 3600
# Slack lists threads by their first message. This many older messages are checked for newer replies.
_OLDER_MESSAGES = 1000


def synchronise(sync: CaseSync) -> None:
    """If the channel was unavailable, queue the messages in its history that are not in the ledger."""
    away_since = sync.lease.row.get("channel_away_since")
    if not away_since:
        return
    own_bot = sync.slack.read("auth.test").get("bot_id")
    for message in _history(sync, float(away_since) - _UNNOTICED_SECONDS):
        ts = str(message["ts"])
        if message.get("bot_id") == own_bot or sync.row(keys.slack_message(sync.case_id, f"{ts}#0")):
            continue
        event = {**message, "type": "message", "channel": sync.channel_id}
        if inbound.is_wanted(event, ""):
            sync.deadline.check()
            _queue_event(sync, event, ts)


def _history(sync: CaseSync, oldest: float) -> Iterator[Mapping[str, Any]]:
    """Yield messages and replies since `oldest`, oldest first, including replies to older messages."""
    found: dict[str, Mapping[str, Any]] = {}
    older = 0
    # Newest first (https://docs.slack.dev/reference/methods/conversations.history).
    for message in sync.slack.pages("conversations.history", "messages", channel=sync.channel_id):
        if float(message["ts"]) < oldest:
            older += 1
            if older > _OLDER_MESSAGES:
                break
        found[str(message["ts"])] = message
        if message.get("reply_count") and float(message.get("latest_reply") or oldest) >= oldest:
            thread = {"channel": sync.channel_id, "ts": message["ts"], "oldest": f"{oldest:.6f}"}
            for reply in sync.slack.pages("conversations.replies", "messages", **thread):
                found.setdefault(str(reply["ts"]), reply)
    for ts in sorted(found):
        if float(ts) >= oldest:
            yield found[ts]


def _queue_event(sync: CaseSync, event: Mapping[str, Any], ts: str) -> None:
    body = {
        "event_id": f"catch-up-{ts}",
        "team_id": credentials.workspace_id(),
        "app_id": "",
        "event": inbound.trimmed(event),
    }
    aws.client("sqs").send_message(
        QueueUrl=settings().require("slack_events_queue_url"),
        MessageBody=json_text.for_queue(body),
        MessageGroupId=sync.channel_id,
        MessageDeduplicationId=digest([sync.channel_id, ts]),
    )
