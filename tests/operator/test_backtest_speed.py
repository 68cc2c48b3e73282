"""The time and the memory of a back-test of many records."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ir_operator import backtest, recorded_events
from tests.operator import test_backtest
from tests.operator.test_backtest import record, write

folder = test_backtest.folder


def ordinary(count: int) -> list[dict[str, Any]]:
    """Yield records of CloudTrail's usual size, few of which match."""
    parameters = {"filterSet": {"items": [{"name": f"tag:{number}", "valueSet": ["a", "b"]} for number in range(6)]}}
    tls = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "ec2"}
    return [
        record(
            "ListUsers" if number % 50 == 0 else "DescribeInstances",
            minute=number % 600,
            eventSource="ec2.amazonaws.com",
            requestParameters=parameters,
            tlsDetails=tls,
            readOnly=True,
            requestID=str(uuid.uuid4()),
        )
        for number in range(count)
    ]


@pytest.fixture
def _pythons_own_collector() -> Iterator[None]:
    """Collect garbage as often as the back-test of a user does: the tests collect it less often."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("_pythons_own_collector")
def test_given_many_records_when_run_then_it_takes_at_most_twice_as_long_as_reading_the_json(folder: Path) -> None:
    for number in range(4):
        write(folder / f"{number}.json", ordinary(2_000))
    contents = [path.read_bytes() for path in recorded_events.files_of(folder)]
    ratios: list[float] = []
    while min(ratios, default=3.0) > 2 and len(ratios) < 5:  # one quiet moment of the machine is enough
        began = time.process_time()
        for content in contents:
            json.loads(content)
        middle = time.process_time()
        with Path("progress").open("w") as progress:
            backtest.run_backtest(folder, progress)
        ratios.append((time.process_time() - middle) / (middle - began))

    assert min(ratios) <= 2, ratios


def test_given_many_files_when_run_then_memory_is_that_of_one(folder: Path) -> None:
    def peak(files: int) -> int:
        for number in range(files):
            write(folder / f"{number}.json", ordinary(500))
        tracemalloc.start()
        with Path("progress").open("w") as progress:
            backtest.run_backtest(folder, progress)
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    one = peak(1)
    assert peak(12) < one * 1.5
