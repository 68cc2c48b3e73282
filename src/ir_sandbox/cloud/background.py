"""The local cloud in the background: the process that runs it, and functions to start, find and stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from ir_operator.project import LOCAL, PROJECT_ROOT
from ir_operator.signals import StopRequested, graceful_stop
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.cloud.progress import Progress
from ir_sandbox.cloud.run_folder import try_lock

DESCRIPTION = LOCAL / "cloud.json"
"""Addresses, credentials and outputs of the running background cloud."""

HOLDER_LOCK = LOCAL / "cloud.lock"
"""Contains the id of the process that runs the cloud and is locked by it, so the id is never another process's."""

LOG = LOCAL / "cloud.log"
END_SECONDS = 300
STARTED = b"started"

Description = dict[str, Any]

_until_the_end: list[IO[str]] = []
"""Files that stay open until this process ends, which releases the lock."""


class NotStartedError(Exception):
    """The background cloud did not start; its process has printed the reason."""


def start() -> Description:
    """Start the cloud in a separate process, wait until it is ready and return its description.

    The process prints its progress to the caller's output. If the caller ends before the cloud is ready, the process
    ends as well. Raises NotStartedError.
    """
    answers, holder_answers = os.pipe()
    with os.fdopen(answers, "rb") as ready:
        holder = subprocess.Popen(
            [sys.executable, "-m", "ir_sandbox.cloud", "hold", str(holder_answers)],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "src")},
            stdin=subprocess.PIPE,
            pass_fds=[holder_answers],
            start_new_session=True,
        )
        os.close(holder_answers)
        try:
            started = ready.read(len(STARTED)) == STARTED
        except BaseException:
            holder.terminate()
            holder.wait(END_SECONDS)
            raise
    if not started:
        holder.wait()
        raise NotStartedError
    description = find()
    if description is None:
        raise NotStartedError
    return description


def hold(answers: int) -> int:
    """Run the cloud in this process until SIGTERM and return the exit code.

    When the cloud is ready, write `STARTED` to the file descriptor `answers`.
    """
    LOCAL.mkdir(exist_ok=True)
    is_ready = threading.Event()
    threading.Thread(target=_end_with_starter, args=(is_ready,), daemon=True).start()
    lock = HOLDER_LOCK.open("a+")
    _until_the_end.append(lock)
    with os.fdopen(answers, "wb", buffering=0) as starter, graceful_stop():
        if not _lock_patiently(lock):
            print("failed   another process is starting or running the local cloud", file=sys.stderr)
            return 1
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            with LocalCloud(progress=Progress()) as cloud:
                _write_description(describe(cloud))
                _print_to_log()
                is_ready.set()
                starter.write(STARTED)
                starter.close()
                while cloud.emulator.is_running():
                    time.sleep(0.5)
                print("the AWS emulator ended unexpectedly", flush=True)
                return 1
        except StopRequested:
            return 0
        finally:
            DESCRIPTION.unlink(missing_ok=True)


def _lock_patiently(lock: IO[str]) -> bool:
    """Lock a file and return whether it worked; retry while other processes only test the lock."""
    deadline = time.monotonic() + 1
    while not try_lock(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _end_with_starter(is_ready: threading.Event) -> None:
    """End this process if the starting process ends before the cloud is ready."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    if not is_ready.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _print_to_log() -> None:
    """Redirect the output to the log, because the terminal belongs to the starting process."""
    with LOG.open("w") as log, Path(os.devnull).open() as nothing:
        sys.stdout.flush()
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def describe(cloud: LocalCloud) -> Description:
    """Return a cloud's addresses, credentials and outputs, in the format of `DESCRIPTION`."""
    return {
        "pid": os.getpid(),
        "webhook_url": cloud.webhook_url,
        "security_ir_url": cloud.security_ir_url,
        "slack_api_base_url": cloud.slack_api_base_url,
        "environment": dict(cloud.environment),
        "slack": {
            "team_id": cloud.credentials.team_id,
            "bot_token": cloud.credentials.bot_token,
            "signing_secret": cloud.credentials.signing_secret,
            "security_channel_id": cloud.security_channel.id,
        },
        "outputs": cloud.outputs,
    }


def _write_description(description: Description) -> None:
    draft = DESCRIPTION.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    draft.replace(DESCRIPTION)


def find() -> Description | None:
    """Return the description of the background cloud, if one is running."""
    if holder_pid() is None or not DESCRIPTION.exists():
        return None
    description: Description = json.loads(DESCRIPTION.read_text("utf-8"))
    return description


def holder_pid() -> int | None:
    """Return the id of the process that runs or starts the background cloud, if there is one."""
    if not HOLDER_LOCK.exists():
        return None
    with HOLDER_LOCK.open("r+") as lock:
        return None if try_lock(lock) else int(lock.read())


def end() -> bool:
    """Stop the background cloud, wait for its end, and return whether there was one."""
    pid = holder_pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while holder_pid() == pid:
        if time.monotonic() > deadline:
            # All processes that it started watch it and end with it.
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + END_SECONDS
        time.sleep(0.1)
    DESCRIPTION.unlink(missing_ok=True)
    return True
