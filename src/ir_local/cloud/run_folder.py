"""Private folders of running programs under `.local/run`, removed when they end, or by the next that starts."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ir_local.build.project import LOCAL

RUNS = LOCAL / "run"
OWNER_LOCK = "owner.lock"
"""Held locked by the process that a folder belongs to; the system unlocks it whatever way that process ends."""


LET_GO_SECONDS = 5


class RunFolder:
    """A folder of this process alone. Making one removes those whose processes are gone."""

    def __init__(self, kind: str) -> None:
        """Make a folder whose name begins with `kind`."""
        with only_one("run"):
            RUNS.mkdir(exist_ok=True)
            remove_abandoned()
            self.path = Path(tempfile.mkdtemp(dir=RUNS, prefix=f"{kind}-"))
            self._lock = (self.path / OWNER_LOCK).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder and all that is in it, even while killed processes of ours are still letting go of it."""
        deadline = time.monotonic() + LET_GO_SECONDS
        while self.path.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def remove_abandoned() -> None:
    """Remove the folders that no living process owns."""
    for folder in RUNS.iterdir():
        lock = folder / OWNER_LOCK
        if not lock.exists():
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with lock.open("w") as file:
            if try_lock(file):
                shutil.rmtree(folder, ignore_errors=True)


def try_lock(file: IO[str]) -> bool:
    """Lock a file if no other process has it locked; whether it is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Hold a lock of this project's folder that one process at a time can hold; given back when the process ends."""
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
