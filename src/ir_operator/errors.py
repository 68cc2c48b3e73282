"""The base class of every error that ends a command without a traceback."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot continue. The message names the problem, the effect and the fix."""
