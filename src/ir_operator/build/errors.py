"""The errors of the build. Each message contains the fix or the tool's own output."""

from __future__ import annotations

from ir_operator.errors import CommandError


class BuildError(CommandError):
    """The zip cannot be built."""


class SourceError(BuildError):
    """A module of the package is not valid Python."""


class UnpackedServiceError(BuildError):
    """The package makes a client for a service whose data is not packed."""


class DependencyError(BuildError):
    """The locked dependencies cannot be installed. The message contains uv's output."""


class BytecodeError(BuildError):
    """A module cannot be compiled. The message contains compileall's output."""


class PackageTooLargeError(BuildError):
    """The zip exceeds the maximum size. The message names its largest parts."""
