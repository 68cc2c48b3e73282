"""The whole system in one process: the real code behind its entry point, AWS by moto, the two services over HTTP.

Tests, the bench and the proof run on it. Nothing here decides anything: it carries events as AWS would, on a clock that
can be moved, and can end a function at any of its outbound calls.
"""

from __future__ import annotations

from ir_local.world.deployment import ACCOUNT, DEPLOYMENTS, INDEX_PROJECTION, REGION, arn, forget_everything
from ir_local.world.invocations import Answer, Context, HttpAnswer
from ir_local.world.wire import Call, FunctionDiedError, Wire
from ir_local.world.world import World, running_world

__all__ = [
    "ACCOUNT",
    "DEPLOYMENTS",
    "INDEX_PROJECTION",
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
