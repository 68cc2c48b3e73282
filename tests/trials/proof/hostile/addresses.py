"""Addresses in requests: file downloads and `response_url`. Without the local Slack, only Slack's hosts are allowed.

The trial checks the host to which ir-router's HTTP clients would connect, by their own parsing of the address.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.request import Request

import urllib3
from hypothesis import strategies as st

from ir_router import transfer
from ir_router.errors import RefusedError
from ir_router.settings import settings
from ir_router.slack import response_url
from tests.trials.proof.hostile.commands import EVIL_ADDRESSES
from tests.trials.proof.hostile.strategies import texts
from tests.trials.proof.hostile.trial import Trial
from tests.trials.world import World

_FILE_HOSTS = frozenset({"files.slack.com", "slack-files.com", "files-origin.slack.com"})
_ANSWER_HOSTS = frozenset({"hooks.slack.com"})
_PIECES = (
    "https://", "http://", "HTTPS://", "//", "files.slack.com", "hooks.slack.com", "slack-files.com", "evil.example",
    "@", ":", ":443", ":99999", "/", "\\", "?", "#", "%2e", "%00", "\t", "\n", " ", "[::1]", "127.0.0.1", "0x7f.1", ".",
    "ｆiles.slack.com", "files。slack.com", "user:pass", "files.slack.com.", "FILES.SLACK.COM",
)  # fmt: skip
_GOOD = ("https://files.slack.com/files-pri/T1-F1/download/x", "https://hooks.slack.com/commands/T1/1/x")


class Addresses(Trial):
    """Each input is an address."""

    inputs = st.one_of(
        st.sampled_from((*EVIL_ADDRESSES, *_GOOD)),
        st.lists(st.sampled_from(_PIECES) | texts, max_size=7).map("".join),
        st.tuples(st.sampled_from(_GOOD), texts).map("".join),
        st.tuples(st.just("https://"), st.lists(st.sampled_from(_PIECES), max_size=5).map("".join)).map("".join),
    )

    def __init__(self, world: World) -> None:
        """Remove the base URL of the local Slack, as in a deployment."""
        del world.environment["SLACK_API_BASE_URL"]
        os.environ.pop("SLACK_API_BASE_URL", None)
        settings.cache_clear()

    def check(self, value: str) -> Iterable[str]:
        """Check the host that a request to the address would reach."""
        if _is_allowed_for_files(value):
            yield from _goes_to(value, _FILE_HOSTS)
        elif value == _GOOD[0]:
            yield "Slack's own address is refused"
        if response_url.is_allowed(value):
            yield from _goes_to(value, _ANSWER_HOSTS)
        elif value == _GOOD[1]:
            yield "Slack's own address is refused"


def _is_allowed_for_files(address: str) -> bool:
    try:
        transfer.check_slack_host(address)
    except RefusedError:
        return False
    return True


def _goes_to(address: str, allowed: frozenset[str]) -> Iterable[str]:
    try:
        hosts = {urllib3.util.parse_url(address).host, Request(address).host}
    except (urllib3.exceptions.HTTPError, ValueError):
        return  # the client would not connect at all
    yield from (f"a request would go to {host!r}" for host in hosts if host not in allowed)
