"""What people said while nobody heard it: while the app was not a member of the channel, Slack sent no events; before a
channel was known as the case's (its making run had died), they were nobody's.

When the channel can be used, its history since then is handed over as if Slack had just told of it. Each message is on
the case once, however often it is handed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ir_router import aws
from ir_router.cases.changes import digest
from ir_router.ledger import keys
from ir_router.settings import settings
from ir_router.slack import credentials, inbound
from ir_router.sync.run import Run

# How long the app may have been away before a deep check noticed it (docs/synchronisation.md).
_UNNOTICED_SECONDS = 3600
# How many messages older than that are looked at for replies that are not: Slack lists threads by their first message.
_OLDER_MESSAGES = 1000


def synchronise(run: Run) -> None:
    """Hand over what is in the history and not in the ledger, if the channel was out of reach."""
    away_since = run.lease.row.get("channel_away_since")
    if not away_since:
        return
    own_bot = run.slack.read("auth.test").get("bot_id")
    for message in _history(run, float(away_since) - _UNNOTICED_SECONDS):
        ts = str(message["ts"])
        if message.get("bot_id") == own_bot or run.row(keys.slack_message(run.case_id, f"{ts}#0")):
            continue
        event = {**message, "type": "message", "channel": run.channel_id}
        if inbound.is_wanted(event, ""):
            run.deadline.check()
            _hand_over(run, event, ts)


def _history(run: Run, oldest: float) -> Iterator[Mapping[str, Any]]:
    """Messages and replies since then, oldest first; replies also to the messages before."""
    found: dict[str, Mapping[str, Any]] = {}
    older = 0
    # Newest first (https://docs.slack.dev/reference/methods/conversations.history).
    for message in run.slack.pages("conversations.history", "messages", channel=run.channel_id):
        if float(message["ts"]) < oldest:
            older += 1
            if older > _OLDER_MESSAGES:
                break
        found[str(message["ts"])] = message
        if message.get("reply_count") and float(message.get("latest_reply") or oldest) >= oldest:
            thread = {"channel": run.channel_id, "ts": message["ts"], "oldest": f"{oldest:.6f}"}
            for reply in run.slack.pages("conversations.replies", "messages", **thread):
                found.setdefault(str(reply["ts"]), reply)
    for ts in sorted(found):
        if float(ts) >= oldest:
            yield found[ts]


def _hand_over(run: Run, event: Mapping[str, Any], ts: str) -> None:
    body = {
        "event_id": f"catch-up-{ts}",
        "team_id": credentials.workspace_id(),
        "app_id": "",
        "event": inbound.trimmed(event),
    }
    aws.client("sqs").send_message(
        QueueUrl=settings().require("slack_events_queue_url"),
        MessageBody=json.dumps(body),
        MessageGroupId=run.channel_id,
        MessageDeduplicationId=digest([run.channel_id, ts]),
    )
