"""Addresses that come with requests: of files, and of answers. Without the local Slack, only Slack's hosts are asked.

What counts is where the clients that we use would connect to, by their own reading of the address.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.request import Request

import urllib3
from hypothesis import strategies as st

from ir_local.proof.hostile.commands import EVIL_ADDRESSES
from ir_local.proof.hostile.trial import Trial
from ir_local.proof.hostile.words import texts
from ir_local.world import World
from ir_router import transfer
from ir_router.errors import RefusedError
from ir_router.settings import settings
from ir_router.slack import response_url

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
        """As it is deployed: nothing is told of another Slack."""
        del world.environment["SLACK_API_BASE_URL"]
        os.environ.pop("SLACK_API_BASE_URL", None)
        settings.cache_clear()

    def check(self, value: str) -> Iterable[str]:
        """Look where a request to it would go, if one were made."""
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
        hosts = {urllib3.util.parse_url(address).host, Request(address).host}  # noqa: S310 - nothing is opened
    except (urllib3.exceptions.HTTPError, ValueError):
        return  # no connection would be made at all
    yield from (f"a request would go to {host!r}" for host in hosts if host not in allowed)
