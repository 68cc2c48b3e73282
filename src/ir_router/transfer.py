"""Bytes from one address to another, streamed: memory stays the same whatever the size.

Raises RefusedError (an answer of 3xx or 4xx), RetryLaterError (429) or UncertainError (no answer, 5xx, or not the bytes
that were announced).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import urllib3

from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.settings import settings

# https://api.slack.com/types/file: `url_private_download` and upload addresses are on these hosts.
_SLACK_FILE_HOSTS = frozenset({"files.slack.com", "slack-files.com", "files-origin.slack.com"})
_TIMEOUT = urllib3.Timeout(connect=5, read=60)
# When the other side says nothing of how long.
_THROTTLED_SECONDS = 5.0
_DOWNLOAD, _UPLOAD = "a download", "an upload"


class Download:
    """An open download: a file object for `upload`. `length` in bytes, None when the other side did not say."""

    def __init__(self, service: str, response: urllib3.BaseHTTPResponse) -> None:
        """Nothing of the body is read yet."""
        length = response.headers.get("Content-Length")
        self.service = service
        self.length = int(length) if length and length.isdigit() else None
        self.content_type = response.headers.get("Content-Type", "application/octet-stream")
        self._response = response
        self._taken = 0

    def read(self, amount: int = 65_536) -> bytes:
        """At most `amount` bytes; empty at the end. Raises UncertainError when it ends early or too late."""
        try:
            piece: bytes = self._response.read(amount, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise UncertainError(self.service, _DOWNLOAD, type(error).__name__) from error
        self._taken += len(piece)
        if self.length is not None and (self._taken > self.length or (not piece and self._taken < self.length)):
            raise UncertainError(self.service, _DOWNLOAD, "another length than announced")
        return piece


@cache
def _pool() -> urllib3.PoolManager:
    # No retries: half of a stream cannot be sent again; the queue delivers the whole transfer again.
    return urllib3.PoolManager(retries=False, timeout=_TIMEOUT)


def check_slack_host(url: str) -> None:
    """Raises RefusedError unless the address is one of Slack's file hosts, or of the Slack API that was set.

    The bot token is sent with the request, so it must go nowhere else.
    """
    base = settings().slack_api_base_url
    try:
        address = urlsplit(url)
    except ValueError:
        allowed = False
    else:
        if base:
            allowed = address.scheme in ("http", "https") and address.netloc == urlsplit(base).netloc
        else:
            allowed = address.scheme == "https" and address.netloc in _SLACK_FILE_HOSTS
    if not allowed:
        raise RefusedError("ir-router", "a file address that is not Slack's", "host_not_allowed")


@contextmanager
def download(service: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Download]:
    """GET an address and stream its body."""
    wanted = {"Accept-Encoding": "identity", **(headers or {})}
    try:
        response = _pool().request("GET", url, headers=wanted, preload_content=False, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        raise UncertainError(service, _DOWNLOAD, type(error).__name__) from error
    try:
        _check(service, _DOWNLOAD, response)
        yield Download(service, response)
    finally:
        response.close()


def upload(service: str, method: str, url: str, source: Download, length: int, content_type: str) -> None:
    """PUT or POST `length` bytes that are read from `source` as they are sent."""
    headers = {"Content-Length": str(length), "Content-Type": content_type}
    try:
        response = _pool().request(method, url, body=source, headers=headers, redirect=False)  # type: ignore[arg-type]
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UncertainError(service, _UPLOAD, type(error).__name__) from error
    _check(service, _UPLOAD, response)


def _check(service: str, operation: str, response: urllib3.BaseHTTPResponse) -> None:
    if response.status >= 500:
        raise UncertainError(service, operation, f"HTTP {response.status}")
    if response.status == 429:
        wait = response.headers.get("Retry-After", "")
        raise RetryLaterError(service, operation, "HTTP 429", float(wait) if wait.isdigit() else _THROTTLED_SECONDS)
    if response.status >= 300:
        raise RefusedError(service, operation, f"HTTP {response.status}")
