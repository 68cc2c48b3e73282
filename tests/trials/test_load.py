"""Test the load at a small size, and that failures are reported."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.world import World
from tests.trials.proof import load
from tests.trials.proof.load import cases, flood, messages, webhook
from tests.trials.proof.load.order import Deliveries, compare
from tests.trials.world.state_machine import StateMachine


@pytest.mark.parametrize(
    ("sent", "arrived", "counts"),
    [
        (["a", "b", "c"], ["a", "b", "c"], Deliveries(3)),
        (["a", "b", "c"], ["a", "c"], Deliveries(3, lost=1)),
        (["a", "b", "c"], ["a", "b", "b", "c"], Deliveries(3, doubled=1)),
        (["a", "b", "c"], ["b", "a", "c"], Deliveries(3, out_of_order=1)),
        (["a", "b"], ["a", "b", "nobody said it"], Deliveries(2, doubled=1)),
        (["a", "b", "c"], ["c", "c"], Deliveries(3, lost=2, doubled=1)),
        ([], [], Deliveries()),
    ],
)
def test_given_what_was_said_and_what_arrived_when_compared_then_each_fault_is_counted(
    sent: list[str], arrived: list[str], counts: Deliveries
) -> None:
    assert compare(sent, arrived) == counts


def test_given_lost_answers_when_slack_repeats_messages_then_each_is_on_its_case_once_and_in_order() -> None:
    figures = messages.measure_load(messages.Amount(channels=3, each=6))

    assert figures.arrived == Deliveries(sent=18)
    assert figures.redelivered == 3 * 3 + 11
    assert figures.delivered == figures.arrived.sent + figures.redelivered
    assert figures.leaks == []


def test_given_talk_when_a_message_is_missing_on_its_case_or_comes_back_then_the_figures_show_it(world: World) -> None:
    conversations = messages.Conversations(world, 1)
    conversations.wave(0)
    world.settle()
    (case_id,) = conversations.posted
    assert conversations.deliveries() == Deliveries(sent=1)

    conversations.posted[case_id].append("m0-1")
    assert conversations.deliveries() == Deliveries(sent=2, lost=1)
    world.security_ir.add_comment_as(case_id, body="m0-0 is an echo in the channel")
    world.settle()
    assert conversations.deliveries() == Deliveries(sent=2, lost=1, doubled=1)


def test_given_cases_that_were_there_before_when_first_polled_then_all_their_comments_come_over_in_order() -> None:
    figures = cases.measure_load(cases.Amount(cases=3, each=4))

    assert figures.arrived == Deliveries(sent=12)
    assert figures.channels == 3
    assert figures.leaks == []


def test_given_a_rush_with_forgeries_at_a_slow_outside_when_measured_then_slacks_are_done_and_forged_ones_refused() -> (
    None
):
    figures = webhook.measure_load(webhook.Amount(requests=30, a_second=30, channels=3, sandboxes=8))

    # Two messages of a channel that are this close together may overtake each other between two sandboxes.
    assert (figures.arrived.sent, figures.arrived.lost, figures.arrived.doubled) == (3 + 20, 0, 0)
    assert figures.let_in == []
    assert (figures.requests, figures.forged, figures.refused) == (30, 10, 10)
    assert figures.failed == 0
    assert figures.leaks == []
    # Every acknowledgement waits once for an outside call. Additional delay on a busy machine does not matter here.
    assert figures.ack_ms["p50"] >= webhook.OUTSIDE_SECONDS * 1000


FIGURES: dict[str, Any] = {
    "lost": 0,
    "doubled": 0,
    "out_of_order": 0,
    "leaks": [],
    "events": 5,
    "delivered": 6,
    "redeliveries": 1,
    "cases": 2,
    "comments": 9,
    "requests": 20,
    "forged": 6,
    "forged_refused": 6,
    "forged_let_in": [],
    "failed": 0,
    "ack_ms": {"p50": 402.0, "p99": 999.0, "longest": 1500.0},
    "forged_ms": {"p50": 1.0, "p99": 400.0, "longest": 400.0},
}


@pytest.mark.parametrize(
    "change",
    [
        {"lost": 1},
        {"doubled": 1},
        {"out_of_order": 1},
        {"leaks": ["a bot token is in the log"]},
        {"forged_let_in": ["without signature: 200"]},
        {"failed": 1},
        {"ack_ms": {"p50": 402.0, "p99": 1001.0}},
    ],
    ids=lambda change: str(*change),
)
def test_given_figures_beyond_a_bound_when_judged_then_the_bound_is_named_with_what_tries_it_again(
    change: dict[str, Any],
) -> None:
    assert load.broken(FIGURES) == []

    (line,) = load.broken(FIGURES | change)
    assert "PARTS=load" in line
    assert all(row[1] for row in load.rows(FIGURES | change))


def test_given_a_flood_when_batches_die_and_events_come_twice_then_each_counts_once_and_a_key_is_contained() -> None:
    figures = flood.measure_load(flood.Amount(seconds=5, a_second=30, callers=4))

    assert figures.arrived == Deliveries(sent=150)
    assert figures.contained
    assert figures.executions == 4
    assert (figures.twice > 0, figures.died > 0, figures.leaks) == (True, True, [])


def test_given_claims_that_forget_an_event_when_a_flood_repeats_events_then_the_figures_show_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def again(event: Any) -> Any:
        return event | {"detail": event["detail"] | {"eventID": str(uuid.uuid4())}, "id": str(uuid.uuid4())}

    send = StateMachine.send_to_intake
    monkeypatch.setattr(StateMachine, "send_to_intake", lambda machine, event: send(machine, again(event)))

    figures = flood.measure_load(flood.Amount(seconds=2, a_second=30, callers=2))

    assert figures.arrived.doubled == figures.twice > 0
