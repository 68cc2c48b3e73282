"""Texts that people read, made from fixed facts: `tests/unit/texts` holds them to the letter.

To accept a changed text, run `python -m tests.support.texts` and review the difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.texts import (
    approvals,
    channel,
    commands,
    decisions,
    executed,
    frame,
    ledger_approvals,
    ledger_rows,
    operations,
    pressed,
    report,
    runs,
    verification,
    workflow,
)

FOLDER = Path(__file__).parents[2] / "unit" / "texts"

PAGES: Mapping[str, Callable[[], Mapping[str, object]]] = {
    "approvals": approvals.texts,
    "channel": channel.texts,
    "commands": commands.texts,
    "decisions": decisions.texts,
    "executed": executed.texts,
    "frame": frame.texts,
    "ledger_approvals": ledger_approvals.texts,
    "ledger_rows": ledger_rows.texts,
    "operations": operations.texts,
    "pressed": pressed.texts,
    "report": report.texts,
    "runs": runs.texts,
    "verification": verification.texts,
    "workflow": workflow.texts,
}


def page(name: str) -> str:
    """Return a page with one section for each situation. A long run of one character becomes its length."""
    text = "\n".join(f"## {situation}\n\n{text}\n" for situation, text in PAGES[name]().items())
    return re.sub(r"(\w)\1{19,}", lambda run: f"({run[1]}, {len(run[0])} times)", text)
