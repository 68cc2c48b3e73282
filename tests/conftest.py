"""Fixtures for all tests."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.world import World, running_world
from tests.trials.proof.part import collect_less_often

# A commit's tests are reproducible. The profile `long` looks for new failing examples.
# Hypothesis limits the time of an example; on a busy machine that limit would fail a correct test.
UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("short", derandomize=True, stateful_step_count=14, **UNTIMED)
settings.register_profile("long", max_examples=300, stateful_step_count=40, **UNTIMED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


# Files whose tests mostly wait for Terraform and processes, the longest first. `make test` starts them first.
WAITING = (
    "scenarios/test_operations_local_cloud",
    "scenarios/test_operations_deploy_policy",
    "local_cloud/test_workflow_paths",
    "local_cloud",
    "terraform",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that wait and files that compute alternate, because workers take the files in this order."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path.relative_to(Path(__file__).parent).as_posix(), []).append(item)
    waiting = sorted(
        (file for file in files if file.startswith(WAITING)),
        key=lambda file: next(number for number, name in enumerate(WAITING) if file.startswith(name)),
    )
    computing = sorted(
        (file for file in files if file not in waiting), key=lambda file: not file.startswith("scenarios")
    )
    pairs = itertools.zip_longest(waiting, computing)
    items[:] = [item for pair in pairs for file in pair if file for item in files[file]]


def pytest_configure() -> None:
    """Collect garbage less often, and handle SIGINT even if the caller ignores it.

    `nohup` and background jobs of shells ignore it. Processes inherit an ignored signal, and tests send SIGINT to the
    processes that they start.
    """
    collect_less_often()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run two workers more than there are processors, because tests that wait use no processor."""
    return (os.cpu_count() or 1) + 2


_WORLDS = ("world", "paced_world")


@pytest.fixture
def monkeypatch(request: pytest.FixtureRequest) -> Iterator[pytest.MonkeyPatch]:
    """Replacements that end before the simulator of the test.

    The simulator replaces things itself. If a test's replacement ended after it, that would put back the simulator's.
    """
    for name in _WORLDS:
        if name in request.fixturenames:
            request.getfixturevalue(name)
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def world() -> Iterator[World]:
    """The complete system in one process, with a clock that tests move."""
    with running_world() as running:
        yield running


@pytest.fixture
def paced_world() -> Iterator[World]:
    """The same, with a Slack that enforces the rate limit of every method."""
    with running_world(enforce_rate_limits=True) as running:
        yield running
