"""Attacks on the secrets of a deployment."""

from __future__ import annotations

import re

import pytest

from ir_operator.project import PROJECT_ROOT
from ir_router.settings import from_environment
from tests.trials.world import deployment


@pytest.mark.parametrize(
    "url",
    [
        "https://collector.example/api/",
        "http://collector.example/api/",
        "https://slack.com.collector.example/api/",
        "https://slack.com@collector.example/api/",
        "https://notslack.com/api/",
        "http://slack.com/api/",
        "https://127.0.0.1.collector.example/api/",
        "collector.example",
    ],
)
def test_given_a_changed_slack_address_when_read_then_the_bot_token_does_not_go_there(url: str) -> None:
    """The permission to change a function's variables must not be a permission to read its token."""
    environment = deployment.environment() | {"SLACK_API_BASE_URL": url}

    assert from_environment(environment).slack_api_base_url is None


@pytest.mark.parametrize(
    "url",
    ["https://slack.com/api/", "https://www.slack.com/api/", "https://slack-gov.com/api/", "http://127.0.0.1:9/api/"],
)
def test_given_slacks_or_a_local_address_when_read_then_it_is_used(url: str) -> None:
    assert from_environment(deployment.environment() | {"SLACK_API_BASE_URL": url}).slack_api_base_url == url


def test_given_the_documentation_when_its_commands_are_copied_then_no_secret_enters_a_shells_history() -> None:
    """A secret on a command line is in the history of the shell and in the list of processes."""
    pages = [*sorted((PROJECT_ROOT / "docs").glob("*.md")), PROJECT_ROOT / "README.md", PROJECT_ROOT / "Makefile"]
    pages.append(PROJECT_ROOT / "terraform" / "terraform.tfvars.example")

    for page in pages:
        shown = re.findall(r"(?:TOKEN|SECRET|token|secret)\"? *= *[\"']?(?:xox|\.\.\.|<)", page.read_text("utf-8"))
        assert shown == [], page.name
