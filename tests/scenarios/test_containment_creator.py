"""C2: alert, case and approval request state that the credentials of the key's creator still work."""

from __future__ import annotations

from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, buttons, creator_buttons, make_approver
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine

USER = "NOT contained: user mallory, who created the key. The creator's access key AKIAMALLORY000000001"


def cases(world: World) -> list[dict[str, Any]]:
    found = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return [world.security_ir.call("GetCase", {"caseId": case["caseId"]}) for case in found]


def test_given_a_key_by_another_user_when_contained_then_people_read_that_the_creator_still_has_access(
    world: World, machine: StateMachine, jane: Any
) -> None:
    channel = support.security_channel(world, jane)
    contain(world, machine)
    world.settle()

    (alert,) = alerts(world)
    assert f"{USER} and all other credentials still work. If you do not trust this user" in alert["Message"]
    (case,) = cases(world)
    assert USER in case["description"]
    assert "user mallory, who created the key" in as_shown(world.workspace.channel_messages(channel))


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (support.user_identity("backdoor", "AKIABACKDOOR00000001"), None),
        (support.role_identity("deploy"), "who created the key. The creator's credentials still work."),
    ],
)
def test_given_a_creator_when_contained_then_only_another_principal_is_reported(
    world: World, machine: StateMachine, identity: dict[str, Any], expected: str | None
) -> None:
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=identity))

    message = alerts(world)[0]["Message"]
    assert (expected in message) if expected else ("who created the key" not in message)


def test_given_the_actor_is_contained_too_when_reported_then_nothing_says_that_its_credentials_work(
    world: World, machine: StateMachine
) -> None:
    (own,) = support.user("mallory")
    support.user("backdoor")
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("mallory", own)))

    assert "who created the key" not in alerts(world)[0]["Message"]
    assert len(asked(world)) == 1


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def created_by_mallory(world: World, machine: StateMachine, **changes: Any) -> str:
    """Report a key that mallory created for the user backdoor; return mallory's own key."""
    (own,) = support.user("mallory")
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("mallory", own), **changes))
    world.settle()
    return own


def contain_creator(world: World, machine: StateMachine, person: Person, channel: str, ts: str) -> None:
    """Press "Contain ... too" and submit the form."""
    (action,) = creator_buttons(message_at(world, channel, ts))
    person.press(channel, ts, action)
    world.settle()
    person.submit(person.views()[-1].id, {})
    world.settle()
    machine.advance()
    world.settle()


def message_at(world: World, channel: str, ts: str) -> dict[str, Any]:
    (message,) = [one for one in world.workspace.channel_messages(channel) if one["ts"] == ts]
    return message


def test_given_a_creator_when_an_approver_contains_it_from_the_request_then_it_is_contained_once_with_its_own_request(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    own = created_by_mallory(world, machine)
    (request,) = approvals_in(world, security_channel)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert buttons(request) == ["approval_approve", "approval_deny"]
    assert "Contain user mallory too ..." in as_shown(request["blocks"])
    assert USER.replace("AKIAMALLORY000000001", own) in as_shown(request["blocks"])

    contain_creator(world, machine, jane, security_channel, request["ts"])

    assert iam_state(world, "mallory").denied
    assert iam_state(world, "mallory").keys == {own: "Inactive"}
    (first, second) = approvals_in(world, security_channel)
    assert "Jane Smith requested the containment of user mallory" in as_shown(first["blocks"])
    assert "user mallory contained. Approve or deny within 24 hours." in as_shown(first["blocks"])
    assert (buttons(first), creator_buttons(first)) == (["approval_approve", "approval_deny"], [])
    assert "user mallory contained" in second["text"]
    assert len(machine.executions) == 2
    assert "containment requested by Jane Smith: user mallory contained." in str(world.comments(case["caseId"]))
    (requested,) = [row for row in support.audit_rows() if row["action"] == "creator_containment_requested"]
    assert requested["actor"] == "Jane Smith"


@pytest.mark.parametrize(("decision", "offered"), [("approve", True), ("deny", False)])
def test_given_a_decision_when_the_creator_is_contained_afterwards_then_only_an_approval_still_offers_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str, decision: str, offered: bool
) -> None:
    created_by_mallory(world, machine)
    (request,) = asked(world)
    decide(world, request["taskToken"], decision)
    machine.advance()
    world.settle()

    (message,) = approvals_in(world, security_channel)
    assert (len(creator_buttons(message)) == 1) is offered
    answer = decide(world, request["taskToken"], "contain_creator")
    assert answer["status"] == ("creator_requested" if offered else "creator_not_offered")
    assert iam_state(world, "mallory").denied is offered


def test_given_the_command_line_when_the_creator_is_contained_twice_then_it_is_once_and_the_first_analyst_is_named(
    world: World, machine: StateMachine
) -> None:
    created_by_mallory(world, machine)
    token = asked(world)[0]["taskToken"]

    first = decide(world, token, "contain_creator", "ann", creator=f"arn:aws:iam::{ACCOUNT}:user/mallory")
    second = decide(world, token, "contain_creator", "bob")

    assert first["status"] == "creator_requested"
    assert first["message"].startswith("ir-router now contains user mallory: attaches the deny policy")
    assert second["status"] == "creator_requested_before"
    assert "Already requested by ann (name given on the command line)" in second["message"]
    assert len(machine.executions) == 2
    assert decide(world, token, "contain_creator", creator="eve")["status"] == "unknown_creator"
    assert len(asked(world)) == 1  # the creator has its own request


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (support.role_identity("AWSReservedSSO_Admin_0123456789abcdef", "jane@example.com"), "Only AWS can change"),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}, "Sign in as root"),
        ({**support.user_identity("mallory", "AKIA"), "accountId": "444455556666"}, "It belongs to account"),
    ],
)
def test_given_a_creator_that_may_not_be_contained_when_asked_then_the_request_states_why_and_offers_nothing(
    world: World, machine: StateMachine, jane: Person, security_channel: str, identity: dict[str, Any], why: str
) -> None:
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=identity))
    world.settle()

    (message,) = approvals_in(world, security_channel)
    assert creator_buttons(message) == []
    assert why in as_shown(message["blocks"])
    answer = decide(world, asked(world)[0]["taskToken"], "contain_creator")
    assert answer["status"] == "creator_not_offered"
    assert len(machine.executions) == 1
