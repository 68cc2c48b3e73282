"""Slack accepts every candidate name for a case's channel, for any case id."""

from __future__ import annotations

import re

import pytest

from ir_router.sync.channel import names

PREFIX = "aws-security-incident-response-case-"


def test_given_an_ordinary_id_when_named_then_it_is_the_prefix_and_the_id_and_then_numbered() -> None:
    assert list(names(PREFIX, "1234567890"))[:3] == [
        f"{PREFIX}1234567890",
        f"{PREFIX}1234567890-2",
        f"{PREFIX}1234567890-3",
    ]


@pytest.mark.parametrize(
    "case_id", ["1234567890", "1234567890-With Spaces & #1", "12345678901234567890ÄÖ👀", "1" * 32 + "x" * 96]
)
@pytest.mark.parametrize("prefix", [PREFIX, "Team Übersicht ", "x" * 70])
def test_given_any_id_and_prefix_when_named_then_slack_takes_every_name_and_no_two_are_the_same(
    prefix: str, case_id: str
) -> None:
    """https://api.slack.com/methods/conversations.create: lower case, digits, hyphens, underscores, at most 80."""
    tried = list(names(prefix, case_id))

    assert all(re.fullmatch(r"[a-z0-9_-]{1,80}", name) for name in tried)
    assert len(set(tried)) == len(tried) == 9
