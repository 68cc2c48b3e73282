"""Stream a file from one URL to another, with constant memory for any size.

Every function raises RefusedError (3xx or 4xx), RetryLaterError (rejected for now: 408, 409, 425, 429, an expired
presigned URL, S3's timeout) or UncertainError (no answer, 5xx, or another number of bytes than announced).
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import IO
from urllib.parse import parse_qs, urlsplit

import urllib3

from ir_router import aws, tls
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.settings import settings

# https://api.slack.com/types/file: Slack's download and upload URLs are on these hosts.
_SLACK_FILE_HOSTS = frozenset({"files.slack.com", "slack-files.com", "files-origin.slack.com"})
_TIMEOUT = urllib3.Timeout(connect=5, read=60)
# The wait after a transient rejection without a Retry-After header.
_THROTTLED_SECONDS = 5.0
_DOWNLOAD, _UPLOAD = "a download", "an upload"
_TRANSIENT = frozenset({408, 409, 425, 429})
# S3 rejects a request with one of these codes for now; nothing was stored. A new presigned URL helps against the last
# two. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TRANSIENT_S3_CODES = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "KMS.ThrottlingException",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "TemporaryRedirect",
        "ThrottlingException",
        "ExpiredRequest",
        "ExpiredToken",
    }
)
_EXPIRED = "Request has expired"
# `str.isdigit` also accepts `²`, and `float` needs fewer digits than a header may have.
_NUMBER = re.compile(r"[0-9]{1,30}")
_S3_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,80})</Code>")
# An error document of S3 is shorter.
_ERROR_BYTES = 4_096
# Larger files without a Content-Length go to the temporary folder.
_SPOOLED_BYTES = 4 * 1_048_576
# The values of headers that a presigned URL for an attachment can sign. AWS's own integration sends them:
# https://github.com/aws-samples/sample-aws-security-incident-response-integrations
_SIGNED_VALUES = {
    "content-type": "application/octet-stream",
    "if-none-match": "*",
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    # S3's answers to uploads of attachments name it.
    "x-amz-server-side-encryption": "aws:kms",
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
_CHECKSUMS = {
    "content-md5": "md5",
    "x-amz-checksum-crc32": "crc32",
    "x-amz-checksum-sha1": "sha1",
    "x-amz-checksum-sha256": "sha256",
}
_CHECKSUM_NAME = "x-amz-sdk-checksum-algorithm"
# Sent in any case; urllib3 sets Host.
_ALWAYS_SENT = frozenset({"content-length", "host"})


def _digest(file: IO[bytes], algorithm: str) -> bytes:
    file.seek(0)
    if algorithm == "crc32":
        value = 0
        while piece := file.read(65_536):
            value = zlib.crc32(piece, value)
        return value.to_bytes(4, "big")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while piece := file.read(65_536):
        digest.update(piece)
    return digest.digest()


def _checksums(file: IO[bytes], names: Iterable[str]) -> dict[str, str]:
    found = {name: base64.b64encode(_digest(file, _CHECKSUMS[name])).decode() for name in names}
    file.seek(0)
    return found


class Download:
    """An open download, which `upload` reads. `length` is in bytes; None without a Content-Length header."""

    def __init__(self, service: str, response: urllib3.BaseHTTPResponse) -> None:
        """Take the headers of `response`; the body is read later."""
        length = response.headers.get("Content-Length")
        self.service = service
        self.length = int(length) if length and _NUMBER.fullmatch(length) else None
        self.content_type = response.headers.get("Content-Type", "application/octet-stream")
        self._response = response
        self._spooled: IO[bytes] | None = None
        self._taken = 0
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the bytes that were received, in hexadecimal digits."""
        return self._sha256.hexdigest()

    def read(self, amount: int = 65_536) -> bytes:
        """Return at most `amount` bytes, none at the end. Raises UncertainError unless `length` bytes arrive."""
        if self._spooled is not None:
            return self._spooled.read(amount)
        return self._received(amount)

    @contextmanager
    def measured(self, limit: int) -> Iterator[None]:
        """Within this context `length` is known: without a Content-Length the body is first stored in a file.

        Storing stops after `limit` bytes; `length` is then larger than `limit`.
        """
        if self.length is not None:
            yield
            return
        with self._stored(limit):
            self.length = self._taken
            yield

    @contextmanager
    def checked(self, names: Iterable[str]) -> Iterator[dict[str, str]]:
        """Store the body in a file if any of these headers is a checksum, and yield the checksums by header."""
        wanted = [name for name in names if name in _CHECKSUMS]
        if not wanted:
            yield {}
        elif self._spooled is not None:
            yield _checksums(self._spooled, wanted)
        else:
            with self._stored(self.length) as file:
                yield _checksums(file, wanted)

    @contextmanager
    def _stored(self, limit: int | None) -> Iterator[IO[bytes]]:
        with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as file:
            while (limit is None or self._taken <= limit) and (piece := self._received(65_536)):
                file.write(piece)
            file.seek(0)
            self._spooled = file
            yield file

    def _received(self, amount: int) -> bytes:
        try:
            piece: bytes = self._response.read(amount, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise UncertainError(self.service, _DOWNLOAD, type(error).__name__) from error
        self._taken += len(piece)
        self._sha256.update(piece)
        if self.length is not None and (self._taken > self.length or (not piece and self._taken < self.length)):
            raise UncertainError(self.service, _DOWNLOAD, "the length differs from Content-Length")
        return piece


@cache
def _pool() -> urllib3.PoolManager:
    # No retries: a stream that is partly read cannot be sent twice. The queue redelivers the transfer.
    return urllib3.PoolManager(
        retries=False, timeout=_TIMEOUT, ssl_context=tls.context(), cert_reqs="CERT_REQUIRED", ca_certs=aws.ca_bundle()
    )


def check_slack_host(url: str) -> None:
    """Raise RefusedError unless the URL is on one of Slack's file hosts, or on the host of `SLACK_API_BASE_URL`.

    The request contains the bot token, which no other host may receive.
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
        raise RefusedError("ir-router", "a file URL outside Slack", "host_not_allowed")


@contextmanager
def download(service: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Download]:
    """Send a GET request and yield its body as a stream. `service` names the other side in errors."""
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


@contextmanager
def signed_headers(service: str, url: str, source: Download) -> Iterator[dict[str, str]]:
    """Yield the headers that an upload to a presigned URL must send, next to its length and host.

    S3 rejects a request without a signed header, or with another value than the signed one
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). Signers put most `x-amz-` headers
    into the query instead, where their values can be read.

    Args:
        service: Name of the receiving service, for errors.
        url: The presigned URL.
        source: The body, which is stored in a file first if its checksum is signed.

    Raises:
        RefusedError: A header is signed whose value is unknown. `detail` names it.
    """
    query = {name.lower(): values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}
    names = query.get("x-amz-signedheaders", "").lower().split(";")
    wanted = [name for name in names if name and name not in _ALWAYS_SENT]
    algorithms = [name.rpartition("-")[2].upper() for name in wanted if name in _CHECKSUMS]
    with source.checked(wanted) as checksums:
        values = {**({_CHECKSUM_NAME: algorithms[0]} if algorithms else {}), **checksums, **query, **_SIGNED_VALUES}
        if unknown := [name for name in wanted if name not in values]:
            raise RefusedError(service, _UPLOAD, "unknown_signed_header", ", ".join(unknown))
        yield {name: values[name] for name in wanted}


def upload_content(
    service: str, url: str, content: bytes, *, method: str = "PUT", content_type: str | None = None
) -> None:
    """Upload these bytes to a URL: by default to a presigned URL for an attachment."""
    body = urllib3.HTTPResponse(io.BytesIO(content), {"Content-Length": str(len(content))}, preload_content=False)
    source = Download(service, body)
    with signed_headers(service, url, source) as signed:
        headers = {**signed, **({"Content-Type": content_type} if content_type else {})}
        upload(service, method, url, source, len(content), headers)


def upload(
    service: str, method: str, url: str, source: Download, length: int, headers: Mapping[str, str] | None = None
) -> None:
    """Stream `length` bytes from `source` to a URL.

    A conditional write (`If-None-Match: *`) that finds its object has succeeded: an earlier upload to the same URL sent
    the bytes, and its answer was lost.

    Args:
        service: Name of the receiving service, for errors.
        method: PUT or POST.
        url: Where to send the bytes.
        source: The open download to read from.
        length: Content-Length in bytes.
        headers: Further headers of the request.
    """
    sent = {"Content-Length": str(length), **(headers or {})}
    try:
        response = _pool().request(method, url, body=source, headers=sent, redirect=False, preload_content=False)  # type: ignore[arg-type]
        try:
            if response.status == 412 and sent.get("if-none-match") == "*":
                return
            _check(service, _UPLOAD, response)
        finally:
            response.close()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UncertainError(service, _UPLOAD, type(error).__name__) from error


def _check(service: str, operation: str, response: urllib3.BaseHTTPResponse) -> None:
    if response.status < 300:
        return
    if response.status >= 500:
        raise UncertainError(service, operation, f"HTTP {response.status}")
    document = _beginning(response)
    found = _S3_CODE.search(document)
    code = found[1].decode() if found else f"HTTP {response.status}"
    if response.status in _TRANSIENT or code in _TRANSIENT_S3_CODES or (found and _EXPIRED.encode() in document):
        wait = response.headers.get("Retry-After", "")
        raise RetryLaterError(service, operation, code, float(wait) if _NUMBER.fullmatch(wait) else _THROTTLED_SECONDS)
    raise RefusedError(service, operation, code)


def _beginning(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the first bytes of an error document; empty if the connection breaks off."""
    try:
        return bytes(response.read(_ERROR_BYTES, decode_content=False))
    except (urllib3.exceptions.HTTPError, OSError):
        return b""
