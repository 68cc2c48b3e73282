"""Run all counts in parallel processes; nothing here measures time."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.trials.bench import audit_load, calls, containment, failing_files, intake, slack_load
from tests.trials.bench.bounds import UNKNOWN_WATCHERS
from tests.trials.bench.calls import Counts, Work
from tests.trials.bench.containment import Steps


@dataclass(frozen=True)
class Counted:
    """The counts: idle polls by open cases and by comments, calls before the webhook's response, operations, steps to
    containment, a day's transfers of a file that always fails, the functions that many busy channels need, prices of
    events, and the audit under load.
    """

    polls: dict[int, Work]
    polls_with_comments: dict[int, Work]
    door: dict[str, Counts]
    operations: dict[str, Work]
    steps: Steps
    failing_file: dict[str, int]
    slack_load: dict[str, Any]
    intake: dict[str, float]
    audit: dict[str, Any]

    def by_service(self) -> dict[str, object]:
        """Return the part `calls` of `build/bench.json`."""
        operations = {name: work.calls for name, work in self.operations.items()}
        both = (operations["file_from_slack"], operations["file_to_slack"])
        services = sorted({service for counts in both for service in counts})
        each_way = {service: sum(counts.get(service, 0) for counts in both) for service in services}
        polls = {str(cases): work.calls for cases, work in self.polls.items()}
        commented = {str(comments): work.calls for comments, work in self.polls_with_comments.items()}
        return {
            "idle_poll": polls,
            "idle_poll_with_comments": commented,
            **self.door,
            **operations,
            "file_each_way": each_way,
        }


def count(polled: Sequence[int], commented: Sequence[int]) -> Counted:
    """Count everything.

    Args:
        polled: The numbers of open cases of the idle polls.
        commented: The numbers of comments of one case of the idle polls.
    """
    # A new interpreter for each, because the simulator patches libraries.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=fresh) as pool:
        polls = {cases: pool.submit(calls.idle_poll, cases) for cases in sorted(polled, reverse=True)}
        long = {size: pool.submit(calls.idle_poll_with_comments, size) for size in sorted(commented, reverse=True)}
        operations = pool.submit(calls.operations)
        parts, steps = pool.submit(containment.parts), pool.submit(containment.steps)
        events = pool.submit(intake.prices)
        watchers = {
            "unknown_watchers": pool.submit(calls.unknown_watchers, UNKNOWN_WATCHERS),
            "new_case_unknown_watchers": pool.submit(calls.new_case_with_unknown_watchers, UNKNOWN_WATCHERS),
        }
        load = pool.submit(slack_load.measure)
        audit = pool.submit(audit_load.measure)
        failing_file = pool.submit(failing_files.transfers_per_day)
        door = pool.submit(calls.before_acknowledgement)
        return Counted(
            polls={cases: polls[cases].result() for cases in polled},
            polls_with_comments={size: long[size].result() for size in commented},
            door=door.result(),
            operations={
                **operations.result(),
                **parts.result(),
                **{name: work.result() for name, work in watchers.items()},
            },
            steps=steps.result(),
            failing_file=failing_file.result(),
            slack_load=load.result(),
            intake=events.result(),
            audit=audit.result(),
        )
