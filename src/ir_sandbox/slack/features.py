"""The state of a workspace and the features that change it, as one object for all modules above.

Imports go one way: model and store -> events -> features -> this module -> people and web_api -> workspace -> server.
"""

from __future__ import annotations

from ir_sandbox.slack.channels import Channels
from ir_sandbox.slack.delivery import Deliveries
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.files import Files
from ir_sandbox.slack.interactions import Interactions
from ir_sandbox.slack.messages import Messages
from ir_sandbox.slack.model import App, Channel
from ir_sandbox.slack.rate_limits import RateLimited, RateLimits
from ir_sandbox.slack.store import Store
from ir_sandbox.slack.users import Users
from ir_sandbox.slack.views import Views


class WorkspaceFeatures:
    """A workspace without its administration, for users and Web API methods."""

    def __init__(self, store: Store, deliveries: Deliveries, rate_limits: RateLimits | None) -> None:
        """Connect the features to each other; without `rate_limits`, no call is limited."""
        self.store = store
        self.deliveries = deliveries
        self.rate_limits = rate_limits
        self.bus = EventBus(store, deliveries)
        self.users = Users(store, self.bus)
        self.messages = Messages(store, self.bus)
        self.channels = Channels(store, self.bus, self.messages)
        self.files = Files(store, self.bus, self.messages)
        self.interactions = Interactions(store, deliveries, self.messages)
        self.views = Views(store, self.interactions, self.bus)

    def channel(self, channel: str) -> Channel:
        """Return a channel by its id or name; SlackError `channel_not_found`."""
        with self.store.lock:
            for candidate in self.store.channels.values():
                if channel in {candidate.id, candidate.name}:
                    return candidate
        raise SlackError("channel_not_found")

    def check_post_rate(self, app: App, channel: Channel) -> None:
        """Count a message to a channel; raises RateLimited above about one message per second."""
        if self.rate_limits is not None:
            wait = self.rate_limits.retry_after_post(app.app_id, channel.id)
            if wait is not None:
                raise RateLimited(wait)
