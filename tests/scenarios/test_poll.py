"""The poller: published hints, unchanged cases and the number of calls."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ir_sandbox.security_ir import Settings
from tests.support.sync import calls, channel_messages, configured, lines_with, settled_case, shared_files
from tests.support.world import World, forget_everything


def channels(world: World) -> list[str]:
    return [channel.name for channel in world.workspace.store.channels.values()]


def unheard_of(world: World) -> str:
    """Create a case from an hour ago without an event of AWS; return its id."""
    world.drop_native_events = True
    case_id = world.create_case()
    world.advance(3600)
    world.drop_native_events = False
    return case_id


@pytest.mark.parametrize("count", [1, 12])
def test_given_nothing_new_when_polled_then_nothing_is_written_and_few_calls_are_made(world: World, count: int) -> None:
    for _ in range(count):
        settled_case(world)
    world.live(2)
    world.wire.calls.clear()
    world.poll()

    assert sorted(calls(world, "dynamodb")) == ["BatchGetItem", "Query", "Query"]
    assert len(calls(world, "security-ir")) <= 1 + 2 * min(count, 10)
    assert calls(world, "events") == []


def test_given_many_open_cases_when_polled_each_minute_then_each_is_deep_checked_in_turn(world: World) -> None:
    cases = [settled_case(world) for _ in range(12)]
    checked: set[str] = set()
    for _ in range(2):
        world.wire.calls.clear()
        seen = [call for call in world.security_ir.calls.all() if call.operation == "GetCase"]
        world.poll()
        now = [call for call in world.security_ir.calls.all() if call.operation == "GetCase"][len(seen) :]
        assert len(now) == 6  # twelve cases in two turns
        checked |= {call.request_id for call in now}
        world.advance(60)

    assert len(checked) == len(cases)


def test_given_eventbridge_that_refuses_hints_when_polled_again_then_they_are_published(world: World) -> None:
    world.drop_native_events = True
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="at last")
    world.refuse_events = 1
    answer = world.poll()
    assert (answer["published"], answer["refused"]) == (0, 1)
    world.advance(60)
    world.live(1)

    assert len(lines_with(world, case_id, "at last")) == 1


def test_given_more_hints_than_a_call_takes_when_some_are_refused_then_those_are_published_at_the_next_poll(
    world: World,
) -> None:
    world.drop_native_events = True
    cases = [settled_case(world) for _ in range(12)]
    for case_id in cases:
        world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Changed"})
    world.refuse_events = 3
    answers = []
    for _ in range(3):
        answers.append(world.poll())
        world.settle()
        world.advance(60)

    assert [(answer["published"], answer["refused"]) for answer in answers] == [(9, 3), (3, 0), (0, 0)]
    assert all(len(lines_with(world, case_id, "→ Changed")) == 1 for case_id in cases)


def test_given_an_open_case_older_than_the_deployment_when_first_polled_then_the_variable_decides(
    world: World,
) -> None:
    world.drop_native_events = True
    world.create_case()
    closed = world.create_case()
    world.security_ir.close_case_as(closed)
    world.advance(3600)
    with configured(world, IR_INITIAL_IMPORT="none"):
        world.live(3)
        assert channels(world) == []
    forget_everything()
    world.live(3)

    assert len(channels(world)) == 1  # the closed one never


def test_given_no_import_when_a_new_case_comes_then_it_gets_its_channel_all_the_same(world: World) -> None:
    with configured(world, IR_INITIAL_IMPORT="none"):
        world.live(1)
        case_id = world.create_case()
        world.settle()

        assert channels(world) == [f"aws-security-incident-response-case-{case_id}"]


@pytest.mark.parametrize("close", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("variable", ["none", "open"])
def test_given_an_event_before_the_first_poll_when_polled_then_a_case_of_the_deployments_minutes_gets_its_channel(
    world: World, variable: str, *, close: bool
) -> None:
    with configured(world, IR_INITIAL_IMPORT=variable):
        world.drop_native_events = close
        case_id = world.create_case()
        if close:
            world.drop_native_events = False
            world.security_ir.close_case_as(case_id)
        world.settle()
        world.advance(120)
        world.live(3)

        assert channels(world) == [f"aws-security-incident-response-case-{case_id}"]
        world.wire.calls.clear()
        world.live(1)
        assert "GetCase" not in calls(world, "security-ir") or not close


def test_given_an_event_of_an_old_case_before_the_first_poll_when_polled_then_it_is_left_alone(world: World) -> None:
    with configured(world, IR_INITIAL_IMPORT="none"):
        case_id = unheard_of(world)
        world.security_ir.add_comment_as(case_id, body="old story")
        world.settle()
        world.live(3)
        world.wire.calls.clear()
        world.live(1)

    assert channels(world) == []
    assert calls(world, "security-ir") == ["ListCases"]


def test_given_no_import_when_an_old_case_changes_then_it_still_has_no_channel_and_costs_no_deep_check(
    world: World,
) -> None:
    case_id = unheard_of(world)
    with configured(world, IR_INITIAL_IMPORT="none"):
        world.live(1)
        world.security_ir.add_comment_as(case_id, body="old story")
        world.settle()
        world.live(1)
        world.wire.calls.clear()
        world.live(1)

    assert channels(world) == []
    assert calls(world, "security-ir") == ["ListCases"]


def test_given_a_closing_that_only_the_poll_sees_when_brought_over_then_what_came_before_it_is_shown_too(
    world: World,
) -> None:
    case_id = settled_case(world)
    world.drop_native_events = True
    world.security_ir.add_comment_as(case_id, body="last words")
    world.security_ir.add_attachment_as(case_id, file_name="report.pdf", content=b"x")  # verified in a second
    world.security_ir.close_case_as(case_id)
    world.live(4)  # the last minute adds the bookmark of the report

    assert len(lines_with(world, case_id, "→ Closed")) == 1
    assert len(lines_with(world, case_id, "last words")) == 1
    assert [file["name"] for file in shared_files(world, case_id)] == [
        "report.pdf",
        "report-1.html",
        "report-1.json",
    ]
    world.wire.calls.clear()
    world.live(3)
    assert set(calls(world, "security-ir")) == {"ListCases"}


def test_given_a_case_that_keeps_failing_when_polled_then_it_waits_its_time_and_others_go_on(world: World) -> None:
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", is_admin=True)
    broken, well = settled_case(world), settled_case(world)
    channel = world.channel_of(broken)
    jane.archive_channel(channel)
    world.security_ir.add_comment_as(broken, body="unheard")
    world.settle()
    attempts = []
    for _ in range(12):
        before = len([i for i in world.invocations if isinstance(i.event, dict) and _case_of(i.event) == broken])
        world.security_ir.add_comment_as(well, body="heard")
        world.live(1)
        after = len([i for i in world.invocations if isinstance(i.event, dict) and _case_of(i.event) == broken])
        attempts.append(after - before)

    assert len(lines_with(world, well, "heard")) == 12
    assert 2 <= sum(attempts) <= 6  # at growing intervals
    jane.unarchive_channel(channel)
    world.advance(3600)
    world.live(2)
    assert len(lines_with(world, broken, "unheard")) == 1


def _case_of(event: dict[str, Any]) -> str | None:
    return (event.get("detail") or {}).get("caseId")


def test_given_slack_that_is_not_configured_when_polled_then_cases_wait_without_notices(
    world: World,
) -> None:
    import boto3

    name = "/SecurityIncidentResponse/slackBotToken"
    boto3.client("ssm").put_parameter(Name=name, Value="not-configured", Type="SecureString", Overwrite=True)
    forget_everything()
    case_id = world.create_case()
    world.settle()
    world.live(3)
    assert world.comments(case_id) == []
    assert world.poll()["published"] == 0

    world.configure_slack()
    world.live(3)

    assert channels(world) == [f"aws-security-incident-response-case-{case_id}"]
    assert len(world.comments(case_id)) == 1


def test_given_more_cases_than_a_poll_reads_when_polled_on_then_each_is_found(world: World) -> None:
    world.drop_native_events = True
    world.security_ir.configure(Settings(active_self_managed_cases=260))
    for _ in range(260):
        world.create_case(watchers=[])
    with configured(world, IR_INITIAL_IMPORT="none"):
        world.advance(3600)
        world.live(1)
        listed = [world.poll()["listed"] for _ in range(3)]

    assert listed == [10, 250, 10]  # the second poll continues after the first


def test_given_many_new_cases_at_once_when_polled_then_they_are_brought_over_in_portions_oldest_first(
    world: World,
) -> None:
    world.drop_native_events = True
    cases = []
    for _ in range(23):
        cases.append(world.create_case())
        world.advance(1)
    assert world.poll()["published"] == 20
    world.settle()
    assert channels(world) == [f"aws-security-incident-response-case-{case_id}" for case_id in cases[:20]]
    world.advance(60)
    world.live(1)

    assert len(channels(world)) == 23
    assert all(channel_messages(world, case_id) for case_id in cases)
    assert "IR_INITIAL_IMPORT" not in os.environ
