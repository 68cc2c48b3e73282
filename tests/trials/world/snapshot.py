"""The deployed resources of a simulator, copied from those of an earlier one.

Each simulator starts with the same resources at the same time of the day. To create them takes 20 calls.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

from moto.backends import get_backend
from moto.core.base_backend import BackendDict

from tests.trials.world import deployment

_DAY_SECONDS = 86_400

_Backends = dict[tuple[str, str, str], Any]
# The day of the simulator's clock -> the variables of the functions and moto's backends by service, account and region.
_kept: dict[int, tuple[dict[str, str], _Backends]] = {}


def build(variables: dict[str, str], now: float) -> None:
    """Create the resources as `deployment.build` does."""
    day = int(now // _DAY_SECONDS)
    if day in _kept:
        added, backends = _kept[day]
        variables.update(added)
        for (service, account, region), backend in _copied(backends).items():
            get_backend(service)[account][region] = backend  # type: ignore[call-overload]
        return
    before = set(variables)
    deployment.build(variables)
    made = {
        (backends.service_name, account, region): backend
        for backends in BackendDict._instances  # type: ignore[misc]
        for account, region, backend in backends.iter_backends()
    }
    _kept.clear()
    _kept[day] = {name: variables[name] for name in variables.keys() - before}, _copied(made)


def _copied(backends: _Backends) -> _Backends:
    """Return a copy of the backends, which may refer to each other. Each queue gets a new lock."""
    queues = [
        queue for (service, *_), backend in backends.items() if service == "sqs" for queue in backend.queues.values()
    ]
    locks: dict[int, Any] = {id(queue._messages_lock): threading.Condition() for queue in queues}
    return copy.deepcopy(backends, locks)
