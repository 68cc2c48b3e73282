"""The limits of a pass over CloudTrail's history."""

from __future__ import annotations

from ir_router import trail_search
from ir_router.cases.trail_calls import Session
from ir_router.trail_search import Lookup, Progress

ROLE = "arn:aws:iam::123456789012:role/deploy"


def test_given_more_sessions_than_are_followed_when_found_then_the_others_are_a_lost_part_that_is_named_once() -> None:
    progress = Progress(end=1.0, since=0.0, pending=[])
    lookup = Lookup("us-east-1", "ResourceName", "deploy", ROLE)
    for number in range(trail_search.MOST_SESSIONS + 2):
        trail_search._follow(progress, Session(f"ASIA{number}", "123456789012"), lookup)

    text = "the calls of the newest 25 sessions were read, and further sessions exist"
    assert (progress.limited, progress.lost) == ([text], [text])
    assert list(progress.sessions) == [f"ASIA{number}" for number in range(25)]
    assert progress.elsewhere == {}
