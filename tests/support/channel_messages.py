"""Messages of a case channel and their senders, and a journal of the effects of copying one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import leases, table
from ir_router.sync import failures, hints, slack_to_case
from tests.support.journal import Journal

NOW = 50_000.0


class People:
    """Names of users: U1 is a user, B1 an app's bot, B2 another bot. UOWN and BOWN are ir-router."""

    users: dict[str, dict[str, Any]] = {  # noqa: RUF012
        "U1": {"name": "jane"},
        "B1": {"is_bot": True, "profile": {"api_app_id": "A1"}},
        "B2": {"is_bot": True},
    }

    def user(self, user_id: str) -> dict[str, Any]:
        return self.users.get(user_id, {})

    def real_name(self, user_id: str) -> str:
        return f"name of {user_id}"

    def own_ids(self) -> set[str]:
        return {"UOWN", "BOWN"}


PEOPLE: Any = People()


def journal_of_messages(monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Replace all effects of a message, with the time stopped."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for module, names in (
        (table, ("put", "get", "query")),
        (slack_to_case, ("announce", "correlate")),
        (leases, ("add_hint",)),
        (hints, ("publish",)),
        (failures, ("report",)),
    ):
        for name in names:
            found.replace(module, name)
    return found


def record(event: dict[str, Any], receive_count: int = 1) -> Any:
    """Return a message of the channel as the queue delivers it."""
    body = {"event": {"type": "message", "channel": "C1", **event}, "team_id": "T1", "app_id": "AOWN"}
    return SimpleNamespace(body=body, receive_count=receive_count)
