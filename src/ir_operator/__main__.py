"""The command `ir-router` (also `python -m ir_operator`): parse the command line and run one sub-command."""

from __future__ import annotations

import importlib
import sys

from ir_operator import terminal
from ir_operator.errors import CommandError
from ir_operator.parser import parser
from ir_operator.signals import StopRequested, graceful_stop

FAILED = 1
INTERRUPTED = 130
"""The exit code that shells use for a program ended by Ctrl-C."""


def main(arguments: list[str] | None = None) -> int:
    """Run the sub-command of the command line.

    Args:
        arguments: The words after the program's name; `sys.argv` by default.

    Returns:
        The exit code: 0 on success, 1 on failure (or Terraform's own code), 2 on wrong usage, 130 when interrupted.
    """
    options = parser().parse_args(arguments)
    try:
        with graceful_stop():
            # Import late, because an installation without a clone lacks the tools of some sub-commands.
            code: int = importlib.import_module(options.module).execute_command(options)
    except CommandError as error:
        terminal.line("failed", str(error), sys.stderr)
        return FAILED
    except (KeyboardInterrupt, StopRequested):
        terminal.line("failed", "interrupted", sys.stderr)
        return INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
