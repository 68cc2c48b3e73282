"""The entries of a folder, and the neutral ids in them."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.trials.world.deployment import ACCOUNT as WORLDS_ACCOUNT

BEGIN = 1_790_000_000.0
"""The time of the first step, in seconds since the epoch."""

# The ids that stand for ours in every entry. The world is built with them; only the account is moto's.
TEAM, SISTER_TEAM, STRANGERS_TEAM = "T0EXAMPLE1", "T0EXAMPLE2", "T0EXAMPLE9"
ORGANISATION = "E0EXAMPLE1"
APP, BOT, BOT_USER = "A0EXAMPLE1", "B0EXAMPLE1", "U0EXAMPLE0"
CHANNEL, SECURITY_CHANNEL = "C0EXAMPLE1", "C0SECURITY1"
JANE, BOB, COLLEAGUE, ANN, OTHER_BOT_USER, STRANGER = (f"U0EXAMPLE{number}" for number in (1, 2, 3, 4, 5, 9))
OTHER_APP, OTHER_BOT = "A0EXAMPLE5", "B0EXAMPLE5"
CASE = "1234567890"
ACCOUNT = "111122223333"

KINDS = frozenset(
    {
        "slack_sends",
        "slack_answers",
        "file_host_answers",
        "aws_sends",
        "aws_answers",
        "s3_answers",
        "given",
        "person",
    }
)


@dataclass(frozen=True)
class Step:
    """One step: its number (from 1), its time in seconds since the entry began, its kind and its content."""

    number: int
    at: float
    kind: str
    content: Any


@dataclass(frozen=True)
class Entry:
    """One entry. `wish` describes the expected result."""

    id: str
    what: str
    steps: tuple[Step, ...]
    wish: str
    text: str
    """The input as JSON, to look for ids in."""

    def of(self, *kinds: str) -> list[Step]:
        """Return the steps of these kinds, in order."""
        return [step for step in self.steps if step.kind in kinds]

    @property
    def end(self) -> float:
        """The time of the last step, or of the last change that a step announces."""
        times = [step.at for step in self.steps]
        for step in self.steps:
            if isinstance(step.content, Mapping):
                times += [value for name in ("until", "at") if isinstance(value := step.content.get(name), int | float)]
                times += [
                    value["at"]
                    for value in step.content.values()
                    if isinstance(value, Mapping) and isinstance(value.get("at"), int | float)
                ]
        return max(times, default=0.0)


def read(folder: Path, only: str = "") -> list[Entry]:
    """Read every entry of the folder's JSON files whose id matches one of the globs in `only` (default: all)."""
    globs = only.replace(",", " ").split() or ["*"]
    found: dict[str, Entry] = {}
    for file in sorted(folder.glob("*.json")):
        for number, raw in enumerate(_list(json.loads(file.read_text("utf-8"))), start=1):
            name = str(raw.get("id") or f"{file.stem}-{number}")
            if any(fnmatch.fnmatchcase(name, glob) for glob in globs):
                found[name] = entry(name, raw)
    return list(found.values())


def entry(name: str, raw: Mapping[str, Any]) -> Entry:
    """Return one entry, with our account's number in the world's place."""
    text = to_world(json.dumps(raw.get("input", []), ensure_ascii=False))
    return Entry(name, str(raw.get("what", "")), tuple(_steps(json.loads(text))), str(raw.get("expect", "")), text)


def _list(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        value = value.get("entries", [value] if "input" in value else [])
    return [one for one in value if isinstance(one, Mapping)]


def _steps(raw: list[Mapping[str, Any]]) -> Iterator[Step]:
    number = 0
    for one in raw:
        for kind, content in one.items():
            if kind == "at":
                continue
            number += 1
            yield Step(number, float(one.get("at") or 0), kind, content)


def to_world(text: str) -> str:
    """Replace our account id with the simulator's."""
    return text.replace(ACCOUNT, WORLDS_ACCOUNT)


def from_world(value: Any, base_url: str = "") -> Any:
    """Put the neutral ids and Slack's addresses back, in every string of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, default=str).replace(WORLDS_ACCOUNT, ACCOUNT)
    if base_url:
        for path, host in (
            ("/files-pri/", "files"),
            ("/upload/", "files"),
            ("/commands/", "hooks"),
            ("/actions/", "hooks"),
        ):
            text = text.replace(base_url + path, f"https://{host}.slack.com{path}")
    return json.loads(text)
