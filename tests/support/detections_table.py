"""The table of docs/detections.md, made from detections.json. Run this module to write it to the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ir_router.workflow import detections

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "detections.md"
START, END = "<!-- table of detections.json -->", "<!-- end of the table -->"


def table() -> str:
    """Return the rows, one for each detection."""
    head = ["| signal | detection | severity | `whom` | techniques | known benign uses |", "|---|---|---|---|---|---|"]
    entries = sorted(detections.entries(), key=lambda entry: -detections.SEVERITIES.index(entry["severity"]))
    return "\n".join(head + [_row(entry) for entry in entries])


def _row(entry: dict[str, Any]) -> str:
    return (
        f"| [{entry['title']}]({entry['source']}) | `{entry['id']}` | {entry['severity']} | `{entry['whom']}` "
        f"| {', '.join(entry['techniques'])} | {entry['benign']} |"
    )


def page_with_table(text: str) -> str:
    """Return the page with the current table."""
    wanted = f"{START}\n{table()}\n{END}"
    return re.sub(f"{re.escape(START)}.*?{re.escape(END)}", lambda _: wanted, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text("utf-8")), "utf-8")
