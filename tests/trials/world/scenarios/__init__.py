"""The scenarios of the proof: short sequences of actions with a known end."""

from __future__ import annotations

from tests.trials.world.crashes import Scenario
from tests.trials.world.scenarios.cases import CASES
from tests.trials.world.scenarios.commands import COMMANDS
from tests.trials.world.scenarios.containment import CONTAINMENT
from tests.trials.world.scenarios.intake import INTAKE
from tests.trials.world.scenarios.organisation import ORGANISATION
from tests.trials.world.scenarios.people import PEOPLE
from tests.trials.world.scenarios.story import STORY
from tests.trials.world.scenarios.tampering import TAMPERING
from tests.trials.world.scenarios.upkeep import UPKEEP

SCENARIOS: tuple[Scenario, ...] = (
    *CASES,
    *COMMANDS,
    *CONTAINMENT,
    *INTAKE,
    *ORGANISATION,
    *PEOPLE,
    *STORY,
    *TAMPERING,
    *UPKEEP,
)
