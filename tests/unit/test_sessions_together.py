"""A session that is being opened does not delay calls through a session that is open."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ir_router import aws
from ir_router.settings import settings
from ir_router.workflow import sessions
from ir_router.workflow.incident import Principal

PRINCIPAL: Principal = {"kind": "user", "name": "backdoor", "account": "", "arn": "arn:aws:iam::123456789012:user/b"}


@pytest.fixture
def roles(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return the sessions by name: AssumeRole gives the session of that name, calls it, or raises it."""
    found: dict[str, Any] = {}

    def assume(_role: str, name: str, _policy: str) -> Any:
        answer = found[name]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    monkeypatch.setenv("IR_CONTAINMENT_ROLE_ARN", "arn:aws:iam::123456789012:role/ir-containment")
    monkeypatch.setattr(sessions, "_assume", assume)
    monkeypatch.setattr(aws, "iam_of_session", lambda session: session)
    settings.cache_clear()
    sessions.forget()
    sessions.begin_task("execution-1")
    yield found
    sessions.begin_task("ir-router")
    sessions.forget()
    settings.cache_clear()


def test_given_a_session_that_is_being_opened_when_another_is_open_then_it_is_used_at_once(
    roles: dict[str, Any],
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        may_end.wait(10)
        return "changes"

    roles |= {"ir-read": "reads", "ir-execution-1": slow}
    sessions.reader("")
    opening = threading.Thread(target=sessions.open_ahead, args=(PRINCIPAL,))
    opening.start()
    begun.wait(10)

    reader: Any = sessions.reader("")
    assert reader == "reads"  # would wait for ever if it needed the lock: `slow` has not ended
    may_end.set()
    opening.join(10)
    roles["ir-execution-1"] = LookupError("a second AssumeRole")
    changer: Any = sessions.changer(PRINCIPAL)
    assert changer == "changes"


@pytest.mark.parametrize("opened_by", ["an earlier task", "this task"])
@pytest.mark.parametrize("name", ["eve", "backdoor"])
def test_given_a_thread_that_waits_for_a_role_when_a_session_is_needed_then_only_the_same_one_of_this_task_waits(
    roles: dict[str, Any], opened_by: str, name: str
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    requests: list[str] = []

    def assume() -> str:
        requests.append("asked")
        if len(requests) == 1:  # later ones answer at once
            begun.set()
            may_end.wait(10)
        return f"session {len(requests)}"

    roles |= {"ir-execution-1": assume}
    opening = threading.Thread(target=sessions.open_ahead, args=(PRINCIPAL,))
    opening.start()
    begun.wait(10)
    if opened_by == "an earlier task":
        sessions.begin_task("execution-1")
    answers: list[Any] = []
    needing = threading.Thread(target=lambda: answers.append(sessions.changer({**PRINCIPAL, "name": name})))
    needing.start()
    waits = opened_by == "this task" and name == PRINCIPAL["name"]
    needing.join(0.2 if waits else 10)
    assert answers == ([] if waits else ["session 2"])

    may_end.set()
    opening.join(10)
    needing.join(10)
    assert (answers, len(requests)) == ((["session 1"], 1) if waits else (["session 2"], 2))


def test_given_a_role_that_is_denied_when_opened_ahead_then_only_its_use_reports_it(roles: dict[str, Any]) -> None:
    roles["ir-execution-1"] = sessions.NoRoleError("the role is missing")
    sessions.open_ahead(PRINCIPAL)
    with pytest.raises(sessions.NoRoleError, match="the role is missing"):
        sessions.changer(PRINCIPAL)
