"""The teardown of each world: the errors that fail a test, and those that do not."""

from __future__ import annotations

import contextlib

import pytest

from ir_router import observability
from ir_router.errors import InvalidInputError, OutOfTimeError
from ir_router.ledger import table
from ir_router.sync import queue
from ir_router.workflow import operator_tasks
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.unexpected import UnexpectedErrorsError


def fail(*_: object, **__: object) -> None:
    raise TypeError("a mistake")


def test_given_a_swallowed_error_when_the_world_ends_then_it_names_function_event_and_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator_tasks, "verify_audit", fail)
    with pytest.raises(UnexpectedErrorsError) as refused, running_world() as world:
        world.try_invoke("workflow", {"task": "verify_audit"})
    assert "TypeError in workflow: task verify_audit" in str(refused.value)
    assert 'raise TypeError("a mistake")' in str(refused.value)


def test_given_a_task_of_the_state_machine_that_fails_when_the_world_ends_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ir_router.workflow import check_allowlist

    monkeypatch.setattr(check_allowlist, "run_task", fail)
    with (
        pytest.raises(UnexpectedErrorsError, match="TypeError in state machine: task check_allowlist"),
        running_world() as w,
    ):
        incidents.contain(w, StateMachine(w))


def test_given_a_mistake_that_a_handler_only_logs_when_the_world_ends_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "Record", fail)
    with (
        pytest.raises(UnexpectedErrorsError, match=r"TypeError in logged 'sqs\.message_failed_unexpectedly'"),
        running_world() as world,
    ):
        world.try_invoke("sync", {"Records": [world.record("files", {})]})


def test_given_a_request_that_aws_calls_malformed_when_the_world_ends_then_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask(*_: object) -> None:
        table.query("")
        list(table.query(""))

    monkeypatch.setattr(operator_tasks, "verify_audit", ask)
    with (
        pytest.raises(UnexpectedErrorsError, match="MalformedRequestError in dynamodb Query"),
        running_world() as world,
    ):
        world.try_invoke("workflow", {"task": "verify_audit"})


def test_given_a_declared_error_when_it_came_then_the_world_ends_well_and_when_it_did_not_then_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator_tasks, "verify_audit", fail)
    with running_world() as world:
        world.expect(TypeError)
        world.try_invoke("workflow", {"task": "verify_audit"})
    with (
        pytest.raises(UnexpectedErrorsError, match="TypeError was declared and never raised"),
        running_world() as world,
    ):
        world.expect(TypeError)
    with running_world() as world:
        world.unexpected.allow(TypeError)


def test_given_an_error_that_the_test_itself_met_or_that_all_expect_when_the_world_ends_then_it_passes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator_tasks, "verify_audit", fail)
    with pytest.raises(TypeError):
        world.invoke("workflow", {"task": "verify_audit"})
    assert isinstance(world.try_invoke("workflow", {"task": "allowlist_remove"}).error, InvalidInputError)
    with contextlib.suppress(OutOfTimeError):
        log_while_handling(OutOfTimeError("known"))


def log_while_handling(error: Exception) -> None:
    try:
        raise error
    finally:
        observability.logger.error("handled")
