"""Terraform as a child process: found and checked, the provider from a mirror where there is one, nothing left behind.

`python -m ir_local.cloud.terraform check FOLDER` checks format and validity of a root.
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

from ir_local.build.project import LOCAL
from ir_local.cloud import lifeline
from ir_local.cloud.run_folder import RunFolder

MINIMUM_VERSION = (1, 11)
PROVIDER = Path("registry.terraform.io/hashicorp/aws")

USUAL_MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/usr/local/share/*",
    "/usr/share/*",
    "/opt/*",
)
"""Terraform's own implied mirrors (developer.hashicorp.com/terraform/cli/config/config-file), and where machines
without a network commonly have one."""

READ_BESIDE_ROOT = re.compile(r"\$\{path\.module\}/\.\./([\w./-]+)")

PARALLELISM = 30
"""Resources at a time: most of an apply is waiting."""

Show = Callable[[str], None]
Json = dict[str, object]


class TerraformError(Exception):
    """Terraform is missing, too old, or failed; the message says what to do, or is Terraform's own."""


@dataclass(frozen=True)
class Terraform:
    """Terraform in one working folder.

    `folder`: the root. `environment`: variables added to ours, after all of AWS's and Terraform's inputs were taken
    out. `state`: where the state is; None: beside the root, as Terraform does it.
    """

    folder: Path
    environment: Mapping[str, str]
    state: Path | None = None
    variables_file: Path | None = None

    def init(self) -> None:
        """Prepare the root: the provider from a mirror, else from the network; raises TerraformError."""
        mirror = plugin_mirror()
        options = [f"-plugin-dir={mirror}"] if mirror else []
        self._run("init", "-input=false", "-no-color", "-backend=false", *options)

    def validate(self) -> None:
        """Raise TerraformError unless the root is valid."""
        self._run("validate", "-no-color")

    def apply(self, show: Show) -> None:
        """Make everything that the root describes; `show` is told how far it is; raises TerraformError."""
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
                    case "change_summary":  # one of the plan, and one when all is applied
                        ended = event["changes"]["operation"] == "apply"
                if total:
                    show(f"{done} of {total}")
        if errors or not ended:
            raise TerraformError("terraform apply failed:\n" + "\n".join(errors or ["it ended before it was done"]))

    def changes(self) -> list[str]:
        """The resources and outputs that another apply would change, with the kind of change; [] if none would.

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
        """The outputs by name; raises TerraformError."""
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
        """The lines that a command prints; raises TerraformError if it fails, and kills it if the caller raises."""
        command = [str(terraform_program()), *arguments]
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-I", lifeline.__file__, *command],
                cwd=self.folder,
                env={**own_environment(), **self.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            sign_of_life, output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            # Closing its standard input kills it and all that it started, so leaving this block early leaves nothing.
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


def terraform_program() -> Path:
    """Where Terraform is; raises TerraformError if it is missing or older than MINIMUM_VERSION."""
    needed = ".".join(map(str, MINIMUM_VERSION))
    found = shutil.which("terraform")
    advice = f"Install Terraform {needed} or newer (https://developer.hashicorp.com/terraform/install), then try again."
    if found is None:
        raise TerraformError(f"Terraform is not on the PATH. {advice}")
    answer = subprocess.run([found, "version", "-json"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise TerraformError(f"{found} does not run: {answer.stderr.strip()}")
    version = json.loads(answer.stdout)["terraform_version"]
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < MINIMUM_VERSION:
        raise TerraformError(f"{found} is version {version}. {advice}")
    return Path(found)


def plugin_mirror() -> Path | None:
    """A folder that holds the AWS provider unpacked: `TF_PLUGIN_MIRROR`, else one of USUAL_MIRRORS, else None.

    Raises TerraformError if `TF_PLUGIN_MIRROR` names a folder without the provider.
    """
    named = os.environ.get("TF_PLUGIN_MIRROR")
    if named:
        if not Path(named, PROVIDER).is_dir():
            raise TerraformError(f"TF_PLUGIN_MIRROR is {named}, which has no folder {PROVIDER}.")
        return Path(named)
    for usual in USUAL_MIRRORS:
        place = Path(usual).expanduser()
        candidates = sorted(place.parent.glob(place.name)) if "*" in place.name else [place]
        for candidate in candidates:
            if (candidate / PROVIDER).is_dir():
                return candidate
    return None


def own_environment() -> dict[str, str]:
    """Our environment without anything by which a person's AWS account or Terraform inputs could get in."""
    plugins = LOCAL / "terraform-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
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
        "TF_IN_AUTOMATION": "1",
        "TF_PLUGIN_CACHE_DIR": str(plugins),
    }


def working_copy(root: Path, folder: Path) -> Path:
    """A copy of a root in `folder`, with the files beside it that it reads as `${path.module}/../...`.

    Terraform so writes nothing beside the sources, and what changes there does not change a cloud that runs. Inputs
    and state of other deployments are left out.
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
    """One of Terraform's diagnostics as text: where, what, and details."""
    address = diagnostic.get("address")
    where = f"{address}: " if address else ""
    return f"{where}{diagnostic['summary']}\n{diagnostic.get('detail', '')}".strip()


def check(root: Path) -> None:
    """Raise TerraformError unless a root is formatted and valid; nothing is written beside it."""
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
    """The command line; 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m ir_local.cloud.terraform")
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
