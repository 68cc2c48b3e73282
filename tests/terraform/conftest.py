"""Terraform is initialised once, and each deployment is planned once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terraform.deployments import ENFORCING
from tests.terraform.root import OwnTests, Plan, TerraformRoot, terraform_root


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerraformRoot]:
    """Return the initialised root."""
    with terraform_root(tmp_path_factory.mktemp("deployment")) as initialised:
        yield initialised


@pytest.fixture(scope="session")
def enforcing(root: TerraformRoot) -> Plan:
    """Return the plan of a deployment that contains, with secrets and an existing KMS key."""
    return root.plan(**ENFORCING)


@pytest.fixture(scope="session")
def dry_run(root: TerraformRoot) -> Plan:
    """Return the plan of the example."""
    return root.plan()


@pytest.fixture(scope="session")
def own_tests(root: TerraformRoot) -> OwnTests:
    """Run the root's own tests once."""
    return root.own_tests()
