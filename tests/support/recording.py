"""A pytest plugin (`-p tests.support.recording`): writes what the functions asked of AWS into the file CALLS_FILE.

It is loaded by the test that holds the policies against the scenarios, and by nothing else.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.aws_calls import AwsCall, record

CALLS_FILE = "CALLS_FILE"
_calls: set[AwsCall] = set()


@pytest.fixture(autouse=True)
def _recorded(request: pytest.FixtureRequest) -> None:
    """Listen to the scenario's world, before it makes anything of its own."""
    record(request.getfixturevalue("world"), _calls)


def pytest_sessionfinish() -> None:
    """Write the calls."""
    Path(os.environ[CALLS_FILE]).write_text(json.dumps([asdict(call) for call in _calls]))
