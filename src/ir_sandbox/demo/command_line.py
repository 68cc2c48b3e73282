"""The AWS CLI (version 1) as an analyst uses it: `aws lambda invoke ... response.json`."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ir_sandbox.cloud.environment import aws_command
from ir_sandbox.cloud.launcher import LocalCloud

_SECONDS = 600


class CommandFailedError(LookupError):
    """The command failed; the message contains its error output. A LookupError, so a check retries."""


class CommandLine:
    """Runs `aws` against a local cloud."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Use the running cloud `cloud`."""
        environment = cloud.environment
        # As an option, because `aws sqs` in us-east-1 ignores AWS_ENDPOINT_URL.
        self._aws = [str(aws_command()), "--endpoint-url", environment["AWS_ENDPOINT_URL"]]
        self._environment = {name: environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")} | {
            "AWS_DEFAULT_REGION": environment["AWS_REGION"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PATH": os.environ.get("PATH", os.defpath),
        }

    def received(self, queue_url: str) -> list[dict[str, Any]]:
        """Return the message bodies of `aws sqs receive-message`; raises CommandFailedError."""
        shown = self._run("sqs", "receive-message", "--queue-url", queue_url, "--max-number-of-messages", "1")
        messages = json.loads(shown).get("Messages", []) if shown.strip() else []
        return [json.loads(message["Body"]) for message in messages]

    def invoked(self, function_name: str, payload: str) -> dict[str, Any]:
        """Return the response that `aws lambda invoke` writes to `response.json`; raises CommandFailedError."""
        with tempfile.TemporaryDirectory() as folder:
            self._run(
                "lambda", "invoke", "--function-name", function_name, "--payload", payload, "response.json", cwd=folder
            )
            answer: dict[str, Any] = json.loads((Path(folder) / "response.json").read_text("utf-8"))
        return answer

    def _run(self, *arguments: str, cwd: str | None = None) -> str:
        command = [*self._aws, *arguments]
        answer = subprocess.run(
            command, cwd=cwd, env=self._environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if answer.returncode:
            raise CommandFailedError(f"aws {arguments[0]} {arguments[1]}: {answer.stderr.strip()}")
        return answer.stdout
