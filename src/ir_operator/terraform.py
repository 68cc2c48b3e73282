"""Find Terraform and the AWS provider on this machine, and check Terraform's version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from ir_operator import environment
from ir_operator.errors import CommandError

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
"""Terraform's implied mirrors (developer.hashicorp.com/terraform/cli/config/config-file), then the usual folders of
machines without a network."""


class TerraformError(CommandError):
    """Terraform is missing, is too old, or failed. The message contains the fix or Terraform's own error."""


def terraform_program() -> Path:
    """Return the path of Terraform. Raises TerraformError if it is missing or older than MINIMUM_VERSION."""
    needed = ".".join(map(str, MINIMUM_VERSION))
    found = shutil.which("terraform")
    advice = f"Install Terraform {needed} or newer (https://developer.hashicorp.com/terraform/install)."
    if found is None:
        raise TerraformError(f"Terraform is not on the PATH. {advice}")
    command, given = [found, "version", "-json"], environment.for_terraform()
    answer = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise TerraformError(f"{found} cannot be started: {answer.stderr.strip()}")
    version = json.loads(answer.stdout)["terraform_version"]
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < MINIMUM_VERSION:
        raise TerraformError(f"{found} is version {version}. {advice}")
    return Path(found)


def plugin_mirror() -> Path | None:
    """Return the folder with the unpacked AWS provider, or None: `TF_PLUGIN_MIRROR`, or the first of USUAL_MIRRORS.

    Raises:
        TerraformError: `TF_PLUGIN_MIRROR` names a folder without the provider.
    """
    named = os.environ.get("TF_PLUGIN_MIRROR")
    if named:
        if not Path(named, PROVIDER).is_dir():
            raise TerraformError(
                f"TF_PLUGIN_MIRROR is {named}, which does not contain {PROVIDER}. Correct or unset the variable."
            )
        return Path(named)
    for usual in USUAL_MIRRORS:
        place = Path(usual).expanduser()
        candidates = sorted(place.parent.glob(place.name)) if "*" in place.name else [place]
        for candidate in candidates:
            if (candidate / PROVIDER).is_dir():
                return candidate
    return None
