"""The comparison of two final states: a status that was reached in two steps counts as one change."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.trials.world.picture import Picture

OPEN, ANALYSIS, CONTAINED = "Open (Submitted)", "In Progress (Detection and Analysis)", "In Progress (Containment)"
TOPIC = "ir-router group_topic: <@U1> set the channel topic: Status: {} | Severity: High"


def change(before: str, after: str, by: str = "ir-router") -> str:
    blocks = f"[{{'text': 'Status'}}, {{'text': ': {before} → {after}, by {by}'}}]"
    return f"ir-router : [AWS Security IR Update] *Status*: {before} → {after}, by {by} {blocks}"


def ended(*messages: str) -> Picture:
    return Picture((), Counter(messages), (), (), Counter(), (), Counter())


EXPECTED = ended(change(OPEN, CONTAINED), TOPIC.format(CONTAINED))
STEPS = (change(OPEN, ANALYSIS), change(ANALYSIS, CONTAINED))
TOPICS = (TOPIC.format(ANALYSIS), TOPIC.format(CONTAINED))


def test_given_a_crash_between_two_statuses_when_compared_then_the_steps_equal_the_change() -> None:
    assert ended(*STEPS, *TOPICS).effects(EXPECTED) == []


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
