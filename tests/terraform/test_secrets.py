"""No file that Terraform writes and no function's environment contains a secret."""

from __future__ import annotations

import io
import json
import re
import zipfile

from tests.terraform.deployments import CHANNEL_PREFIX, SECRETS
from tests.terraform.root import OwnTests, Plan, TerraformRoot


def unpacked(plan_file: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(plan_file)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_given_secrets_when_planned_then_the_plan_file_holds_what_is_no_secret_only(enforcing: Plan):
    content = unpacked(enforcing.file)

    assert CHANNEL_PREFIX.encode() in content, "the search finds existing text"
    for secret in SECRETS.values():
        assert secret.encode() not in content


def test_given_secrets_when_the_plan_is_shown_then_they_are_absent(enforcing: Plan):
    shown = json.dumps(enforcing.content)

    assert CHANNEL_PREFIX in shown, "the search finds existing text"
    for secret in SECRETS.values():
        assert secret not in shown


def test_given_secrets_when_applied_then_neither_state_nor_output_nor_log_holds_them(
    root: TerraformRoot, own_tests: OwnTests
):
    test = (root.folder / "tests" / "applied.tftest.hcl").read_text()
    given = dict(re.findall(r'(slack_\w+)\s*= "(.+)"', test))

    assert given["slack_channel_prefix"] in own_tests.printed, "the search finds existing text"
    for secret in (given["slack_bot_token"], given["slack_signing_secret"]):
        assert secret not in own_tests.printed


def test_given_secrets_when_planned_then_each_parameter_is_written_by_version(enforcing: Plan):
    parameters = enforcing.resources("aws_ssm_parameter")

    for name in ("bot_token", "signing_secret", "workspace_id"):
        assert parameters[f"aws_ssm_parameter.{name}"]["value_wo_version"] == 2
    assert parameters["aws_ssm_parameter.bot_token"]["type"] == "SecureString"
    assert parameters["aws_ssm_parameter.signing_secret"]["type"] == "SecureString"


def test_given_a_function_when_deployed_then_its_environment_names_parameters_and_holds_no_secret(own_tests: OwnTests):
    functions = {name: values for name, values in own_tests.applied.items() if name.startswith("aws_lambda_function.")}
    assert len(functions) == 6

    for address, function in functions.items():
        for name in function["environment"][0]["variables"]:
            assert not name.endswith(("TOKEN", "SECRET")), f"{address} has {name}"


def test_given_no_secrets_when_planned_then_the_deployment_is_possible_before_the_slack_app_exists(dry_run: Plan):
    assert set(dry_run.resources("aws_ssm_parameter")) == {
        "aws_ssm_parameter.bot_token",
        "aws_ssm_parameter.signing_secret",
        "aws_ssm_parameter.workspace_id",
        "aws_ssm_parameter.channel_prefix",
    }
