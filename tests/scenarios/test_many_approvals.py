"""Many open approvals: the calls of an idle poll and of a case's synchronisation."""

from __future__ import annotations

import pytest

from ir_router.ledger import approvals, keys, table
from ir_router.sync.poll import APPROVERS_EVERY_MINUTES
from tests.support.approvals import make_approver
from tests.support.sync import calls, lines_with, settled_case
from tests.support.world import World

FACTS = {
    "headline": "User eve contained",
    "done": ["key disabled"],
    "owners": [],
    "approve_does": "keeps it",
    "deny_does": "restores it",
    "severity": "HIGH",
    "title": "A key was created",
    "event_id": "event-1",
    "execution_name": "execution",
}


def requested(number: int, case_id: str) -> str:
    """Request the approval of one execution; return its id."""
    facts = FACTS | {"what": f"request {number}.", "case_id": case_id}
    return str(approvals.request(f"execution-{number}", "remediate", f"token-{number}", facts)["approval_id"])


@pytest.mark.parametrize("count", [1, 12, 105])
def test_given_open_approvals_when_nothing_changes_then_a_poll_reads_a_hundred_with_one_call(
    world: World, count: int
) -> None:
    make_approver(world)
    case_id = settled_case(world)
    for number in range(count):
        requested(number, case_id)
    world.live(3)
    assert len(lines_with(world, case_id, "request ")) == count
    for _ in range(3):
        world.advance(60)
        if int(world.now() // 60) % APPROVERS_EVERY_MINUTES == 0:
            world.advance(60)  # this poll compares the approvers
        world.wire.calls.clear()
        world.poll()
        assert len(calls(world, "dynamodb")) <= 4 + -(-count // 100)


def test_given_approvals_of_other_cases_when_a_case_synchronises_then_it_reads_only_its_own(world: World) -> None:
    make_approver(world)
    one, other = settled_case(world), settled_case(world)
    made = []
    for number in range(3):
        world.live(2)
        world.wire.calls.clear()
        world.security_ir.add_comment_as(one, body=f"news {number}")
        world.settle()
        made.append(sorted(calls(world, "dynamodb")))
        requested(number, other)

    assert made[0] == made[1] == made[2]


def test_given_an_approval_that_gets_its_case_later_when_the_case_synchronises_then_its_channel_shows_it(
    world: World,
) -> None:
    make_approver(world)
    case_id = settled_case(world)
    approval_id = requested(1, "")
    approvals.set_case(approval_id, case_id)
    world.security_ir.add_comment_as(case_id, body="news")
    world.settle()

    assert len(lines_with(world, case_id, "request 1.")) == 1


def test_given_a_shown_approval_when_its_row_changes_without_an_event_then_the_next_poll_shows_it(
    world: World,
) -> None:
    make_approver(world)
    case_id = settled_case(world)
    approval_id = requested(1, case_id)
    world.live(2)
    approvals.amend(approval_id, deny_does="restores two keys")
    world.live(1)

    assert len(lines_with(world, case_id, "restores two keys")) == 1


def test_given_an_approval_of_an_earlier_version_when_polled_then_it_is_shown(world: World) -> None:
    make_approver(world)
    case_id = settled_case(world)
    approval_id = requested(1, case_id)
    table.update(keys.approval(approval_id), "SET index_sk = :old", old=approval_id)
    world.live(1)

    assert len(lines_with(world, case_id, "request 1.")) == 1
    assert approvals.open_ids() == [approval_id]
