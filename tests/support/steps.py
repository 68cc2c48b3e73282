"""The steps of a task of the workflow, in order, with the time stopped."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import audit
from ir_router.workflow import notices, request_approval

NOW = 1_768_480_300.0
PRINCIPAL = "arn:aws:iam::111122223333:user/mallory"


class Steps:
    """The steps of a task, in order. `errors` are raised by the steps with these names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the clock, the notices and the audit."""
        self.done: list[Any] = []
        self.errors: dict[str, Exception] = {}
        monkeypatch.setattr(clock, "now", lambda: NOW)
        monkeypatch.setattr(clock, "sleep", self.step("sleep"))
        for name in ("publish", "mail", "alert_everywhere", "comment", "alert_in_slack", "mention_approvers"):
            monkeypatch.setattr(notices, name, self.step(name))
        monkeypatch.setattr(audit, "append", self.step("audit"))
        monkeypatch.setattr(request_approval, "refresh", self.step("refresh"))

    def step(self, name: str, answer: Any = None) -> Any:
        """Return a call that notes its arguments and returns this answer."""

        def take(*given: Any, **named: Any) -> Any:
            self.done.append((name, *given, *([named] if named else [])))
            if name in self.errors:
                raise self.errors[name]
            return answer

        return take


class Held:
    """A lock whose row changes as it is saved."""

    def __init__(self, steps: Steps, **row: Any) -> None:
        """Note the changes among these steps."""
        self.row = row
        self.principal = PRINCIPAL
        self.saved = steps.step("saved")
        self._note = steps.step("save")

    def save(self, **values: Any) -> None:
        self._note(values)
        self.row = {**self.row, **values}

    def saving(self, **values: Any) -> Any:
        self.row = {**self.row, **values}
        return ("with row", values)
