"""Post the alerts of the workflow in the security channel, each once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock, observability
from ir_router.deadline import LambdaContext, of_invocation
from ir_router.ledger import alerts, claims, keys, security_channel, table
from ir_router.observability import logger
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import mentioning
from ir_router.sync import alert_message, approvers, posting, security_channel_made
from ir_router.sync.case_sync import ClaimHeldError

_RESERVE_SECONDS = 10
_SLICE_SECONDS = 120


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Post the alert that an event AlertRaised names. Returns `{"alert", "posted"}`.

    Raises ClaimHeldError if another run may be posting it: Lambda retries.
    """
    name = str(event["detail"]["alert"])
    observability.correlate(name)
    slack = Slack(of_invocation(context, reserve=_RESERVE_SECONDS, at_most=_SLICE_SECONDS))
    row = alerts.get(name)
    if row is None:
        return {"alert": name, "posted": False}  # an invented or expired one
    security_channel_made.ensure(slack)
    channel_id = security_channel.known_id()
    if not channel_id:
        logger.warning("alert.not_posted: there is no security channel", extra={"alert_id": row["alert_id"]})
        return {"alert": name, "posted": False}
    expires_at = int(clock.now()) + alerts.KEPT_SECONDS
    settle_after = slack.deadline.settle_after
    taken = claims.take(keys.slack_alert_message(name), settle_after=settle_after, expires_at=expires_at)
    if isinstance(taken, claims.Held):
        raise ClaimHeldError(taken.until)
    if isinstance(taken, claims.Claim):
        mentions = approvers.mentions(slack) if row.get("mention") else []
        message = mentioning(mentions, alert_message.message(name, row, _channel_of(row)))
        posting.post(slack, channel_id, taken, message)
    return {"alert": name, "posted": True}


def _channel_of(row: table.Row) -> str:
    case_id = str(row.get("case_id") or "")
    return str((table.get(keys.case(case_id)) or {}).get("slackChannelId") or "") if case_id else ""
