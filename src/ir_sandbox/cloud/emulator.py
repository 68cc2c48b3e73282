"""The AWS emulator as a child process with a free port and private folders; it never outlives its parent."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.environment import emulator_python
from ir_sandbox.cloud.run_folder import RunFolder

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 - the emulator's well-known credentials, valid nowhere else

START_SECONDS = 300
END_SECONDS = 120


class EmulatorError(Exception):
    """The emulator did not start or ended unexpectedly; the message contains the end of its log."""


class Emulator:
    """The patched ministack on 127.0.0.1; a context manager that starts and stops it."""

    def __init__(
        self,
        *,
        state: Path | None = None,
        schedules: bool = True,
        enforce_iam: bool = False,
        log: Path | None = None,
    ) -> None:
        """Prepare the emulator; `start` starts it.

        Args:
            state: A folder to load the state from, if it contains one, and to save it to; None saves nothing.
            schedules: Whether scheduled rules fire.
            enforce_iam: Whether the policies of roles and users are enforced. The credentials in `environment` are then
                those of the account's root.
            log: A file for the emulator's output.
        """
        self._state = state
        self._schedules = schedules
        self._enforce_iam = enforce_iam
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: RunFolder | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the emulator's process; raises EmulatorError if it is not running."""
        if self._process is None:
            raise EmulatorError("the emulator is not running")
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that direct boto3, Terraform and the AWS CLI to this emulator only."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self, port: int = 0) -> None:
        """Start on a port (0 selects a free one) and wait until the emulator is ready.

        Raises EmulatorError; no process is left running then.
        """
        python = emulator_python()
        self.port = port or free_port()
        self._scratch = RunFolder("emulator")
        temporary = self._scratch.path / "tmp"
        temporary.mkdir()
        log = self._log or self._scratch.path / "log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(PROJECT_ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(temporary),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AUTH": "true" if self._enforce_iam else "false",
            "LOCAL_CLOUD_SCHEDULES": "on" if self._schedules else "off",
        }
        if self._state is not None:
            environment |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self._state),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self._state / "s3"),
            }
        with log.open("ab") as output:
            # The emulator ends when its standard input closes, so it ends with this process. It has its own session, so
            # Ctrl-C in the terminal does not end it before its state is saved.
            self._process = subprocess.Popen(
                [python, "-m", "ir_sandbox.cloud.ministack_patches"],
                cwd=self._scratch.path,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(log)
        except BaseException:
            self.close()
            raise

    def _wait_until_ready(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running():
                break
            if self._is_ready():
                return
            time.sleep(0.05)
        end_of_log = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
        raise EmulatorError(f"the emulator did not start within {START_SECONDS} s; the end of its log:\n{end_of_log}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/_ministack/ready")
            return bool(json.load(connection.getresponse()).get("status") == "completed")
        except OSError:
            return False
        finally:
            connection.close()

    def is_running(self) -> bool:
        """Return whether the emulator's process is running."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Save the emulator's state, then stop it and all processes that it started; no effect if it has ended."""
        process, self._process = self._process, None
        if process is not None:
            try:
                if process.poll() is None:
                    process.terminate()
                    process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                # The process still runs, so its group id is still valid.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            finally:
                if process.stdin is not None:
                    process.stdin.close()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def __enter__(self) -> Self:
        """Start the emulator on a free port."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the emulator."""
        self.close()


def free_port() -> int:
    """Return a loopback port that is currently not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
