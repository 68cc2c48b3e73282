"""Why a zip cannot be built; every message says what to mend."""

from __future__ import annotations


class BuildError(Exception):
    """The zip cannot be built."""


class SourceError(BuildError):
    """A module of the package is not Python."""


class UnpackedServiceError(BuildError):
    """The package makes a client for a service whose data is not packed."""


class DependencyError(BuildError):
    """The locked dependencies cannot be installed; the message is uv's."""


class BytecodeError(BuildError):
    """A module cannot be compiled; the message is compileall's."""


class PackageTooLargeError(BuildError):
    """The zip is larger than it may be; the message names the largest parts."""
