"""The half of `make bench` that needs the local cloud, once, with little of everything."""

from __future__ import annotations

import pytest

from ir_local.bench.__main__ import Effort, measured_on_cloud
from ir_local.cloud.progress import Progress
from ir_local.world.deployment import DEPLOYMENTS

pytestmark = [pytest.mark.local_cloud, pytest.mark.timeout(600)]

MIB = 1024 * 1024


def test_given_the_local_cloud_when_benched_then_files_arrive_functions_answer_and_keys_are_contained() -> None:
    figures, fixed = measured_on_cloud(Effort(polled=(), runs=1, file_bytes=20 * MIB), Progress())

    assert fixed.alarms > 20
    assert (fixed.dashboards, fixed.keys) == (1, 1)
    assert figures["containment"]["seconds"] > 0
    # A file of 20 MB that is held in memory, once, would show.
    assert figures["peak_memory_mib"]["file_100mb_above_idle"] < 15
    assert {*DEPLOYMENTS, "slack_bolt", "webhook_uncompiled", "slack_bolt_uncompiled"} == set(figures["cold_start_ms"])
    assert {route.partition(":")[0] for route in figures["warm_ms"]} == set(DEPLOYMENTS)
    assert all(0 < ratio < 2 for ratio in figures["ratios"].values())
