"""Behaviours of the real Slack that surprise its clients. Each is off until a workspace turns it on.

Every module of this package lists the quirks of one area; `QUIRKS` holds them all by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from ir_sandbox.slack.quirks import bookmarks, errors, files, identity, messages
from ir_sandbox.slack.quirks.quirk import Quirk

QUIRKS = {quirk.name: quirk for area in (bookmarks, errors, files, identity, messages) for quirk in area.QUIRKS}


class Quirks:
    """The quirks that are on in one workspace.

    Attributes:
        asked: The names of the quirks that could have changed something so far, because the workspace asked `is_on`.
    """

    def __init__(self) -> None:
        """Start with all quirks off."""
        self._on: set[str] = set()
        self.asked: set[str] = set()

    def turn_on(self, names: Iterable[str]) -> None:
        """Turn quirks on; ValueError for an unknown name."""
        names = set(names)
        if unknown := names - QUIRKS.keys():
            raise ValueError(f"unknown quirks: {', '.join(sorted(unknown))}; GET /_local/quirks lists all")
        self._on |= names

    def turn_all_off(self) -> None:
        """Turn all quirks off."""
        self._on.clear()

    def is_on(self, quirk: Quirk) -> bool:
        """Return whether the workspace behaves this way."""
        self.asked.add(quirk.name)
        return quirk.name in self._on

    def listed(self) -> list[dict[str, object]]:
        """Return every quirk with its sentence, its source and whether it is on."""
        return [{**vars(quirk), "on": quirk.name in self._on} for quirk in QUIRKS.values()]
