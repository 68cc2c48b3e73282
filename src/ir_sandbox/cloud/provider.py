"""Run the AWS provider of a Terraform root once for a command.

Terraform starts the provider for each step of a command: to read its schema, to validate, to plan and to apply. Each
start of the AWS provider takes seconds of processor time, together a third of a plan's. A provider that runs already is
named by TF_REATTACH_PROVIDERS (developer.hashicorp.com/terraform/plugin/debugging).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ir_operator.terraform import PROVIDER, TerraformError
from ir_sandbox.cloud import lifeline

# These read the schema only (`test` with `mock_provider`); the others configure the provider.
_OF_SCHEMA = frozenset({"show", "test", "validate"})
_CONFIGURING = frozenset({"apply", "destroy", "plan"})
_REATTACH = "TF_REATTACH_PROVIDERS"


@contextmanager
def running_provider(
    root: Path, environment: Mapping[str, str], command: str, *, one_configuration: bool
) -> Iterator[dict[str, str]]:
    """Run the provider for a `with` block and yield the variable that gives its address to Terraform.

    Terraform starts a process for each `provider` block, but would configure this one by all of them, and the last one
    would count. So roots with several regions get no variable for `plan` and `apply`. A command without a provider and
    a root that is not initialised get none either.

    Args:
        root: The initialised root. Terraform must run in this folder, because the address is relative to it.
        environment: All variables of the provider, the same as Terraform's: it reads addresses and credentials from
            them.
        command: The first argument of Terraform.
        one_configuration: Whether all `provider` blocks of the root have the same region and the same tags.

    Raises:
        TerraformError: The provider ended before it was ready.
    """
    program = next((root / ".terraform" / "providers" / PROVIDER).glob("*/*/terraform-provider-aws_v*"), None)
    if program is None or not (command in _OF_SCHEMA or (command in _CONFIGURING and one_configuration)):
        yield {}
        return
    process = subprocess.Popen(
        [sys.executable, "-I", lifeline.__file__, str(program), "-debug"],
        cwd=root,
        # A relative folder for its socket: the path of a socket must not exceed 107 characters.
        env={**environment, "PLUGIN_UNIX_SOCKET_DIR": ".terraform", "TF_LOG_SDK": "off", "TF_LOG_SDK_PROTO": "off"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    sign_of_life, output = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
    # Closing its standard input ends it.
    try:
        with sign_of_life, output:
            address = next((line.partition("=")[2].strip() for line in output if f"{_REATTACH}=" in line), "")
            if not address:
                raise TerraformError(f"the AWS provider {program} does not start")
            yield {_REATTACH: address.strip("'")}
    finally:
        process.wait()
