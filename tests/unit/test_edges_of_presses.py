"""Pressed buttons and submitted forms: the command, its place and the values that reach the work of each module."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.commands import (
    alert_button,
    approval_buttons,
    create,
    creator_button,
    execution,
    feedback,
    interactions,
    modals,
    release,
    request_buttons,
)
from ir_router.commands.command import Command
from ir_router.commands.forms import CaseForm
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import alerts, claims, keys, table
from ir_router.sync import request_people
from tests.support.answers import SlackAnswers
from tests.support.made_commands import command

CONTEXT: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000, aws_request_id="r1")
NOW = 1_768_500_000.0


def pressed(action_id: str, value: str | None = "v/1", **changes: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "trigger_id": "t1",
        "user": {"id": "U1", "username": "jane"},
        "channel": {"id": "C1"},
        "container": {"message_ts": "1.1"},
        "response_url": "https://hooks.slack.com/1",
        "actions": [
            {"action_id": action_id, "value": value, "action_ts": "1768500000.5"},
            {"action_id": "other", "value": "other"},
            {"action_id": "last", "value": "last"},
        ],
        **changes,
    }


def submitted(callback_id: str, origin: dict[str, Any], **values: Any) -> dict[str, Any]:
    state = {block: {block: value} for block, value in values.items()}
    view = {
        "id": "V1",
        "callback_id": callback_id,
        "private_metadata": json.dumps(origin),
        "state": {"values": state},
    }
    return {"type": "view_submission", "trigger_id": "t1", "user": {"id": "U1", "name": "jane"}, "view": view}


ORIGIN = {"channel_id": "C9", "response_url": "https://hooks.slack.com/9", "approval_id": "abc/2", "value": "abc/c1"}
TEXT = {"value": "  why  "}

# The module, its payload, the function that does the work, the values that it gets, and the command.
CASES: dict[str, tuple[Any, dict[str, Any], str, tuple[Any, ...], tuple[str, str, str, str]]] = {
    "alert": (alert_button, pressed("alert_open_case"), "_open", ("v/1",), ("create", "t1", "C1", "open")),
    "approve": (
        approval_buttons,
        pressed("approval_approve"),
        "_press",
        (("approve", "v/1", "1.1"),),
        ("approve", "t1", "C1", "update"),
    ),
    "deny": (
        approval_buttons,
        pressed("approval_deny"),
        "_press",
        (("deny", "v/1", "1.1"),),
        ("deny", "t1", "C1", "update"),
    ),
    "approval form": (
        approval_buttons,
        submitted("approval_confirm", ORIGIN),
        "_decide",
        ("abc/2", "approve", ""),
        ("approve", "V1", "C9", "update"),
    ),
    "denial form": (
        approval_buttons,
        submitted("approval_reason", ORIGIN, reason=TEXT),
        "_deny",
        ("abc/2", "why"),
        ("deny", "V1", "C9", "update"),
    ),
    "creator": (
        creator_button,
        pressed("creator_contain_c1"),
        "_show",
        ("v/1", "1.1"),
        ("contain_creator", "t1", "C1", "update"),
    ),
    "creator form": (
        creator_button,
        submitted("creator_contain", ORIGIN),
        "_contain",
        ("abc/c1",),
        ("contain_creator", "V1", "C9", "update"),
    ),
    "release": (release, pressed("release_access"), "_press", ("v/1", "1.1"), ("release", "t1", "C1", "update")),
    "release form": (
        release,
        submitted("release_confirm", ORIGIN, reason=TEXT, principal={"selected_option": {"value": "abc/0"}}),
        "_release",
        ("abc/0", "why"),
        ("release", "V1", "C9", "update"),
    ),
    "assign": (
        request_buttons,
        pressed(request_people.ASSIGN, "abc"),
        "_press",
        ({"decision": "assign", "approval_id": "abc"}, "1.1"),
        ("assign", "t1", "C1", "update"),
    ),
    "withdraw": (
        request_buttons,
        pressed(request_people.WITHDRAW, "abc/1768500000.25"),
        "_press",
        ({"decision": "withdraw", "approval_id": "abc", "until": 1_768_500_000.25}, "1.1"),
        ("withdraw", "t1", "C1", "update"),
    ),
    "create again": (create, pressed("create_again"), "_open_again", ("v/1",), ("create", "t1", "C1", "open")),
    "create form": (
        create,
        submitted("create_case", ORIGIN, title={"value": " a "}),
        "_create",
        (CaseForm(title="a"),),
        ("create", "V1", "C9", "open"),
    ),
    "feedback": (
        feedback,
        pressed("feedback_useful"),
        "_show",
        ({"rating": "feedback_useful", "finding": "v/1", "message_ts": "1.1"},),
        ("feedback", "t1", "C1", "update"),
    ),
    "feedback form": (
        feedback,
        submitted("feedback_form", ORIGIN, comment=TEXT),
        "_send",
        (ORIGIN, "why"),
        ("feedback", "V1", "C9", "update"),
    ),
}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Command, str]]:
    """The executed commands with the attempted verb. Their work is done at once."""
    found: list[tuple[Command, str]] = []

    def execute(command: Command, work: Any, *, attempted: str) -> None:
        found.append((command, attempted))
        work(command)

    monkeypatch.setattr(execution, "execute", execute)
    monkeypatch.setattr(table, "get", lambda _key: None)
    return found


@pytest.mark.parametrize("name", CASES)
def test_given_a_payload_when_handled_then_its_first_action_or_its_form_reaches_the_work(
    monkeypatch: pytest.MonkeyPatch, executed: list[tuple[Command, str]], name: str
) -> None:
    module, payload, work, values, (named, command_id, channel_id, attempted) = CASES[name]
    done: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, work, lambda _command, *given: done.append(given))

    module.handle_interaction(payload, CONTEXT)

    assert done == [values]
    ((made, verb),) = executed
    assert (made.name, made.id, verb) == (named, command_id, attempted)
    number = channel_id.removeprefix("C")
    assert (made.channel_id, made.response_url) == (channel_id, f"https://hooks.slack.com/{number}")
    assert (made.user_id, made.user_name, made.trigger_id) == ("U1", "jane", "t1")
    assert made.pressed_at == (1_768_500_000.5 if "actions" in payload else None)


@pytest.mark.parametrize(
    "name", [name for name, one in CASES.items() if "actions" in one[1] and name not in ("assign", "withdraw")]
)
def test_given_a_button_without_a_value_when_pressed_then_the_value_is_empty(
    monkeypatch: pytest.MonkeyPatch, executed: list[tuple[Command, str]], name: str
) -> None:
    module, payload, work, values, _ = CASES[name]
    done: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, work, lambda _command, *given: done.append(given))

    module.handle_interaction(pressed(payload["actions"][0]["action_id"], None, container={}), CONTEXT)

    assert len(executed) == 1
    emptied = json.loads(json.dumps(values).replace('"v/1"', '""').replace('"1.1"', '""'))
    assert json.loads(json.dumps(done)) == [emptied]


def test_given_a_button_of_another_module_when_pressed_then_nothing_is_executed(
    executed: list[tuple[Command, str]],
) -> None:
    request_buttons.handle_interaction(pressed("request_other"), CONTEXT)

    assert executed == []


@pytest.mark.parametrize("until", ["", "x", "-1", "1" * 13, "1.", "1.0123456789", "1e3"])
def test_given_a_time_that_no_message_has_when_withdrawn_then_it_is_left_out(
    monkeypatch: pytest.MonkeyPatch, executed: list[tuple[Command, str]], until: str
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(request_buttons, "_press", lambda _command, request, _ts: done.append(request))

    request_buttons.handle_interaction(pressed(request_people.WITHDRAW, f"abc/{until}"), CONTEXT)

    assert done == [{"decision": "withdraw", "approval_id": "abc"}]
    assert len(executed) == 1


@pytest.mark.parametrize(
    ("severity", "shown"), [("CRITICAL", "Critical"), ("HIGH", "High"), ("INFO", "Not set"), ("", "Not set")]
)
@pytest.mark.parametrize(("at", "start"), [(NOW - 5.5, NOW - 6), (NOW + 60, NOW)])
def test_given_an_alert_when_a_case_is_opened_then_the_form_has_its_facts(
    monkeypatch: pytest.MonkeyPatch, severity: str, shown: str, at: float, start: float
) -> None:
    opened: list[Any] = []
    row = {"subject": "FAILED: user alice", "text": "A text", "severity": severity, "at": at}
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(alerts, "get", lambda name: row if name == "a1" else None)
    monkeypatch.setattr(create, "open_filled", lambda _command, *given: opened.append(given))

    alert_button._open(command(), "a1")

    form = CaseForm("user alice", "A text", "Security Incident", shown, int(start), (), ("U1",))
    assert opened == [(form, "Press the button again")]


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (0, "Slack did not open the form in time. Press again."),
        (1, "Slack did not open the form in time. Press again."),
        (2, "If no form is open, Slack received it too late. Press again."),
    ],
)
def test_given_an_expired_press_when_a_form_is_opened_then_a_retry_may_have_opened_it(attempt: int, text: str) -> None:
    claim = claims.Claim(keys.command("t1"), attempt, must_look=False, row={}) if attempt else None
    late = SlackAnswers(RefusedError("Slack", "views.open", "expired_trigger_id"))

    with pytest.raises(InvalidInputError) as error:
        modals.open_form(command(late, claim=claim), {"type": "modal"}, "Press again")

    assert str(error.value) == text
    assert late.asked == [("views.open", {"trigger_id": "t1", "view": {"type": "modal"}})]
    with pytest.raises(RefusedError):
        modals.open_form(command(SlackAnswers(RefusedError("Slack", "views.open", "invalid_auth"))), {}, "")
    assert modals.open_form(command(SlackAnswers({"view": {"id": "V2"}})), {}, "") == "V2"


def test_given_a_refusal_when_a_form_is_open_then_its_content_is_replaced() -> None:
    slack = SlackAnswers()

    modals.show_refusal(command(slack), "V1", {"text": "Deny"}, "no")

    ((method, arguments),) = slack.asked
    assert (method, arguments["view_id"]) == ("views.update", "V1")
    view = arguments["view"]
    assert (view["type"], view["title"], len(view["blocks"])) == ("modal", {"text": "Deny"}, 1)
    assert view["close"] == {"type": "plain_text", "text": "Close"}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (pressed("close_confirm"), "close_confirm"),
        (pressed("close_confirm", trigger_id=""), ""),
        (pressed("close_confirm", actions=[]), ""),
        (pressed("close_confirm", actions=["x"]), ""),
        (submitted("create_case", {}), "create_case"),
        ({**submitted("create_case", {}), "view": {"callback_id": "create_case"}}, ""),
        ({"type": "app_home_opened", "user": {"id": "U1"}}, "home"),
        ({"type": "app_home_opened", "user": {}}, ""),
        ({"type": "other", "user": {"id": "U1"}}, ""),
    ],
)
def test_given_a_payload_when_named_then_it_needs_the_id_that_makes_it_unique(
    payload: dict[str, Any], name: str
) -> None:
    assert interactions.name_of(payload) == name
