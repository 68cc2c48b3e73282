"""X12, W2, W6: the operator's tasks, and the case of an incident."""

from __future__ import annotations

import itertools
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from ir_router.errors import InvalidInputError, UnknownEventError
from tests.support.tasks import run
from tests.support.world import ACCOUNT, World
from tests.trials.world import FunctionDiedError
from tests.trials.world import incidents as support
from tests.trials.world.branches import Branches
from tests.trials.world.incidents import IamState, alerts, asked, audit_actions, audit_rows, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine

USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor"


def release(world: World, **changes: Any) -> dict[str, Any]:
    return run(world, "release", **{"principal": USER, "released_by": "Jane", "reason": "checked"} | changes)


# Tasks


def test_given_an_unknown_task_when_run_then_the_known_ones_are_named(world: World) -> None:
    with pytest.raises(UnknownEventError, match="allowlist_list"):
        run(world, "delete_everything")


def test_given_allowlist_entries_when_listed_and_removed_then_both_kinds_show_and_only_added_ones_go(
    world: World,
) -> None:
    world.environment["IR_ALLOWED_CIDRS"] = '["10.0.0.0/8"]'
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office"}
    added = run(world, "allowlist_add", **entry, added_by="Jane", expires_at="2099-01-01T00:00:00Z")

    listed = run(world, "allowlist_list")["entries"]
    assert [row["value"] for row in listed] == ["10.0.0.0/8", "192.0.2.7/32"]
    assert added["entry"]["expires_at"] == "2099-01-01T00:00:00Z"

    removal = {"kind": "ip", "removed_by": "Jane", "reason": "office moved"}
    run(world, "allowlist_remove", value="192.0.2.7", **removal)
    assert [row["value"] for row in run(world, "allowlist_list")["entries"]] == ["10.0.0.0/8"]
    with pytest.raises(InvalidInputError, match="There is no ip entry"):
        run(world, "allowlist_remove", value="10.0.0.0/8", **removal)
    assert audit_actions() == ["allowlist_added", "allowlist_removed"]
    assert "office moved" in audit_rows()[-1]["details"]


def test_given_an_audit_that_takes_no_record_when_the_allowlist_is_changed_then_it_is_not(world: World) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office"}
    run(world, "allowlist_add", **entry, added_by="Jane")

    for task, fields in (
        ("allowlist_add", {**entry, "value": "192.0.2.8", "added_by": "Jane"}),
        ("allowlist_remove", {**entry, "removed_by": "Jane"}),
    ):
        world.wire.kill_on("dynamodb", "TransactWriteItems", "before")
        with pytest.raises(FunctionDiedError):
            run(world, task, **fields)

    assert [row["value"] for row in run(world, "allowlist_list")["entries"]] == ["192.0.2.7/32"]
    assert audit_actions() == ["allowlist_added"]


def test_given_no_reason_when_an_entry_is_removed_then_it_is_asked_for_and_the_entry_stays(world: World) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7"}
    run(world, "allowlist_add", **entry, reason="office", added_by="Jane")

    with pytest.raises(InvalidInputError, match="requires the field reason"):
        run(world, "allowlist_remove", **entry, removed_by="Jane")

    assert len(run(world, "allowlist_list")["entries"]) == 1


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"value": "0.0.0.0/0"}, "would allow every address"),
    ({"value": "::/0"}, "would allow every address"),
    ({"value": "10.0.0.0/7"}, "too many addresses"),
    ({"value": "2001::/31"}, "too many addresses"),
    ({"value": "example.com"}, "is not an IP address"),
    ({"value": ""}, "requires the field value"),
    ({"reason": " "}, "requires the field reason"),
    ({"added_by": None}, "requires the field added_by"),
    ({"reason": "x" * 1001}, "longer than 1000 characters"),
    ({"kind": "host"}, "kind must be ip or principal"),
    ({"kind": "principal", "value": "mallory"}, "not a full ARN"),
    ({"kind": "principal", "value": "*"}, "not a full ARN"),
    ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:*"}, "every principal"),
    ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:user/*"}, "every principal"),
    ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:user/*y"}, "every principal"),
    ({"kind": "principal", "value": f"arn:aws:iam::{ACCOUNT}:u*"}, "every principal"),
    ({"kind": "principal", "value": "arn:aws:iam::*:user/mallory"}, "not a full ARN"),
    ({"expires_at": "tomorrow"}, "expires_at must be an ISO 8601 time"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "must be in the future"),
)


def test_given_wrong_entries_when_added_then_each_answer_names_the_fix(world: World) -> None:
    entry = {"kind": "ip", "value": "192.0.2.7", "reason": "office", "added_by": "Jane"}

    for changes, answer in WRONG:
        with pytest.raises(InvalidInputError, match=answer):
            run(world, "allowlist_add", **entry | changes)

    assert run(world, "allowlist_list")["entries"] == []


def test_given_a_principal_that_is_not_contained_when_released_then_it_is_refused(world: World) -> None:
    with pytest.raises(InvalidInputError, match="is not contained"):
        release(world)


def test_given_a_pending_decision_when_released_then_it_is_refused(world: World, machine: StateMachine) -> None:
    contain(world, machine)

    with pytest.raises(InvalidInputError, match="is pending"):
        release(world)

    assert iam_state(world, "backdoor").denied


def test_given_no_decision_when_released_then_all_is_as_before_and_on_record_and_on_the_case(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    world.advance(86_401)
    machine.advance()

    answer = release(world)

    assert answer["actions"] == [f"key {key} enabled", "deny policy detached"]
    state = iam_state(world, "backdoor")
    assert (state.keys, state.denied) == ({key: "Active"}, False)
    assert audit_actions()[-1] == "released"
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any("Released by Jane" in comment for comment in world.comments(case["caseId"]))
    with pytest.raises(InvalidInputError, match="is not contained"):
        release(world)


def test_given_a_release_that_dies_anywhere_when_run_again_then_who_and_why_are_on_record_and_people_are_notified(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    world.advance(86_401)
    machine.advance()
    alerts(world)

    def dies(number: int) -> bool:
        world.wire.kill_at(number, "before")
        with suppress(FunctionDiedError):
            release(world, reason="checked")
            return False
        world.advance(300)  # the lock of the function that died
        with suppress(InvalidInputError):  # the last step of a release deletes its row
            release(world, reason="checked")
        assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False), number
        records = [row for row in audit_rows() if 'checked"' in row["details"]]
        assert [row["action"] for row in records] == ["release_requested", "released"], number
        assert {row["actor"] for row in records} == {"Jane"}
        assert any(alert["Subject"].startswith("DONE: released by Jane") for alert in alerts(world)), number
        return True

    with Branches(world) as branches:
        deaths = next(number for number in itertools.count() if not branches.run(partial(dies, number + 1)))
    assert deaths > 10


def test_given_an_approved_containment_when_released_then_the_deleted_key_stays_deleted(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine, keys=2)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    release(world)

    state = iam_state(world, "backdoor")
    assert key not in state.keys
    assert list(state.keys.values()) == ["Active"]
    assert not state.denied


# The case


def test_given_a_high_incident_when_contained_then_its_case_says_what_was_done_and_how_it_ended(
    world: World, machine: StateMachine
) -> None:
    execution, _key = contain(world, machine)
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    case = world.security_ir.call("GetCase", {"caseId": row["caseId"]})
    tags = world.security_ir.call("ListTagsForResource", {"resourceArn": row["caseArn"]})["tags"]

    assert row["title"] == "HIGH: Access key created - user backdoor"
    assert case["description"].startswith("user backdoor contained.\n\nWhat: CreateAccessKey for user backdoor")
    assert "deny policy attached (verified)" in case["description"]
    assert row["title"] not in case["description"]
    assert "decision" not in case["description"].lower()  # the row remains after the decision
    assert tags == {"severity": "High", "execution": execution.arn}
    (message,) = asked(world)
    assert message["caseId"] == row["caseId"]

    decide(world, message["taskToken"], "deny", "jane", notes="planned rotation")
    machine.advance()

    (comment,) = world.comments(row["caseId"])
    assert "Denied by jane" in comment
    assert "planned rotation" in comment


def test_given_no_membership_when_contained_then_all_else_works(world: World, machine: StateMachine) -> None:
    memberships = world.security_ir.call("ListMemberships", {})["items"]
    world.security_ir.call("CancelMembership", {"membershipId": memberships[0]["membershipId"]})

    execution, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys


def test_given_a_security_ir_that_does_not_answer_when_contained_then_the_end_is_red_and_says_so(
    world: World, machine: StateMachine
) -> None:
    world.security_ir.faults.reset_connection("CreateCase", times=None)
    execution, key = contain(world, machine)
    assert execution.path[-1] == "Wait for Analyst"

    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert key not in iam_state(world, "backdoor").keys
    assert "Missing: Open Case" in support.alerts(world)[-1]["Message"]
