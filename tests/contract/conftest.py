"""A local Slack with the app, a private channel and a member; test files with other needs create their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from ir_sandbox.slack import Person
from ir_sandbox.slack.testing import LocalSlack, local_slack


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with local_slack() as running:
        yield running


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return slack.client()


@pytest.fixture
def channel(client: WebClient) -> str:
    return str(client.conversations_create(name="case-1", is_private=True)["channel"]["id"])


@pytest.fixture
def jane(slack: LocalSlack, client: WebClient, channel: str) -> Person:
    """A member of the channel, after the delivery of the events that joining it published."""
    person = slack.workspace.create_user("jane.smith")
    client.conversations_invite(channel=channel, users=person.id)
    slack.settle()
    slack.received.requests.clear()
    return person
