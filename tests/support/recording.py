"""A pytest plugin (`-p tests.support.recording`) that writes the functions' requests to the file RECORD_FILE.

It records AWS calls (`calls`), the settings that functions read (`settings`) and the scopes that Slack checked
(`scopes`). The app has the manifest's scopes and no others. Only the test that compares roles, environments and the
manifest with the scenarios loads this plugin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from ir_router.ops.slack_app import wanted_scopes
from ir_router.settings import Settings
from tests.support.aws_calls import AwsCall, record

RECORD_FILE = "RECORD_FILE"
_calls: set[AwsCall] = set()
_settings: set[tuple[str, str]] = set()
_scopes: set[str] = set()


class RecordedScopes(set[str]):
    """The scopes of an app, which records each scope that Slack checks."""

    def intersection(self, *others: Iterable[Any]) -> set[str]:
        """Record the check of a method that needs one of these scopes."""
        found = super().intersection(*others)
        _scopes.update(found)
        return found

    def __rand__(self, others: AbstractSet[Any]) -> set[str]:
        """Record Slack's check before it sends an event that needs one of these scopes."""
        return self.intersection(others)

    def __contains__(self, scope: object) -> bool:
        """Record the check of a method whose answer depends on the scope."""
        if super().__contains__(scope):
            _scopes.add(str(scope))
            return True
        return False


@pytest.fixture(autouse=True)
def _recorded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record the scenario's simulator before it creates resources of its own."""
    world = request.getfixturevalue("world")
    running = record(world, _calls)
    world.app.scopes = RecordedScopes(wanted_scopes())
    names = {field.name for field in fields(Settings)}
    read = Settings.__getattribute__

    def heard(self: Settings, name: str) -> Any:
        if running and name in names:
            _settings.add((running[-1], name))
        return read(self, name)

    monkeypatch.setattr(Settings, "__getattribute__", heard)


def pytest_sessionfinish() -> None:
    """Write the recording."""
    recorded = {
        "calls": [asdict(call) for call in _calls],
        "settings": sorted(_settings),
        "scopes": sorted(_scopes),
    }
    Path(os.environ[RECORD_FILE]).write_text(json.dumps(recorded))
