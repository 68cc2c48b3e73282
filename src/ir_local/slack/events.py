"""Which app hears of which event, and the envelope that the event comes in (Events API)."""

from __future__ import annotations

import base64
import json

from ir_local.slack.delivery import Deliveries
from ir_local.slack.model import App, Channel, Json
from ir_local.slack.store import Store

MESSAGE_EVENTS = {
    "public": "message.channels",
    "private": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
CHANNEL_TYPES = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}

# Slack's page of each event names the scopes of which one is needed to subscribe to it.
EVENT_SCOPES = {
    "app_mention": {"app_mentions:read"},
    "channel_archive": {"channels:read"},
    "channel_created": {"channels:read"},
    "channel_left": {"channels:read"},
    "channel_rename": {"channels:read"},
    "channel_unarchive": {"channels:read"},
    "file_deleted": {"files:read"},
    "file_shared": {"files:read"},
    "group_archive": {"groups:read"},
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
    """Gives each event to the apps that subscribed to it, may see it and are in its channel."""

    def __init__(self, store: Store, deliveries: Deliveries) -> None:
        """Deliver by `deliveries`."""
        self._store = store
        self._deliveries = deliveries

    def message(self, channel: Channel, event: Json) -> None:
        """A `message` event of that channel, with its `channel_type`."""
        full = {**event, "channel": channel.id, "channel_type": CHANNEL_TYPES[channel.kind]}
        full.setdefault("event_ts", event["ts"])
        self.publish(MESSAGE_EVENTS[channel.kind], full, channel=channel)

    def publish(
        self, subscription: str, event: Json, *, channel: Channel | None = None, only_app: App | None = None
    ) -> None:
        """Queue the event for every app that gets it; `channel` limits it to members, `only_app` to that app."""
        for app in list(self._store.apps.values()):
            if only_app is not None and app is not only_app:
                continue
            if channel is not None and only_app is None and app.bot_user_id not in channel.members:
                continue
            if subscription not in app.events or not self._allowed(app, subscription):
                continue
            self._deliveries.event(app, self.envelope(app, event, channel))

    def envelope(self, app: App, event: Json, channel: Channel | None) -> Json:
        """The outer object of an Events API request."""
        store = self._store
        now = store.now()
        event_ts = event.get("event_ts") or f"{now:.6f}"
        context = json.dumps({"et": event["type"], "tid": store.team_id, "aid": app.app_id}).encode()
        return {
            "token": app.verification_token,
            "team_id": store.team_id,
            "enterprise_id": store.enterprise_id,
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
                    "team_id": store.team_id,
                    "user_id": app.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": channel.is_ext_shared if channel is not None else False,
            "event_context": "4-" + base64.urlsafe_b64encode(context).decode().rstrip("="),
        }

    def _allowed(self, app: App, subscription: str) -> bool:
        token = self._store.tokens.get(app.token)
        if token is None or token.refused_with is not None:
            return False
        scopes = EVENT_SCOPES[subscription]
        return not scopes or bool(scopes & app.scopes)
