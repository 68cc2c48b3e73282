"""Running the tests of mutants, each in a forked process and a private copy of the project."""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.trials.mutants.mutant import Mutant

# Imported once and inherited by each forked process. Nothing of the project is among them.
_HEAVY = (
    "aws_lambda_powertools",
    "boto3",
    "coverage",
    "hypothesis",
    "moto",
    "moto.dynamodb",
    "moto.events",
    "moto.iam",
    "moto.sns",
    "moto.sqs",
    "moto.ssm",
    "pydantic",
    "pytest",
    "responses",
    "slack_sdk.web",
    "werkzeug.serving",
)
# Covering tests that run for one mutant, the most specific first. One that hundreds of tests run survives when none of
# these notices it: the score is never better than the truth, and it does not depend on the machine's speed.
MOST_TESTS = 80
# A machine under load is slow: a mutant counts as detected by its duration only when it surely hangs.
_LEAST_LIMIT, _LIMIT_FACTOR = 300.0, 12.0


@dataclass(frozen=True)
class Verdict:
    """The result of a mutant's tests. `by` is the test that detected it, or `timeout`."""

    mutant: Mutant
    detected: bool
    by: str
    tests: int


class Trier:
    """Tries mutants in `copies` of the project, as many at a time as there are copies."""

    def __init__(self, copies: Sequence[Path], logs: Path) -> None:
        """`logs` gets the output of each mutant's tests, by its id."""
        self._copies, self._logs = list(copies), logs
        for name in _HEAVY:
            importlib.import_module(name)
        logs.mkdir(parents=True, exist_ok=True)

    def try_all(self, jobs: Sequence[tuple[Mutant, Sequence[str], float]]) -> Iterator[Verdict]:
        """Try each mutant with its tests, which took so many seconds without it; verdicts come as they are known."""
        waiting, free, running = list(jobs), list(self._copies), list[_Attempt]()
        try:
            while waiting or running:
                while waiting and free:
                    running.append(_Attempt(*waiting.pop(0), free.pop(), self._logs))
                multiprocessing.connection.wait([one.process.sentinel for one in running], timeout=1)
                for attempt in [one for one in running if one.is_over()]:
                    running.remove(attempt)
                    free.append(attempt.copy)
                    yield attempt.verdict()
        finally:
            for attempt in running:
                attempt.end()

    def check(self, names: Sequence[str]) -> None:
        """Raise RuntimeError if pytest cannot run the tests in a copy. Every mutant would count as detected then."""
        if names:
            self.failing(names, 0)

    def failing(self, names: Sequence[str], seconds: float) -> set[str]:
        """Return the tests that fail without a mutant in the same set-up. Their failures prove nothing."""
        failed: set[str] = set()
        nothing = Mutant("__init__.py", "", 1, "none", 0, 0, "", "", "", ())
        while left := [name for name in names if name not in failed]:
            (verdict,) = self.try_all([(nothing, left, seconds)])
            if not verdict.detected:
                return failed
            if verdict.by not in left:
                raise RuntimeError(f"the tests do not run without a mutant: {verdict.by}; see {self._logs}")
            failed.add(verdict.by)
        return failed


class _Attempt:
    def __init__(self, mutant: Mutant, names: Sequence[str], seconds: float, copy: Path, logs: Path) -> None:
        self.mutant, self.copy, self._names = mutant, copy, list(names)
        self._file = copy / "src" / "ir_router" / mutant.file
        self._original = self._file.read_bytes()
        self._stat = self._file.stat()
        self._result = Path(tempfile.mkstemp(suffix=".json")[1])
        self._write(mutant.applied(self._original))
        self._until = time.monotonic() + max(_LEAST_LIMIT, _LIMIT_FACTOR * seconds)
        self._timed_out = False
        log = logs / f"{mutant.id}.log"
        context = multiprocessing.get_context("fork")
        self.process: BaseProcess = context.Process(
            target=_run_tests, args=(copy, self._names, self._result, log), daemon=True
        )
        self.process.start()

    def is_over(self) -> bool:
        if self.process.is_alive() and time.monotonic() > self._until:
            self._timed_out = True
            self.end()
        return not self.process.is_alive()

    def end(self) -> None:
        if self.process.pid is not None and self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.join()
        self._restore()

    def verdict(self) -> Verdict:
        self.process.join()
        self._restore()
        content = self._result.read_text("utf-8")
        self._result.unlink()
        if self._timed_out:
            return Verdict(self.mutant, detected=True, by="timeout", tests=len(self._names))
        # No result: the interpreter ended, or a module of the tests could not be imported with the mutant.
        told: dict[str, Any] = {"code": 1, "failed": "the process ended", "ran": 0}
        if content:
            told = json.loads(content)
        # No test ran: the mutant changed the parameters that name them, and nothing noticed.
        detected = told["code"] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        return Verdict(self.mutant, detected, told["failed"] or f"exit code {told['code']}", told["ran"])

    def _write(self, content: bytes) -> None:
        for kept in (self._file.parent / "__pycache__").glob(f"{self._file.stem}.*"):
            kept.unlink()
        self._file.write_bytes(content)

    def _restore(self) -> None:
        self._write(self._original)
        os.utime(self._file, ns=(self._stat.st_atime_ns, self._stat.st_mtime_ns))


def _run_tests(project: Path, names: list[str], result: Path, log: Path) -> None:
    """In the forked process: the copy in place of the checkout, then pytest."""
    os.setsid()
    with log.open("wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    for name in [
        one for one in sys.modules if one.partition(".")[0] in ("tests", "ir_router", "ir_operator", "ir_sandbox")
    ]:
        del sys.modules[name]
    here = str(Path(__file__).resolve().parents[3])
    sys.path[:] = [str(project / "src"), str(project), *(one for one in sys.path if one and not _is_inside(one, here))]
    os.environ["PYTHONPATH"] = f"{project / 'src'}:{project}"
    os.chdir(project)
    # Python recognises a stale pyc file by seconds and size only, and mutants come faster than that.
    sys.dont_write_bytecode = True
    chosen = importlib.import_module("tests.trials.mutants.pytest_plugin").Chosen(names)
    files = list(dict.fromkeys(name.partition("::")[0] for name in names))
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins=[chosen])
    if code == 0 and not chosen.ran:
        code = 5
    result.write_text(json.dumps({"code": int(code), "failed": chosen.failed, "ran": chosen.ran}), "utf-8")
    sys.stdout.flush()
    os._exit(0)


def _is_inside(path: str, folder: str) -> bool:
    """Whether a search path is the checkout's own, and not its virtual environment's."""
    return path in (folder, f"{folder}/src")


def remove(folder: Path) -> None:
    """Remove a copy. Its links are removed, but not their targets."""
    shutil.rmtree(folder, ignore_errors=True)
