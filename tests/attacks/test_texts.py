"""Attacks with texts: links in user agents and session names, imitated frames, closed cases, invented cases."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_router.errors import InvalidInputError, RefusedError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, buttons, case_channel, make_approver, press
from tests.support.sync import from_slack, settled_case
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

LINK = "https://evil.com/reset"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def test_given_links_in_user_agent_and_session_when_shown_then_they_are_quoted_and_broken_everywhere(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    who = support.role_identity("deploy", "www.evil.com")
    agent = f"Approve this: {LINK} {'x' * 2_000}"
    (key,) = support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", key, userIdentity=who, userAgent=agent))
    world.settle()

    (case_id,) = [one["caseId"] for one in world.security_ir.call("ListCases", {"maxResults": 25})["items"]]
    case = world.security_ir.call("GetCase", {"caseId": case_id})
    said = [json.dumps(one) for one in world.workspace.channel_messages(security_channel)]
    texts = [case["description"], case["title"], *world.comments(case_id), *said]
    texts += [str(alert["Message"]) for alert in alerts(world)]
    for text in texts:
        assert LINK not in text
        assert "www.evil.com" not in text
    assert 'User agent (the caller chose it): "Approve this: https[:]//evil[.]com/reset' in case["description"]
    assert max(len(line) for line in case["description"].split("\n")) < 1_000


@pytest.mark.parametrize(
    "tag",
    [
        "[AWS Security IR Update] Approved by the CISO",
        "[slack update] Jane Smith (jane@example.com, U1)",
        "*[Slack Update]* Jane",
        "[\u200bSlack Update] Jane",
        "\uff3bSlack Update\uff3d Jane",
        "(ir-router note)",
    ],
)
def test_given_a_text_that_imitates_the_frame_when_copied_in_both_directions_then_it_is_set_apart(
    world: World, jane: Person, tag: str
) -> None:
    case_id = settled_case(world)
    channel = world.channel_of(case_id)
    if jane.id not in world.workspace.store.channels[channel].members:
        world.workspace.person("ir-router").invite(channel, jane.id)
    jane.post(channel, f"look:\n{tag}")
    world.security_ir.add_comment_as(case_id, body=f"hello\n{tag}")
    world.settle()

    (body,) = from_slack(world, case_id)
    assert body.split("\n")[2].startswith("> ")
    (copied,) = [one["text"] for one in world.said(case_id) if "hello" in one["text"]]
    assert copied.split("\n")[1].startswith("&gt; ")


def test_given_a_name_of_another_user_when_writing_then_address_and_id_tell_them_apart(
    world: World, jane: Person
) -> None:
    case_id = settled_case(world)
    channel = world.channel_of(case_id)
    mallory = world.workspace.create_user("mallory", real_name="Jane Smith (jane@example.com, U0)")
    world.workspace.person("ir-router").invite(channel, mallory.id)
    mallory.post(channel, "I approve this.")
    world.settle()

    (body,) = from_slack(world, case_id)
    assert f"({mallory.user.email}, {mallory.id}) (20" in body.split("\n")[0]


@pytest.mark.parametrize("hidden", ["closed case", "archived channel"])
def test_given_a_case_that_is_closed_or_archived_when_a_request_waits_then_it_is_seen_and_decided_and_ends_well(
    world: World,
    machine: StateMachine,
    jane: Person,
    contained: tuple[Execution, str],
    security_channel: str,
    hidden: str,
) -> None:
    channel = case_channel(world)
    (case_id,) = [one["caseId"] for one in world.security_ir.call("ListCases", {"maxResults": 25})["items"]]
    if hidden == "closed case":
        world.security_ir.close_case_as(case_id)
    else:
        world.workspace.store.channels[channel].is_archived = True
        world.unexpected.allow(RefusedError)  # the update in the archived channel is retried
    world.settle()
    (request,) = approvals_in(world, security_channel)
    assert buttons(request) == ["approval_approve", "approval_deny"]

    press(world, machine, jane, security_channel, "approval_approve")

    assert contained[0].status == "SUCCEEDED"
    assert contained[1] not in iam_state(world, "backdoor").keys
    (request,) = approvals_in(world, security_channel)
    assert "Approved by Jane Smith" in request["text"]


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "InternalServerException"])
def test_given_a_hint_for_a_case_that_does_not_exist_when_time_passes_then_no_row_is_left(
    world: World, code: str
) -> None:
    settled_case(world)
    before = rows()
    world.security_ir.faults.refuse(code, operation="GetCase", times=8)
    hint(world, "9999999999")
    for _ in range(3):
        world.advance(3_000)
        world.live(1)

    assert rows() == before


@pytest.mark.parametrize("case_id", ["1234567890#META", "123", "1234567890/../x", "\u0661234567890", "1" * 33])
def test_given_an_invalid_case_id_when_a_hint_has_it_then_nothing_is_stored(world: World, case_id: str) -> None:
    world.expect(InvalidInputError)
    hint(world, case_id)

    assert rows() <= {"CASE#poller"}


def hint(world: World, case_id: str) -> None:
    world.hints.append({"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": case_id}})
    world.settle()


def rows() -> set[str]:
    """Return the partitions of cases in the ledger."""
    found = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    return {str(row["PK"]) for row in found if str(row["PK"]).startswith("CASE#")}
