"""The Terraform root is formatted and valid, and its own tests pass."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ir_operator.project import PROJECT_ROOT
from tests.terraform.deployments import ENFORCING
from tests.terraform.root import ACCOUNT, OwnTests, Plan, TerraformRoot


def test_given_the_root_when_formatted_then_nothing_changes(root: TerraformRoot):
    answer = root.run("fmt", "-check", "-recursive", "-diff", str(PROJECT_ROOT / "terraform"))

    assert answer.returncode == 0, answer.stdout


def test_given_the_root_when_validated_then_neither_error_nor_warning(root: TerraformRoot):
    answer = json.loads(root.run("validate", "-json").stdout)

    assert answer["valid"]
    assert answer["diagnostics"] == []


def test_given_the_roots_own_tests_when_run_then_all_pass(root: TerraformRoot, own_tests: OwnTests):
    tests = "".join(file.read_text() for file in root.folder.glob("tests/*.tftest.hcl"))
    written = set(re.findall(r'^run "(\w+)"', tests, re.MULTILINE))

    assert len(written) >= 10
    assert own_tests.passed == written


def test_given_the_example_when_planned_then_everything_is_created_and_nothing_else(dry_run: Plan):
    changes = {tuple(change["change"]["actions"]) for change in dry_run.content["resource_changes"]}

    assert changes <= {("create",), ("read",)}
    assert len(dry_run.resources("aws_lambda_function")) == 6


def test_given_every_variable_when_read_then_it_is_typed_and_described():
    blocks = [
        block
        for file in (PROJECT_ROOT / "terraform").rglob("variables.tf")
        for block in file.read_text().split('variable "')[1:]
    ]

    assert len(blocks) > 20
    for block in blocks:
        assert "\n  type " in block, block.split('"')[0]
        assert "\n  description " in block, block.split('"')[0]


def test_given_a_module_when_its_page_is_read_then_it_lists_exactly_its_inputs_and_outputs():
    pages = sorted((PROJECT_ROOT / "terraform" / "modules").glob("*/README.md"))

    assert pages
    for page in pages:
        text = page.read_text()
        for heading, kind, file in (("Inputs", "variable", "variables.tf"), ("Outputs", "output", "outputs.tf")):
            listed = re.findall(r"^\| `(\w+)`", text.partition(f"## {heading}")[2].partition("\n## ")[0], re.MULTILINE)
            declared = re.findall(rf'^{kind} "(\w+)"', page.with_name(file).read_text(), re.MULTILINE)
            assert sorted(listed) == sorted(declared), page


def test_given_a_state_of_the_root_without_modules_when_planned_then_resources_move_and_none_is_replaced(
    root: TerraformRoot, enforcing: Plan, tmp_path: Path
):
    earlier = earlier_state(enforcing)
    (protected,) = (one for one in earlier["resources"] if one["type"] == "aws_iam_policy")
    (instance,) = protected["instances"]
    attributes = {**instance["attributes"], "name": "security-incident-containment-deny"}
    deny = {"schema_version": instance["schema_version"], "attributes": attributes}
    earlier["resources"].append({**protected, "name": "containment_deny", "instances": [deny]})
    (tmp_path / "earlier.tfstate").write_text(json.dumps(earlier))
    (tmp_path / "values.tfvars.json").write_text(json.dumps({"package_path": "./versions.tf", **ENFORCING}))
    files = ("-var-file=terraform.tfvars.example", f"-var-file={tmp_path / 'values.tfvars.json'}")

    state = f"-state={tmp_path / 'earlier.tfstate'}"
    answer = root.run("plan", "-refresh=false", "-json", state, *files, one_configuration=True)

    changes = [message["change"] for message in map(json.loads, answer.stdout.splitlines()) if "change" in message]
    moved = {change["previous_resource"]["addr"]: change for change in changes if "previous_resource" in change}
    assert moved.keys() == {
        "aws_iam_policy.containment_deny",
        "aws_iam_role.containment",
        "aws_iam_role_policy.containment",
        'aws_iam_policy.protected["1"]',
        'aws_iam_role_policy_attachment.protected["1"]',
    }
    for address, change in moved.items():
        assert change["resource"]["addr"] == f"module.account.{address}"
    # A principal may have the deny policy of an earlier version, so Terraform leaves it in the account.
    assert {change["action"] for change in changes} <= {"create", "move", "remove", "update"}
    forgotten = {address for address, change in moved.items() if change["action"] == "remove"}
    assert forgotten == {"aws_iam_policy.containment_deny"}


def test_given_a_state_with_forwarding_in_the_root_when_planned_then_it_moves_and_nothing_is_replaced(
    root: TerraformRoot, tmp_path: Path
):
    variables = {"region": "eu-west-1"}
    plan = root.plan(**variables)
    earlier = earlier_state(plan, "module.forwarding[0].", provider=".global_events")
    for resource in earlier["resources"]:
        if resource["type"] == "aws_sqs_queue":
            resource["name"] = "forwarding_failures"
            resource["instances"][0]["index_key"] = 0
    (tmp_path / "earlier.tfstate").write_text(json.dumps(earlier))
    (tmp_path / "values.tfvars.json").write_text(json.dumps({"package_path": "./versions.tf", **variables}))
    files = ("-var-file=terraform.tfvars.example", f"-var-file={tmp_path / 'values.tfvars.json'}")

    answer = root.run("plan", "-refresh=false", "-json", f"-state={tmp_path / 'earlier.tfstate'}", *files)

    changes = [message["change"] for message in map(json.loads, answer.stdout.splitlines()) if "change" in message]
    moved = {
        change["previous_resource"]["addr"]: change["resource"]["addr"]
        for change in changes
        if "previous_resource" in change
    }
    assert len(moved) == sum(len(resource["instances"]) for resource in earlier["resources"]) > 3
    assert moved["aws_sqs_queue.forwarding_failures[0]"] == "module.forwarding[0].aws_sqs_queue.failures"
    for kind in ("rule", "target"):
        address = f'aws_cloudwatch_event_{kind}.forwarded["create_access_key"]'
        assert moved[address] == f"module.forwarding[0].{address}"
    assert {change["action"] for change in changes} <= {"create", "move", "update"}


def earlier_state(plan: Plan, module: str = "module.account.", *, provider: str = "") -> dict[str, Any]:
    """Return the state after an apply of the earlier root, which had the resources of the module in itself."""
    resources: dict[tuple[str, str], dict[str, Any]] = {}
    for resource in plan.all_resources():
        if resource["mode"] == "managed" and resource["address"].startswith(module):
            kind, name = resource["type"], resource["name"]
            given = {"mode": "managed", "type": kind, "name": name, "instances": []}
            given["provider"] = f'provider["registry.terraform.io/hashicorp/aws"]{provider}'
            instance = {
                "schema_version": resource["schema_version"],
                "attributes": resource["values"] | identity(resource),
            }
            instance |= {"index_key": resource["index"]} if "index" in resource else {}
            resources.setdefault((kind, name), given)["instances"].append(instance)
    return {
        "version": 4,
        "terraform_version": "1.11.0",
        "serial": 1,
        "lineage": "earlier",
        "resources": [*resources.values()],
    }


def identity(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of a resource that AWS or the provider sets."""
    values = resource["values"]
    if resource["type"] == "aws_cloudwatch_event_target":
        return {"id": f"{values['rule']}-terraform", "target_id": "terraform"}
    if resource["type"] == "aws_sqs_queue":
        return {"id": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{values['name']}"}
    if resource["type"] == "aws_cloudwatch_event_rule":
        return {"id": values["name"]}
    if resource["type"] == "aws_iam_policy":
        arn = f"arn:aws:iam::{ACCOUNT}:policy/{values['name']}"
        return {"id": arn, "arn": arn}
    if resource["type"] == "aws_iam_role_policy_attachment":
        name = f"{values['role']}-20260101000000000000000001"
        return {"id": name, "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy/security-incident-protected-1"}
    if resource["type"] == "aws_iam_role_policy":
        return {"id": f"{values['role']}:{values['name']}"}
    return {"id": values["name"], "arn": f"arn:aws:iam::{ACCOUNT}:role/{values['name']}"}
