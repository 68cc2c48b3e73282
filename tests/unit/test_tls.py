"""All connections share one TLS context, which reads the bundle of certification authorities once and verifies."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import SSLError

from ir_router import aws, clock, tls, transfer
from ir_router.deadline import Deadline
from ir_router.errors import UncertainError
from ir_router.settings import settings
from ir_router.slack import credentials, gateway
from ir_router.slack.gateway import Slack
from tests.support.certificates import server_context


class _OneAnswer(BaseHTTPRequestHandler):
    """Answers each request, and ends its connection, as an idle service does."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def served(context: ssl.SSLContext) -> Iterator[str]:
    """Serve TLS on a free port of this machine and yield the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OneAnswer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Return a patch for a process that has created nothing yet."""

    def forget() -> None:
        tls.context.cache_clear()
        transfer._pool.cache_clear()
        gateway.forget_clients()
        aws.forget_session()
        settings.cache_clear()

    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


def _serve(patch: pytest.MonkeyPatch, url: str, bundle: Path) -> None:
    values = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in values.items():
        patch.setenv(name, value)
    patch.setenv("AWS_CA_BUNDLE", str(bundle))
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setenv("SLACK_API_BASE_URL", f"{url}/api/")
    patch.setattr(credentials, "bot_token", lambda **_: "xoxb-token")


def _half_a_minute() -> Deadline:
    return Deadline(soft=clock.now() + 30, hard=clock.now() + 40)


def test_given_tls_when_clients_slack_and_files_connect_again_and_again_then_the_bundle_is_read_once(
    new_process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, bundle = server_context(tmp_path)
    read: list[Any] = []
    original = ssl.SSLContext.load_verify_locations

    def reading(self: ssl.SSLContext, *arguments: Any) -> None:
        read.append(arguments)
        original(self, *arguments)

    with served(context) as url:
        _serve(new_process, url, bundle)
        new_process.setattr(ssl.SSLContext, "load_verify_locations", reading)
        for _ in range(2):
            aws.client("sqs").send_message(QueueUrl=f"{url}/queue", MessageBody="text")
            aws.client("dynamodb").get_item(TableName="table", Key={"pk": {"S": "1"}})
            assert Slack(_half_a_minute()).read("auth.test")["ok"]
            with transfer.download("Slack", f"{url}/file") as download:
                assert download.read()

    assert read == [(str(bundle), None, None)]


def test_given_a_certificate_that_nobody_trusts_when_anything_connects_then_it_fails(
    new_process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    context, _ = server_context(tmp_path / "theirs")
    _, ours = server_context(tmp_path)
    with served(context) as url:
        _serve(new_process, url, ours)
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            aws.client("sqs").send_message(QueueUrl=f"{url}/queue", MessageBody="text")
        with pytest.raises(UncertainError):
            Slack(_half_a_minute()).post("auth.test")
        with pytest.raises(UncertainError), transfer.download("Slack", f"{url}/file"):
            pass


def test_given_a_certificate_for_another_host_when_a_client_connects_then_it_fails(
    new_process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, bundle = server_context(tmp_path)
    with served(context) as url:
        _serve(new_process, url.replace("localhost", "127.0.0.1"), bundle)
        with pytest.raises(SSLError, match=r"not valid for '127\.0\.0\.1'"):
            aws.client("sqs").send_message(QueueUrl="https://127.0.0.1/queue", MessageBody="text")


def test_given_a_service_that_does_not_answer_when_a_function_starts_then_connecting_raises_nothing(
    new_process: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context, _ = server_context(tmp_path)
    (tmp_path / "ours").mkdir()
    _, ours = server_context(tmp_path / "ours")
    with served(context) as untrusted:
        _serve(new_process, untrusted, ours)
        aws.connect("sqs")
    aws.forget_session()
    _serve(new_process, "https://127.0.0.1:9", ours)  # nothing listens
    aws.connect("sqs")
