"""Print lines to the terminal: a state first, then aligned columns. Colour appears only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

Row = tuple[str, str, str, str]
"""State, name, detail, and the fix (empty if there is nothing to fix)."""

_COLOURS = {"ok": 32, "moved": 32, "warning": 33, "waiting": 33, "dropped": 33, "failed": 31, "kept": 31}
_WIDTH = 9
_INDENT = " " * (_WIDTH + 2)


def line(state: str, text: str, stream: TextIO | None = None) -> None:
    """Print one line to `stream` (standard output by default): the state, then the text."""
    stream = stream or sys.stdout
    print(f"{_word(state, stream)}{text}", file=stream, flush=True)


def table(rows: Iterable[Row]) -> None:
    """Print a line for each row. A fix follows on a line of its own."""
    found = list(rows)
    width = max((len(name) for _, name, _, _ in found), default=0) + 2
    for state, name, detail, fix in found:
        line(state, f"{name:<{width}}{detail}".rstrip())
        if fix:
            print(textwrap.fill(fix, _columns(), initial_indent=_INDENT + "-> ", subsequent_indent=_INDENT + "   "))


def counted(states: Sequence[str]) -> str:
    """Return the number of each state, in order of first occurrence: `34 ok, 1 warning`."""
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def printable(text: str) -> str:
    """Return a text without control characters. Attackers choose some texts, for example the user agent of a call."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _columns() -> int:
    return max(80, shutil.get_terminal_size((120, 24)).columns)


def _word(state: str, stream: TextIO) -> str:
    word = f"{state:<{_WIDTH}}"
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return word
    return f"\033[{_COLOURS.get(state, 0)}m{word}\033[0m"
