"""The scenes of the report: its page, in two parts that fit into the docs, for `ir_sandbox.demo.pictures`."""

from __future__ import annotations

import re
from pathlib import Path

from ir_sandbox.demo.scenes import FOLDER, WIDE

# Scene -> the titles of its sections.
_SCENES = {
    "report-decisions": ("Times", "Open follow-ups", "Decisions"),
    "report-activity": ("Activity of the contained credentials", "Timeline"),
}
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_MEASURE = "document.documentElement.dataset.height=Math.ceil(document.documentElement.getBoundingClientRect().height)"


def write_scenes(report: Path) -> None:
    """Write the scenes of a report's page.

    A scene has the beginning of the page or sections of it, unchanged. It measures itself, which the page's policy
    forbids to scripts.
    """
    content = _POLICY.sub("", report.read_text("utf-8"))
    beginning, *sections = re.split(r"(?=<h2>)", content)
    head, title = beginning.replace("<html ", f'<html data-width="{WIDE}" ', 1).split("<body>")
    by_title = {one[len("<h2>") : one.index("</h2>")]: one for one in sections}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for number, (name, titles) in enumerate(_SCENES.items()):
        body = "".join([title if number == 0 else "", *(by_title[one] for one in titles)])
        scene = f"{head}<body>{body}<script>{_MEASURE}</script></body></html>\n"
        (FOLDER / f"{name}.html").write_text(scene, encoding="utf-8")
