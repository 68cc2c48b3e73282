"""The specification's formats of Slack's credentials, as in terraform/variables.tf."""

from __future__ import annotations

import re
from dataclasses import dataclass

NOT_CONFIGURED = "not-configured"
"""The value of a parameter that is not set."""


@dataclass(frozen=True)
class Format:
    """The format of a credential. `looks` describes the form and where to find the value."""

    name: str
    pattern: str
    looks: str

    def fits(self, text: str) -> bool:
        """Return whether the text has this format."""
        return re.fullmatch(self.pattern, text) is not None


BOT_TOKEN = Format(
    "bot token",
    r"xoxb-[0-9]+-[0-9]+-[a-zA-Z0-9]+",
    "xoxb-NUMBERS-NUMBERS-ALPHANUMERIC (Bot User OAuth Token under OAuth & Permissions in the Slack app's settings)",
)
SIGNING_SECRET = Format(
    "signing secret",
    r"[0-9a-fA-F]{32}",
    "32 hexadecimal characters (Signing Secret under Basic Information in the Slack app's settings)",
)
WORKSPACE_ID = Format(
    "workspace id",
    r"[A-Z0-9]{9,11}",
    "9 to 11 capital letters and digits, for example T1234567890 (in the URL of the workspace's settings)",
)
CHANNEL_PREFIX = Format(
    "channel prefix",
    r"[a-z0-9][a-z0-9_-]{0,47}",
    "1 to 48 lower-case letters, digits, hyphens and underscores, starting with a letter or digit",
)
