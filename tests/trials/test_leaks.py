"""The leak check finds everything that it must find, wherever it was written."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

import boto3
import pytest

from ir_router.errors import UnknownEventError
from ir_router.observability import logger
from tests.trials.proof.leaks import CANARY, watching
from tests.trials.world.running import running_world


def print_it(text: str) -> None:
    print(text)


def write_it(text: str) -> None:
    os.write(2, text.encode())


def log_it(text: str) -> None:
    logger.debug("seen", extra={"detail": text})


def warn_of_it(text: str) -> None:
    logging.getLogger("some.library").warning(text)


@pytest.mark.parametrize("write", [print_it, write_it, log_it, warn_of_it])
def test_given_a_text_of_people_when_it_is_logged_in_any_way_then_that_is_a_leak(write: Callable[[str], None]) -> None:
    before = sys.stdout
    with watching() as leaks:
        write(f"x {CANARY} y")

    assert ["user text is in the log" in line for line in leaks.found] == [True]
    assert sys.stdout is before


def test_given_secrets_when_they_are_logged_shown_recorded_or_answered_then_each_is_a_leak() -> None:
    with watching() as leaks, running_world() as world:
        world.expect(UnknownEventError)
        someone = world.workspace.create_user("some.one", email="some.one@example.com")
        watchers = [{"email": "some.one@example.com", "name": "Some One"}]
        case_id = world.create_case(title=f"a {CANARY} title", watchers=watchers)
        world.settle()
        channel = world.channel_of(case_id)
        someone.post(channel, f"the token is {world.app.token}")
        run = someone.command(channel, "/security-ir", "status")
        table = boto3.resource("dynamodb").Table("ledger")
        table.put_item(Item={"PK": "TOKEN#1", "SK": "META", "token": "task-token-1"})
        table.put_item(Item={"PK": "AUDIT#2026-01", "SK": "1", "facts": "task-token-1"})
        world.try_invoke("workflow", {"task": world.app.signing_secret})
        world.settle()
        log_it(str(run.response_url))
        leaks.scan(world)

    kinds = sorted(line.split(", after")[0] for line in leaks.found)
    assert kinds == [
        "a bot token is in Slack or a case",
        "a response_url is in the log",
        "a signing secret is in an error answer",
        "a task token is in the audit",
    ]
    assert leaks.logged > 0
