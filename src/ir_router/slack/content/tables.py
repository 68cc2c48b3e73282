"""Tables as Markdown tables, row by row.

https://docs.slack.dev/reference/block-kit/blocks/table-block
https://docs.slack.dev/reference/block-kit/blocks/data-table-block
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ir_router.slack.content.reading import Reading, string


def table(rows: object, cell: Callable[[Any, Reading], str], reading: Reading) -> str:
    """Return the rows of a table block. The first row is the header, as in Slack.

    Args:
        rows: The block's rows, each a list of cells.
        cell: Returns the text of a cell that is an object.
        reading: The state of reading.
    """
    texts = [
        [_one_line(cell(one, reading) if isinstance(one, dict) else string(one)) for one in row]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, list)
    ]
    if not any(any(row) for row in texts):
        return ""
    width = max(map(len, texts))
    shown = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in texts if row]
    return "\n".join([shown[0], "|" + " --- |" * width, *shown[1:]])


def _one_line(text: str) -> str:
    """Return the text of a cell on one line. A bar would end the cell."""
    return " ".join(text.split("\n")).strip().replace("|", "\\|")
