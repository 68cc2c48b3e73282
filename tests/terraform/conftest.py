"""Terraform is initialised once and each deployment is planned once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terraform.root import ACCOUNT, OwnTests, Plan, TerraformRoot, terraform_root

BROUGHT_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerraformRoot]:
    """The root, ready to plan."""
    with terraform_root(tmp_path_factory.mktemp("deployment")) as initialised:
        yield initialised


@pytest.fixture(scope="session")
def enforcing(root: TerraformRoot) -> Plan:
    """A deployment that contains. The key is brought, so that the policies about it stand in the plan too."""
    return root.plan(
        containment_mode="enforce",
        protected_principals=[f"arn:aws:iam::{ACCOUNT}:role/break-glass-*", f"arn:aws:iam::{ACCOUNT}:user/founder"],
        kms_key_arn=BROUGHT_KEY,
        xray_tracing=True,
    )


@pytest.fixture(scope="session")
def dry_run(root: TerraformRoot) -> Plan:
    """A deployment as the example has it."""
    return root.plan()


@pytest.fixture(scope="session")
def own_tests(root: TerraformRoot) -> OwnTests:
    """The root's own tests, run once."""
    return root.own_tests()
