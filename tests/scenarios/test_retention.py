"""The rows of closed cases end: their content is erased, and the case is not copied again."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.sync.retention import NEVER
from ir_sandbox.slack.people import Person
from tests.support.world import World
from tests.trials.world.incidents import asked, audit_actions, audit_rows, contain, decide
from tests.trials.world.state_machine import StateMachine

DAY = 86_400
TITLE = "Suspicious API Activity Detected"


@pytest.fixture
def closed(world: World) -> str:
    """Return a case with a comment, a file and a watcher in Slack, closed."""
    case_id = world.create_case(watchers=[{"email": "jane.smith@example.com", "name": "Jane", "jobTitle": "Analyst"}])
    world.settle()
    world.security_ir.add_comment_as(case_id, body="a comment with a secret")
    world.settle()
    world.security_ir.call("CloseCase", {"caseId": case_id})
    world.live(2)
    return case_id


def rows(world: World, case_id: str) -> list[dict[str, object]]:
    world.become("sync")
    return list(table.query(keys.case(case_id).pk))


def test_given_a_closed_case_when_its_retention_ends_then_only_ids_and_times_stay_and_nothing_is_copied_again(
    world: World, closed: str
) -> None:
    channels, messages = len(world.workspace.store.channels), len(world.said(closed))
    assert len(rows(world, closed)) > 3

    world.advance(401 * DAY)
    world.live(3)

    (row,) = rows(world, closed)
    assert TITLE not in json.dumps(row, default=str)
    assert "jane.smith" not in json.dumps(row, default=str)
    assert row["due_at"] == NEVER
    assert row["hints"] == row["synced_hints"]
    assert (len(world.workspace.store.channels), len(world.said(closed))) == (channels, messages)


def test_given_a_row_of_an_older_version_when_polled_then_its_retention_begins(world: World, closed: str) -> None:
    world.become("sync")
    table.update(keys.case(closed), "REMOVE due_at")

    world.live(2)

    (row,) = [row for row in rows(world, closed) if row["SK"] == "META"]
    assert 0 < float(str(row["due_at"])) - world.now() < 401 * DAY


def test_given_a_closed_case_when_forgotten_then_its_rows_are_erased_at_once_and_the_audit_says_so(
    world: World, closed: str
) -> None:
    assert world.invoke("operations", {"task": "forget", "case_id": closed}) == {"case_id": closed, "outcome": "erased"}
    world.live(3)

    (row,) = rows(world, closed)
    assert "forget_at" not in row
    assert audit_actions() == ["report_made", "case_erased"]
    with pytest.raises(InvalidInputError, match="already erased"):
        world.invoke("operations", {"task": "forget", "case_id": closed})


def test_given_an_open_case_when_forgotten_then_it_is_refused(world: World) -> None:
    """The rows of an open case prevent duplicates."""
    case_id = world.create_case()
    world.settle()

    for wanted in (case_id, "9999999999"):
        with pytest.raises(InvalidInputError, match="not closed, or ir-router does not know it"):
            world.invoke("operations", {"task": "forget", "case_id": wanted})
    world.live(1)
    assert len(rows(world, case_id)) > 1


@pytest.mark.parametrize("person", ["kim.lee@example.com", "KIM.LEE@example.com", "slack id"])
def test_given_a_person_in_closed_and_open_cases_when_forgotten_then_only_the_closed_ones_are_erased(
    world: World, closed: str, person: str
) -> None:
    """Kim is no member of the response team, whose addresses are in the rows of every case."""
    kim = world.workspace.create_user("kim.lee", email="kim.lee@example.com", real_name="Kim Lee")
    watchers = [{"email": "kim.lee@example.com", "name": "Kim", "jobTitle": "Owner"}]
    still_open, ended = world.create_case(watchers=watchers), world.create_case(watchers=watchers)
    world.settle()
    world.security_ir.call("CloseCase", {"caseId": ended})
    world.live(2)

    answer = world.invoke("operations", {"task": "forget", "person": kim.id if person == "slack id" else person})
    world.live(3)

    assert (answer["cases"], answer["open_cases"], answer["complete"]) == ([ended], [still_open], True)
    assert len(rows(world, ended)) == 1
    assert "kim" not in json.dumps(rows(world, ended), default=str)
    assert len(rows(world, closed)) > 1
    (record,) = [row for row in audit_rows() if row["action"] == "person_erased"]
    assert "kim" not in json.dumps(record, default=str).casefold()
    assert kim.id not in json.dumps(record, default=str)


def test_given_a_decided_incident_when_its_case_is_forgotten_then_the_approval_names_no_user(
    world: World, machine: StateMachine, jane: Person
) -> None:
    contain(world, machine)
    world.settle()
    decide(
        world, asked(world)[0]["taskToken"], "approve", {"slack_user_id": jane.id, "name": "Jane", "email": "j@x.org"}
    )
    machine.advance()
    world.settle()
    (row,) = all_approvals()
    case_id = str(row["case_id"])
    world.security_ir.call("CloseCase", {"caseId": case_id})
    world.live(2)

    world.invoke("operations", {"task": "forget", "case_id": case_id})
    world.live(2)

    (row,) = all_approvals()
    assert "j@x.org" not in json.dumps(row, default=str)
    assert jane.id not in json.dumps(row, default=str)


def test_given_a_person_without_a_slack_account_when_forgotten_then_the_cases_with_the_address_are_erased(
    world: World,
) -> None:
    watchers = [{"email": "lee@partner.example", "name": "Lee", "jobTitle": "Owner"}]
    ended = world.create_case(watchers=watchers)
    world.settle()
    world.security_ir.call("CloseCase", {"caseId": ended})
    world.live(2)

    answer = world.invoke("operations", {"task": "forget", "person": "lee@partner.example"})
    world.live(3)

    assert (answer["cases"], answer["open_cases"], answer["complete"]) == ([ended], [], True)
    assert "lee@partner" not in json.dumps(rows(world, ended), default=str)
    unknown = world.invoke("operations", {"task": "forget", "person": "U0NOBODY99"})
    assert (unknown["cases"], unknown["open_cases"], unknown["complete"]) == ([], [], True)


def test_given_no_person_when_forgotten_then_it_is_refused(world: World) -> None:
    with pytest.raises(InvalidInputError, match="person must be a Slack user id"):
        world.invoke("operations", {"task": "forget", "person": "jane"})


def all_approvals() -> list[Any]:
    items = boto3.resource("dynamodb").Table("ledger").scan()["Items"]
    return [row for row in items if str(row["PK"]).startswith("APPROVAL#")]
