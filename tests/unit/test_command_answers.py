"""Answers of commands and their forms: limits, order and secondary facts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.commands import changing, close, forms, modals
from ir_router.commands import comment as comment_command
from ir_router.commands.command import Answer, Command, of_interaction
from ir_router.errors import InvalidInputError, RefusedError, RetryLaterError, UncertainError
from ir_router.slack import response_url
from tests.support import made_commands
from tests.support.answers import SlackAnswers

CASE = "1234567890"


def command(slack: Any = None, **changes: Any) -> Command:
    return made_commands.command(slack, **({"name": "comment", "argument": "x"} | changes))


BLOCK = {"type": "divider"}


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (Answer("a <b>"), {"response_type": "ephemeral", "text": "a &lt;b&gt;", "mrkdwn": False}),
        (
            Answer("a", [BLOCK], replaces=True),
            {
                "response_type": "ephemeral",
                "text": "a",
                "mrkdwn": False,
                "replace_original": True,
                "blocks": [BLOCK],
            },
        ),
        (Answer("", removes=True), {"delete_original": True}),
    ],
)
@pytest.mark.parametrize(
    "failure", [None, RefusedError("Slack", "response_url", "HTTP 404"), UncertainError("Slack", "response_url", "x")]
)
def test_given_an_answer_when_its_address_fails_then_it_comes_as_an_ephemeral_message_unless_it_only_removes(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, body: dict[str, Any], failure: Exception | None
) -> None:
    sent: list[tuple[str, Any]] = []

    def post(url: str, content: Any) -> None:
        sent.append((url, content))
        if failure:
            raise failure

    monkeypatch.setattr(response_url, "post", post)
    slack = SlackAnswers()

    command(slack).answer(answer)

    assert sent == [("https://hooks.slack.com/1", body)]
    whispered = {"channel": "C1", "user": "U1", "text": body.get("text")} | (
        {"blocks": [BLOCK]} if answer.blocks else {}
    )
    expected = [("chat.postEphemeral", whispered)] if failure and not answer.removes else []
    assert slack.asked == expected

    unheard = SlackAnswers(RefusedError("Slack", "chat.postEphemeral", "user_not_in_channel"))
    command(unheard).answer(answer)  # logged, and not raised


def test_given_a_comment_of_the_longest_length_when_one_more_character_is_typed_then_it_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ReachedError(Exception):
        pass

    def reached(_command: Command) -> None:
        raise ReachedError

    monkeypatch.setattr(changing, "open_case_to_change", reached)
    with pytest.raises(ReachedError):
        comment_command.execute_command(command(argument="x" * 11_400))
    with pytest.raises(InvalidInputError, match=r"The comment has 11,401 characters; .* allows at most 11,400"):
        comment_command.execute_command(command(argument="x" * 11_401))


def test_given_as_many_values_as_a_case_accepts_when_the_form_is_checked_then_only_one_more_is_an_error() -> None:
    form = forms.CaseForm(
        "t" * 300, "d" * 8_000, "Investigation", "", int(clock.now()), ("1" * 12,) * 200, ("U1",) * 30
    )
    assert forms.case_errors(form) == {}
    larger = forms.CaseForm("t" * 301, "d" * 8_001, "Other", "Odd", None, ("1" * 12,) * 201, ("U1",) * 31)
    assert set(forms.case_errors(larger)) == {
        *["title", "description", "type", "severity", "start", "accounts", "watchers"]
    }
    for wrong in ("1" * 11, "1" * 13, "12345678901x", "１" * 12):
        assert forms.case_errors(forms.CaseForm(accounts=(wrong,)))["accounts"].startswith(f"{wrong[:40]} is not an")


def test_given_a_form_when_it_opens_late_then_the_user_reads_how_to_open_it_and_other_refusals_are_raised() -> None:
    slack = SlackAnswers({"view": {"id": "V1"}})
    assert modals.open_form(command(slack), {"a": 1}, "Press Deny again") == "V1"
    assert slack.asked == [("views.open", {"trigger_id": "t1", "view": {"a": 1}})]
    expired = RefusedError("Slack", "views.open", "expired_trigger_id")
    with pytest.raises(InvalidInputError, match=r"^Slack did not open the form in time\. Press Deny again\.$"):
        modals.open_form(command(SlackAnswers(expired)), {}, "Press Deny again")
    repeated: Any = SimpleNamespace(attempt=2)
    with pytest.raises(InvalidInputError, match=r"^If no form is open, Slack received it too late\. Press"):
        modals.open_form(command(SlackAnswers(expired), claim=repeated), {}, "Press Deny again")
    with pytest.raises(RefusedError, match="invalid_arguments"):
        modals.open_form(command(SlackAnswers(RefusedError("Slack", "views.open", "invalid_arguments"))), {}, "x")


def test_given_an_open_form_when_it_is_refused_then_it_shows_why_and_a_closed_one_is_no_error() -> None:
    slack = SlackAnswers()
    modals.show_refusal(command(slack), "V1", {"type": "plain_text", "text": "Deny"}, "why")
    ((method, arguments),) = slack.asked
    assert (method, arguments["view_id"]) == ("views.update", "V1")
    assert arguments["view"] == {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Deny"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "why", "emoji": False}}],
    }
    for failure in (
        RefusedError("Slack", "views.update", "not_found"),
        RetryLaterError("Slack", "views.update", "ratelimited", 1),
        UncertainError("Slack", "views.update", "timeout"),
    ):
        modals.show_refusal(command(SlackAnswers(failure)), "V1", {}, "why")


def test_given_the_confirmation_when_shown_then_its_buttons_name_the_command() -> None:
    case: Any = SimpleNamespace(case_id=CASE)
    text, actions = close.CONFIRMATION.blocks(command(), case, "Close?")
    assert text["text"]["text"] == "Close?"
    assert actions["type"] == "actions"
    assert [(one["action_id"], one["text"]["text"], one["value"], one.get("style")) for one in actions["elements"]] == [
        ("close_confirm", "Close case", "t1", "danger"),
        ("close_keep", "Keep it open", "t1", None),
    ]


def claimed(attempt: int, claimed_at: float) -> Any:
    return SimpleNamespace(attempt=attempt, row={"claimed_at": claimed_at})


@pytest.mark.parametrize(
    ("pressed_at", "attempt", "is_repeated", "began_at"),
    [
        (None, 1, False, 1_000.0),
        (None, 2, True, 1_000.0),
        (970.0, 1, False, 970.0),
        (969.9, 1, True, 969.9),
        (1_001.0, 1, False, 1_000.0),  # Slack's clock is ahead
    ],
)
def test_given_a_press_when_claimed_then_a_late_one_counts_as_repeated_and_as_of_its_own_time(
    pressed_at: float | None, attempt: int, is_repeated: bool, began_at: float
) -> None:
    pressed = command(pressed_at=pressed_at, claim=claimed(attempt, 1_000.0))

    assert (pressed.is_repeated, pressed.began_at) == (is_repeated, began_at)


@pytest.mark.parametrize(
    ("actions", "pressed_at"),
    [
        ([{"action_ts": "1767225600.123456"}], 1767225600.123456),
        ([{"action_ts": "soon"}], None),
        ([{"action_ts": "nan"}], None),
        ([{"action_ts": "inf"}], None),
        ([{"action_ts": None}], None),
        ([{}], None),
        ([], None),
        (None, None),
    ],
)
def test_given_an_interaction_when_built_then_the_command_has_the_time_of_the_press_if_slack_sent_it(
    actions: Any, pressed_at: float | None
) -> None:
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)

    assert of_interaction({"actions": actions}, "approve", "t1", context).pressed_at == pressed_at
