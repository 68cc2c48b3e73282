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

from ir_operator.build.dependencies import Target
from ir_operator.build.errors import BuildError
from ir_operator.build.package import build_package
from ir_operator.project import BUILD, LOCAL
from ir_operator.terraform import TerraformError, terraform_program
from ir_sandbox.cloud.deployment import TEAM_ID, Deployer
from ir_sandbox.cloud.emulator import Emulator, EmulatorError, free_port
from ir_sandbox.cloud.environment import EnvironmentFailedError, emulator_python
from ir_sandbox.cloud.progress import Progress
from ir_sandbox.cloud.run_folder import RunFolder
from ir_sandbox.cloud.saved import Addresses, SlackCredentials, Variables
from ir_sandbox.security_ir import AdjustableClock, PutEventsPublisher, SecurityIrService
from ir_sandbox.security_ir import serve as serve_security_ir
from ir_sandbox.security_ir.events import Event
from ir_sandbox.slack import App, Channel, SlackWorkspace
from ir_sandbox.slack import serve as serve_slack

FAILURE_LOG = LOCAL / "last-failure.log"
"""The emulator's output in the last run that ended with an exception."""

COLD_SECONDS = 60
"""The limit for the webhook's first response, generous enough for a busy machine."""

INVOKE_URL = re.compile(r"https://(?P<api>\w+)\.execute-api\.[\w-]+\.amazonaws\.com/(?P<stage>\w+)(?P<path>/.*)")


class NotAnsweringError(Exception):
    """The deployed API does not respond correctly to Slack."""


ERRORS = (BuildError, EmulatorError, EnvironmentFailedError, NotAnsweringError, TerraformError)
"""The errors that prevent the start of a cloud; each message is for the user."""


class LocalCloud:
    """The complete system on this machine; a context manager that starts and stops it.

    The Slack workspace has two users, Jane Smith and John Doe, who are also the response team of the Security IR
    membership. They and the app are the members of the private channel `security`.

    Attributes (after `start`):
        security_ir: The Security IR service as a Python object.
        slack: The Slack workspace as a Python object.
        slack_app: The installed app.
        security_channel: The channel `security`.
        emulator: The AWS emulator.
        outputs: The Terraform root's outputs.
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
        """Prepare the cloud; nothing runs before `start`.

        Args:
            variables: Terraform variables of the root, added to `deployment.LOCAL_VARIABLES`.
            enforce_iam: Restrict each function to the permissions of its role.
            progress: Shows the steps of the start.
        """
        self._enforce_iam = enforce_iam
        self._variables = dict(variables or {})
        self._progress = progress or Progress()
        self._running = ExitStack()
        self._publisher: PutEventsPublisher | None = None
        self._folder: RunFolder | None = None

    def start(self) -> None:
        """Build the zip, deploy it if necessary, and start all services.

        If this fails, no process is left running. Raises one of ERRORS.
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
            self.credentials = self._deployer.deploy(self._progress)
            with self._progress.step("Starting the local cloud"):
                self._start_aws(addresses, self._folder.path / "emulator.log")
                self._connect_slack_app()
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

    def _connect_slack_app(self) -> None:
        """Configure the Slack app from the deployed manifest and credentials, and verify its request URL."""
        apply_manifest(self.slack_app, json.loads(self.outputs["slack_app_manifest"]))
        self.slack.issue_token(self.slack_app, self.credentials.bot_token)
        self.slack_app.signing_secret = self.credentials.signing_secret
        self.slack_app.request_url = self.webhook_url
        # Slack verifies a new request URL. The limit is higher here, because the function starts for the first time.
        usual_seconds = self.slack.deliveries.acknowledge_seconds
        self.slack.configure(acknowledge_seconds=COLD_SECONDS)
        if not self.slack.verify_request_url(self.slack_app):
            raise NotAnsweringError(f"{self.webhook_url} does not respond to Slack's verification")
            self.slack.configure(acknowledge_seconds=usual_seconds)

    @property
    def webhook_url(self) -> str:
        """The emulator's URL for the deployed `SlackWebhookUrl`."""
        return self.emulator_url(str(self.outputs["SlackWebhookUrl"]))

    def emulator_url(self, invoke_url: str) -> str:
        """Return the emulator's URL for the URL of an API Gateway stage; raises ValueError for any other URL."""
        found = INVOKE_URL.fullmatch(invoke_url)
        if found is None:
            raise ValueError(f"this is not an API Gateway URL: {invoke_url}")
        return f"{self.emulator.url}/restapis/{found['api']}/{found['stage']}/_user_request_{found['path']}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that direct boto3, the AWS CLI and the project's code to this cloud only."""
        return {
            **self.emulator.environment,
            "AWS_ENDPOINT_URL_SECURITY_IR": self.security_ir_url,
            "SLACK_API_BASE_URL": self.slack_api_base_url,
        }

    def client(self, service: str) -> Any:
        """Return an untyped boto3 client for a service of this cloud."""
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
        """Return the changes that another `terraform apply` would make; [] if the cloud matches the root."""
        return self._deployer.terraform(self.emulator, self.credentials).changes()

    def close(self, error: BaseException | None = None) -> None:
        """Stop all services and delete all files except those saved for the next start.

        If an exception ends the cloud, the emulator's output is saved as FAILURE_LOG.
        """
        folder, self._folder = self._folder, None
        try:
            if isinstance(error, Exception) and folder is not None:
                logs = sorted(folder.path.glob("*.log"))
                FAILURE_LOG.write_bytes(b"".join(log.read_bytes() for log in logs))
                self._progress.write_line(f"         the emulator's output: {FAILURE_LOG}")
        finally:
            # All services stop even if this process cannot write its output (closed pipe, full disk).
            self._running.close()

    def __enter__(self) -> Self:
        """Start the cloud."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the cloud."""
        self.close(error)


def apply_manifest(app: App, manifest: Mapping[str, Any]) -> None:
    """Replace an app's scopes, events and commands with those of a manifest."""
    app.scopes = set(manifest["oauth_config"]["scopes"]["bot"])
    app.events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
    app.has_home_tab = bool(manifest["features"].get("app_home", {}).get("home_tab_enabled"))
    app.commands = {command["command"] for command in manifest["features"]["slash_commands"]}
