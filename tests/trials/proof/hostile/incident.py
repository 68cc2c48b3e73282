"""A contained user with a waiting approval, a bystander, and the state that must not change."""

from __future__ import annotations

import itertools
from typing import Any

import boto3

from tests.trials.proof.hostile.fixture import CaseFixture
from tests.trials.world import World, incidents
from tests.trials.world.incidents import IamState
from tests.trials.world.state_machine import Execution, StateMachine

BYSTANDER = "bystander"


class Scene:
    """`begin` contains another user. `state` is everything that only a decision may change."""

    execution: Execution
    token: str
    approval_id: str

    def __init__(self, world: World, fixture: CaseFixture) -> None:
        """Add Jane to the response team and contain the first user."""
        self.world, self.fixture = world, fixture
        world.environment |= {"IR_MAX_CONTAINMENTS_PER_HOUR": "1000000", "IR_SECURITY_CHANNEL_ID": fixture.elsewhere}
        team = [{"name": "Jane Smith", "jobTitle": "Analyst", "email": "jane.smith@example.com"}]
        team.append({"name": "Ann", "jobTitle": "Analyst", "email": "ann@example.com"})
        world.security_ir.set_response_team(team)
        self.machine = StateMachine(world)
        world.carriers.append(self.machine.carry)
        self._numbers = itertools.count(1)
        incidents.user(BYSTANDER)
        self.begin()

    def begin(self) -> None:
        """Report a key of a new user, so that the workflow contains the user and waits for an analyst."""
        self.name = f"backdoor-{next(self._numbers)}"
        (self.key,) = incidents.user(self.name)
        self.execution = self.machine.start(incidents.key_created(self.world, self.name, self.key))
        self.fixture.rest()
        (message,) = {one["approvalId"]: one for one in incidents.asked(self.world)}.values()
        self.token, self.approval_id = str(message["taskToken"]), str(message["approvalId"])

    def iam(self) -> dict[str, IamState]:
        """Return the IAM state of the contained user and the bystander."""
        return {name: incidents.iam_state(self.world, name) for name in (self.name, BYSTANDER)}

    def approval(self) -> dict[str, Any]:
        """Return the approval's row in the ledger."""
        table = boto3.resource("dynamodb").Table("ledger")
        return dict(table.get_item(Key={"PK": f"APPROVAL#{self.approval_id}", "SK": "META"})["Item"])

    def state(self) -> dict[str, Any]:
        """Return the state that must not change before an authorised decision."""
        row = self.approval()
        decided = {name: row.get(name) for name in ("state", "decision", "analyst", "notes")}
        return {"IAM": self.iam(), "the approval": decided, "the execution": list(self.execution.path)}
