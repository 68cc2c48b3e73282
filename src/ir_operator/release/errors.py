"""The errors of a release."""

from __future__ import annotations

from ir_operator.errors import CommandError


class ReleaseError(CommandError):
    """The release cannot be made. Nothing was written to build/release."""
