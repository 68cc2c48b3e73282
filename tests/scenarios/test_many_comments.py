"""Cases with many comments: the pages that a run reads, a slow list, and edits of old comments."""

from __future__ import annotations

import pytest

from ir_router.ledger import keys, table
from ir_sandbox.security_ir import Settings
from ir_sandbox.security_ir.faults import Fault, FaultKind
from tests.support.sync import calls, channel_messages, lines_with, make_jane, settled_case
from tests.support.world import World

HOUR = 3600


def commented_case(world: World, count: int) -> str:
    """Create a case with `count` comments a second apart, all of them in its channel."""
    case_id = settled_case(world)
    with_comments(world, case_id, count)
    world.live(2)
    return case_id


def with_comments(world: World, case_id: str, count: int) -> list[str]:
    """Add comments without an event, a second apart, and return their ids, oldest first. Two minutes then pass."""
    dropped, world.drop_native_events = world.drop_native_events, True
    ids = []
    for number in range(count):
        world.advance(1)
        ids.append(world.security_ir.add_comment_as(case_id, body=f"finding {number}."))
    world.security_ir.events.wait_until_idle()
    world.drop_native_events = dropped
    world.advance(125)
    return ids


def row(case_id: str) -> table.Row:
    return table.get(keys.case(case_id)) or {}


@pytest.mark.parametrize("count", [1, 60])
def test_given_any_number_of_comments_when_nothing_is_new_then_a_poll_makes_three_calls(
    world: World, count: int
) -> None:
    commented_case(world, count)
    for _ in range(12):
        world.wire.calls.clear()
        world.poll()
        made = [call for call in calls(world, "security-ir") if "Membership" not in call]
        assert len(made) <= 3
        assert calls(world, "events") == []
        world.settle()
        world.advance(60)


def test_given_many_comments_when_one_is_added_then_only_its_page_is_read(world: World) -> None:
    case_id = commented_case(world, 60)
    world.advance(600)
    world.wire.calls.clear()
    world.security_ir.add_comment_as(case_id, body="the newest one")
    world.settle()

    assert calls(world, "security-ir").count("ListComments") == 1
    assert len(lines_with(world, case_id, "the newest one")) == 1


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
@pytest.mark.parametrize("page_size", [25, 10])
def test_given_any_order_and_page_size_when_a_comment_is_added_without_event_then_it_is_found_within_a_turn(
    world: World, order: str, page_size: int
) -> None:
    world.security_ir.configure(Settings(comments_order=order, page_size=page_size))
    case_id = commented_case(world, 60)
    world.advance(600)
    with_comments(world, case_id, 1)
    world.live(2)

    assert len(lines_with(world, case_id, "finding 0.")) == 2
    assert len(lines_with(world, case_id, "finding 59.")) == 1
    world.wire.calls.clear()
    world.live(3)
    assert calls(world, "events") == []  # in sync: no hints


def test_given_more_new_comments_than_a_page_when_found_then_all_are_copied_in_order(world: World) -> None:
    case_id = commented_case(world, 60)
    with_comments(world, case_id, 30)
    world.live(2)

    shown = [line for line in channel_messages(world, case_id) if "finding" in line]
    assert len(shown) == 90
    assert [f"finding {number}." in line for number, line in enumerate(shown[60:])] == [True] * 30


def test_given_an_edit_of_an_old_comment_when_aws_reports_it_then_the_channel_shows_it(world: World) -> None:
    case_id = settled_case(world)
    oldest = with_comments(world, case_id, 60)[0]
    world.live(2)
    world.security_ir.update_comment_as(case_id, oldest, body="corrected")
    world.live(2)

    assert len(lines_with(world, case_id, "corrected")) == 1
    world.wire.calls.clear()
    world.live(2)
    assert calls(world, "events") == []


def test_given_edits_of_old_comments_when_many_come_then_all_comments_are_read_at_most_once_a_second_and_page(
    world: World,
) -> None:
    case_id = settled_case(world)
    old = with_comments(world, case_id, 60)[:10]
    world.live(3)
    world.wire.calls.clear()
    for number, comment_id in enumerate(old):
        world.security_ir.update_comment_as(case_id, comment_id, body=f"corrected {number}.")
        world.settle()
    world.live(2)

    assert all(len(lines_with(world, case_id, f"corrected {number}.")) == 1 for number in range(10))
    assert calls(world, "security-ir").count("ListComments") <= 24  # ten edits, and a few readings of three pages


def test_given_an_edit_of_an_old_comment_when_its_event_is_lost_then_an_hour_later_the_channel_shows_it(
    world: World,
) -> None:
    case_id = settled_case(world)
    oldest = with_comments(world, case_id, 60)[0]
    world.live(2)
    world.drop_native_events = True
    world.security_ir.update_comment_as(case_id, oldest, body="corrected")
    world.live(3)
    assert lines_with(world, case_id, "corrected") == []
    world.advance(HOUR)
    world.live(2)

    assert len(lines_with(world, case_id, "corrected")) == 1


def test_given_an_edit_of_an_old_comment_when_a_user_asks_for_a_sync_then_the_channel_shows_it(world: World) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    oldest = with_comments(world, case_id, 60)[0]
    world.live(2)
    world.drop_native_events = True
    world.security_ir.update_comment_as(case_id, oldest, body="corrected")
    world.advance(60)
    jane.command(world.channel_of(case_id), "/security-ir", "sync")
    world.live(2)

    assert len(lines_with(world, case_id, "corrected")) == 1


def test_given_a_list_that_takes_longer_than_a_slice_when_synchronised_then_it_ends_and_the_runs_are_few(
    world: World,
) -> None:
    world.security_ir.configure(Settings(page_size=5))
    case_id = settled_case(world)
    with_comments(world, case_id, 100)
    world.security_ir.faults.slow_down(5.5, "ListComments")  # 110 s in all
    before = len(world.invocations)
    world.live(12)

    shown = [line for line in channel_messages(world, case_id) if "finding" in line]
    assert [f"finding {number}." in line for number, line in enumerate(shown)] == [True] * 100
    runs = [one for one in world.invocations[before:] if (one.event or {}).get("detail-type") == "CaseUpdated"]
    assert len(runs) <= 8
    assert "failures" not in row(case_id)


def test_given_a_list_that_never_ends_in_time_when_synchronised_then_the_pauses_grow_and_the_case_shows_it(
    world: World,
) -> None:
    world.security_ir.configure(Settings(page_size=1))
    case_id = settled_case(world)
    with_comments(world, case_id, 40)
    world.security_ir.faults.slow_down(25, "ListComments")
    before = len(world.invocations)
    world.live(90)

    runs = [one for one in world.invocations[before:] if (one.event or {}).get("detail-type") == "CaseUpdated"]
    assert len(runs) <= 10
    assert sum("AWS took more than" in body for body in world.comments(case_id)) == 1


def test_given_a_list_that_is_throttled_in_between_when_synchronised_then_it_continues_where_it_was(
    world: World,
) -> None:
    case_id = settled_case(world)
    with_comments(world, case_id, 60)
    throttled = {"kind": FaultKind.ERROR, "operation": "ListComments", "code": "ThrottlingException"}
    world.security_ir.faults.add(Fault(**throttled, retry_after_seconds=5, skip=4, times=6))
    world.advance(60)
    world.poll()
    world.settle(patience=0)

    assert len(lines_with(world, case_id, "finding")) == 60
