"""The simulator: the complete system in one process. A `World` is one simulated AWS account and Slack workspace.

The real code runs behind its entry point. moto provides AWS; the local Slack and Security IR answer over HTTP. Tests,
the bench and the proof run on it. The simulator makes no decisions: it delivers events as AWS does, on a clock that
tests can move, and can end a function at any of its outbound calls.
"""

from __future__ import annotations

from tests.trials.world.deployment import ACCOUNT, DEPLOYMENTS, REGION, arn, forget_everything
from tests.trials.world.invocations import Answer, Context, HttpAnswer
from tests.trials.world.running import running_world
from tests.trials.world.wire import Call, FunctionDiedError, Wire
from tests.trials.world.world import World

__all__ = [
    "ACCOUNT",
    "DEPLOYMENTS",
    "REGION",
    "Answer",
    "Call",
    "Context",
    "FunctionDiedError",
    "HttpAnswer",
    "Wire",
    "World",
    "arn",
    "forget_everything",
    "running_world",
]
