"""V2, V7: README's commands without `make deploy`, as written, in an account with resources of other systems."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from ir_operator.project import LOCAL, PROJECT_ROOT
from ir_operator.terraform import plugin_mirror
from ir_sandbox.cloud.emulator import REGION, Emulator
from ir_sandbox.cloud.terraform import own_environment

pytestmark = [pytest.mark.local_cloud, pytest.mark.deployments]

OTHERS = [f"other-{number}" for number in range(10)]
DOCUMENT = '{"Version": "2012-10-17", "Statement": []}'


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an account with a role for API logs and as many resource policies of CloudWatch Logs as AWS allows."""
    with Emulator(schedules=False) as started:
        for name in OTHERS:
            client(started, "logs").put_resource_policy(policyName=name, policyDocument=DOCUMENT)
        yield started


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the inputs of the commands, with the environment and the downloaded packages of this clone."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "pyproject.toml", "uv.lock", "state-machine.asl.json"):
        shutil.copy2(PROJECT_ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", ".terraform", "*.tfvars", "*.tfstate*", "backend.tf")
    for name in ("src", "terraform"):
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=ignored)
    (folder / ".venv").symlink_to(PROJECT_ROOT / ".venv")
    LOCAL.mkdir(exist_ok=True)
    (folder / ".local").symlink_to(LOCAL)
    shutil.copy(folder / "terraform" / "terraform.tfvars.example", folder / "terraform" / "terraform.tfvars")
    return folder


@pytest.fixture(scope="module")
def environment(emulator: Emulator, clone: Path) -> Mapping[str, str]:
    """The environment of the commands: credentials, and the provider from the mirror if there is one."""
    found = {**own_environment(), **emulator.environment, "TF_CLI_ARGS_apply": "-parallelism=30"}
    # The environment of this clone is complete already.
    found["MAKEFLAGS"] = "--old-file=.venv/.ready"
    found["SKIP_VERIFICATION"] = "1"
    if mirror := plugin_mirror():
        configuration = clone / "terraform.rc"
        configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
        found["TF_CLI_CONFIG_FILE"] = str(configuration)
    return found


def client(emulator: Emulator, service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=emulator.url,
        region_name=REGION,
        aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
    )


def commands() -> list[list[str]]:
    """Return README's commands for Terraform alone."""
    text = (PROJECT_ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```bash\n([^`]*terraform -chdir=terraform init\n[^`]*)```", text)
    return [shlex.split(line) for line in block.splitlines() if line.strip()]


def run(command: list[str], clone: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    # Terraform asks for confirmation before an apply.
    return subprocess.run(
        command, cwd=clone, env=environment, input="yes\n", capture_output=True, text=True, check=False
    )


def role_of_api_logs(emulator: Emulator) -> str:
    return str(client(emulator, "apigateway").get_account().get("cloudwatchRoleArn", ""))


def set_role_of_api_logs(emulator: Emulator, role: str) -> None:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    client(emulator, "apigateway").update_account(patchOperations=[change])


def policies(emulator: Emulator) -> set[str]:
    found = client(emulator, "logs").describe_resource_policies()["resourcePolicies"]
    return {policy["policyName"] for policy in found}


def test_given_a_full_account_when_deployed_first_then_each_refusal_states_its_fix_and_then_readmes_commands_deploy(
    emulator: Emulator, clone: Path, environment: Mapping[str, str]
) -> None:
    role = role_of_api_logs(emulator)
    assert role
    deploy = run(["make", "deploy"], clone, environment)

    assert deploy.returncode != 0
    assert f"{REGION} has 10 resource policies of CloudWatch Logs" in deploy.stderr, deploy.stdout + deploy.stderr
    assert client(emulator, "lambda").list_functions()["Functions"] == []

    client(emulator, "logs").delete_resource_policy(policyName=OTHERS[0])
    set_role_of_api_logs(emulator, "")
    make_build, terraform_init, terraform_apply = commands()
    for command in (make_build, terraform_init):
        answer = run(command, clone, environment)
        assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr
    refused = run(terraform_apply, clone, environment)
    assert refused.returncode != 0
    assert "set manage_api_gateway_account = true" in refused.stderr, refused.stderr
    assert "StartAt" not in refused.stdout, "the plan prints the state machine in full"

    set_role_of_api_logs(emulator, role)
    answer = run(terraform_apply, clone, environment)
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr
    assert "Apply complete!" in answer.stdout

    functions = client(emulator, "lambda").list_functions()["Functions"]
    assert len(functions) == 6
    assert {tuple(function["Architectures"]) for function in functions} == {("arm64",)}
    assert policies(emulator) == {*OTHERS[1:], "security-incident-slack-notifications"}
    assert role_of_api_logs(emulator) == role
    manifest = run(["terraform", "-chdir=terraform", "output", "-raw", "slack_app_manifest"], clone, environment).stdout
    assert "/security-ir" in manifest

    run(["terraform", "-chdir=terraform", "destroy"], clone, environment)
    assert policies(emulator) == set(OTHERS[1:])
    assert role_of_api_logs(emulator) == role
