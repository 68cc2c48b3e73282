"""Run Terraform as a child process in a working copy of a root.

`python -m ir_sandbox.cloud.terraform check FOLDER` checks the format and validity of a root.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from ir_operator.project import LOCAL
from ir_operator.terraform import TerraformError, plugin_mirror, terraform_program
from ir_sandbox.cloud import lifeline
from ir_sandbox.cloud.provider import running_provider
from ir_sandbox.cloud.run_folder import RunFolder

READ_BESIDE_ROOT = re.compile(r"\$\{path\.module\}/\.\./([\w./-]+)")

PARALLELISM = 30
"""The number of concurrent resource operations; an apply mostly waits."""

Show = Callable[[str], None]
Json = dict[str, object]


@dataclass(frozen=True)
class Terraform:
    """Terraform in one working folder.

    Attributes:
        folder: The root.
        environment: Variables added to `own_environment()`.
        state: The state file; None means Terraform's default in the root.
        variables_file: A file with Terraform variables.
        one_configuration: Whether all `provider` blocks of the root have the same region and the same tags.
    """

    folder: Path
    environment: Mapping[str, str]
    state: Path | None = None
    variables_file: Path | None = None
    one_configuration: bool = False

    def init(self) -> None:
        """Initialise the root, with the provider from a mirror or else from the network; raises TerraformError."""
        mirror = plugin_mirror()
        options = [f"-plugin-dir={mirror}"] if mirror else []
        self._run("init", "-input=false", "-no-color", "-backend=false", *options)

    def validate(self) -> None:
        """Raise TerraformError unless the root is valid."""
        self._run("validate", "-no-color")

    def apply(self, show: Show) -> None:
        """Apply the root and report the progress to `show`; raises TerraformError."""
        errors: list[str] = []
        total, done, ended = 0, 0, False
        with self._started("apply", "-auto-approve", "-json", f"-parallelism={PARALLELISM}", *self._inputs()) as lines:
            for line in lines:
                event = json.loads(line)
                match event.get("type"):
                    case "planned_change":
                        total += event["change"]["action"] != "read"
                    case "apply_complete":
                        done += event["hook"]["action"] != "read"
                    case "diagnostic" if event["diagnostic"]["severity"] == "error":
                        errors.append(diagnostic_text(event["diagnostic"]))
                    case "change_summary":  # one after the plan, one after the apply
                        ended = event["changes"]["operation"] == "apply"
                if total:
                    show(f"{done} of {total}")
        if errors or not ended:
            raise TerraformError("terraform apply failed:\n" + "\n".join(errors or ["it ended early"]))

    def changes(self) -> list[str]:
        """Return the resources and outputs that another apply would change, with the kind of change.

        Raises TerraformError.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            plan = Path(scratch, "plan")
            self._run("plan", "-no-color", f"-out={plan}", f"-parallelism={PARALLELISM}", *self._inputs())
            found = json.loads(self._run("show", "-json", str(plan)))
        resources = [
            f"{change['address']}: {', '.join(change['change']['actions'])}"
            for change in found.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        ]
        outputs = [
            f"output.{name}: {', '.join(change['actions'])}"
            for name, change in found.get("output_changes", {}).items()
            if change["actions"] != ["no-op"]
        ]
        return resources + outputs

    def outputs(self) -> Json:
        """Return the outputs by name; raises TerraformError."""
        options = [f"-state={self.state}"] if self.state else []
        found = json.loads(self._run("output", "-json", *options))
        return {name: output["value"] for name, output in found.items()}

    def _inputs(self) -> list[str]:
        inputs = ["-input=false"]
        if self.state is not None:
            inputs += [f"-state={self.state}"]
        if self.variables_file is not None:
            inputs += [f"-var-file={self.variables_file}"]
        return inputs

    def _run(self, *arguments: str) -> str:
        with self._started(*arguments) as lines:
            return "".join(lines)

    @contextmanager
    def _started(self, *arguments: str) -> Iterator[Iterator[str]]:
        """Yield a command's output lines; raise TerraformError if it fails, kill it if the caller raises."""
        command = [str(terraform_program()), *arguments]
        environment = {**own_environment(), **self.environment}
        with (
            running_provider(
                self.folder, environment, arguments[0], one_configuration=self.one_configuration
            ) as provider,
            tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        ):
            process = subprocess.Popen(
                [sys.executable, "-I", lifeline.__file__, *command],
                cwd=self.folder,
                env={**environment, **provider},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            sign_of_life, output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            # Closing its standard input kills it and its child processes, also if the block ends early.
            try:
                with sign_of_life, output:
                    yield iter(output)
                    code = process.wait()
            finally:
                process.wait()
            errors.seek(0)
            failure = errors.read().strip()
        streams_errors = "-json" in arguments
        if code and not (streams_errors and arguments[0] == "apply"):
            raise TerraformError(f"terraform {arguments[0]} failed:\n{failure}")


def own_environment() -> dict[str, str]:
    """Return this process's environment without the user's AWS credentials and Terraform inputs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR"))
    }
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "400",  # Go's garbage collector used a fifth of the processor time, for a few megabytes
        "TF_IN_AUTOMATION": "1",
        **_plugin_cache(),
    }


def _plugin_cache() -> dict[str, str]:
    """Return the variable of Terraform's plugin cache, which saves downloads, or nothing if there is a mirror.

    The cache is not safe for concurrent `terraform init` (developer.hashicorp.com/terraform/cli/config/config-file,
    "Provider Plugin Cache"): each run removes and creates the provider's entry. A mirror needs no cache.
    """
    if plugin_mirror():
        return {}
    plugins = LOCAL / "terraform-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    return {"TF_PLUGIN_CACHE_DIR": str(plugins)}


def working_copy(root: Path, folder: Path) -> Path:
    """Copy a root to `folder`, with the files outside it that it reads as `${path.module}/../...`.

    Terraform then writes nothing to the sources, and changes to the sources do not affect a running cloud. The copy
    does not contain inputs and states of other deployments.
    """
    copy = folder / root.name
    others = shutil.ignore_patterns(".*", "*.tfstate", "*.tfstate.*", "terraform.tfvars", "*.auto.tfvars*")
    shutil.copytree(root, copy, ignore=others)
    for source in root.glob("*.tf"):
        for reference in READ_BESIDE_ROOT.findall(source.read_text("utf-8")):
            target = folder / reference
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root.parent / reference, target)
    return copy


def diagnostic_text(diagnostic: Mapping[str, object]) -> str:
    """Return a Terraform diagnostic as text: address, summary, details."""
    address = diagnostic.get("address")
    where = f"{address}: " if address else ""
    return f"{where}{diagnostic['summary']}\n{diagnostic.get('detail', '')}".strip()


def check(root: Path) -> None:
    """Raise TerraformError unless a root is formatted and valid; write nothing to it."""
    answer = subprocess.run(
        [terraform_program(), "fmt", "-check", "-recursive", "-diff", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise TerraformError(f"terraform fmt would change:\n{answer.stdout}{answer.stderr}")
    scratch = RunFolder("check")
    try:
        terraform = Terraform(working_copy(root.resolve(), scratch.path), {})
        terraform.init()
        terraform.validate()
    finally:
        scratch.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ir_sandbox.cloud.terraform")
    parser.add_argument("action", choices=["check"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        check(options.folder)
    except TerraformError as error:
        print(f"failed   {error}", file=sys.stderr)
        return 1
    print(f"ok       {options.folder} is formatted and valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
