"""The comparison of two final states: a status that was reached in two steps counts as one change."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.sync import make_jane, settled_case
from tests.trials.world.picture import Picture, take
from tests.trials.world.world import World

OPEN, ANALYSIS, CONTAINED = "Open (Submitted)", "In Progress (Detection and Analysis)", "In Progress (Containment)"
TOPIC = "ir-router group_topic: <@U1> set the channel topic: Status: {} | Severity: High"


def change(before: str, after: str, by: str = "ir-router") -> str:
    blocks = f"[{{'text': 'Status'}}, {{'text': ': {before} → {after}, by {by}'}}]"
    return f"ir-router : [AWS Security IR Update] *Status*: {before} → {after}, by {by} {blocks}"


def ended(*messages: str, statuses: tuple[str, ...] = (OPEN, ANALYSIS, CONTAINED)) -> Picture:
    return Picture((), Counter(messages), (), (), Counter(), (), Counter(), statuses=frozenset(statuses))


EXPECTED = ended(change(OPEN, CONTAINED), TOPIC.format(CONTAINED))
STEPS = (change(OPEN, ANALYSIS), change(ANALYSIS, CONTAINED))
TOPICS = (TOPIC.format(ANALYSIS), TOPIC.format(CONTAINED))


def test_given_a_crash_between_two_statuses_when_compared_then_the_steps_equal_the_change() -> None:
    assert ended(*STEPS, *TOPICS).effects(EXPECTED) == []


def test_given_a_step_that_no_case_had_when_compared_then_it_differs() -> None:
    assert ended(*STEPS, *TOPICS, statuses=(OPEN, CONTAINED)).effects(EXPECTED) != []


def test_given_a_case_with_two_changes_when_the_state_is_read_then_it_has_every_status(world: World) -> None:
    make_jane(world)
    case_id = settled_case(world)
    world.security_ir.set_status_as(case_id, "Detection and Analysis")
    world.security_ir.set_status_as(case_id, "Post-incident Activities")

    assert take(world).statuses >= {
        "Open (Submitted)",
        "In Progress (Detection and Analysis)",
        "Resolved (Post-incident Activities)",
    }


def test_given_the_same_messages_when_compared_then_nothing_differs() -> None:
    assert EXPECTED.effects(EXPECTED) == []


@pytest.mark.parametrize(
    "messages",
    [
        (STEPS[0], *TOPICS),
        (STEPS[1], *TOPICS),
        (*STEPS, *STEPS, *TOPICS),
        (*STEPS, *TOPICS, TOPICS[0]),
        (*STEPS, change(OPEN, CONTAINED), *TOPICS),
        (change(OPEN, ANALYSIS, "Jane"), STEPS[1], *TOPICS),
    ],
)
def test_given_steps_that_lead_elsewhere_or_repeat_when_compared_then_they_differ(messages: tuple[str, ...]) -> None:
    assert ended(*messages).effects(EXPECTED) != []
