"""The Events API: which app receives an event, and the envelope around it."""

from __future__ import annotations

import base64
import json

from ir_sandbox.slack.delivery import Deliveries
from ir_sandbox.slack.model import CONNECTED_ENTERPRISE, CONNECTED_TEAM, App, Channel, Json
from ir_sandbox.slack.quirks.identity import ENVELOPE_NAMES_SENDER, ORG_WIDE_INSTALLATION
from ir_sandbox.slack.store import Store

MESSAGE_EVENTS = {
    "public": "message.channels",
    "private": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
CHANNEL_TYPES = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}

# Each event's reference page lists the scopes; an app needs one of them to subscribe.
EVENT_SCOPES = {
    "app_home_opened": set[str](),
    "app_uninstalled": set[str](),
    "app_mention": {"app_mentions:read"},
    "channel_archive": {"channels:read"},
    "channel_created": {"channels:read"},
    "channel_deleted": {"channels:read"},
    "channel_id_changed": {"channels:read", "groups:read", "im:read", "mpim:read"},
    "channel_left": {"channels:read"},
    "channel_rename": {"channels:read"},
    "channel_unarchive": {"channels:read"},
    "file_deleted": {"files:read"},
    "file_shared": {"files:read"},
    "group_archive": {"groups:read"},
    "group_deleted": {"groups:read"},
    "group_left": {"groups:read"},
    "group_rename": {"groups:read"},
    "group_unarchive": {"groups:read"},
    "member_joined_channel": {"channels:read", "groups:read"},
    "member_left_channel": {"channels:read", "groups:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "reaction_added": {"reactions:read"},
    "team_join": {"users:read"},
    "tokens_revoked": set[str](),
    "user_change": {"users:read"},
}


class EventBus:
    """Sends each event to the apps that subscribe to it, have its scope and are members of its channel."""

    def __init__(self, store: Store, deliveries: Deliveries) -> None:
        """Send events through `deliveries`."""
        self._store = store
        self._deliveries = deliveries

    def message(self, channel: Channel, event: Json) -> None:
        """Publish a `message` event of a channel, with its `channel_type`."""
        full = {**event, "channel": channel.id, "channel_type": CHANNEL_TYPES[channel.kind]}
        full.setdefault("event_ts", event["ts"])
        self.publish(MESSAGE_EVENTS[channel.kind], full, channel=channel)

    def delay(self, ts: str, seconds: float) -> None:
        """Deliver the event of the message `ts` this much later, as after a failed delivery."""
        self._deliveries.disturb("delay", seconds=seconds, matches=lambda envelope: envelope["event"].get("ts") == ts)

    def publish(
        self, subscription: str, event: Json, *, channel: Channel | None = None, only_app: App | None = None
    ) -> None:
        """Queue an event for every app that receives it.

        Args:
            subscription: The event's name in an app's subscriptions.
            event: The inner event.
            channel: Send it only to members of this channel.
            only_app: Send it only to this app, whether or not it is a member.
        """
        for app in list(self._store.apps.values()):
            if only_app is not None and app is not only_app:
                continue
            if channel is not None and only_app is None and app.bot_user_id not in channel.members:
                continue
            if subscription not in app.events or not self._allowed(app, subscription):
                continue
            self._deliveries.event(app, self.envelope(app, event, channel))

    def envelope(self, app: App, event: Json, channel: Channel | None) -> Json:
        """Return the outer object of an Events API request."""
        store = self._store
        now = store.now()
        event_ts = event.get("event_ts") or f"{now:.6f}"
        context = json.dumps({"et": event["type"], "tid": store.team_id, "aid": app.app_id}).encode()
        team_id, enterprise_id = self._outer_ids(event, channel)
        is_org_wide = store.quirks.is_on(ORG_WIDE_INSTALLATION)
        return {
            "token": app.verification_token,
            "team_id": team_id,
            "enterprise_id": enterprise_id,
            "context_team_id": store.team_id,
            "context_enterprise_id": store.enterprise_id,
            "api_app_id": app.app_id,
            "event": {**event, "event_ts": event_ts},
            "type": "event_callback",
            "event_id": store.next_id("Ev"),
            "event_time": int(now),
            "authorizations": [
                {
                    "enterprise_id": store.enterprise_id,
                    "team_id": None if is_org_wide else store.team_id,
                    "user_id": app.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": is_org_wide,
                }
            ],
            "is_ext_shared_channel": channel.is_ext_shared if channel is not None else False,
            "event_context": "4-" + base64.urlsafe_b64encode(context).decode().rstrip("="),
        }

    def _outer_ids(self, event: Json, channel: Channel | None) -> tuple[str, str | None]:
        """Return the workspace and organisation that the envelope names first."""
        store = self._store
        inner = event.get("message") or event
        sender = store.users.get(str(inner.get("user")))
        if sender is not None and sender.team_id != store.team_id and store.quirks.is_on(ENVELOPE_NAMES_SENDER):
            return sender.team_id, sender.enterprise_id
        if channel is not None and channel.is_ext_shared and store.quirks.is_on(ENVELOPE_NAMES_SENDER):
            return CONNECTED_TEAM, CONNECTED_ENTERPRISE
        return store.team_id, store.enterprise_id

    def _allowed(self, app: App, subscription: str) -> bool:
        token = self._store.tokens.get(app.token)
        if token is None or token.refused_with is not None:
            return False
        scopes = EVENT_SCOPES[subscription]
        return not scopes or bool(scopes & app.scopes)
