"""A journal of the calls of replaced functions, for tests that compare all effects of a step in their order."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import RefusedError


class Journal:
    """The calls in order: the function's name, its positional arguments and, if there are any, its named ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._monkeypatch = monkeypatch

    def replace(self, module: Any, name: str, *answers: Any) -> None:
        """Replace a function. It gives the answers in turn, then the last one always; a function makes the answer."""
        left = list(answers)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, named) if named else (name, *arguments))
            answer = left.pop(0) if len(left) > 1 else next(iter(left), None)
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments, **named) if callable(answer) else answer

        self._monkeypatch.setattr(module, name, call)

    def taken(self) -> list[tuple[Any, ...]]:
        """Return the calls since the last time."""
        found = self.calls[:]
        self.calls.clear()
        return found


def refused(code: str, service: str = "Slack", operation: str = "m") -> RefusedError:
    """Return a rejection of a service."""
    return RefusedError(service, operation, code)
