"""Commands that a unit test makes without a webhook: the user `U1` (Jane) in the channel `C1` of a case."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ir_router import clock
from ir_router.commands.command import Command
from ir_router.deadline import Deadline
from tests.support.answers import SlackAnswers

CASE = "1234567890"


def command(slack: Any = None, **changes: Any) -> Command:
    names = SimpleNamespace(
        real_name=lambda user_id: f"name of {user_id}",
        identified=lambda user_id: f"Jane ({user_id})",
        user=lambda _user_id: {"name": "jane", "profile": {}},
        channel=str,
        group=str,
    )
    fields: dict[str, Any] = {
        "id": "t1",
        "name": "update-title",
        "argument": "a",
        "user_id": "U1",
        "user_name": "jane",
        "channel_id": "C1",
        "response_url": "https://hooks.slack.com/1",
        "trigger_id": "t1",
        "deadline": Deadline(soft=clock.now() + 60, hard=clock.now() + 70),
        "slack": slack or SlackAnswers(),
        "names": names,
        "case_id": CASE,
    }
    return Command(**(fields | changes))
