"""D8: the deployer's policies suffice to apply, plan without changes, and destroy; and it fits the names of resources.

The emulator knows the action of every call, but not every resource and only few condition keys. Its enforcement
therefore proves the list of actions, and the ARNs in Terraform's state prove the resources.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_operator.build.dependencies import Target
from ir_operator.build.package import build_package
from ir_operator.policies.rendering import policies
from ir_operator.project import BUILD
from ir_sandbox.cloud.deployment import LOCAL_VARIABLES, PACKAGE_PATH, ROOT
from ir_sandbox.cloud.emulator import Emulator
from ir_sandbox.cloud.terraform import Terraform, working_copy
from tests.support.people import PREFIX, REGION, administrator, person

Json = dict[str, Any]
KEY = "arn:aws:kms:us-east-1:000000000000:key/00000000-1111-2222-3333-444444444444"


def statements() -> list[Json]:
    """Return the permissions of the deployer before and after the key exists."""
    documents = [*policies("deployer", PREFIX, REGION), *policies("deployer", PREFIX, REGION, [KEY])]
    return [one for document in documents for one in document["Statement"] if one["Effect"] == "Allow"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Start an emulator that enforces policies."""
    with Emulator(schedules=False, enforce_iam=True) as started:
        yield started


@pytest.fixture(scope="module")
def applied(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[Terraform, Path]:
    """Apply the root as a user who has the policies' actions only."""
    folder = tmp_path_factory.mktemp("deployer")
    package = build_package(Target(None), BUILD / "ir_router-local.zip")
    root = working_copy(ROOT, folder)
    copy = root / PACKAGE_PATH
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(package.path, copy)
    variables = folder / "variables.tfvars.json"
    variables.write_text(
        json.dumps({**LOCAL_VARIABLES, "package_path": PACKAGE_PATH, "alert_emails": ["security@example.com"]})
    )
    state = folder / "terraform.tfstate"
    environment = {**emulator.environment, **deployer(emulator)}
    terraform = Terraform(root, environment, state=state, variables_file=variables)
    terraform.init()
    terraform.apply(lambda _: None)
    return terraform, state


def deployer(emulator: Emulator) -> dict[str, str]:
    """Create a user with the policy's actions; return the environment with its credentials."""
    iam = administrator(emulator.environment).client("iam")
    allowed = [{"Effect": "Allow", "Action": statement["Action"], "Resource": "*"} for statement in statements()]
    iam.create_user(UserName="deployer")
    for number, part in enumerate(allowed[start::4] for start in range(4)):
        document = json.dumps({"Version": "2012-10-17", "Statement": part})
        policy = iam.create_policy(PolicyName=f"deploy-{number}", PolicyDocument=document)
        iam.attach_user_policy(UserName="deployer", PolicyArn=policy["Policy"]["Arn"])
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def arns(state: Path) -> list[str]:
    """Return the ARNs of all resources in the state."""
    found = []
    for resource in json.loads(state.read_text("utf-8"))["resources"]:
        if resource["mode"] == "managed":
            found += [instance["attributes"].get("arn") for instance in resource["instances"]]
    return sorted({arn for arn in found if arn})


def refused(call: Callable[[], object]) -> bool:
    """Return whether IAM refuses a call."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return False


@pytest.mark.local_cloud
def test_given_the_policies_of_people_when_they_act_then_the_documented_commands_work_and_no_others(
    emulator: Emulator, applied: tuple[Terraform, Path]
) -> None:
    assert applied
    with (
        person(emulator.environment, "analyst") as analyst,
        person(emulator.environment, "oncall") as on_call,
        person(emulator.environment, "auditor") as auditor,
    ):
        url = analyst.client("sqs").get_queue_url(QueueName=f"{PREFIX}-approval")["QueueUrl"]
        assert "Messages" not in analyst.client("sqs").receive_message(QueueUrl=url)
        assert analyst.invoke("approval-handler", {"task": "list_approvals"}) is not None
        assert refused(lambda: analyst.invoke("operations", {"task": "verify"}))

        assert on_call.client("lambda").get_function_configuration(FunctionName=f"{PREFIX}-operations")
        assert on_call.client("ssm").get_parameter(Name="/SecurityIncidentResponse/slackWorkspaceId")
        assert on_call.invoke("operations", {"task": "verify"})["checks"]
        assert refused(lambda: on_call.invoke("approval-handler", {"decision": "approve"}))

        def rows(partition: str) -> Any:
            return auditor.client("dynamodb").query(
                TableName=f"{PREFIX}-ledger",
                KeyConditionExpression="PK = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
            )

        assert "Items" in rows("AUDIT#2026-11")
        assert refused(lambda: rows("TOKEN#1"))
        assert refused(lambda: auditor.invoke("approval-handler", {"task": "list_approvals"}))


@pytest.mark.local_cloud
@pytest.mark.deployments
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


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
