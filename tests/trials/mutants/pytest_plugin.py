"""pytest's side: records which test runs which lines (`MUTANTS_RECORD`), or runs chosen tests in order.

Recording works in each worker of pytest-xdist. Threads of the local servers run the functions as well, so a line
of any thread counts for the test that runs at that moment.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

RECORD = "MUTANTS_RECORD"


class Recorder:
    """Writes `<folder>/<worker>.json`: for each test its duration, whether it passed, and the lines of each file."""

    def __init__(self, folder: Path, source: Path) -> None:
        """Begin to trace: modules that are imported from now on run their statements for no test."""
        self._folder, self._source = folder, source
        self._coverage = coverage.Coverage(data_file=None, include=[f"{source}/*"], config_file=False)
        self._durations: dict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """One test with its fixtures."""
        self._coverage.switch_context(item.nodeid)
        yield
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test."""
        self._durations[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the record."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for file in data.measured_files():
            by_test: dict[str, list[int]] = defaultdict(list)
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    by_test[context].append(line)
            for test, found in by_test.items():
                lines[test][str(Path(file).relative_to(self._source))] = sorted(found)
        tests = {
            name: {"seconds": round(seconds, 3), "passed": name not in self._failed, "lines": lines.get(name, {})}
            for name, seconds in self._durations.items()
        }
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        content = {"tests": tests, "at_import": lines.get("", {})}
        (self._folder / f"{worker}.json").write_text(json.dumps(content), "utf-8")


class Chosen:
    """Runs the tests of `names`, in that order; `failed` is the first that failed."""

    def __init__(self, names: list[str]) -> None:
        """All others are deselected."""
        self._order = {name: number for number, name in enumerate(names)}
        self.failed: str | None = None
        self.ran = 0

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep and order."""
        others = [item for item in items if item.nodeid not in self._order]
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )
        config.hook.pytest_deselected(items=others)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first failure."""
        self.ran += report.when == "call"
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def pytest_configure(config: pytest.Config) -> None:
    """Record if the environment asks for it; with pytest-xdist in the workers alone."""
    folder = os.environ.get(RECORD)
    is_controller = bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")
    if folder and not is_controller:
        source: Any = config.rootpath / "src" / "ir_router"
        config.pluginmanager.register(Recorder(Path(folder), source))
