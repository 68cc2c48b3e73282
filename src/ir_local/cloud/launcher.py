"""The local cloud: the AWS emulator with the deployed root, the Security IR service and the Slack workspace."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from ir_local.build.dependencies import Target
from ir_local.build.errors import BuildError
from ir_local.build.package import build_package
from ir_local.build.project import BUILD, LOCAL
from ir_local.cloud.deployment import TEAM_ID, Deployer
from ir_local.cloud.emulator import Emulator, EmulatorError, free_port
from ir_local.cloud.environment import EnvironmentFailedError, emulator_python
from ir_local.cloud.progress import Progress
from ir_local.cloud.run_folder import RunFolder
from ir_local.cloud.saved import Addresses, SlackCredentials, Variables
from ir_local.cloud.terraform import TerraformError, terraform_program
from ir_local.security_ir import AdjustableClock, PutEventsPublisher, SecurityIrService
from ir_local.security_ir import serve as serve_security_ir
from ir_local.security_ir.events import Event
from ir_local.slack import App, Channel, SlackWorkspace
from ir_local.slack import serve as serve_slack

FAILURE_LOG = LOCAL / "last-failure.log"
"""What the emulator printed in a run that ended by an exception."""

COLD_SECONDS = 60
"""How long the first answer of the webhook may take on a busy machine."""

INVOKE_URL = re.compile(r"https://(?P<api>\w+)\.execute-api\.[\w-]+\.amazonaws\.com/(?P<stage>\w+)(?P<path>/.*)")


class NotAnsweringError(Exception):
    """The deployed API does not answer Slack as it must."""


ERRORS = (BuildError, EmulatorError, EnvironmentFailedError, NotAnsweringError, TerraformError)
"""Why a cloud does not start; each message is for people."""


class LocalCloud:
    """The whole system on this machine; a context manager that starts and ends it.

    The Slack workspace has two people, Jane Smith and John Doe, who are also the response team of the Security IR
    membership, and the private channel `security` with them and the app. `variables` are Terraform variables of the
    root, added to `deployment.LOCAL_VARIABLES`. `enforce_iam`: whether each function may do only what its role allows.

    After `start`: `security_ir` and `slack` are the two services as Python objects, `slack_app` the installed app,
    `security_channel` the channel, `outputs` the root's outputs, `emulator` AWS.
    """

    security_ir: SecurityIrService
    security_ir_url: str
    slack: SlackWorkspace
    slack_api_base_url: str
    slack_app: App
    security_channel: Channel
    emulator: Emulator
    outputs: dict[str, Any]
    credentials: SlackCredentials

    def __init__(
        self,
        *,
        variables: Variables | None = None,
        enforce_iam: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._enforce_iam = enforce_iam
        self._variables = dict(variables or {})
        self._progress = progress or Progress()
        self._running = ExitStack()
        self._publisher: PutEventsPublisher | None = None
        self._folder: RunFolder | None = None

    def start(self) -> None:
        """Build, deploy if need be, and start everything; if that fails, nothing is left running.

        Raises one of ERRORS.
        """
        try:
            terraform_program()
            with self._progress.step("Building the zip for this machine"):
                package = build_package(Target(None), BUILD / "ir_router-local.zip")
            with self._progress.step("Installing the AWS emulator"):
                emulator_python()
            self._folder = RunFolder("cloud")
            self._running.callback(self._folder.close)
            self._start_security_ir()
            self._start_slack()
            addresses = Addresses(
                aws=f"127.0.0.1:{free_port()}",
                security_ir=self.security_ir_url.removeprefix("http://"),
                slack=self.slack.base_url.removeprefix("http://"),
            )
            variables = {"security_channel_id": self.security_channel.id, **self._variables}
            self._deployer = Deployer(self._folder.path, addresses, package, variables)
            self.credentials = self._deployer.bring(self._progress)
            with self._progress.step("Starting the local cloud"):
                self._start_aws(addresses, self._folder.path / "emulator.log")
                self._join()
        except BaseException as error:
            self.close(error)
            raise

    def _start_security_ir(self) -> None:
        self.security_ir = self._running.enter_context(
            SecurityIrService(publish=self._publish, clock=AdjustableClock())
        )
        self.security_ir_url = self._running.enter_context(serve_security_ir(self.security_ir)).url

    def _publish(self, event: Event) -> None:
        if self._publisher is not None:
            self._publisher(event)

    def _start_slack(self) -> None:
        self.slack = self._running.enter_context(SlackWorkspace(team_id=TEAM_ID))
        server = self._running.enter_context(serve_slack(self.slack))
        self.slack_api_base_url = f"{server.url}/api/"
        self.slack_app = self.slack.create_app()
        jane = self.slack.create_user("jane.smith")
        john = self.slack.create_user("john.doe")
        self.security_channel = self.slack.create_channel("security", [jane, john], is_private=True)
        jane.invite(self.security_channel.id, self.slack_app.bot_user_id)

    def _start_aws(self, addresses: Addresses, log: Path) -> None:
        self.emulator = Emulator(state=self._deployer.state, enforce_iam=self._enforce_iam, log=log)
        self._running.callback(self.emulator.close)
        self.emulator.start(int(addresses.aws.rpartition(":")[2]))
        self._publisher = PutEventsPublisher(self.emulator.url)
        self.outputs = self._deployer.outputs()

    def _join(self) -> None:
        """Set the Slack app up as its manifest says, with the credentials that are deployed."""
        set_up(self.slack_app, json.loads(self.outputs["slack_app_manifest"]))
        self.slack.issue_token(self.slack_app, self.credentials.bot_token)
        self.slack_app.signing_secret = self.credentials.signing_secret
        self.slack_app.request_url = self.webhook_url
        # What Slack does when an address is entered, with more patience: the function has never run before.
        patience = self.slack.deliveries.acknowledge_seconds
        self.slack.configure(acknowledge_seconds=COLD_SECONDS)
        if not self.slack.verify_request_url(self.slack_app):
            raise NotAnsweringError(f"{self.webhook_url} does not answer Slack's verification")
        self.slack.configure(acknowledge_seconds=patience)

    @property
    def webhook_url(self) -> str:
        """Where the emulator serves the deployed `SlackWebhookUrl`."""
        return self.served(str(self.outputs["SlackWebhookUrl"]))

    def served(self, invoke_url: str) -> str:
        """Where the emulator serves the URL of an API Gateway stage."""
        found = INVOKE_URL.fullmatch(invoke_url)
        if found is None:
            raise ValueError(f"this is not an API Gateway URL: {invoke_url}")
        return f"{self.emulator.url}/restapis/{found['api']}/{found['stage']}/_user_request_{found['path']}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables with which boto3, the AWS command line and our own code talk to this cloud and to nothing else."""
        return {
            **self.emulator.environment,
            "AWS_ENDPOINT_URL_SECURITY_IR": self.security_ir_url,
            "SLACK_API_BASE_URL": self.slack_api_base_url,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of a service of this cloud, typed as boto3 types clients by name: not at all."""
        environment = self.environment
        endpoint = self.security_ir_url if service == "security-ir" else environment["AWS_ENDPOINT_URL"]
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=endpoint,
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2}),
        )

    def pending_changes(self) -> list[str]:
        """What another `terraform apply` would change now; [] if the deployed cloud is as the root describes it."""
        return self._deployer.terraform(self.emulator, self.credentials).changes()

    def close(self, error: BaseException | None = None) -> None:
        """End everything; nothing runs, listens or stays on disk afterwards but what is kept for the next start.

        If an exception ends the cloud, what the emulator printed is kept as FAILURE_LOG.
        """
        folder, self._folder = self._folder, None
        try:
            if isinstance(error, Exception) and folder is not None:
                logs = sorted(folder.path.glob("*.log"))
                FAILURE_LOG.write_bytes(b"".join(log.read_bytes() for log in logs))
                self._progress.say(f"         what the emulator printed: {FAILURE_LOG}")
        finally:
            # Whatever is wrong with our output (a reader that is gone, a full disk), everything ends.
            self._running.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything, whatever happened."""
        self.close(error)


def set_up(app: App, manifest: Mapping[str, Any]) -> None:
    """Give an app the scopes, events and commands of a manifest, and no others."""
    app.scopes = set(manifest["oauth_config"]["scopes"]["bot"])
    app.events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
    app.commands = {command["command"] for command in manifest["features"]["slash_commands"]}
