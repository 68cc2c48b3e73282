"""The quirks of the local Slack for `make demo QUIRKS=1`."""

from __future__ import annotations

from collections.abc import Iterable

from ir_sandbox.slack.quirks import QUIRKS, bookmarks, errors, files, identity
from ir_sandbox.slack.quirks.quirk import Quirk

# These last until an administrator changes a setting or the user acts again, need an installation on an organisation,
# or take longer than the demo.
_LEFT_OUT = frozenset(
    {
        bookmarks.FAILS_AFTER_EFFECT,
        bookmarks.FULL,
        bookmarks.NOT_AVAILABLE,
        bookmarks.PERMISSION_DENIED,
        errors.APP_REFUSED,
        errors.CHANNELS_BY_ADMINISTRATORS,
        errors.CHANNEL_READ_ONLY,
        errors.FORM_CLOSED_AT_ONCE,
        errors.TRIGGER_ALWAYS_EXPIRED,
        files.NEVER_SHARED,
        identity.ORG_WIDE_INSTALLATION,
    }
)


def of_demo() -> Iterable[Quirk]:
    """Return the quirks that pass by themselves or change only the form of events, by name."""
    return sorted(set(QUIRKS.values()) - _LEFT_OUT, key=lambda quirk: quirk.name)
