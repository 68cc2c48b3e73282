"""Modals of the local Slack: the trigger's limit, validation, updates, stacks, closing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ir_sandbox.slack import Person, SlackError
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import LocalSlack, error_of, local_slack


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


OPTIONS = [{"text": plain(name), "value": name.lower()} for name in ("High", "Low")]
FORM = {
    "type": "modal",
    "callback_id": "create_case",
    "private_metadata": "m",
    "notify_on_close": True,
    "title": plain("New case"),
    "submit": plain("Open"),
    "close": plain("Cancel"),
    "blocks": [
        {
            "type": "input",
            "block_id": "title",
            "label": plain("Title"),
            "element": {"type": "plain_text_input", "action_id": "title"},
        },
        {
            "type": "input",
            "block_id": "severity",
            "label": plain("Severity"),
            "element": {
                "type": "static_select",
                "action_id": "severity",
                "options": OPTIONS,
                "initial_option": OPTIONS[1],
            },
        },
        {
            "type": "input",
            "block_id": "watchers",
            "optional": True,
            "label": plain("Watchers"),
            "element": {"type": "multi_users_select", "action_id": "watchers"},
        },
        {
            "type": "actions",
            "block_id": "more",
            "elements": [{"type": "button", "action_id": "more", "text": plain("More")}],
        },
    ],
}


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with local_slack(events=()) as running:
        yield running


@pytest.fixture
def jane(slack: LocalSlack) -> Person:
    return slack.workspace.create_user("jane.smith")


@pytest.fixture
def channel(jane: Person) -> str:
    return jane.create_channel("c")


def opened(slack: LocalSlack, jane: Person, channel: str, view: Json = FORM) -> str:
    trigger = jane.command(channel, "/security-ir", "create").trigger_id
    slack.received.requests.clear()
    return str(slack.client().views_open(trigger_id=trigger, view=view)["view"]["id"])


def answer_with(slack: LocalSlack, body: Json) -> None:
    slack.received.answer = (200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def test_given_a_trigger_when_opened_then_the_person_sees_the_modal(slack, client, jane, channel):
    trigger = jane.command(channel, "/security-ir", "create").trigger_id
    view = client.views_open(trigger_id=trigger, view=FORM)["view"]

    assert [shown.id for shown in jane.views()] == [view["id"]]
    assert (view["callback_id"], view["private_metadata"], view["app_id"]) == ("create_case", "m", slack.app.app_id)
    assert (view["root_view_id"], view["previous_view_id"], view["state"]) == (view["id"], None, {"values": {}})
    assert view["hash"]


def test_fact_trigger_id_3_s(slack, client, jane, channel):
    """PLATFORM_FACTS: `trigger_id`: 3 s."""
    trigger = jane.command(channel, "/security-ir").trigger_id
    slack.clock.advance(3.1)
    assert error_of(client.views_open, trigger_id=trigger, view=FORM)["error"] == "expired_trigger_id"
    assert jane.views() == []


def test_given_a_trigger_when_used_twice_then_exchanged(client, jane, channel):
    trigger = jane.command(channel, "/security-ir").trigger_id
    client.views_open(trigger_id=trigger, view=FORM)
    assert error_of(client.views_open, trigger_id=trigger, view=FORM)["error"] == "exchanged_trigger_id"
    assert error_of(client.views_open, trigger_id="1.2.3", view=FORM)["error"] == "invalid_trigger_id"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": plain("x" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
        ({"title": None}, "missing required field: title [json-pointer:/view]"),
        ({"title": {"type": "mrkdwn", "text": "x"}}, "must be a plain_text object [json-pointer:/view/title]"),
        ({"submit": None}, "missing required field: submit [json-pointer:/view]"),
        ({"type": "popup"}, "must be a valid enum value: modal [json-pointer:/view/type]"),
        ({"private_metadata": "x" * 3001}, "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        ({"callback_id": "x" * 256}, "must be less than 256 characters [json-pointer:/view/callback_id]"),
        ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed [json-pointer:/view/blocks]"),
        (
            {"blocks": [{"type": "markdown", "text": "x"}]},
            "unsupported type: markdown [json-pointer:/view/blocks/0/type]",
        ),
        ({"blocks": "{"}, "invalid_blocks_format [json-pointer:/view/blocks]"),
    ],
)
def test_given_a_bad_view_when_opened_then_refused_and_the_trigger_is_still_good(
    client, jane, channel, changes, message
):
    trigger = jane.command(channel, "/security-ir").trigger_id
    answer = error_of(client.views_open, trigger_id=trigger, view={**FORM, **changes})
    assert answer["error"] == "invalid_arguments"
    assert f"[ERROR] {message}" in answer["response_metadata"]["messages"]
    assert client.views_open(trigger_id=trigger, view=FORM)["ok"]


def test_given_a_huge_view_or_a_used_external_id_when_opened_then_refused(client, jane, channel):
    first, second = (jane.command(channel, "/security-ir").trigger_id for _ in range(2))
    huge = {**FORM, "blocks": [{"type": "section", "text": plain("x" * 3000)}] * 90}
    assert error_of(client.views_open, trigger_id=first, view=huge)["error"] == "view_too_large"
    named = {**FORM, "external_id": "e1"}
    client.views_open(trigger_id=first, view=named)
    assert error_of(client.views_open, trigger_id=second, view=named)["error"] == "duplicate_external_id"


# Submitting


def test_given_a_filled_form_when_submitted_then_the_app_gets_its_values_and_it_closes(slack, jane, channel):
    view_id = opened(slack, jane, channel)

    attempt, answer = jane.submit(view_id, {"title": "Key leaked", "watchers": [jane.id]})

    (payload,) = slack.received.bodies()
    assert (payload["type"], payload["user"]["id"]) == ("view_submission", jane.id)
    assert (payload["view"]["id"], payload["view"]["callback_id"]) == (view_id, "create_case")
    assert payload["view"]["state"]["values"] == {
        "title": {"title": {"type": "plain_text_input", "value": "Key leaked"}},
        "severity": {"severity": {"type": "static_select", "selected_option": OPTIONS[1]}},
        "watchers": {"watchers": {"type": "multi_users_select", "selected_users": [jane.id]}},
    }
    assert payload["trigger_id"]
    assert (attempt.status, answer) == (200, None)
    assert jane.views() == []


def test_given_errors_in_the_answer_when_submitted_then_shown_under_the_field_and_the_form_stays(slack, jane, channel):
    view_id = opened(slack, jane, channel)
    answer_with(slack, {"response_action": "errors", "errors": {"title": "Too short"}})

    _, answer = jane.submit(view_id, {"title": "x", "severity": "high"})

    assert answer == {"response_action": "errors", "errors": {"title": "Too short"}}
    (view,) = jane.views()
    assert view.body["errors"] == {"title": "Too short"}
    assert view.body["state"]["values"]["title"]["title"]["value"] == "x"
    slack.received.answer = (200, {}, b"")
    jane.submit(view_id, {"title": "long enough"})
    assert jane.views() == []


def test_given_an_update_push_or_clear_in_the_answer_when_submitted_then_done(slack, jane, channel):
    view_id = opened(slack, jane, channel)
    answer_with(slack, {"response_action": "update", "view": {**FORM, "title": plain("Second")}})
    jane.submit(view_id, {"title": "x"})
    (view,) = jane.views()
    assert (view.id, view.body["title"]["text"]) == (view_id, "Second")

    answer_with(slack, {"response_action": "push", "view": {**FORM, "title": plain("On top")}})
    jane.submit(view_id, {"title": "x"})
    assert [shown.body["title"]["text"] for shown in jane.views()] == ["Second", "On top"]

    answer_with(slack, {"response_action": "clear"})
    jane.submit(jane.views()[-1].id, {"title": "x"})
    assert jane.views() == []


def test_given_an_app_that_fails_when_submitted_then_the_form_stays_with_what_was_typed(slack, jane, channel):
    view_id = opened(slack, jane, channel)
    slack.received.answer = (500, {}, b"")
    attempt, _ = jane.submit(view_id, {"title": "typed"})
    assert attempt.reason == "http_error"
    (view,) = jane.views()
    assert view.body["state"]["values"]["title"]["title"]["value"] == "typed"
    assert len(slack.received.requests) == 1


def test_given_unknown_fields_options_or_another_person_when_submitted_then_refused(slack, jane, channel):
    view_id = opened(slack, jane, channel)
    with pytest.raises(SlackError, match="action_not_found"):
        jane.submit(view_id, {"nonsense": "x"})
    with pytest.raises(SlackError, match="invalid_option"):
        jane.submit(view_id, {"severity": "apocalyptic"})
    with pytest.raises(SlackError, match="not_found"):
        slack.workspace.create_user("john").submit(view_id, {"title": "x"})


# Updating, pushing, closing


def test_given_an_open_view_when_updated_then_changed_and_a_stale_hash_is_refused(slack, client, jane, channel):
    view_id = opened(slack, jane, channel)
    old_hash = jane.views()[0].body["hash"]

    updated = client.views_update(view_id=view_id, hash=old_hash, view={**FORM, "title": plain("Two")})["view"]

    assert (updated["id"], updated["title"]["text"]) == (view_id, "Two")
    assert updated["hash"] != old_hash
    stale = {"view_id": view_id, "hash": old_hash, "view": FORM}
    assert error_of(client.views_update, **stale)["error"] == "hash_conflict"
    assert error_of(client.views_update, view_id="V404", view=FORM)["error"] == "not_found"
    other = slack.client(slack.workspace.create_app("other", commands=[]).token)
    assert error_of(other.views_update, view_id=view_id, view=FORM)["error"] == "not_found"


def test_given_an_external_id_when_updated_by_it_then_found(slack, client, jane, channel):
    view_id = opened(slack, jane, channel, {**FORM, "external_id": "e1"})
    updated = client.views_update(external_id="e1", view={**FORM, "external_id": "e1"})["view"]
    assert updated["id"] == view_id


def test_given_a_button_in_a_view_when_pressed_then_a_view_can_be_pushed_up_to_three(slack, client, jane, channel):
    view_id = opened(slack, jane, channel)
    top = view_id
    for _ in range(2):
        trigger = jane.press_in_view(top, "more").trigger_id
        pushed = client.views_push(trigger_id=trigger, view=FORM)["view"]
        assert (pushed["root_view_id"], pushed["previous_view_id"]) == (view_id, top)
        top = pushed["id"]
    payload = slack.received.bodies()[-1]
    assert (payload["container"]["type"], payload["actions"][0]["action_id"]) == ("view", "more")
    assert "response_url" not in payload

    trigger = jane.press_in_view(top, "more").trigger_id
    assert error_of(client.views_push, trigger_id=trigger, view=FORM)["error"] == "push_limit_reached"
    outside = jane.command(channel, "/security-ir").trigger_id
    assert error_of(client.views_push, trigger_id=outside, view=FORM)["error"] == "not_found"


def test_given_notify_on_close_when_closed_then_view_closed_is_sent(slack, jane, channel):
    jane.close_view(opened(slack, jane, channel), clear=True)
    (payload,) = slack.received.bodies()
    assert (payload["type"], payload["is_cleared"], payload["view"]["callback_id"]) == (
        "view_closed",
        True,
        "create_case",
    )
    assert jane.views() == []

    quiet = opened(slack, jane, channel, {**FORM, "notify_on_close": False})
    assert jane.close_view(quiet) is None
    assert slack.received.requests == []


ELEMENTS: dict[str, tuple[Json, object, Json]] = {
    "radio_buttons": ({"options": OPTIONS}, "high", {"selected_option": OPTIONS[0]}),
    "checkboxes": ({"options": OPTIONS}, ["low"], {"selected_options": [OPTIONS[1]]}),
    "multi_static_select": ({"options": OPTIONS, "initial_options": OPTIONS}, None, {"selected_options": OPTIONS}),
    "users_select": ({}, "U1", {"selected_user": "U1"}),
    "conversations_select": ({}, "C1", {"selected_conversation": "C1"}),
    "channels_select": ({"initial_channel": "C2"}, None, {"selected_channel": "C2"}),
    "multi_conversations_select": ({}, ["C1"], {"selected_conversations": ["C1"]}),
    "datepicker": ({"initial_date": "2026-01-15"}, None, {"selected_date": "2026-01-15"}),
    "timepicker": ({}, "12:24", {"selected_time": "12:24"}),
    "datetimepicker": ({"initial_date_time": 1768480000}, None, {"selected_date_time": 1768480000}),
    "email_text_input": ({}, "a@example.com", {"value": "a@example.com"}),
    "number_input": ({"is_decimal_allowed": False}, 3, {"value": "3"}),
    "plain_text_input": ({"initial_value": "as before"}, None, {"value": "as before"}),
    "url_text_input": ({}, "", {"value": None}),
}


@pytest.mark.parametrize("kind", ELEMENTS)
def test_given_any_kind_of_field_when_submitted_then_its_state_is_slacks(slack, jane, channel, kind):
    fields, given, state = ELEMENTS[kind]
    block = {
        "type": "input",
        "block_id": "b",
        "label": plain("L"),
        "element": {"type": kind, "action_id": "a", **fields},
    }
    view_id = opened(slack, jane, channel, {**FORM, "blocks": [block]})
    jane.submit(view_id, {} if given is None else {"a": given})
    assert slack.received.bodies()[0]["view"]["state"]["values"] == {"b": {"a": {"type": kind, **state}}}


def test_given_a_home_tab_when_published_then_only_its_user_sees_it_and_the_next_event_carries_it(client, slack, jane):
    bob = slack.workspace.create_user("bob")
    slack.app.events.add("app_home_opened")
    home = {"type": "home", "private_metadata": "m", "blocks": [{"type": "divider"}]}
    jane.open_home()
    view = client.views_publish(user_id=jane.id, view=home)["view"]
    jane.open_home()
    jane.open_home("messages")
    slack.workspace.deliveries.deliver_due()

    first, second, third = [body["event"] for body in slack.received.bodies()]
    assert (first["tab"], first["user"], "view" in first) == ("home", jane.id, False)
    assert (second["view"]["id"], second["view"]["private_metadata"]) == (view["id"], "m")
    assert (third["tab"], "view" in third) == ("messages", False)
    assert (jane.home()["type"], bob.home(), jane.views()) == ("home", None, [])
    assert error_of(client.views_publish, user_id=jane.id, view=FORM)["error"] == "invalid_arguments"
    assert error_of(client.views_publish, user_id=jane.id, view=home, hash="old")["error"] == "hash_conflict"
    assert error_of(client.views_publish, user_id="U404", view=home)["error"] == "invalid_arguments"
    slack.app.has_home_tab = False
    assert error_of(client.views_publish, user_id=jane.id, view=home)["error"] == "not_enabled"
