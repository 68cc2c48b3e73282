"""D8: docs/deploy-policy.json is enough to apply, change nothing, and destroy; and fits the names that are made.

The emulator knows the action of every call, but not the resource of each, and few condition keys: so its enforcement
proves the list of actions, and the ARNs in Terraform's state prove the resources.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest

from ir_local.build.dependencies import Target
from ir_local.build.package import build_package
from ir_local.build.project import BUILD, PROJECT_ROOT
from ir_local.cloud.deployment import LOCAL_VARIABLES, PACKAGE_PATH, ROOT
from ir_local.cloud.emulator import Emulator
from ir_local.cloud.terraform import Terraform, working_copy

POLICY = PROJECT_ROOT / "docs" / "deploy-policy.json"
# IAM counts what is not white space (docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
MOST_CHARACTERS = 6144

Json = dict[str, Any]


def statements() -> list[Json]:
    found: list[Json] = json.loads(POLICY.read_text("utf-8"))["Statement"]
    return found


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terraform, Path]]:
    """The root, applied by a user who has the policy's actions and nothing else."""
    folder = tmp_path_factory.mktemp("deployer")
    package = build_package(Target(None), BUILD / "ir_router-local.zip")
    with Emulator(schedules=False, enforce_iam=True) as emulator:
        user = deployer(emulator)
        root = working_copy(ROOT, folder)
        copy = root / PACKAGE_PATH
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package.path, copy)
        variables = folder / "variables.tfvars.json"
        variables.write_text(
            json.dumps({**LOCAL_VARIABLES, "package_path": PACKAGE_PATH, "alert_emails": ["security@example.com"]})
        )
        state = folder / "terraform.tfstate"
        terraform = Terraform(root, {**emulator.environment, **user}, state=state, variables_file=variables)
        terraform.init()
        terraform.apply(lambda _: None)
        yield terraform, state


def deployer(emulator: Emulator) -> dict[str, str]:
    """A user with the policy's actions; the credentials for its environment."""
    environment = emulator.environment
    iam = boto3.client(
        "iam",
        endpoint_url=emulator.url,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    allowed = [{"Effect": "Allow", "Action": statement["Action"], "Resource": "*"} for statement in statements()]
    policy = iam.create_policy(
        PolicyName="deploy", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed})
    )
    iam.create_user(UserName="deployer")
    iam.attach_user_policy(UserName="deployer", PolicyArn=policy["Policy"]["Arn"])
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def arns(state: Path) -> list[str]:
    """The ARNs of everything that is in the state."""
    found = []
    for resource in json.loads(state.read_text("utf-8"))["resources"]:
        if resource["mode"] == "managed":
            found += [instance["attributes"].get("arn") for instance in resource["instances"]]
    return sorted({arn for arn in found if arn})


@pytest.mark.local_cloud
@pytest.mark.timeout(600)
def test_given_the_policy_when_deployed_and_removed_then_no_right_is_missing_and_nothing_is_left(
    applied: tuple[Terraform, Path],
) -> None:
    terraform, state = applied
    assert terraform.changes() == []

    made = arns(state)
    resources = [resource for statement in statements() for resource in as_list(statement["Resource"])]
    patterns = [resource for resource in resources if resource != "*"]
    assert len(made) > 60
    assert [arn for arn in made if not any(fnmatchcase(arn, pattern) for pattern in patterns)] == []

    terraform._run("destroy", "-auto-approve", "-no-color", *terraform._inputs())
    assert json.loads(state.read_text("utf-8"))["resources"] == []


def test_given_the_policy_when_measured_then_it_fits_into_one_managed_policy() -> None:
    assert len("".join(POLICY.read_text("utf-8").split())) <= MOST_CHARACTERS


def test_given_the_policy_when_read_then_no_statement_hands_out_everything() -> None:
    for statement in statements():
        actions = as_list(statement["Action"])
        assert all(action.split(":")[1] not in ("*", "") for action in actions), statement["Sid"]
        if statement["Resource"] == "*" and "Condition" not in statement:
            assert statement["Sid"] == "NothingToName"
    passing = next(statement for statement in statements() if "iam:PassRole" in as_list(statement["Action"]))
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert passing["Resource"] == "arn:aws:iam::*:role/security-incident-*"


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
