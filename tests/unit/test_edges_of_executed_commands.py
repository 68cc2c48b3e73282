"""How a command is executed (execution): the answer, the event, the audit and the claim for each outcome, in order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.commands import approval_buttons, execution, parser, rendering
from ir_router.commands import command as commands
from ir_router.commands.command import Answer, Command, NotPermittedError
from ir_router.commands.execution import StillAtWorkError
from ir_router.errors import (
    InvalidInputError,
    LeaseLostError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    UncertainError,
)
from ir_router.ledger import audit, claims, keys
from ir_router.ledger.claims import Claim, Done, Held
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import members
from tests.support.answers import client_error
from tests.support.made_commands import CASE, command

NOW = 1_768_500_000.0
CONFLICT = RefusedError("AWS", "UpdateCase", "ConflictException")
FAILED = rendering.service_error("api-error-1", "update")
UNKNOWN = rendering.outcome_unknown("update-title", "network-error-1")
CONNECTIVITY = rendering.connectivity("network-error-1")
OUTCOMES: list[tuple[Any, str, str]] = [
    (NotPermittedError("no"), "❌ no", "not_permitted"),
    (InvalidInputError("wrong"), "❌ wrong", "refused"),
    (RefusedError("AWS", "UpdateCase", "ValidationException", "title"), "❌ AWS rejected the input: title", "refused"),
    (RefusedError("AWS", "UpdateCase", "Other"), FAILED, "failed"),
]


class Steps:
    """The steps in their order, and the claim."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.taken: Any = Claim(keys.command("t1"), 1, must_look=False, row={})
        self.case: Any = SimpleNamespace(is_closed=False)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps()

    def step(name: str) -> Any:
        return lambda *given, **more: found.steps.append((name, *given, *([more] if more else [])))

    def take(key: Any, **more: Any) -> Any:
        found.steps.append(("take", key, more))
        return found.taken

    def get_case(case_id: str) -> Any:
        if isinstance(found.case, Exception):
            raise found.case
        return found.case

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(claims, "take", take)
    monkeypatch.setattr(claims, "note", step("note"))
    monkeypatch.setattr(claims, "confirm", step("confirm"))
    monkeypatch.setattr(audit, "append", step("audit"))
    monkeypatch.setattr(execution, "announce", step("event"))
    monkeypatch.setattr(execution, "error_id", lambda kind: f"{kind}-1")
    monkeypatch.setattr(security_ir, "get_case", get_case)
    monkeypatch.setattr(execution, "settings", lambda: SimpleNamespace(settle_seconds=30))
    monkeypatch.setattr(Command, "answer", lambda _self, answer: found.steps.append(("answer", answer)))
    return found


def run(work: Any, **changes: Any) -> Command:
    made = command(name="update-title", **changes)

    def execute(given: Command) -> Any:
        assert given is made
        if isinstance(work, BaseException):
            raise work
        return work

    execution.execute(made, execute, attempted="update")
    return made


def ended(outcome: str, answer: Answer | None) -> list[Any]:
    """Return the steps that end a command which changed the case."""
    detail = {"command": "update-title", "outcome": outcome}
    audited = {**detail, "case_id": CASE, "channel_id": "C1", "slack_user_id": "U1"}
    event = {**detail, "caseId": CASE, "channelId": "C1", "userId": "U1"}
    return [
        *([("answer", answer)] if answer else []),
        ("event", "CommandExecuted", event),
        ("audit", "command_executed", "Jane (U1)", audited, {"once": "command/t1/executed"}),
        ("confirm", Claim(keys.command("t1"), 1, must_look=False, row={}), {"outcome": outcome}),
    ]


def steps_without_attempt(done: Steps) -> list[Any]:
    return [
        (*step[:1], Claim(step[1].key, 1, must_look=False, row={}), *step[2:]) if step[0] == "confirm" else step
        for step in done.steps[1:]
    ]


@pytest.mark.parametrize(("raised", "text", "outcome"), OUTCOMES, ids=repr)
def test_given_a_certain_outcome_when_executed_then_it_is_answered_reported_recorded_and_confirmed(
    done: Steps, raised: Any, text: str, outcome: str
) -> None:
    run(raised, changes=True)
    assert done.steps[0][:2] == ("take", keys.command("t1"))
    assert done.steps[0][2]["expires_at"] == int(NOW) + 86_400
    assert done.steps[0][2]["command"] == "update-title"
    assert done.steps[1:] == ended(outcome, Answer(text))


def test_given_work_that_is_done_when_executed_then_only_its_answer_is_sent_and_a_change_recorded(done: Steps) -> None:
    made = run(Answer("fine"), changes=True)
    assert done.steps[1:] == ended("done", Answer("fine"))
    assert made.claim == done.taken
    done.steps.clear()
    run(None)
    assert done.steps[1:] == [one for one in ended("done", None) if one[0] != "audit"]


@pytest.mark.parametrize(
    "raised",
    [
        RetryLaterError("AWS", "UpdateCase", "Throttling", 1),
        UncertainError("AWS", "UpdateCase", "timeout"),
        OutOfTimeError("late"),
        ReadTimeoutError(endpoint_url="x"),
        client_error("Other"),
    ],
    ids=type,
)
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_given_an_uncertain_outcome_when_executed_then_the_third_attempt_is_the_last(
    done: Steps, raised: Exception, attempt: int
) -> None:
    done.taken = Claim(keys.command("t1"), attempt, must_look=False, row={})
    noted = ("note", done.taken, {"settle_after": NOW + 30})
    if attempt == 3:
        run(raised, changes=True)
        assert steps_without_attempt(done) == ended("unknown", Answer(UNKNOWN))
        return
    with pytest.raises(type(raised)):
        run(raised, changes=True)
    assert done.steps[1:] == ([noted, ("answer", Answer(CONNECTIVITY))] if attempt == 1 else [noted])


def test_given_a_bug_or_another_attempt_when_executed_then_the_error_is_raised_and_only_a_bug_is_answered(
    done: Steps,
) -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError(), changes=True)
    assert done.steps[1:] == ended("failed", Answer(FAILED))
    done.steps.clear()
    with pytest.raises(LeaseLostError):
        run(LeaseLostError("lost"), changes=True)
    assert done.steps[1:] == []


def test_given_another_claim_when_executed_then_a_held_one_is_retried_and_a_done_one_is_not(done: Steps) -> None:
    done.taken = Held(NOW)
    with pytest.raises(StillAtWorkError, match="another attempt is running, or ended without an outcome"):
        run(Answer("x"))
    done.taken = Done({})
    assert run(Answer("x")).claim is None
    assert [step[0] for step in done.steps] == ["take", "take"]


def test_given_a_case_that_was_closed_meanwhile_when_a_change_is_rejected_then_the_answer_states_it(
    done: Steps,
) -> None:
    done.case = SimpleNamespace(is_closed=True, closed_date=None)
    run(CONFLICT, changes=True)
    assert done.steps[1:] == ended("refused", Answer(f"❌ {rendering.cannot_change_closed(done.case)}"))
    plain = (
        "❌ AWS rejected the change, because the case was closed or changed at the same moment. Check the case first"
    )
    for case, changes in (
        (SimpleNamespace(is_closed=False), {}),
        (UncertainError("AWS", "GetCase", "x"), {}),
        (done.case, {"case_id": ""}),
    ):
        done.case = case
        done.steps.clear()
        run(CONFLICT, **changes)
        assert done.steps[1] == ("answer", Answer(plain))


def fields(made: Command) -> dict[str, Any]:
    return {name: value for name, value in vars(made).items() if name not in ("deadline", "slack", "names")}


PLAIN = {"case_id": "", "replaces": False, "changes": False, "fix_blocks": [], "pressed_at": None, "claim": None}


def test_given_a_slash_command_or_a_press_when_built_then_each_field_is_the_one_of_slack() -> None:
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000, aws_request_id="r1")
    form = {
        name: f"the {name}" for name in ("user_id", "user_name", "channel_id", "response_url", "trigger_id", "command")
    }
    user = {"user_id": "the user_id", "user_name": "the user_name", "channel_id": "the channel_id"}
    sent = {**user, "response_url": "the response_url", "trigger_id": "the trigger_id", **PLAIN}
    assert fields(commands.of_slash_command(form, "status", "x", context)) == {
        "id": "the trigger_id", "name": "status", "argument": "x", **sent,
    }  # fmt: skip
    empty = dict.fromkeys(("user_id", "user_name", "channel_id", "response_url", "trigger_id"), "")
    assert fields(commands.of_slash_command({}, "status", "", context)) == {
        "id": "r1", "name": "status", "argument": "", **empty, **PLAIN,
    }  # fmt: skip
    payload = {
        "user": {"id": "U1", "name": "jane", "username": "other"}, "channel": {"id": "C1"}, "response_url": "https://r",
        "trigger_id": "t1", "actions": [{"action_ts": "12.5"}],
    }  # fmt: skip
    pressed = {"user_id": "U1", "user_name": "jane", "channel_id": "C1", "response_url": "https://r"}
    own = {"id": "i", "name": "close", "argument": "", "trigger_id": "t1", **PLAIN, "pressed_at": 12.5}
    assert fields(commands.of_interaction(payload, "close", "i", context)) == {**own, **pressed}
    known = {"channel_id": "C9", "response_url": "https://k", "case_id": "12"}
    assert fields(commands.of_interaction(payload, "close", "i", context, **known)) == {**own, **pressed, **known}
    assert fields(commands.of_interaction({"user": {"username": "u"}}, "close", "i", context)) == {
        "id": "i", "name": "close", "argument": "", **empty, **PLAIN, "user_name": "u",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("`close`", "close", ""),
        ("`close a`", "close", "a"),
        ("`close `a`", "close", "`a`"),
        ("`", "", ""),
        ("``", "", ""),
        ("`close", "close", ""),
        ("close `a`", "close", "`a`"),
        ("/security-ir close", "close", ""),
        ("SECURITY-IR  update Title  a  b ", "update-title", "a  b"),
        ("update_title x", "update-title", "x"),
        ("update \u2013title x", "update", "\u2013title x"),
        ("update\u2014title 'x'", "update-title", "x"),
        ("\ufeffstatus\u200b \u201cx\u201d\ufeff", "status", "x"),
        ("comment «x»", "comment", "x"),
        ("comment 「x』", "comment", "x"),
        ("comment \"x' ", "comment", "\"x'"),
        ('comment "a" "b"', "comment", '"a" "b"'),
        ('comment "', "comment", '"'),
        ("*close*.", "close", ""),
        ("", "", ""),
    ],
)
def test_given_a_typed_text_when_parsed_then_code_quotes_and_dashes_are_read_as_meant(
    text: str, name: str, argument: str
) -> None:
    assert parser.parse(text) == (name, argument)


@pytest.mark.parametrize(
    ("approvers", "team", "listed"),
    [
        (("a@x.com", "S1", "U2"), [], "users of slack_approvers. Ask one of them: a@x.com, @S1, name of U2."),
        (tuple(f"U{one}" for one in range(10)), [], "name of U8, name of U9."),
        (tuple(f"U{one}" for one in range(12)), [], "name of U8, name of U9 and 2 more."),
        (
            (),
            [Person(email="b@x.com", name="Bob"), Person(email="c@x.com")],
            "users of the incident response team of AWS Security Incident Response. Ask one of them: Bob, c@x.com.",
        ),
        ((), [], "The list is empty: ask your operators."),
    ],
)
def test_given_a_user_who_may_not_decide_when_refused_then_the_approvers_are_named(
    monkeypatch: pytest.MonkeyPatch, approvers: tuple[str, ...], team: list[Person], listed: str
) -> None:
    monkeypatch.setattr(approval_buttons, "settings", lambda: SimpleNamespace(approvers=approvers))
    monkeypatch.setattr(members, "response_team", lambda: team)
    text = approval_buttons._not_permitted(command())
    assert text.startswith("Decision not recorded: only approvers can decide. Approvers are the users of ")
    assert text.endswith(listed)
