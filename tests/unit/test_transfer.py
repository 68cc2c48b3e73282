"""Streaming between two addresses: completely or not at all, with the token for Slack's hosts only."""

from __future__ import annotations

import base64
import hashlib
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ir_router import transfer
from ir_router.cases.limits import FILE_SIZE_LIMIT
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.settings import settings

CONTENT = b"0123456789" * 20_000
PIECE = 65_536


class Sides(BaseHTTPRequestHandler):
    """`GET /<promised>/<given>` sends `given` bytes under a Content-Length of `promised`; PUT stores
    hash and length.
    """

    received = ("", 0)

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "https://evil.example/")
            self.end_headers()
            return
        if self.path == "/busy":
            self.send_response(429)
            self.send_header("Retry-After", "7")
            self.end_headers()
            return
        promised, given = (int(part) for part in self.path.strip("/").split("/"))
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        for start in range(0, given, len(CONTENT)):
            self.wfile.write(CONTENT[: given - start])
        self.close_connection = True

    def do_PUT(self) -> None:
        try:
            digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
            while left:
                piece = self.rfile.read(min(left, PIECE))
                if not piece:
                    break
                digest.update(piece)
                left -= len(piece)
            type(self).received = (digest.hexdigest(), int(self.headers["Content-Length"]) - left)
            self.send_response(200)
            self.end_headers()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Sides.received = ("", 0)
    server = HTTPServer(("127.0.0.1", 0), Sides)
    server.timeout = 1
    from socketserver import ThreadingMixIn

    class Threaded(ThreadingMixIn, HTTPServer):
        daemon_threads = True

    server.server_close()
    server = Threaded(("127.0.0.1", 0), Sides)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def carry(address: str, promised: int, given: int) -> None:
    with transfer.download("there", f"{address}/{promised}/{given}") as source:
        assert source.length == promised
        transfer.upload("here", "PUT", address, source, promised)


def test_given_a_complete_file_when_carried_then_every_byte_arrives(address: str) -> None:
    carry(address, len(CONTENT), len(CONTENT))

    assert Sides.received == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def test_given_a_file_of_the_greatest_size_when_carried_then_it_is_never_held_in_full(address: str) -> None:
    carry(address, PIECE, PIECE)  # memory that is allocated once
    tracemalloc.start()
    try:
        carry(address, FILE_SIZE_LIMIT, FILE_SIZE_LIMIT)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert Sides.received[1] == FILE_SIZE_LIMIT
    assert most < 2_000_000  # both ends of both connections are in this process


def test_given_a_download_that_ends_early_when_carried_then_it_is_uncertain_and_not_taken_for_the_file(
    address: str,
) -> None:
    with pytest.raises(UncertainError):
        carry(address, len(CONTENT), len(CONTENT) - 1)


def test_given_a_redirect_when_downloaded_then_it_is_refused_and_not_followed(address: str) -> None:
    with pytest.raises(RefusedError), transfer.download("there", f"{address}/redirect"):
        pass


def test_given_a_busy_host_when_downloaded_then_it_is_to_be_tried_when_it_says(address: str) -> None:
    with pytest.raises(RetryLaterError) as told, transfer.download("there", f"{address}/busy"):
        pass

    assert told.value.seconds == 7


def test_given_no_listener_when_carried_then_it_is_uncertain() -> None:
    with pytest.raises(UncertainError), transfer.download("there", "http://127.0.0.1:9/1/1"):
        pass


@pytest.mark.parametrize(
    ("base", "url", "allowed"),
    [
        (None, "https://files.slack.com/files-pri/T1-F1/a", True),
        (None, "http://files.slack.com/files-pri/T1-F1/a", False),
        (None, "https://files.slack.com.evil.example/a", False),
        (None, "https://files.slack.com@evil.example/a", False),
        (None, "https://evil.example/files.slack.com", False),
        (None, "https://files.slack.com:8443/a", False),
        (None, "https://drive.example/a", False),
        ("http://127.0.0.1:1234/api/", "http://127.0.0.1:1234/files/a", True),
        ("http://127.0.0.1:1234/api/", "http://127.0.0.1:4321/files/a", False),
        ("http://127.0.0.1:1234/api/", "https://files.slack.com/a", False),
    ],
)
def test_given_an_address_when_checked_then_the_token_goes_to_slack_alone(
    base: str | None, url: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if base:
        monkeypatch.setenv("SLACK_API_BASE_URL", base)
    else:
        monkeypatch.delenv("SLACK_API_BASE_URL", raising=False)
    settings.cache_clear()
    try:
        if allowed:
            transfer.check_slack_host(url)
        else:
            with pytest.raises(RefusedError):
                transfer.check_slack_host(url)
    finally:
        settings.cache_clear()


SIGNED = "https://bucket.example/key?X-Amz-SignedHeaders={}&X-Amz-Meta-Case=42"


def signed(address: str, *names: str) -> dict[str, str]:
    """Return the headers for an upload of CONTENT to a URL that signs these headers; every byte is still there."""
    with transfer.download("there", f"{address}/{len(CONTENT)}/{len(CONTENT)}") as source:
        url = SIGNED.format("%3B".join(names))
        with transfer.signed_headers("here", url, source) as headers:
            found = dict(headers)
            transfer.upload("here", "PUT", address, source, len(CONTENT), headers)
    assert Sides.received == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    return found


def test_given_signed_headers_when_uploaded_then_each_has_its_value_and_the_body_its_checksums(address: str) -> None:
    assert signed(address, "content-length", "host") == {}
    assert signed(address, "content-length", "content-type", "host", "if-none-match") == {
        "content-type": "application/octet-stream",
        "if-none-match": "*",
    }
    assert signed(address, "host", "x-amz-meta-case", "x-amz-content-sha256") == {
        "x-amz-meta-case": "42",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }
    assert signed(address, "host", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm", "content-md5") == {
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(CONTENT).digest()).decode(),
        "x-amz-sdk-checksum-algorithm": "SHA256",
        "content-md5": base64.b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode(),
    }
    assert signed(address, "host", "x-amz-checksum-crc32") == {
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()
    }


def test_given_a_signed_header_of_unknown_value_when_uploaded_then_the_refusal_names_it(address: str) -> None:
    with pytest.raises(RefusedError, match="unknown_signed_header: x-amz-grant-read"):
        signed(address, "host", "x-amz-grant-read")
