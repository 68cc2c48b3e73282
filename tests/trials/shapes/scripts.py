"""Scripted answers: which one counts for a call, by its time, its arguments and how often it has been given."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.trials.shapes.entries import Step

_MISSING = object()


@dataclass
class Script:
    """One scripted answer: from `at` on (seconds since the epoch), `times` times (None: until the next one)."""

    at: float
    answer: Mapping[str, Any]
    times: int | None
    until: float | None
    step: int
    given: int = 0

    @property
    def is_spent(self) -> bool:
        """Whether it was given `times` times."""
        return self.times is not None and self.given >= self.times


@dataclass
class _Line:
    """The answers for one call with the same arguments, in order."""

    arguments: Mapping[str, Any]
    scripts: list[Script] = field(default_factory=list)
    current: int = 0


class Scripts:
    """All scripted answers of one kind."""

    def __init__(self, steps: Iterable[Step], key: Callable[[Mapping[str, Any]], str], begin: float) -> None:
        """Sort the steps' answers by `key` of their content; the clock stands at `begin` when the entry begins."""
        self._lines: dict[str, list[_Line]] = {}
        self.key = key
        self.unused: set[int] = set()
        for step in sorted(steps, key=lambda one: one.at):
            answer = step.content
            lines = self._lines.setdefault(key(answer), [])
            arguments = answer.get("with") or {}
            line = next((one for one in lines if one.arguments == arguments), None)
            if line is None:
                line = _Line(arguments)
                lines.append(line)
            until = answer.get("until")
            line.scripts.append(
                Script(
                    begin + step.at, answer, answer.get("times"), None if until is None else begin + until, step.number
                )
            )
            self.unused.add(step.number)
        for lines in self._lines.values():
            lines.sort(key=lambda one: -len(one.arguments))
            for line in lines:
                _in_turn(line.scripts)

    def all(self) -> list[Script]:
        """Return every scripted answer, in the order of time."""
        found = [script for lines in self._lines.values() for line in lines for script in line.scripts]
        return sorted(found, key=lambda script: script.at)

    def take(self, key: str, arguments: Mapping[str, Any], now: float) -> Script | None:
        """Return the answer that counts for this call and count it as given; None if the call is not scripted."""
        script = self.peek(key, arguments, now)
        if script is not None:
            script.given += 1
            self.unused.discard(script.step)
        return script

    def peek(self, key: str, arguments: Mapping[str, Any], now: float) -> Script | None:
        """Return the answer that counts for this call."""
        for line in self._lines.get(key, []):
            if not matches(line.arguments, arguments):
                continue
            script = _counting(line, now)
            if script is not None:
                return script
        return None

    def drop(self, condemns: Callable[[Mapping[str, Any]], bool]) -> None:
        """Remove answers, regardless of their time."""
        for lines in self._lines.values():
            for line in lines:
                kept = [script for script in line.scripts if not condemns(script.answer)]
                if len(kept) != len(line.scripts):
                    line.scripts, line.current = kept, 0


def _in_turn(scripts: list[Script]) -> None:
    """Let answers that begin at the same time follow one another: each but the last counts once."""
    for one, following in itertools.pairwise(scripts):
        if one.at == following.at and one.times is None and one.until is None:
            one.times = 1


def _counting(line: _Line, now: float) -> Script | None:
    for number in range(line.current + 1, len(line.scripts)):
        if line.scripts[number].at <= now and line.scripts[line.current].at != line.scripts[number].at:
            line.current = number
    while line.current < len(line.scripts):
        script = line.scripts[line.current]
        is_forced = line.current > 0 and line.scripts[line.current - 1].is_spent
        if script.is_spent or (script.until is not None and now >= script.until):
            if line.current + 1 >= len(line.scripts):
                return None
            line.current += 1
            continue
        return script if script.at <= now or is_forced else None
    return None


def matches(wanted: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    """Return whether a call has the wanted arguments. An item of a list, or of a list with commas, is enough."""
    return all(_is_in(value, arguments.get(name, _MISSING)) for name, value in wanted.items())


def _is_in(wanted: Any, value: Any) -> bool:
    if value is _MISSING:
        return False
    if wanted == value or str(wanted) == str(value):
        return True
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    if isinstance(value, str):
        value = value.split(",")
    return isinstance(value, list) and str(wanted) in [str(item).strip() for item in value]
