"""Events that each detection means, and events that resemble them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.detection_events import changes, findings, tampering

EVENTS: Mapping[str, tuple[list[Any], list[Any]]] = {**findings.EVENTS, **tampering.EVENTS, **changes.EVENTS}
"""Detection: events that it means, and events that resemble them."""
