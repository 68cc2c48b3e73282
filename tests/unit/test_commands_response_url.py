"""The permitted hosts of answers, and the meaning of the other side's responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from werkzeug import Request, Response

from ir_router.errors import RefusedError, UncertainError
from ir_router.settings import settings
from ir_router.slack import response_url
from ir_sandbox.http import RunningServer


@pytest.fixture(autouse=True)
def _no_settings_kept() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/commands/T1/2/x",
        "https://hooks.slack.com.evil.example/commands",
        "https://hooks.slack.com@evil.example/commands",
        "https://hooks.slack.com:8443/commands",
        "https://evil.example/hooks.slack.com",
        "https://user@hooks.slack.com/commands",
        "file:///etc/passwd",
        "https://[half",
        "//hooks.slack.com/commands",
        "",
    ],
)
def test_given_another_host_when_an_answer_is_to_be_sent_then_it_is_refused_unsent(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_API_BASE_URL", raising=False)
    with pytest.raises(RefusedError, match="host_not_allowed"):
        response_url.post(url, {"text": "x"})


def test_given_slacks_own_host_when_asked_then_it_is_allowed_unless_another_workspace_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "https://hooks.slack.com/commands/T1/2/x"
    monkeypatch.delenv("SLACK_API_BASE_URL", raising=False)
    assert response_url.is_allowed(url)
    settings.cache_clear()
    monkeypatch.setenv("SLACK_API_BASE_URL", "http://127.0.0.1:8123/api/")
    assert not response_url.is_allowed(url)
    assert response_url.is_allowed("http://127.0.0.1:8123/commands/T1/2/x")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str], str]]:
    """Run a host that answers every POST with this status and body; yield its URL."""
    answer: dict[str, str] = {}

    def application(environ, start):
        Request(environ).get_data()
        return Response(answer["body"], int(answer["status"]))(environ, start)

    with RunningServer(application) as server:
        monkeypatch.setenv("SLACK_API_BASE_URL", f"{server.url}/api/")

        def set_answer(status: int, body: str) -> str:
            answer.update(status=str(status), body=body)
            return f"{server.url}/commands/T1/2/x"

        yield set_answer


def test_given_an_answer_of_slack_when_read_then_ok_refusals_and_failures_are_distinguished(
    answering: Callable[[int, str], str],
) -> None:
    response_url.post(answering(200, "ok"), {"text": "x"})
    response_url.post(answering(200, '{"ok": true}'), {"text": "x"})
    for status, body in ((404, '{"ok": false, "error": "expired_url"}'), (200, '{"ok": false}'), (429, "")):
        with pytest.raises(RefusedError):
            response_url.post(answering(status, body), {"text": "x"})
    for status in (500, 503):
        with pytest.raises(UncertainError):
            response_url.post(answering(status, ""), {"text": "x"})


def test_given_no_listener_when_an_answer_is_sent_then_the_outcome_is_uncertain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RunningServer(lambda _environ, _start: []) as server:
        url = server.url
    monkeypatch.setenv("SLACK_API_BASE_URL", f"{url}/api/")
    with pytest.raises(UncertainError):
        response_url.post(f"{url}/commands/x", {"text": "x"})
