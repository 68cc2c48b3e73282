"""The catalogue of sub-commands of `/security-ir`, the only list of them.

The module of a sub-command has its name and defines `execute_command(command)`: `update-status` is in
`commands/update_status.py`. The webhook reads this module too, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMAND = "/security-ir"


@dataclass(frozen=True)
class SubCommand:
    """A sub-command.

    Attributes:
        name: The word after `/security-ir`.
        purpose: Its line in the help.
        argument: The argument as the usage shows it.
        asks_for: The missing argument as the error names it. Empty if no argument is required.
        changes: Whether it changes the case, so that it needs the permission to do so.
        anywhere: Whether it works outside the channel of a case.
    """

    name: str
    purpose: str
    argument: str = ""
    asks_for: str = ""
    changes: bool = False
    anywhere: bool = False

    @property
    def usage(self) -> str:
        """Return the command as users type it."""
        return f"{COMMAND} {self.name} {self.argument}".rstrip()

    @property
    def module(self) -> str:
        """Return the full name of its module."""
        return f"ir_router.commands.{self.name.replace('-', '_')}"


SUB_COMMANDS: Mapping[str, SubCommand] = {
    entry.name: entry
    for entry in (
        SubCommand("status", "Get current case status and details"),
        SubCommand("update-status", "Update case status", "<status>", "a status", changes=True),
        SubCommand("update-description", "Update case description", "<text>", "a description", changes=True),
        SubCommand("update-title", "Update case title", "<text>", "a title", changes=True),
        SubCommand("close", "Close the case", changes=True),
        SubCommand("incident-details", "Get incident details"),
        SubCommand("create", "Open a new case with a form", "[title]", anywhere=True),
        SubCommand("add-watcher", "Add watchers", "<@name or e-mail>", "a person", changes=True),
        SubCommand("remove-watcher", "Remove watchers", "<@name or e-mail>", "a person", changes=True),
        SubCommand("comment", "Comment on the case only, not in the channel", "<text>", "a text", changes=True),
        SubCommand("approvals", "List the open approval requests", anywhere=True),
        SubCommand("release", "Release a containment of this case", "[reason]"),
        SubCommand("list", "List the open cases", anywhere=True),
        SubCommand("activity", "Show the calls of the contained credentials"),
        SubCommand("escalate", "Hand the case over to AWS", changes=True),
        SubCommand("report", "Make the report about the case", changes=True),
        SubCommand("sync", "Synchronise the case with this channel now"),
        SubCommand("help", "Show this list", anywhere=True),
    )
}
