"""Price the events of the intake: full batches of repeated and of allowlisted events, and events that are new."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3

from tests.trials.bench import cost
from tests.trials.bench.calls import Meter, quietly
from tests.trials.world import ACCOUNT, incidents
from tests.trials.world.queues import INTAKE_BATCH
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.world import World

_STATES_AFTER_THE_HOUR = 2


def prices() -> dict[str, float]:
    """Return US dollars for a million events of each kind: `usd_per_million_repeated`, `_allowlisted`, `_new`."""
    with running_world() as world, quietly(), _units(world) as units:
        machine = StateMachine(world)
        world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/deploy"])
        meter = Meter(world)
        first = machine.start(denied(world, "mallory"))
        new = cost.usd_per_million(meter.read(len(first.path) + _STATES_AFTER_THE_HOUR))
        found = {}
        for kind, caller in (("repeated", "mallory"), ("allowlisted", "deploy")):
            for _ in range(INTAKE_BATCH):
                machine.send_to_intake(denied(world, caller))
            meter = Meter(world)
            units.update(read=0, written=0)
            world.run_intake()
            if len(machine.executions) != 1:
                raise RuntimeError(f"an event of the kind {kind} started an execution")
            work = meter.read()
            found[kind] = cost.usd_per_million_in_batches(work, INTAKE_BATCH, units["read"], units["written"])
        return {f"usd_per_million_{kind}": usd for kind, usd in (found | {"new": new}).items()}


def denied(world: World, caller: str) -> Any:
    """Return the event of a denied call."""
    by = incidents.user_identity(caller, "AKIACALLER0000000001")
    return incidents.event(incidents.call(world, "ListUsers", errorCode="AccessDenied", userIdentity=by))


@contextmanager
def _units(world: World) -> Iterator[dict[str, int]]:
    """Count the request units of the functions' DynamoDB calls. Their rows have less than 1 KB.

    A transaction takes two units for each item: https://aws.amazon.com/dynamodb/pricing/on-demand/.
    """
    units = {"read": 0, "written": 0}
    amounts: Mapping[str, Callable[[Mapping[str, Any]], tuple[int, int]]] = {
        "BatchGetItem": lambda params: (sum(len(asked["Keys"]) for asked in params["RequestItems"].values()), 0),
        "GetItem": lambda _: (1, 0),
        "Query": lambda _: (1, 0),
        "PutItem": lambda _: (0, 1),
        "UpdateItem": lambda _: (0, 1),
        "DeleteItem": lambda _: (0, 1),
        "TransactWriteItems": lambda params: (0, 2 * len(params["TransactItems"])),
    }

    def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if world.wire.is_invoking:
            read, written = amounts[model.name](params)
            units["read"] += read
            units["written"] += written

    boto3.DEFAULT_SESSION.events.register_first("provide-client-params.dynamodb", note)  # type: ignore[union-attr]
    yield units
