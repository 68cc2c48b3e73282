"""Examples of all sub-commands of the catalogue. tests/unit/test_trials_cover.py checks that none is missing."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """The argument and a part of the answer. `asks` is true if a form or a confirmation request comes first."""

    argument: str
    answer: str
    asks: bool = False


EXAMPLES: dict[str, Example] = {
    "status": Example("", "Status: Open (Submitted)"),
    "update-status": Example("In Progress", "In Progress"),
    "update-description": Example("Another text", "description"),
    "update-title": Example("Another title", "Another title"),
    "close": Example("", "A closed case cannot be reopened", asks=True),
    "incident-details": Example("", "Case Summary"),
    "create": Example("Another case", "", asks=True),
    "add-watcher": Example("bob@example.com", "bob@example.com"),
    "remove-watcher": Example("carol@example.com", "carol@example.com"),
    "comment": Example("For AWS alone", "omment"),
    "approvals": Example("", "There are no open approval requests"),
    "release": Example("", "Nothing can be released here"),
    "list": Example("", "open case"),
    "activity": Example("", "no credentials"),
    "escalate": Example("", "This cannot be undone", asks=True),
    "report": Example("", "report"),
    "sync": Example("", "🔄"),
    "help": Example("", "/security-ir help"),
}
