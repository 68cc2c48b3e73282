"""Private folders of running programs in `.local/run`, deleted at their end or by the next program's start."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ir_operator.project import LOCAL

RUNS = LOCAL / "run"
OWNER_LOCK = "owner.lock"
"""Locked by the process that owns the folder; the operating system unlocks it when the process ends."""


LET_GO_SECONDS = 60


class RunFolder:
    """A private folder of this process. Creating one deletes the folders of ended processes."""

    def __init__(self, kind: str) -> None:
        """Create a folder whose name starts with `kind`."""
        with only_one("run"):
            RUNS.mkdir(exist_ok=True)
            remove_abandoned()
            self.path = Path(tempfile.mkdtemp(dir=RUNS, prefix=f"{kind}-"))
            self._lock = (self.path / OWNER_LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Delete the folder and its contents, even while killed child processes are still ending."""
        deadline = time.monotonic() + LET_GO_SECONDS
        while self.path.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def remove_abandoned() -> None:
    """Delete the folders that no running process owns."""
    for folder in RUNS.iterdir():
        lock = folder / OWNER_LOCK
        if not lock.exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with lock.open("w") as file:
            if try_lock(file):
                shutil.rmtree(folder, ignore_errors=True)


def try_lock(file: IO[str]) -> bool:
    """Lock a file unless another process has locked it; return whether this process now has the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Hold a lock for a `with` block; only one process in this project's folder can hold it at a time."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
