"""The Terraform root of a person's own deployment: plan, apply, outputs. The state is where the person keeps it.

Each tfvars file has its own Terraform workspace, named as the file (terraform.tfvars and default.tfvars have the
default one), so that a second deployment never takes the first one's state for its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ir_local.build.project import PROJECT_ROOT
from ir_local.cloud.signals import ToldToEnd
from ir_local.cloud.terraform import plugin_mirror, terraform_program
from ir_local.deploy.errors import OperationError

ROOT = PROJECT_ROOT / "terraform"
# Terraform reads it by itself, whatever file it is given beside it.
_OWN_FILE = "terraform.tfvars"


@dataclass(frozen=True)
class TerraformRoot:
    """The root with the inputs of one deployment. `tfvars` need not exist for `outputs`."""

    tfvars: Path
    folder: Path

    def init(self) -> None:
        """Prepare the root: the provider from a mirror where there is one. Raises OperationError."""
        mirror = plugin_mirror()
        options = [f"-plugin-dir={mirror}"] if mirror else []
        answer = self._run("init", "-input=false", *options)
        if answer.returncode:
            raise OperationError(f"terraform init failed:\n{answer.stderr.strip()}")

    def plan(self) -> int:
        """Show what an apply would change; Terraform's exit code. Raises OperationError."""
        self._check()
        return self._show("plan", "-input=false", f"-var-file={self.tfvars}")

    def apply(self) -> int:
        """Apply, asking at a terminal as Terraform does; its exit code. Raises OperationError."""
        self._check()
        # Nobody can be asked where there is no terminal.
        consent = [] if sys.stdin.isatty() else ["-auto-approve"]
        return self._show("apply", *consent, f"-var-file={self.tfvars}")

    def outputs(self) -> dict[str, Any]:
        """The outputs by name; empty before the first apply. Raises OperationError."""
        answer = self._run("output", "-json")
        if answer.returncode:
            raise OperationError(f"terraform output failed:\n{answer.stderr.strip()}")
        return {name: output["value"] for name, output in json.loads(answer.stdout).items()}

    def output_command(self, name: str) -> str:
        """What a person types to read an output of this deployment and of no other."""
        workspace = self._environment().get("TF_WORKSPACE")
        return f"{f'TF_WORKSPACE={workspace} ' if workspace else ''}terraform -chdir=terraform output -raw {name}"

    def _check(self) -> None:
        if not self.tfvars.exists():
            example = self.folder / "terraform.tfvars.example"
            raise OperationError(f"There is no {self.tfvars}. Copy {example} to it and change what you need.")
        own = self.folder / _OWN_FILE
        if own.exists() and not own.samefile(self.tfvars):
            raise OperationError(
                f"Terraform would read {own} as well as {self.tfvars}, and so mix two deployments. Rename the former "
                "to default.tfvars and give that as TFVARS from now on: its state stays where it is "
                "(docs/operations.md, Several workspaces)."
            )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self._command(*arguments)
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)

    def _show(self, *arguments: str) -> int:
        """Run a command on our terminal; its exit code.

        Never killed: Terraform ends in order by itself when it is interrupted, and writes its state before it does.
        """
        process = subprocess.Popen(self._command(*arguments), env=self._environment())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal has interrupted Terraform too.
                continue
            except ToldToEnd:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise

    def _command(self, *arguments: str) -> list[str]:
        return [str(terraform_program()), f"-chdir={self.folder}", *arguments]

    def _environment(self) -> dict[str, str]:
        return os.environ | self._workspace()

    def _workspace(self) -> dict[str, str]:
        name = self.tfvars.name.removesuffix(".json").removesuffix(".tfvars")
        if self.tfvars.name == _OWN_FILE or "TF_WORKSPACE" in os.environ:
            return {}
        return {"TF_WORKSPACE": name}


def root_of(tfvars: Path) -> TerraformRoot:
    """The project's root with a tfvars file."""
    return TerraformRoot(tfvars.resolve(), ROOT)
