"""Which cases get a channel. Pure."""

from __future__ import annotations


def is_ours(created: float, closed: bool, first_poll: float | None, initial_import: str) -> bool:
    """Whether a case is synchronised (times in seconds since the epoch).

    A case that is newer than the deployment always is. An older one is when it is open and `initial_import` is `open`.
    `first_poll` None: the poller has not run yet, so every case counts as older.
    """
    if first_poll is not None and created >= first_poll:
        return True
    return not closed and initial_import == "open"
