"""The AWS provider that runs for one command of Terraform; a small program is in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ir_operator.terraform import PROVIDER, TerraformError
from ir_sandbox.cloud.provider import running_provider
from tests.support.waiting import wait_for

READY = """#!/bin/sh
echo "Set the TF_REATTACH_PROVIDERS environment variable with:"
echo "$$ $GIVEN" > ran
printf "\\tTF_REATTACH_PROVIDERS='{%s}'\\n" "$PLUGIN_UNIX_SOCKET_DIR"
exec sleep 600
"""


def root_with(program: str, folder: Path) -> Path:
    place = folder / ".terraform" / "providers" / PROVIDER / "9.0.0" / "linux_amd64"
    place.mkdir(parents=True)
    (place / "terraform-provider-aws_v9.0.0_x5").write_text(program)
    (place / "terraform-provider-aws_v9.0.0_x5").chmod(0o755)
    return folder


@pytest.mark.parametrize("command", ["show", "test", "validate"])
def test_given_a_command_that_reads_the_schema_when_run_then_the_provider_runs_as_long(tmp_path: Path, command: str):
    root = root_with(READY, tmp_path)

    with running_provider(root, {**os.environ, "GIVEN": "to it"}, command, one_configuration=False) as variables:
        process, _, given = (root / "ran").read_text().strip().partition(" ")
        assert variables == {"TF_REATTACH_PROVIDERS": "{.terraform}"}
        assert given == "to it"
        os.kill(int(process), 0)

    wait_for(lambda: not Path("/proc", process).exists())


@pytest.mark.parametrize("command", ["apply", "destroy", "plan"])
def test_given_a_command_that_configures_when_run_then_only_one_configuration_shares_a_provider(
    tmp_path: Path, command: str
):
    root = root_with(READY, tmp_path)

    with running_provider(root, os.environ, command, one_configuration=False) as variables:
        assert (variables, (root / "ran").exists()) == ({}, False)
    with running_provider(root, os.environ, command, one_configuration=True) as variables:
        assert list(variables) == ["TF_REATTACH_PROVIDERS"]


@pytest.mark.parametrize("command", ["init", "output", "fmt"])
def test_given_a_command_without_a_provider_when_run_then_none_starts(tmp_path: Path, command: str):
    root = root_with(READY, tmp_path)

    with running_provider(root, os.environ, command, one_configuration=True) as variables:
        assert (variables, (root / "ran").exists()) == ({}, False)


def test_given_a_root_that_is_not_initialised_when_run_then_terraform_reports_it_itself(tmp_path: Path):
    with running_provider(tmp_path, os.environ, "plan", one_configuration=True) as variables:
        assert variables == {}


def test_given_a_provider_that_ends_at_once_when_run_then_the_error_names_it(tmp_path: Path):
    root = root_with("#!/bin/sh\nexit 1\n", tmp_path)

    with (
        pytest.raises(TerraformError, match=r"terraform-provider-aws_v9\.0\.0_x5 does not start"),
        running_provider(root, os.environ, "plan", one_configuration=True),
    ):
        pass
