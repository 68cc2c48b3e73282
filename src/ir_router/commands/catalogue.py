"""The sub-commands of `/security-ir`: one line each. What one does is in the module of its name
(`update-status`: `commands/update_status.py`, whose `run(command)` returns the answer).

Read by the internet-facing door as well: nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COMMAND = "/security-ir"


@dataclass(frozen=True)
class SubCommand:
    """A sub-command.

    `argument` is how the usage shows it and `asks_for` what is missing without it (empty: none is needed).
    `changes`: it changes the case, so only those who may do that may run it. `anywhere`: it needs no case channel.
    """

    name: str
    purpose: str
    progress: str
    argument: str = ""
    asks_for: str = ""
    changes: bool = False
    anywhere: bool = False

    @property
    def usage(self) -> str:
        """What to type."""
        return f"{COMMAND} {self.name} {self.argument}".rstrip()

    @property
    def module(self) -> str:
        """The module that carries it out."""
        return f"ir_router.commands.{self.name.replace('-', '_')}"


_READING = "⏳ Reading the case…"
_UPDATING = "⏳ Updating the case…"
_MOMENT = "⏳ One moment…"

SUB_COMMANDS: Mapping[str, SubCommand] = {
    entry.name: entry
    for entry in (
        SubCommand("status", "Get current case status and details", _READING),
        SubCommand("update-status", "Update case status", _UPDATING, "<status>", "a status", changes=True),
        SubCommand("update-description", "Update case description", _UPDATING, "<text>", "a description", changes=True),
        SubCommand("update-title", "Update case title", _UPDATING, "<text>", "a title", changes=True),
        SubCommand("close", "Close the case", _READING, changes=True),
        SubCommand("incident-details", "Get incident details", _READING),
        SubCommand("create", "Open a new case with a form", "📝 Opening the form…", "[title]", anywhere=True),
        SubCommand("add-watcher", "Add watchers", _UPDATING, "<@name or e-mail>", "a person", changes=True),
        SubCommand("remove-watcher", "Remove watchers", _UPDATING, "<@name or e-mail>", "a person", changes=True),
        SubCommand("comment", "Comment on the case without the channel", _UPDATING, "<text>", "a text", changes=True),
        SubCommand("sync", "Compare case and channel now", _MOMENT),
        SubCommand("help", "Show this list", _MOMENT, anywhere=True),
    )
}
