"""Deploys the real Terraform root to the emulator, or restores a deployed cloud that an earlier start saved."""

from __future__ import annotations

import json
import platform
import secrets
import shutil
from pathlib import Path
from typing import Any

from ir_operator.build.package import Package
from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.emulator import REGION, Emulator, EmulatorError
from ir_sandbox.cloud.progress import Progress
from ir_sandbox.cloud.run_folder import only_one
from ir_sandbox.cloud.saved import OUTPUTS, Addresses, Deployment, SavedCloud, SlackCredentials, Variables, cloud_key
from ir_sandbox.cloud.terraform import Terraform, working_copy

ROOT = PROJECT_ROOT / "terraform"

ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
"""Lambda's architecture for each `platform.machine()`."""

PACKAGE_PATH = "../build/ir_router-local.zip"
"""Relative to the root and the same in every run, because Terraform's state contains it."""

TEAM_ID = "T0LC0000001"

LOCAL_VARIABLES: Variables = {
    "region": REGION,
    "lambda_architecture": ARCHITECTURES[platform.machine()],
    "containment_mode": "enforce",
    "log_level": "info",
}
"""The Terraform variables of every local cloud that differ from the root's defaults."""

LOCAL_ENVIRONMENT: dict[str, str] = {"IR_SETTLE_SECONDS": "3"}
"""Added to every function's environment: on one machine, claims settle quickly."""


class Deployer:
    """Creates the emulator state and Terraform state of a deployed cloud in a folder."""

    def __init__(self, folder: Path, addresses: Addresses, package: Package, variables: Variables) -> None:
        """Prepare the deployment.

        Args:
            folder: The folder for the states.
            addresses: The addresses of the cloud's services.
            package: The zip to deploy.
            variables: Terraform variables of the root, added to LOCAL_VARIABLES.
        """
        self._folder = folder
        self._addresses = addresses
        self._package = package
        self._variables = {**LOCAL_VARIABLES, **variables}

    @property
    def state(self) -> Path:
        """The folder of the emulator's state, to start the emulator from."""
        return self._folder / "emulator"

    def deploy(self, progress: Progress) -> SlackCredentials:
        """Deploy, or restore a saved cloud, and return the credentials of its Slack app.

        A saved cloud is used unchanged if nothing has changed. If only the zip has changed, Terraform updates the saved
        cloud. Raises TerraformError or EmulatorError.
        """
        saved = SavedCloud(cloud_key(ROOT, {**self._variables, "extra_environment": LOCAL_ENVIRONMENT}))
        # If two starts run at the same time, the second one uses the first one's deployment.
        with only_one("deploy"):
            kept = saved.find()
            if kept is not None:
                saved.copy_to(self._folder, self._addresses)
            if kept is not None and kept.package_sha256 == self._package.sha256:
                return kept.credentials
            credentials = kept.credentials if kept else new_credentials()
            with progress.step("Deploying with Terraform" if kept is None else "Deploying the new zip") as step:
                emulator = Emulator(state=self.state, schedules=False, log=self._folder / "deploy.log")
                emulator.start(port_of(self._addresses.aws))
                try:
                    terraform = self.terraform(emulator, credentials)
                    terraform.apply(step.show)
                    (self._folder / OUTPUTS).write_text(json.dumps(terraform.outputs()), "utf-8")
                finally:
                    emulator.close()
            self._check_saved()
            saved.keep(self._folder, Deployment(self._package.sha256, credentials, self._addresses))
            return credentials

    def outputs(self) -> dict[str, Any]:
        """Return the root's outputs by name, after `deploy`."""
        found: dict[str, Any] = json.loads((self._folder / OUTPUTS).read_text("utf-8"))
        return found

    def terraform(self, emulator: Emulator, credentials: SlackCredentials) -> Terraform:
        """Return initialised Terraform for this cloud on a running emulator; raises TerraformError."""
        place = self._folder / "terraform"
        root = place / ROOT.name
        terraform = Terraform(
            root,
            {
                **emulator.environment,
                "TF_VAR_slack_bot_token": credentials.bot_token,
                "TF_VAR_slack_signing_secret": credentials.signing_secret,
                "TF_VAR_slack_workspace_id": credentials.team_id,
            },
            state=self._folder / "terraform.tfstate",
            variables_file=self._folder / "local.tfvars.json",
            one_configuration=True,  # the home region is us-east-1, where global events are
        )
        if not root.exists():
            working_copy(ROOT, place)
            package = root / PACKAGE_PATH
            package.parent.mkdir(parents=True)
            shutil.copy(self._package.path, package)
            self._write_variables()
            terraform.init()
        return terraform

    def _write_variables(self) -> None:
        extra_environment = {
            **LOCAL_ENVIRONMENT,
            "AWS_ENDPOINT_URL_SECURITY_IR": f"http://{self._addresses.security_ir}",
            "SLACK_API_BASE_URL": f"http://{self._addresses.slack}/api/",
        }
        variables = {
            **self._variables,
            "package_path": PACKAGE_PATH,
            "extra_environment": extra_environment,
        }
        (self._folder / "local.tfvars.json").write_text(json.dumps(variables, indent=2), "utf-8")

    def _check_saved(self) -> None:
        """Raise EmulatorError unless the emulator saved its complete state when it ended."""
        log = (self._folder / "deploy.log").read_text("utf-8", "replace")
        problems = [line for line in log.splitlines() if "Persistence: " in line and " ERROR " in line]
        if problems or not (self.state / "lambda.json").exists():
            raise EmulatorError("the emulator did not save its state:\n" + "\n".join(problems))


def new_credentials() -> SlackCredentials:
    """Generate a bot token and a signing secret in Slack's formats, with the local workspace's id."""
    return SlackCredentials(
        bot_token=f"xoxb-{secrets.randbelow(10**12):012d}-{secrets.randbelow(10**12):012d}-{secrets.token_hex(12)}",
        signing_secret=secrets.token_hex(16),
        team_id=TEAM_ID,
    )


def port_of(address: str) -> int:
    """Return the port of `host:port`."""
    return int(address.rpartition(":")[2])
