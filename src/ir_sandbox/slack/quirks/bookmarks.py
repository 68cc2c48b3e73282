"""How Slack rejects bookmarks, and loses its answers about them."""

from __future__ import annotations

from ir_sandbox.slack.quirks.quirk import Quirk

FULL = Quirk(
    "bookmarks.full",
    "The channel has 100 bookmarks: bookmarks.add returns too_many_bookmarks.",
    "https://docs.slack.dev/reference/methods/bookmarks.add",
)
NOT_AVAILABLE = Quirk(
    "bookmarks.not_available",
    "Bookmarks are not available for the app in this channel: every method returns not_implemented.",
    "https://docs.slack.dev/reference/methods/bookmarks.list#errors",
)
PERMISSION_DENIED = Quirk(
    "bookmarks.permission_denied",
    "The app may read the bookmarks of the channel, but changes return permission_denied.",
    "https://docs.slack.dev/reference/methods/bookmarks.edit#errors",
)
FAILS_AFTER_EFFECT = Quirk(
    "bookmarks.fails_after_effect",
    "bookmarks.add adds the bookmark and returns fatal_error.",
    "https://docs.slack.dev/reference/methods/bookmarks.add#errors",
)

QUIRKS: tuple[Quirk, ...] = (FULL, NOT_AVAILABLE, PERMISSION_DENIED, FAILS_AFTER_EFFECT)
