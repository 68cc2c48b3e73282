"""D6: the verification says what is broken, why, and what to do; nothing else."""

from __future__ import annotations

import pytest

from tests.support.operations import Deployed
from tests.support.world import World


@pytest.fixture
def deployed(world: World) -> Deployed:
    return Deployed(world)


def test_given_a_whole_deployment_when_verified_then_every_line_is_ok(deployed: Deployed) -> None:
    answer = deployed.verify()

    for line in answer["checks"]:
        print(line)
    assert deployed.red() == {}
    assert answer["ok"] is True
