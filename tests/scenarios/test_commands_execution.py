"""A command whose attempt ended without an outcome, and a command with a bug."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.commands import status
from ir_router.commands.execution import StillAtWorkError
from ir_router.errors import UncertainError
from ir_router.settings import settings
from tests.support.commands import answers, case_with_channel
from tests.support.world import World


def command(world: World, person_id: str, case_id: str, text: str) -> dict[str, Any]:
    """Return the event of a slash command that the webhook has accepted."""
    form = {"command": "/security-ir", "text": text, "trigger_id": "1.2.3", "user_id": person_id}
    form |= {"channel_id": world.channel_of(case_id), "team_id": world.workspace.team_id, "response_url": ""}
    return {"task": "slash_command", "command": form}


def title_of(world: World, case_id: str) -> str:
    return str(world.security_ir.call("GetCase", {"caseId": case_id})["title"])


def test_given_an_attempt_without_an_answer_when_lambda_retries_early_then_the_retry_waits_until_its_requests_settled(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    world.unexpected.allow(StillAtWorkError, UncertainError)
    event = command(world, jane.id, case_id, "update-title After the storm")
    world.security_ir.faults.reset_connection("UpdateCase", times=None)
    with pytest.raises(UncertainError):
        world.invoke("slack", event)
    world.security_ir.faults.clear()

    world.advance(settings().settle_seconds - 1)
    with pytest.raises(StillAtWorkError):
        world.invoke("slack", event)
    assert title_of(world, case_id) != "After the storm"

    world.advance(2)
    world.invoke("slack", event)
    assert title_of(world, case_id) == "After the storm"


def test_given_a_bug_in_a_command_when_it_runs_then_the_user_gets_the_error_id_once_and_the_invocation_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, jane = case_with_channel(world)
    world.unexpected.allow(ZeroDivisionError)
    monkeypatch.setattr(status, "execute_command", lambda _command: 1 // 0)
    event = command(world, jane.id, case_id, "status")

    with pytest.raises(ZeroDivisionError):
        world.invoke("slack", event)
    world.invoke("slack", event)

    (answer,) = answers(world, jane)
    assert answer.startswith("❌ Unable to read case due to service error\nError ID: api-error-")
