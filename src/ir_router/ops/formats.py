"""What Slack's credentials look like: the specification's formats (terraform/variables.tf has the same)."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOT_CONFIGURED = "not-configured"
"""Stands in a parameter until it is given."""


@dataclass(frozen=True)
class Format:
    """`name` is what people call it; `looks` says what it looks like and where to find it."""

    name: str
    pattern: str
    looks: str

    def fits(self, text: str) -> bool:
        """Whether the text looks like one."""
        return re.fullmatch(self.pattern, text) is not None


BOT_TOKEN = Format(
    "bot token",
    r"xoxb-[0-9]+-[0-9]+-[a-zA-Z0-9]+",
    "xoxb-NUMBERS-NUMBERS-ALPHANUMERIC: the Bot User OAuth Token under OAuth & Permissions in the Slack app's settings",
)
SIGNING_SECRET = Format(
    "signing secret",
    r"[0-9a-fA-F]{32}",
    "32 hexadecimal characters: the Signing Secret under Basic Information in the Slack app's settings",
)
WORKSPACE_ID = Format(
    "workspace id",
    r"[A-Z0-9]{9,11}",
    "9 to 11 capital letters and digits, for example T1234567890: it is in the URL of the workspace's settings",
)
CHANNEL_PREFIX = Format(
    "channel prefix",
    r"[a-z0-9][a-z0-9_-]{0,47}",
    "1 to 48 lower-case letters, digits, hyphens and underscores, the first a letter or digit",
)
