"""Terraform is initialised once and each deployment is planned once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.deployments import ENFORCING
from tests.terraform.root import OwnTests, Plan, TerraformRoot, terraform_root

TIMEOUT_SECONDS = 600
"""Plans and checkers are slow where many things run at once, and the checkers are installed by the first run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder their own time-out."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TerraformRoot]:
    """The root, ready to plan."""
    with terraform_root(tmp_path_factory.mktemp("deployment")) as initialised:
        yield initialised


@pytest.fixture(scope="session")
def enforcing(root: TerraformRoot) -> Plan:
    """A deployment that contains, with secrets; the key is brought, so that policies about it stand in the plan."""
    return root.plan(**ENFORCING)


@pytest.fixture(scope="session")
def dry_run(root: TerraformRoot) -> Plan:
    """A deployment as the example has it."""
    return root.plan()


@pytest.fixture(scope="session")
def own_tests(root: TerraformRoot) -> OwnTests:
    """The root's own tests, run once."""
    return root.own_tests()
