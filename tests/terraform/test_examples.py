"""The examples are valid, also as modules of another configuration, and the page about them lists each."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from ir_operator.project import PROJECT_ROOT
from ir_operator.terraform import plugin_mirror, terraform_program
from ir_sandbox.cloud.terraform import Terraform, own_environment
from ir_sandbox.http import RunningServer
from tests.terraform.root import Plan, TerraformRoot, aws
from tests.terraform.test_side_by_side import names

TERRAFORM = PROJECT_ROOT / "terraform"
EXAMPLES = sorted(file.parent for file in TERRAFORM.rglob("examples/*/main.tf"))


def test_given_all_examples_when_validated_in_one_configuration_then_their_inputs_and_outputs_fit(tmp_path: Path):
    copy_to(tmp_path)
    every = tmp_path / "every"
    every.mkdir()
    blocks = [
        f'module "example_{number}" {{\n  source = "../{example.relative_to(PROJECT_ROOT)}"\n}}\n'
        for number, example in enumerate(EXAMPLES)
    ]
    (every / "main.tf").write_text("".join(blocks))
    terraform = Terraform(every, {})

    terraform.init()
    terraform.validate()

    assert len(EXAMPLES) >= 5


def test_given_the_page_of_the_examples_when_read_then_it_lists_each_of_the_root():
    text = (TERRAFORM / "examples" / "README.md").read_text()
    own = [example.name for example in EXAMPLES if example.parent == TERRAFORM / "examples"]

    assert [name for name in own if f"({name}/main.tf)" not in text] == []


def test_given_the_root_as_a_module_when_planned_in_two_workspaces_then_the_deployments_share_no_name(tmp_path: Path):
    copy_to(tmp_path)
    with RunningServer(aws) as server:
        environment = own_environment() | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url,
        }
        example = TerraformRoot(terraform_program(), tmp_path / "terraform" / "examples" / "workspaces", environment)
        mirror = plugin_mirror()
        example.run("init", "-input=false", *([f"-plugin-dir={mirror}"] if mirror else []))
        plans = {name: planned(example, name) for name in ("test", "live")}

    prefixes = {"test": "ir-test", "live": "security-incident"}
    found = {workspace: names(plan) for workspace, plan in plans.items()}
    assert all(len(one) > 80 for one in found.values())
    assert not found["test"] & found["live"]
    for workspace, plan in plans.items():
        assert plan.content["planned_values"]["outputs"]["prefix"]["value"] == prefixes[workspace]
        # Events of IAM appear in us-east-1, so each deployment forwards them with a module in the module.
        forwarded = plan.resources("aws_cloudwatch_event_rule", "forwarded")
        assert all(address.startswith("module.ir_router.module.forwarding[0].") for address in forwarded)
        assert len(forwarded) > 10
        attaches = "iam:AttachUserPolicy" in str([one for one in plan.containment_policy() if one["Effect"] == "Allow"])
        assert attaches is (workspace == "live")
    # One deployment of a region owns the role for the logs of API Gateway.
    owners = {name for name, plan in plans.items() if plan.resources("aws_api_gateway_account")}
    assert owners == {"live"}


def copy_to(folder: Path) -> None:
    """Copy the root with the files beside it that it reads, and a package."""
    shutil.copytree(TERRAFORM, folder / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    for beside in ("src", "state-machine.asl.json"):
        (folder / beside).symlink_to(PROJECT_ROOT / beside)
    (folder / "build").mkdir()
    (folder / "build" / "ir_router.zip").write_bytes(b"zip")


def planned(example: TerraformRoot, workspace: str) -> Plan:
    """Plan an example in a new workspace."""
    answer = example.run("workspace", "new", workspace)
    assert answer.returncode == 0, answer.stderr
    chosen = replace(example, environment={**example.environment, "TF_WORKSPACE": workspace})
    answer = chosen.run("plan", "-input=false", "-no-color", "-out=plan")
    assert answer.returncode == 0, answer.stderr
    return Plan(json.loads(chosen.run("show", "-json", "plan").stdout), b"")
