"""The part of `make bench` that needs the local cloud, run once with a small load."""

from __future__ import annotations

import pytest

from ir_sandbox.cloud.progress import Progress
from tests.trials.bench.__main__ import Effort, measured_on_cloud
from tests.trials.world.deployment import DEPLOYMENTS

pytestmark = [pytest.mark.local_cloud, pytest.mark.deployments]

MIB = 1024 * 1024


def test_given_the_local_cloud_when_benched_then_files_arrive_functions_answer_and_keys_are_contained() -> None:
    figures, fixed = measured_on_cloud(Effort(polled=(), runs=1, file_bytes=20 * MIB), Progress())

    assert fixed.alarms >= 22
    assert (fixed.dashboards, fixed.keys) == (0, 2)
    assert figures["containment"]["seconds"] > 0
    # Even one copy of the 20 MB file in memory would be visible.
    assert figures["peak_memory_mib"]["file_100mb_above_idle"] < 15
    assert {*DEPLOYMENTS, "slack_bolt", "webhook_uncompiled", "slack_bolt_uncompiled"} == set(figures["cold_start_ms"])
    assert {route.partition(":")[0] for route in figures["warm_ms"]} == set(DEPLOYMENTS)
    assert all(0 < ratio < 2 for ratio in figures["ratios"].values())
    assert {*DEPLOYMENTS, "slack_bolt"} == set(figures["at_lambda_share"])
    assert all(value > 0 for times in figures["at_lambda_share"].values() for value in times.values())
    assert figures["intake"]["batch_ms"] > 0
    # Behind the same services, a containment takes longer than two calls without any safety.
    contained = figures["containment"]
    assert contained["deny_ms"]["warm"] > contained["handwritten"]["deny_ms"]["warm"] > 0
