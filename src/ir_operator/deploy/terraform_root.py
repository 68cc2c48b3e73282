"""Run Terraform for one deployment: plan, apply and outputs. The operator chooses where the state is stored.

Each tfvars file has its own Terraform workspace with the name of the file, so that two deployments never share a
state. terraform.tfvars and default.tfvars use the default workspace.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_operator import environment
from ir_operator.deploy.account import Variables
from ir_operator.deploy.errors import OperationError
from ir_operator.project import checkout
from ir_operator.signals import StopRequested
from ir_operator.terraform import plugin_mirror, terraform_program

# Terraform always reads this file, in addition to the file of -var-file.
_OWN_FILE = "terraform.tfvars"

_ANY_FILE = "./versions.tf"

_EXPRESSION = (
    "jsonencode({ region = var.region, lambda_architecture = var.lambda_architecture, "
    "manage_api_gateway_account = var.manage_api_gateway_account, api_access_logs = var.api_access_logs, "
    "parameters = local.parameter_paths })\n"
)


@dataclass(frozen=True)
class TerraformRoot:
    """The root with the variables of one deployment. Only plan and apply need the file `tfvars`."""

    tfvars: Path
    folder: Path

    def init(self) -> None:
        """Initialise the root, with the provider from a local mirror if there is one. Raises OperationError."""
        mirror = plugin_mirror()
        options = [f"-plugin-dir={mirror}"] if mirror else []
        answer = self._run("init", "-input=false", *options)
        if answer.returncode:
            raise OperationError(f"terraform init failed:\n{answer.stderr.strip()}")

    def plan(self, options: Sequence[str] = ()) -> int:
        """Print the plan and return Terraform's exit code. Raises OperationError."""
        self._check()
        return self._show("plan", "-input=false", f"-var-file={self.tfvars}", *options)

    def apply(self, options: Sequence[str] = ()) -> int:
        """Apply and return Terraform's exit code. On a terminal Terraform asks first. Raises OperationError."""
        self._check()
        # Without a terminal Terraform cannot ask for consent.
        consent = [] if sys.stdin.isatty() else ["-auto-approve"]
        return self._show("apply", *consent, f"-var-file={self.tfvars}", *options)

    def variables(self) -> Variables | None:
        """Return the variables that depend on the account; None if they are invalid, which Terraform then explains.

        Raises:
            OperationError: There is no file with variables.
        """
        self._check()
        # The zip may not exist yet, or not for this architecture. Any file avoids this check here.
        options = [f"-var-file={self.tfvars}", f"-var=package_path={_ANY_FILE}"]
        answer = self._run("console", *options, text=_EXPRESSION)
        try:
            # Terraform prints the JSON as a string of its own language.
            return Variables(**json.loads(json.loads(answer.stdout)))
        except ValueError:
            return None

    def addresses(self) -> list[str]:
        """Return the addresses of the resources in the state; none before the first apply."""
        return self._run("state", "list").stdout.split()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs by name; none before the first apply. Raises OperationError."""
        answer = self._run("output", "-json")
        if answer.returncode:
            raise OperationError(f"terraform output failed:\n{answer.stderr.strip()}")
        return {name: output["value"] for name, output in json.loads(answer.stdout).items()}

    def output_command(self, name: str) -> str:
        """Return the shell command that prints an output of this deployment."""
        workspace = self._environment().get("TF_WORKSPACE")
        return f"{f'TF_WORKSPACE={workspace} ' if workspace else ''}terraform -chdir=terraform output -raw {name}"

    def _check(self) -> None:
        if not self.tfvars.exists():
            example = self.folder / "terraform.tfvars.example"
            raise OperationError(
                f"There is no {self.tfvars}, so nothing was done. Copy {example} to it and set your values."
            )
        own = self.folder / _OWN_FILE
        if own.exists() and not own.samefile(self.tfvars):
            raise OperationError(
                f"Terraform would read {own} as well as {self.tfvars} and so mix two deployments. Nothing was done. "
                "Rename the former to default.tfvars and use it as TFVARS from now on. It keeps its state "
                "(docs/operations.md, Several workspaces)."
            )

    def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = self._command(*arguments)
        return subprocess.run(command, env=self._environment(), input=text, capture_output=True, text=True, check=False)

    def _show(self, *arguments: str) -> int:
        """Run Terraform on this terminal and return its exit code.

        Terraform is never killed, because it must write its state. After an interrupt it stops in an orderly way.
        """
        process = subprocess.Popen(self._command(*arguments), env=self._environment())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal interrupts Terraform too, so only wait.
                continue
            except StopRequested:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise

    def _command(self, *arguments: str) -> list[str]:
        return [str(terraform_program()), f"-chdir={self.folder}", *arguments]

    def _environment(self) -> dict[str, str]:
        return environment.for_terraform() | self._workspace()

    def _workspace(self) -> dict[str, str]:
        name = self.tfvars.name.removesuffix(".json").removesuffix(".tfvars")
        if self.tfvars.name == _OWN_FILE or "TF_WORKSPACE" in os.environ:
            return {}
        return {"TF_WORKSPACE": name}


def root_of(tfvars: Path | None) -> TerraformRoot:
    """Return the clone's root with a tfvars file, `terraform.tfvars` by default. Raises NoCheckoutError."""
    folder = checkout().terraform
    return TerraformRoot((tfvars or folder / _OWN_FILE).resolve(), folder)
