"""Deploys the real Terraform root to the emulator, or takes the deployed cloud that an earlier start has kept."""

from __future__ import annotations

import json
import platform
import secrets
import shutil
from pathlib import Path
from typing import Any

from ir_local.build.package import Package
from ir_local.build.project import PROJECT_ROOT
from ir_local.cloud.emulator import REGION, Emulator, EmulatorError
from ir_local.cloud.progress import Progress
from ir_local.cloud.run_folder import only_one
from ir_local.cloud.saved import OUTPUTS, Addresses, Deployment, SavedCloud, SlackCredentials, Variables, cloud_key
from ir_local.cloud.terraform import Terraform, working_copy

ROOT = PROJECT_ROOT / "terraform"

ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
"""`platform.machine()` as Lambda names it."""

PACKAGE_PATH = "../build/ir_router-local.zip"
"""Relative to the root, because Terraform's state holds it: it is the same in every run."""

TEAM_ID = "T0LC0000001"

LOCAL_VARIABLES: Variables = {
    "region": REGION,
    "lambda_architecture": ARCHITECTURES[platform.machine()],
    "containment_mode": "enforce",
    "log_level": "info",
}
"""Terraform variables of every local cloud that differ from the root's defaults."""

LOCAL_ENVIRONMENT: dict[str, str] = {"IR_SETTLE_SECONDS": "3"}
"""Added to every function's environment: on one machine nobody waits long for a claim to settle."""


class Deployer:
    """Brings the emulator and Terraform state of a deployed cloud into `folder`, for services at `addresses`."""

    def __init__(self, folder: Path, addresses: Addresses, package: Package, variables: Variables) -> None:
        """`variables`: Terraform variables of the root, added to LOCAL_VARIABLES."""
        self._folder = folder
        self._addresses = addresses
        self._package = package
        self._variables = {**LOCAL_VARIABLES, **variables}

    @property
    def state(self) -> Path:
        """The emulator's state, to start it from."""
        return self._folder / "emulator"

    def bring(self, progress: Progress) -> SlackCredentials:
        """Deploy, or copy what is kept; for whom the Slack app is deployed.

        What is kept is used as it is if nothing has changed; if the zip alone has, Terraform brings it up to date.
        Raises TerraformError or EmulatorError.
        """
        saved = SavedCloud(cloud_key(ROOT, {**self._variables, "extra_environment": LOCAL_ENVIRONMENT}))
        # Of two starts at once, the second takes what the first has deployed.
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
        """The root's outputs by name, once it has been brought."""
        found: dict[str, Any] = json.loads((self._folder / OUTPUTS).read_text("utf-8"))
        return found

    def terraform(self, emulator: Emulator, credentials: SlackCredentials) -> Terraform:
        """Terraform, initialised, for this cloud on a running emulator; raises TerraformError."""
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
        """Raise EmulatorError unless the emulator has saved all of its state at its end."""
        log = (self._folder / "deploy.log").read_text("utf-8", "replace")
        problems = [line for line in log.splitlines() if "Persistence: " in line and " ERROR " in line]
        if problems or not (self.state / "lambda.json").exists():
            raise EmulatorError("the emulator did not save its state:\n" + "\n".join(problems))


def new_credentials() -> SlackCredentials:
    """A bot token, signing secret and workspace id in Slack's forms, made up."""
    return SlackCredentials(
        bot_token=f"xoxb-{secrets.randbelow(10**12):012d}-{secrets.randbelow(10**12):012d}-{secrets.token_hex(12)}",
        signing_secret=secrets.token_hex(16),
        team_id=TEAM_ID,
    )


def port_of(address: str) -> int:
    """The port of `host:port`."""
    return int(address.rpartition(":")[2])
