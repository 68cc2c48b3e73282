"""The alarm on old secrets gets its metric without a verification."""

from __future__ import annotations

import json

import pytest

from tests.support.world import World

DAY = 86_400


def measured(capsys: pytest.CaptureFixture[str]) -> list[float]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"SecretAgeDays"' in line]
    return [line["SecretAgeDays"][0] for line in lines]


def test_given_secrets_of_a_hundred_days_when_an_hour_passes_then_their_age_is_measured_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.advance(100 * DAY)
    for _ in range(4):
        world.advance(900)
        world.try_invoke("operations", {"task": "watch"})

    (age,) = measured(capsys)
    assert 100 <= age < 101
