"""One surprising behaviour of the real Slack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirk:
    """A named behaviour: one sentence that describes it, and its public source."""

    name: str
    sentence: str
    source: str
