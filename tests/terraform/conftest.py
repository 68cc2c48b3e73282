"""Terraform is initialised once and each deployment is planned once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.root import ACCOUNT, OwnTests, Plan, TerraformRoot, terraform_root

TIMEOUT_SECONDS = 600
"""Plans and checkers are slow where many things run at once, and the checkers are installed by the first run."""

BROUGHT_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-1111-2222-3333-444444444444"

# Built from parts, so that no scanner takes them for real ones.
SECRETS = {
    "slack_bot_token": "-".join(["xoxb", "4815162342", "2342161584", "CanaryToken0123456789abcd"]),
    "slack_signing_secret": "c0ffee" * 5 + "42",
}
CHANNEL_PREFIX = "canary-of-the-channel-prefix-"


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
    return root.plan(
        **SECRETS,
        slack_workspace_id="T0CANARY1",
        slack_credentials_version=2,
        slack_channel_prefix=CHANNEL_PREFIX,
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
