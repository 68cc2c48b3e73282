"""X7: open a case, add and remove watchers, comment to AWS only, synchronise on request."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from ir_router import clock
from ir_sandbox.slack.people import Person
from tests.support.commands import answers, case, case_with_channel, identified, type_command
from tests.support.world import World
from tests.trials.world.incidents import audit_rows


def responder(world: World) -> tuple[Person, str]:
    """Create Jane of the response team, in a channel without a case."""
    jane = world.workspace.create_user("jane.smith", real_name="Jane Smith")
    return jane, world.workspace.create_channel("general-talk", [jane]).id


def filled(world: World, **changes: Any) -> dict[str, object]:
    return {
        "title": "Key in a public repository",
        "description": "Found by a customer.\n\n  <https://example.com> & more",
        "type": "Security Incident",
        "severity": "Critical",
        "start": int(world.now()) - 3600,
        "accounts": "123456789012, 000123123123",
    } | changes


def opened_cases(world: World) -> list[str]:
    return [item["caseId"] for item in world.security_ir.call("ListCases", {}).get("items", [])]


def open_form(world: World, person: Person, channel: str, text: str = "create") -> str:
    person.command(channel, "/security-ir", text)
    world.settle()
    (view,) = person.views()
    return view.id


def test_given_a_responder_when_the_form_is_submitted_then_the_case_is_opened_once_as_filled_in(world: World) -> None:
    jane, channel = responder(world)
    john = world.workspace.create_user("john.doe", real_name="John Doe")
    view = open_form(world, jane, channel, 'create "Key in a public repository"')
    (shown,) = jane.views()
    titles = [b["element"].get("initial_value") for b in shown.body["blocks"] if b["block_id"] == "title"]
    assert titles == ["Key in a public repository"]

    fields = filled(world, watchers=[jane.id, john.id])
    jane.submit(view, fields)
    world.asynchronous *= 2
    world.settle()

    (case_id,) = opened_cases(world)
    made = case(world, case_id)
    assert made["title"] == "Key in a public repository"
    assert made["description"] == "Found by a customer.\n\n  <https://example.com> & more"
    assert made["engagementType"] == "Security Incident"
    assert made["resolverType"] == "Self"
    assert int(made["reportedIncidentStartDate"].timestamp()) == fields["start"]
    assert made["impactedAccounts"] == ["123456789012", "000123123123"]
    assert [watcher["email"] for watcher in made["watchers"]] == ["jane.smith@example.com", "john.doe@example.com"]
    assert {jane.id, john.id} <= set(world.workspace.channel(world.channel_of(case_id)).members)
    (answer,) = answers(world, jane)
    assert answer.startswith(
        f"✅ Case opened\nCase ID: {case_id}\nTitle: Key in a public repository\nOpened by: @jane.smith\nTimestamp: 20"
    )
    assert f"Channel: #aws-security-incident-response-case-{case_id}" in answer
    assert "Severity: Critical" in type_command(world, jane, case_id, "status")[0]
    assert sum(f"Opened by {identified(jane)} from Slack." in text for text in world.comments(case_id)) == 1
    (record,) = [json.loads(row["details"]) for row in audit_rows()]
    assert (record["command"], record["case_id"], record["slack_user_id"]) == ("create", case_id, jane.id)


def test_given_a_channel_made_meanwhile_when_a_case_is_opened_then_the_answer_links_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)

    def others_work(seconds: float) -> None:
        """Let the other functions run while this one waits."""
        world.advance(seconds)
        world._run_hints()
        world.become("slack")

    monkeypatch.setattr(clock, "sleep", others_work)
    jane.submit(view, filled(world))
    world.settle()

    (case_id,) = opened_cases(world)
    shown = [message for message in world.workspace.ephemerals(jane.id) if message["via"] == "response_url"]
    assert f"Channel: <#{world.channel_of(case_id)}>" in shown[-1]["blocks"][1]["text"]["text"]


def test_given_mistakes_in_the_form_when_submitted_then_they_are_shown_in_place_and_nothing_is_opened(
    world: World,
) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)

    _, answer = jane.submit(view, filled(world, title=" ", accounts="12345", start=int(world.now()) + 86400))
    world.settle()

    assert answer is not None
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) == {"title", "accounts", "start"}
    assert [one.id for one in jane.views()] == [view]
    assert opened_cases(world) == []


def test_given_a_refusal_by_aws_when_the_form_was_submitted_then_what_was_typed_is_given_back(world: World) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)
    world.security_ir.faults.refuse("ServiceQuotaExceededException", "CreateCase")

    fields = filled(world)
    jane.submit(view, fields)
    world.settle()

    (answer,) = answers(world, jane)
    assert answer.startswith("❌ AWS opens no more cases, because a quota for cases is reached.")
    assert jane.views() == []
    error = [message for message in world.workspace.ephemerals(jane.id) if message["via"] == "response_url"][-1]
    jane.press(channel, error["ts"], "create_again")
    world.settle()
    (again,) = jane.views()
    jane.submit(again.id, {})  # as it was returned
    world.settle()

    (case_id,) = opened_cases(world)
    made = case(world, case_id)
    assert made["title"] == "Key in a public repository"
    assert made["description"] == "Found by a customer.\n\n  <https://example.com> & more"
    assert made["impactedAccounts"] == ["123456789012", "000123123123"]
    assert int(made["reportedIncidentStartDate"].timestamp()) == fields["start"]


def test_given_a_form_that_was_dismissed_when_the_button_is_pressed_once_more_then_it_opens_once_more(
    world: World,
) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)
    world.security_ir.faults.refuse("ServiceQuotaExceededException", "CreateCase")
    jane.submit(view, filled(world))
    world.settle()
    error = [message for message in world.workspace.ephemerals(jane.id) if message["via"] == "response_url"][-1]

    for number in (1, 2):
        jane.press(channel, error["ts"], "create_again")
        world.settle()
        assert len(jane.views()) == number


def test_given_a_lost_answer_of_createcase_when_tried_again_then_there_is_one_case_and_its_id_is_reported(
    world: World,
) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)
    world.security_ir.faults.lose_answer("CreateCase", times=None)

    jane.submit(view, filled(world))
    world._run_asynchronous()
    assert answers(world, jane)[0].startswith("⚠️ Temporary connectivity issue\n")
    world.security_ir.faults.clear()
    world.advance(60)
    world.settle()

    (case_id,) = opened_cases(world)
    assert answers(world, jane)[-1].startswith(f"✅ Case opened\nCase ID: {case_id}\n")


def test_given_a_user_who_may_not_open_cases_when_they_try_then_the_form_says_so(world: World) -> None:
    mallory = world.workspace.create_user("mallory")
    channel = world.workspace.create_channel("general-talk", [mallory]).id

    mallory.command(channel, "/security-ir", "create")
    world.settle()

    (view,) = mallory.views()
    refusal = "You don't have permission to open cases\nContact your administrator for access"
    assert html.unescape(view.body["blocks"][0]["text"]["text"]) == f"❌ {refusal}"
    assert answers(world, mallory) == [f"❌ {refusal}"]


def test_given_a_slow_start_when_the_trigger_has_expired_then_the_person_is_asked_to_repeat(world: World) -> None:
    jane, channel = responder(world)
    jane.command(channel, "/security-ir", "create")
    world.advance(4)
    world.settle()

    assert jane.views() == []
    assert answers(world, jane) == ["❌ Slack did not open the form in time. Send the command again."]


def test_given_people_when_added_and_removed_as_watchers_then_case_channel_and_answers_agree(world: World) -> None:
    case_id, jane = case_with_channel(world)
    sam = world.workspace.create_user("sam", real_name="Sam Lee")

    (added,) = type_command(
        world, jane, case_id, f"add-watcher <@{sam.id}|sam>, <mailto:ghost@example.com|ghost@example.com>"
    )

    assert added.startswith(
        "✅ Watchers added\nAdded: Sam Lee (sam@example.com), ghost@example.com\nUpdated by: @jane.smith\nTimestamp: 20"
    )
    emails = {watcher["email"] for watcher in case(world, case_id)["watchers"]}
    assert emails == {"jane.smith@example.com", "sam@example.com", "ghost@example.com"}
    assert sam.id in world.workspace.channel(world.channel_of(case_id)).members
    assert type_command(world, jane, case_id, "add-watcher SAM@example.com") == [
        "✅ Already watching: SAM@example.com\nNothing was changed"
    ]

    (removed,) = type_command(world, jane, case_id, "remove-watcher Ghost@example.com")
    assert removed.startswith("✅ Watchers removed\nRemoved: ghost@example.com\n")
    assert "ghost@example.com" not in str(case(world, case_id)["watchers"])
    assert type_command(world, jane, case_id, "remove-watcher ghost@example.com") == [
        "✅ None of these people watches the case\nNothing was changed"
    ]


def test_given_words_that_name_no_user_when_adding_watchers_then_the_answer_says_which(world: World) -> None:
    case_id, jane = case_with_channel(world, watchers=[{"email": f"w{n}@example.com"} for n in range(30)])

    assert type_command(world, jane, case_id, "add-watcher") == [
        "❌ Please specify a person. Usage: /security-ir add-watcher <@name or e-mail>"
    ]
    assert type_command(world, jane, case_id, "add-watcher sam") == [
        '❌ "sam" is neither a mention (@name) nor an e-mail address\nNothing was changed'
    ]
    assert type_command(world, jane, case_id, "add-watcher one@example.com") == [
        "❌ A case can have at most 30 watchers, and this one has 30\nNothing was changed"
    ]


def test_given_a_comment_for_aws_when_written_then_it_is_on_the_case_and_never_in_the_channel(world: World) -> None:
    case_id, jane = case_with_channel(world)
    text = "Please look at i-0abc first.\n\nThe user is *still* active & <watching>"

    (answer,) = type_command(world, jane, case_id, f"comment {text}")
    for _ in range(3):
        world.advance(60)
        world.poll()
        world.settle()

    assert answer.startswith("✅ Comment added to the case, not to the channel\nAdded by: @jane.smith\nTimestamp: 20")
    (body,) = [body for body in world.comments(case_id) if "i-0abc" in body]
    assert body.startswith(f"[Slack Update] {identified(jane)}, not in the channel (20")
    assert text in body
    assert not any("i-0abc" in message["text"] for message in world.said(case_id))


def test_given_a_topic_set_by_hand_when_synchronising_now_then_it_is_fixed_at_once(world: World) -> None:
    case_id, jane = case_with_channel(world)
    channel = world.channel_of(case_id)
    jane.set_topic(channel, "lunch?")

    (answer,) = type_command(world, jane, case_id, "sync")

    assert answer.startswith("🔄 Syncing the case with this channel. ")
    assert world.workspace.channel(channel).topic["value"] == "Status: Open (Submitted) | Severity: High"


def test_given_no_answer_to_create_case_after_all_attempts_when_given_up_then_the_person_learns_where_to_look(
    world: World,
) -> None:
    jane, channel = responder(world)
    view = open_form(world, jane, channel)
    world.security_ir.faults.reset_connection("CreateCase", times=None)

    jane.submit(view, filled(world))
    world.settle()

    last = answers(world, jane)[-1]
    assert last.startswith(
        "❌ /security-ir create: the outcome is unknown after several attempts, and ir-router does not retry it\n"
    )
    assert (
        "Please look for the case in AWS Security Incident Response, and repeat the command if it does not exist\n"
        in last
    )
    (executed,) = [row for row in audit_rows() if row["action"] == "command_executed"]
    assert json.loads(executed["details"])["slack_user_id"] == jane.id
    assert json.loads(executed["details"])["outcome"] == "unknown"
