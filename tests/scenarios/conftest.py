"""Whatever a scenario makes a function ask of AWS, the function's role must allow it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.aws_calls import AwsCall, record
from tests.terraform.deployments import role_policies
from tests.terraform.iam import allows

_WORLDS = ("world", "paced_world")
# What a test makes a function ask for because it is not there.
_NOT_THERE = ("gone.fifo", "table/gone", "deny-missing")


@pytest.fixture(autouse=True)
def _within_rights(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold every call of the scenario's functions to the roles that Terraform plans."""
    calls: set[AwsCall] = set()
    for name in _WORLDS:
        if name in request.fixturenames:
            record(request.getfixturevalue(name), calls)
    yield
    assert {call for call in calls if not _is_allowed(call)} == set(), "a role lacks these rights"


@cache
def _is_allowed(call: AwsCall) -> bool:
    if f"{call.resource} {call.policy or ''}".rstrip().endswith(_NOT_THERE):
        return True
    return allows(role_policies()[call.deployment], call.action, call.resource, **call.context)
