"""A contained user whose approval waits, and a bystander; and what of it must not change."""

from __future__ import annotations

import itertools
from typing import Any

import boto3

from ir_local.proof.hostile.house import House
from ir_local.world import World, incidents
from ir_local.world.incidents import IamState
from ir_local.world.state_machine import Execution, StateMachine

BYSTANDER = "bystander"


class Scene:
    """`begin` contains one more user; `state` is what only a decision may change."""

    execution: Execution
    token: str
    approval_id: str

    def __init__(self, world: World, house: House) -> None:
        """Jane is of the response team; the first user is contained."""
        self.world, self.house = world, house
        world.environment |= {"IR_MAX_CONTAINMENTS_PER_HOUR": "1000000", "IR_SECURITY_CHANNEL_ID": house.elsewhere}
        team = [{"name": "Jane Smith", "jobTitle": "Analyst", "email": "jane.smith@example.com"}]
        team.append({"name": "Ann", "jobTitle": "Analyst", "email": "ann@example.com"})
        world.security_ir.set_response_team(team)
        self.machine = StateMachine(world)
        world.carriers.append(self.machine.carry)
        self._numbers = itertools.count(1)
        incidents.user(BYSTANDER)
        self.begin()

    def begin(self) -> None:
        """A key of a new user is reported, the user contained; the execution waits for an analyst."""
        self.name = f"backdoor-{next(self._numbers)}"
        (self.key,) = incidents.user(self.name)
        self.execution = self.machine.start(incidents.key_created(self.world, self.name, self.key))
        self.house.rest()
        (message,) = {one["approvalId"]: one for one in incidents.asked(self.world)}.values()
        self.token, self.approval_id = str(message["taskToken"]), str(message["approvalId"])

    def iam(self) -> dict[str, IamState]:
        """The contained user and the bystander as IAM has them."""
        return {name: incidents.iam_state(self.world, name) for name in (self.name, BYSTANDER)}

    def approval(self) -> dict[str, Any]:
        """The approval's row in the ledger."""
        table = boto3.resource("dynamodb").Table("ledger")
        return dict(table.get_item(Key={"PK": f"APPROVAL#{self.approval_id}", "SK": "META"})["Item"])

    def state(self) -> dict[str, Any]:
        """What must stay as it is until somebody decides who may."""
        row = self.approval()
        decided = {name: row.get(name) for name in ("state", "decision", "analyst", "notes")}
        return {"IAM": self.iam(), "the approval": decided, "the execution": list(self.execution.path)}
