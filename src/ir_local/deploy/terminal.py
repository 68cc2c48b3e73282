"""How lines look on the terminal: a word for each state in front, aligned columns, colour only where it can be seen."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

_COLOURS = {"ok": 32, "moved": 32, "warning": 33, "waiting": 33, "dropped": 33, "failed": 31, "kept": 31}
_WIDTH = 9
_INDENT = " " * (_WIDTH + 2)


def line(state: str, text: str, stream: TextIO | None = None) -> None:
    """One line: the state's word, then the text."""
    stream = stream or sys.stdout
    print(f"{_word(state, stream)}{text}", file=stream, flush=True)


def table(rows: Iterable[tuple[str, str, str, str]]) -> None:
    """Lines of state, name, detail and what to do about it, which stands below where there is something to do."""
    found = list(rows)
    width = max((len(name) for _, name, _, _ in found), default=0) + 2
    for state, name, detail, mend in found:
        line(state, f"{name:<{width}}{detail}".rstrip())
        if mend:
            print(textwrap.fill(mend, _columns(), initial_indent=_INDENT + "-> ", subsequent_indent=_INDENT + "   "))


def counted(states: Sequence[str]) -> str:
    """`34 ok, 1 warning`: how often each state is there, in the order in which they first are."""
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _columns() -> int:
    return max(80, shutil.get_terminal_size((120, 24)).columns)


def _word(state: str, stream: TextIO) -> str:
    word = f"{state:<{_WIDTH}}"
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return word
    return f"\033[{_COLOURS.get(state, 0)}m{word}\033[0m"
