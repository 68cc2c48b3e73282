"""What is done to the system in the proof: small stories whose end is compared with their undisturbed end."""

from __future__ import annotations

from ir_local.world.crashes import Scenario
from ir_local.world.scenarios.cases import CASES
from ir_local.world.scenarios.commands import COMMANDS
from ir_local.world.scenarios.containment import CONTAINMENT

SCENARIOS: tuple[Scenario, ...] = (*CASES, *COMMANDS, *CONTAINMENT)
