"""The webhook answers within API Gateway's timeout, even if a service does not respond."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff, RetryContext

from ir_router import aws

# The integration's timeout: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
API_GATEWAY_SECONDS = 29


@pytest.fixture(autouse=True)
def _own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    aws.forget_session()
    yield
    aws.forget_session()


def test_given_a_silent_service_when_all_tries_are_spent_then_there_is_time_left_to_answer() -> None:
    config: Any = aws.client("sqs").meta.config
    tries = config.retries["total_max_attempts"]
    assert config.retries["mode"] == "standard"
    pauses = ExponentialBackoff(random=lambda: 1.0)
    waited = sum(pauses.delay_amount(RetryContext(attempt_number=number)) for number in range(1, tries))

    spent = tries * (config.connect_timeout + config.read_timeout) + waited

    assert tries >= 3, "throttling is mostly over at the third try"
    assert spent <= API_GATEWAY_SECONDS - 2


def test_given_functions_that_are_invoked_one_after_the_other_when_counted_then_one_connection_serves_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each new connection costs a TLS handshake, at the webhook's share of a processor some 60 ms."""
    opened: list[Any] = []

    class Lambda(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            opened.append(self.client_address)
            super().setup()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with ThreadingHTTPServer(("127.0.0.1", 0), Lambda) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for number in range(3):
            aws.invoke_later("security-incident-slack", {"number": number})
        aws.forget_session()
        server.shutdown()
        thread.join()

    assert len(opened) == 1
