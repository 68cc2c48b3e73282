"""Read from AWS's message which policy denied a call. Pure.

Messages: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_POLICY = re.compile(
    r"(?P<how>explicit deny in an?|because no) "
    r"(?P<policy>(?:[a-z]+[ -]){0,3}(?:policy|boundary)|VPC endpoint policy)\b"
    r"(?:: (?P<arn>arn:[^\s,;]{1,200}))?"
)
_EXPLICIT = "explicit deny"
_IDENTITY = "identity-based policy"


class Denial(NamedTuple):
    """The reason in words; empty if AWS did not state it. `may_pass`: a new permission may not apply everywhere yet."""

    why: str
    may_pass: bool


def read(message: str) -> Denial:
    """Return why AWS denied a call."""
    found = _POLICY.search(message)
    if found is None:
        is_explicit = _EXPLICIT in message
        return Denial(_EXPLICIT if is_explicit else "", may_pass=not is_explicit)
    policy = found["policy"]
    if found["how"] == "because no":
        # A new permission of the role takes some seconds to apply everywhere. All other policies exist for longer.
        return Denial(f"no {policy} allows it", may_pass=policy == _IDENTITY)
    article = "an" if policy.startswith("i") else "a"
    arn = f" ({found['arn'].rstrip('.')})" if found["arn"] else ""
    return Denial(f"{_EXPLICIT} in {article} {policy}{arn}", may_pass=False)
