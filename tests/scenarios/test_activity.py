"""The calls of contained credentials, read from CloudTrail after a containment: on the case and in its channel."""

from __future__ import annotations

import contextlib
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ir_router.sync import approvals
from ir_router.sync.case_sync import ClaimHeldError
from ir_sandbox import cloud_trail
from ir_sandbox.slack.people import Person
from tests.support.activity import (
    assumed,
    attached,
    attachments,
    by_session,
    call,
    case_of,
    comments,
    shown,
)
from tests.support.approvals import case_channel
from tests.support.commands import answers
from tests.support.crashes import each_crash, points, undisturbed, worlds
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.scenarios import SCENARIOS
from tests.trials.world.state_machine import Execution, StateMachine


def test_given_a_request_that_cannot_be_shown_when_contained_then_its_calls_are_read_without_delay(
    world: World, machine: StateMachine, jane: Person, security_channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.unexpected.allow(ClaimHeldError)

    def held(*_: Any) -> None:
        raise ClaimHeldError(world.now())

    with monkeypatch.context() as patched:
        patched.setattr(approvals, "_show", held)  # another run posts the same message
        _, key = incidents.contain(world, machine)
        world.trail.add(call(world, key, "ListUsers"))
        world.live(2)

    (comment,) = comments(world)
    assert "Activity of the contained credentials" in comment


def test_given_a_contained_key_when_two_minutes_pass_then_case_and_channel_show_what_it_did(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    user = {"userName": "eve"}
    world.trail.add(
        call(world, key, "CreateUser", ago=90, requestParameters=user),
        call(world, key, "CreateUser", ago=80, requestParameters={"userName": "gone"}),
        call(world, key, "CreateAccessKey", ago=70, requestParameters=user,
             responseElements={"accessKey": {"accessKeyId": "AKIAEVE0000000000001", "userName": "eve"}}),
        call(world, key, "DeleteUser", ago=65, requestParameters={"userName": "gone"}),
        call(world, key, "GetSecretValue", service="secretsmanager", requestParameters={"secretId": "prod/db"},
             userAgent="<script>alert(1)</script>"),
        call(world, key, "ListUsers", errorCode="AccessDenied", userAgent="=cmd()", sourceIPAddress="203.0.113.7"),
        assumed(world, key, "ASIASESSION000000001"),
        by_session(world, "ASIASESSION000000001", "UpdateAssumeRolePolicy", requestParameters={"roleName": "admin"}),
    )  # fmt: skip
    world.live(2)

    (message,) = shown(world)
    assert "made 8 calls" in message
    assert message.index("does not undo") < message.index("*Calls*")
    assert "user eve" in message
    assert "aws iam delete-access-key --user-name eve --access-key-id AKIAEVE0000000000001" in message
    assert "changed trust policy of role admin" in message
    assert "user gone" not in message
    assert "secret prod/db" in message
    (comment,) = comments(world)
    assert "iam, us-east-1: 5 succeeded, 1 denied" in comment
    assert "203.0.113.7: 1" in comment
    assert "=cmd(): 1" in comment
    (rows,) = attachments(world).values()
    assert len(rows) == 8
    assert [row["user agent"] for row in rows if row["action"] == "ListUsers"] == ["'=cmd()"]
    page = attached(world)["activity-1.html"]
    assert page.count("<tr><td") == 8 + 3  # the calls, and the services
    assert all(row["event id"] in page for row in rows)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"<script|(?:src|href)=", page)
    case = world.security_ir.call("GetCase", {"caseId": case_of(world)})
    assert {one["ipAddress"] for one in case["threatActorIpAddresses"]} == {"198.51.100.7"}
    world.live(2)
    assert {"activity-1.csv", "activity-1.html"} <= {file["name"] for file in _files(world)}


def _files(world: World) -> list[dict[str, Any]]:
    messages = world.workspace.channel_messages(case_channel(world))
    return [file for message in messages for file in message.get("files") or []]


def test_given_calls_after_the_containment_when_read_later_then_the_message_states_them_first(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.add(call(world, key, "ListUsers"), assumed(world, key, "ASIASESSION000000001"))
    world.live(2)
    assert "no call succeeded" in shown(world)[0]
    incidents.pages(world)

    late = by_session(world, "ASIASESSION000000001", "CreateUser", ago=0, requestParameters={"userName": "late"})
    denied = call(world, key, "CreateUser", ago=0, errorCode="AccessDenied")
    world.trail.add(late, denied, after=300)
    world.live(15)
    first, second = shown(world)
    assert "1 call SUCCEEDED, the last one iam CreateUser" in second
    assert "1 call denied or failed" in second
    assert "SUCCEEDED" not in first
    (page,) = [one for one in incidents.pages(world) if "without an assignee" not in one["Message"]]
    assert f"Calls of contained credentials succeeded in case {case_of(world)}" in page["Message"]
    (comment,) = comments(world)  # the same comment, with the newest numbers
    assert "- 1 call succeeded" in comment
    actor = world.security_ir.call("GetCase", {"caseId": case_of(world)})["threatActorIpAddresses"]
    assert [one["ipAddress"] for one in actor] == ["198.51.100.7"]
    assert sorted(attachments(world)) == ["activity-1.csv", "activity-2.csv"]
    world.trail.add(by_session(world, "ASIASESSION000000001", "DeleteUser", ago=0))
    world.live(50)
    assert len(shown(world)) == 3
    assert incidents.pages(world) == []  # once for a case


def test_given_calls_that_prove_nothing_when_read_then_no_page_follows(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    incidents.pages(world)
    world.advance(20)
    world.trail.add(
        call(world, key, "GetCallerIdentity", service="sts", ago=0),
        call(world, key, "ListUsers", ago=15),
    )
    world.live(2)
    assert "2 calls SUCCEEDED" in shown(world)[0]
    assert incidents.pages(world) == []


def test_given_no_calls_when_the_last_reading_ends_then_one_message_states_it(
    world: World, contained: tuple[Execution, str]
) -> None:
    world.live(10)
    assert shown(world) == []
    world.live(55)
    (message,) = shown(world)
    assert "shows no calls" in message
    assert attachments(world) == {}
    times = [at for _, at, _ in world.trail.requests]
    assert max(times) - min(times) < 3_700
    before = len(times)
    world.advance(3_600)
    world.live(2)
    assert len(world.trail.requests) == before  # nothing more is read by itself


def test_given_thousands_of_calls_when_read_then_the_rate_holds_and_every_call_is_in_the_csv(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.add(*(call(world, key, "ListUsers", ago=100 + number) for number in range(2_340)))
    world.live(2)
    (first,) = shown(world)
    assert "so far (the reading continues)" in first
    assert attachments(world) == {}
    world.live(5)

    assert "made 2,340 calls" in shown(world)[-1]
    (rows,) = attachments(world).values()
    assert len({row["event id"] for row in rows}) == 2_340
    for region in ("us-east-1",):
        times = [at for where, at, _ in world.trail.requests if where == region]
        assert all(later - earlier >= 1 for earlier, later in zip(times, times[2:], strict=False))


def test_given_the_command_when_typed_then_newer_calls_appear_and_an_uncontained_case_gets_an_answer(
    world: World, jane: Person, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.live(70)
    before = len(shown(world))
    world.trail.add(call(world, key, "GetCallerIdentity", service="sts", ago=10))
    jane.command(case_channel(world), "/security-ir", "activity")
    world.settle()
    assert "within two minutes" in answers(world, jane)[-1]
    world.live(2)
    assert len(shown(world)) == before + 1
    assert "made 1 call" in shown(world)[-1]

    world.live(1)
    assert len(shown(world)) == before + 1


def test_given_a_denied_lookup_when_read_then_the_case_states_it_once_and_is_synchronised(
    world: World, contained: tuple[Execution, str]
) -> None:
    world.trail.refuse_with = "AccessDeniedException"
    world.live(20)
    told = [
        body for body in world.comments(case_of(world)) if "cannot read the calls of the contained credentials" in body
    ]
    assert len(told) == 1
    assert "cloudtrail:LookupEvents" in told[0]
    world.security_ir.add_comment_as(case_of(world), body="a comment in the meantime")
    world.settle()
    assert any("a comment in the meantime" in json.dumps(one) for one in world.said(case_of(world)))


def test_given_a_role_when_contained_then_the_calls_of_its_sessions_are_shown(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    arn = incidents.role("worker")
    identity = incidents.role_identity("worker", "session")
    found = incidents.finding("x", 8.0, user_type="AssumedRole")
    found["detail"]["resource"]["accessKeyDetails"] |= {"userName": "worker", "principalId": "AROAEXAMPLE:session"}
    machine.start(found)
    world.settle()
    assert incidents.role_is_denied(world, "worker")
    moment = datetime.fromtimestamp(world.now(), UTC)
    key = "ASIAWORKER0000000001"
    opened = cloud_trail.record(
        "AssumeRole", moment - timedelta(seconds=300), incidents.user_identity("ci", "AKIACI00000000000001"),
        service="sts", requestParameters={"roleArn": arn},
        responseElements={"credentials": {"accessKeyId": key}, "assumedRoleUser": {"arn": identity["arn"]}},
    )  # fmt: skip
    used = cloud_trail.record("ListBuckets", moment, {**identity, "accessKeyId": key}, service="s3")
    world.trail.add(opened, used)
    world.live(3)

    (message,) = shown(world)
    assert "made 1 call," in message
    assert "s3, us-east-1: 1 succeeded" in message


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("cloudtrail", "LookupEvents"),
        ("slack", "chat.postMessage"),
        ("security-ir", "CreateCaseComment"),
        ("security-ir", "GetCaseAttachmentUploadUrl"),
        ("files", "PUT security-ir"),
        ("security-ir", "UpdateCase"),
    ],
)
def test_given_a_crash_at_a_call_when_continued_then_each_result_appears_once(
    world: World, contained: tuple[Execution, str], service: str, operation: str
) -> None:
    _, key = contained
    world.advance(45)
    world.trail.add(
        *(call(world, key, "ListUsers", ago=number / 4, sourceIPAddress="203.0.113.7") for number in range(120))
    )
    world.wire.kill_on(service, operation, "after")
    world.live(12)
    assert world.wire.died_at is not None

    assert len([one for one in shown(world) if "made 120 calls" in one]) == 1
    assert len(comments(world)) == 1
    assert [len(rows) for rows in attachments(world).values()] == [120]
    actors = world.security_ir.call("GetCase", {"caseId": case_of(world)})["threatActorIpAddresses"]
    assert sorted(one["ipAddress"] for one in actors) == ["198.51.100.7", "203.0.113.7"]


def test_given_a_requested_result_when_a_run_dies_while_it_ends_then_the_result_appears_once() -> None:
    (scenario,) = [one for one in SCENARIOS if one.name == "/security-ir activity"]
    with contextlib.redirect_stdout(io.StringIO()):
        calls, expected = undisturbed(scenario, worlds)
        uploads = [(call.invocation, number) for number, call in enumerate(calls, 1) if "PUT" in call.operation]
        attached = max(number for invocation, number in uploads if invocation == uploads[0][0])
        end = [one for one in points(calls) if one.call.invocation == uploads[0][0] and one.number > attached]
        outcomes = [outcome for outcome, _ in each_crash(scenario, worlds, end, expected)]

    assert len(outcomes) >= 3
    assert [(str(one.point), one.differences) for one in outcomes if one.differences or not one.died] == []


def test_given_an_upload_that_died_when_its_url_has_expired_then_the_csv_is_attached_once(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.add(call(world, key, "ListUsers"))
    world.advance(45)
    world.wire.kill_on("files", "PUT security-ir", "before")
    world.live(1)
    world.advance(3_600)
    world.live(6)
    assert [len(rows) for rows in attachments(world).values()] == [1]
