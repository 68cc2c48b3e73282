"""The Terraform root is formatted and valid, and its own tests pass."""

from __future__ import annotations

import json
import re

from ir_operator.project import PROJECT_ROOT
from tests.terraform.root import OwnTests, Plan, TerraformRoot


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
    text = (PROJECT_ROOT / "terraform" / "variables.tf").read_text()
    blocks = text.split('variable "')[1:]

    assert len(blocks) > 20
    for block in blocks:
        assert "\n  type " in block, block.split('"')[0]
        assert "\n  description " in block, block.split('"')[0]
