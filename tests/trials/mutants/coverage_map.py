"""Which test runs which line: recorded once and kept in `build/mutants`.

If a test file changes, only its tests run again. If a source file changes, the recorded lines move with their text, and
changed lines count as run by the tests that ran the lines in their place. A test that is chosen wrongly can only miss
a mutant, so the score is never better than the truth. Delete `build/mutants` to record everything again.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.trials.mutants import pytest_plugin
from tests.trials.mutants.mutant import Mutant

# These tests run in one process. Tests that start servers, Terraform or builds are not run for a mutant.
TESTED = (
    "tests/unit",
    "tests/scenarios",
    "tests/properties",
    "tests/attacks",
    "tests/trials/test_crash_and_faults.py",
    "tests/trials/test_frame.py",
    "tests/trials/test_hostile.py",
    "tests/trials/test_leaks.py",
    "tests/trials/test_load.py",
)
# Folders of tests that start processes, Terraform or builds, or that test the sandbox and the operator's code.
NOT_TESTED = ("tests/contract", "tests/local_cloud", "tests/operator", "tests/packaging", "tests/terraform")
_WORKERS = 2
_FILES_AT_ONCE = 16


@dataclass
class CoverageMap:
    """`tests`: by node id, `{"seconds", "passed", "lines": {file: [line, ...]}}`, as the plugin's `Recorder` has it."""

    tests: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, str] = field(repr=False, default_factory=dict)
    """The content of each file of `src/ir_router`, for names that modules read from each other."""
    test_sources: Mapping[str, str] = field(repr=False, default_factory=dict)
    """The content of each test file, for names that tests read from modules."""

    @property
    def failing(self) -> list[str]:
        """Tests that fail without a mutant: they prove nothing."""
        return sorted(name for name, test in self.tests.items() if not test["passed"])

    @cached_property
    def _by_line(self) -> dict[tuple[str, int], set[str]]:
        found: dict[tuple[str, int], set[str]] = defaultdict(set)
        for name, test in self.tests.items():
            if test["passed"]:
                for file, lines in test["lines"].items():
                    for line in lines:
                        found[file, line].add(name)
        return found

    @cached_property
    def _sizes(self) -> dict[str, float]:
        return {name: sum(map(len, test["lines"].values())) for name, test in self.tests.items()}

    def seconds(self, names: Iterable[str]) -> float:
        """How long the tests took when they were recorded."""
        return float(sum(self.tests[name]["seconds"] for name in names))

    def covering(self, mutant: Mutant) -> list[str]:
        """The tests that run the mutated lines, the most specific first: one that runs few lines, from each file.

        A statement that runs at import is recorded for the one test that imported the module, so its readers count.
        """
        found = self._running(mutant.file, mutant.lines)
        if mutant.name or not found:
            found |= self._reading(mutant)
        return self._in_order(found, mutant.file)

    def _running(self, file: str, lines: Iterable[int]) -> set[str]:
        return set().union(*(self._by_line.get((file, line), set()) for line in lines))

    def _reading(self, mutant: Mutant) -> set[str]:
        """For a statement that runs at import: the tests that run or contain its name, else run a line of the file.

        For a statement in a function that is newer than the record, the name of the function counts.
        """
        name = mutant.name or mutant.function.rpartition(".")[2]
        word = re.compile(rf"\b{re.escape(name)}\b") if name else None
        stem = Path(mutant.file).stem
        found: set[str] = set()
        for file, content in self.sources.items() if word else ():
            if file != mutant.file and not re.search(rf"\b{stem}\b", content):
                continue
            rows = enumerate(content.split("\n"), start=1)
            found |= self._running(file, [number for number, row in rows if word and word.search(row)])
        if mutant.name:
            readers = {name for name, content in self.test_sources.items() if word and word.search(content)}
            stems = {name for name in readers if re.search(rf"\b{stem}\b", self.test_sources[name])}
            found |= {name for name, test in self.tests.items() if test["passed"] and name.partition("::")[0] in stems}
        if found or (mutant.function and not mutant.name):
            return found
        return {name for name, test in self.tests.items() if test["passed"] and mutant.file in test["lines"]}

    def _in_order(self, found: set[str], mutated: str) -> list[str]:
        """Take in turn: a test of a file with the module's name, one that runs few lines, one of each test file.

        The first two are made for the line. The last brings different views of the line early. The cases of one test
        function share a view, so the functions of a file take turns as well. Cases that name the module come before
        all others, such as those that compare the numbers of each module.
        """
        by_size = sorted(found, key=lambda one: (self._sizes[one], one))
        module = ".".join(Path(mutated).with_suffix("").parts)
        cases = [name for name in by_size if name.partition("[")[2] in (f"{module}]", f"ir_router.{module}]")]
        files = _grouped(by_size, "::")
        words = set(Path(mutated).stem.split("_"))
        shared = {file: len(words & set(Path(file).stem.split("_"))) for file in files}
        most = max(shared.values(), default=0)
        namesakes = [name for name in by_size if most and shared[name.partition("::")[0]] == most]
        of_each_file = _in_turns(_in_turns(_grouped(names, "[").values()) for names in files.values())
        turns = (_in_turns(_grouped(namesakes, "[").values()), by_size, of_each_file)
        return list(dict.fromkeys([*cases, *_in_turns(turns)]))


def _grouped(names: Iterable[str], end: str) -> dict[str, list[str]]:
    """Return the names by their beginning before `end`, in the given order."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[name.partition(end)[0]].append(name)
    return groups


def _in_turns(lists: Iterable[Sequence[str]]) -> list[str]:
    return [name for turn in itertools.zip_longest(*lists) for name in turn if name]


def read_sources(project: Path) -> dict[str, str]:
    """The content of each file of `src/ir_router`."""
    source = project / "src" / "ir_router"
    return {str(path.relative_to(source)): path.read_text("utf-8") for path in sorted(source.rglob("*.py"))}


def load(project: Path, kept: Path) -> CoverageMap:
    """The map of the project, from `kept` where it is still true, recorded where not."""
    sources = read_sources(project)
    path = kept / "coverage-map.json"
    old = json.loads(path.read_text("utf-8")) if path.exists() else {"sources": sources, "files": {}}
    files: dict[str, Any] = moved(old["files"], old["sources"], sources)
    digests = {
        str(file.relative_to(project)): _digest(project, [file])
        for name in TESTED
        for file in _files(project / name)
        if file.name.startswith("test_")
    }
    files = {name: entry for name, entry in files.items() if entry["digest"] == digests.get(name)}
    missing = [name for name in digests if name not in files]
    for first in range(0, len(missing), _FILES_AT_ONCE):
        chosen = missing[first : first + _FILES_AT_ONCE]
        print(f"Recording which tests run which lines: file {first + 1} of {len(missing)} ...", file=sys.stderr)
        tests = record(project, chosen)
        for name in chosen:
            own = {test: entry for test, entry in tests.items() if test.partition("::")[0] == name}
            files[name] = {"digest": digests[name], "tests": own}
        kept.mkdir(parents=True, exist_ok=True)  # kept after each part: who interrupts it begins again there
        path.write_text(json.dumps({"sources": sources, "files": files}), "utf-8")
    tests = {test: entry for file in files.values() for test, entry in file["tests"].items()}
    return CoverageMap(tests, sources, {name: (project / name).read_text("utf-8") for name in files})


def moved(files: dict[str, Any], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Any]:
    """Return the entries of the test files with the line numbers of the new sources."""
    changed = {name: _moved_lines(old[name], new.get(name, "")) for name in old if old[name] != new.get(name)}
    if not changed:
        return files

    def lines_now(name: str, lines: list[int]) -> list[int]:
        places = changed.get(name)
        return lines if places is None else sorted({now for line in lines for now in places.get(line, ())})

    return {
        file: {
            **entry,
            "tests": {
                test: {**found, "lines": {name: lines_now(name, lines) for name, lines in found["lines"].items()}}
                for test, found in entry["tests"].items()
            },
        }
        for file, entry in files.items()
    }


def _moved_lines(old: str, new: str) -> dict[int, range]:
    """For each old line the new lines in its place. Inserted lines follow the line before them."""
    places: dict[int, range] = {}
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal":
            places |= {first + step + 1: range(start + step + 1, start + step + 2) for step in range(last - first)}
        elif kind == "replace":
            places |= {line + 1: range(start + 1, end + 1) for line in range(first, last)}
        elif kind == "insert" and first in places:
            places[first] = range(places[first].start, end + 1)
    return places


def record(project: Path, files: Sequence[str], workers: int = _WORKERS) -> dict[str, Any]:
    """Run the tests of these files in the project's copy, traced."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {pytest_plugin.RECORD: folder, "PYTHONPATH": f"{project / 'src'}:{project}"}
        parallel = ["-n", str(workers), "--dist", "load"] if workers > 1 else ["-n", "0"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.trials.mutants.pytest_plugin", *parallel]
        ended = subprocess.run(
            [*command, "--timeout", "900", "-m", "not local_cloud", *files],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[str, Any] = {}
        for part in Path(folder).glob("*.json"):
            found |= json.loads(part.read_text("utf-8"))["tests"]
    if not found and ended.returncode != pytest.ExitCode.NO_TESTS_COLLECTED:
        raise RuntimeError(f"no test was recorded:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}")
    return found


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place] if place.exists() else []


def _digest(project: Path, files: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        content.update(str(file.relative_to(project)).encode() + b"\0" + file.read_bytes() + b"\0")
    return content.hexdigest()
