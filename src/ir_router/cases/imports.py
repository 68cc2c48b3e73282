"""Decide which cases get a channel. Pure."""

from __future__ import annotations


def is_ours(created: float, closed: bool, first_poll: float | None, initial_import: str) -> bool:
    """Whether a case is synchronised: if it is newer than the deployment, or open and `initial_import` is `open`.

    Args:
        created: When the case was created, in seconds since the epoch.
        closed: Whether the case is closed.
        first_poll: When the poller first ran, in seconds since the epoch. None before that: every case counts as older.
        initial_import: The variable `initial_import`.
    """
    if first_poll is not None and created >= first_poll:
        return True
    return not closed and initial_import == "open"
