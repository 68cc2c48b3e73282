"""The local cloud in the background: a process that holds it, and what `up`, `down` and `status` do with it."""

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

from ir_local.build.project import LOCAL, PROJECT_ROOT
from ir_local.cloud.launcher import LocalCloud
from ir_local.cloud.progress import Progress
from ir_local.cloud.run_folder import try_lock
from ir_local.cloud.signals import ToldToEnd, end_in_order

DESCRIPTION = LOCAL / "cloud.json"
"""Addresses, credentials and outputs of the cloud in the background, while it runs."""

HOLDER_LOCK = LOCAL / "cloud.lock"
"""Held locked by the process that holds the cloud, with its id inside: so an id is never somebody else's."""

LOG = LOCAL / "cloud.log"
END_SECONDS = 60
STARTED = b"started"

Description = dict[str, Any]

_until_the_end: list[IO[str]] = []
"""Files that stay open as long as this process: the lock is given back when it is gone, and not before."""


class NotStartedError(Exception):
    """The cloud in the background did not start; what went wrong has been printed by its process."""


def start() -> Description:
    """Start the cloud in a process of its own and wait until it is ready; its description.

    That process shows its progress where ours goes to. If we end before it is ready, it ends as well. Raises
    NotStartedError.
    """
    answers, holder_answers = os.pipe()
    with os.fdopen(answers, "rb") as ready:
        holder = subprocess.Popen(
            [sys.executable, "-m", "ir_local.cloud", "hold", str(holder_answers)],
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
    """Be the process that holds the cloud: start it, say so to the descriptor `answers`, end it when told to.

    The code to end with.
    """
    LOCAL.mkdir(exist_ok=True)
    is_ready = threading.Event()
    threading.Thread(target=_end_with_starter, args=(is_ready,), daemon=True).start()
    lock = HOLDER_LOCK.open("a+")
    _until_the_end.append(lock)
    with os.fdopen(answers, "wb", buffering=0) as starter, end_in_order():
        if not _lock_patiently(lock):
            print("failed   another start of the local cloud is under way", file=sys.stderr)
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
                print("the AWS emulator has ended by itself", flush=True)
                return 1
        except ToldToEnd:
            return 0
        finally:
            DESCRIPTION.unlink(missing_ok=True)


def _lock_patiently(lock: IO[str]) -> bool:
    """Lock a file, with patience for those who only look whether it is locked; whether it is ours now."""
    deadline = time.monotonic() + 1
    while not try_lock(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _end_with_starter(is_ready: threading.Event) -> None:
    """Tell ourselves to end if the process that waits for us is gone before we are ready."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    if not is_ready.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _print_to_log() -> None:
    """From now on print to the log: the terminal belongs to the one who started us."""
    with LOG.open("w") as log, Path(os.devnull).open() as nothing:
        sys.stdout.flush()
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def describe(cloud: LocalCloud) -> Description:
    """What somebody needs who wants to talk to a cloud; shapes as in `make status`."""
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
    """The description of the cloud in the background, if one runs."""
    if holder_pid() is None or not DESCRIPTION.exists():
        return None
    description: Description = json.loads(DESCRIPTION.read_text("utf-8"))
    return description


def holder_pid() -> int | None:
    """The id of the process that holds a cloud, or is starting one, if there is one."""
    if not HOLDER_LOCK.exists():
        return None
    with HOLDER_LOCK.open("r+") as lock:
        return None if try_lock(lock) else int(lock.read())


def end() -> bool:
    """End the cloud in the background and wait until it has; whether there was one."""
    pid = holder_pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while holder_pid() == pid:
        if time.monotonic() > deadline:
            # Everything that it started watches it, and ends with it.
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + END_SECONDS
        time.sleep(0.1)
    DESCRIPTION.unlink(missing_ok=True)
    return True
