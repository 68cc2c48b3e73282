"""Lines of the verification at their limits: the last poll, requests of Slack, earlier tokens, log groups, topics."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.ops import activity, names, regions, slack_app, verify, watching
from ir_router.ops import credentials as parameters
from ir_router.ops.credentials import Parameter
from ir_router.ops.slack_app import Installation, SlackUnreachableError, TokenRefusedError

NOW = 1_767_261_720.0
DAY = 86_400


@pytest.fixture(autouse=True)
def chosen(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The settings, which a test changes."""
    used = SimpleNamespace(
        region="eu-central-1",
        name_prefix="prefix",
        api_access_logs=True,
        signing_secret_parameter="secret",
        bot_token_parameter="token",
        workspace_id_parameter="workspace",
        slack_api_base_url=None,
        previous_signing_secret_hours=24,
        log_retention_days=400,
        key_arn="key",
        containment_mode="enforce",
    )
    for module in (activity, names, slack_app, verify, watching):
        monkeypatch.setattr(module, "settings", lambda: used)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return used


@pytest.fixture
def logging(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Let CloudWatch Logs return these pages in turn, and then empty ones."""

    def use(*pages: dict[str, Any]) -> list[dict[str, Any]]:
        left, asked = list(pages), []

        def filter_log_events(**values: Any) -> dict[str, Any]:
            asked.append(values)
            return left.pop(0) if left else {}

        client = SimpleNamespace(filter_log_events=filter_log_events)
        monkeypatch.setattr(regions, "client", lambda name, region: {("logs", "eu-central-1"): client}[name, region])
        return asked

    return use


def deployed(monkeypatch: pytest.MonkeyPatch, age: float) -> None:
    modified = datetime.fromtimestamp(NOW - age, UTC).isoformat()
    client = SimpleNamespace(get_function_configuration=lambda **_: {"LastModified": modified})
    monkeypatch.setattr(aws, "client", {"lambda": client}.__getitem__)


@pytest.mark.parametrize(
    ("stamps", "detail"),
    [
        ([NOW - 90, NOW - 60, NOW - 70], "succeeded 60 s ago"),
        ([NOW + 5], "succeeded 0 s ago"),
        ([NOW - 1.5], "succeeded 1 s ago"),
    ],
)
def test_given_polls_when_verified_then_the_newest_one_counts(
    logging: Callable[..., list[dict[str, Any]]], stamps: list[float], detail: str
) -> None:
    asked = logging({"events": [{"timestamp": int(stamp * 1_000)} for stamp in stamps]})
    (line,) = activity._last_poll()
    assert (line.state, line.detail) == ("ok", detail)
    assert asked == [
        {
            "logGroupName": "/aws/lambda/prefix-sync",
            "filterPattern": '"poll.completed"',
            "startTime": int((NOW - 900) * 1_000),
        }
    ]


@pytest.mark.parametrize(
    ("age", "state", "detail"),
    [
        (179, "ok", "none yet; the function was deployed 179 s ago"),
        (-5, "ok", "none yet; the function was deployed 0 s ago"),
        (180, "failed", "no poll succeeded in 15 minutes"),
    ],
)
def test_given_no_poll_when_verified_then_a_new_deployment_has_three_minutes(
    monkeypatch: pytest.MonkeyPatch,
    logging: Callable[..., list[dict[str, Any]]],
    age: float,
    state: str,
    detail: str,
) -> None:
    logging()
    deployed(monkeypatch, age)
    (line,) = activity._last_poll()
    assert (line.state, line.detail) == (state, detail)


def test_given_many_pages_of_a_log_when_read_then_twenty_are_read(
    logging: Callable[..., list[dict[str, Any]]],
) -> None:
    asked = logging(*[{"events": [{"n": number}], "nextToken": f"t{number}"} for number in range(25)])
    assert len(activity._events("group", "pattern", NOW)) == 20
    assert [one.get("nextToken") for one in asked] == [None, *(f"t{number}" for number in range(19))]
    asked = logging({"events": [], "nextToken": "t"}, {"events": [{"n": 1}], "nextToken": ""})
    assert activity._events("group", "pattern", NOW) == [{"n": 1}]
    assert len(asked) == 2


def request(status: int, agent: str = "Slackbot 1.0") -> dict[str, Any]:
    return {"message": json.dumps({"status": str(status), "userAgent": agent})}


@pytest.mark.parametrize(
    ("age", "pages", "found", "windows"),
    [
        (9 * DAY, [[request(200), request(401), request(401)]], (1, 2), [3_600]),
        (9 * DAY, [[request(500)], [request(401)]], (0, 1), [3_600, DAY]),
        (9 * DAY, [[], [], [request(200)]], (1, 0), [3_600, DAY, 7 * DAY]),
        (9 * DAY, [[], [], [], [request(200)]], (0, 0), [3_600, DAY, 7 * DAY]),
        (1_800, [[], [request(200)]], (0, 0), [1_800]),
        (7_200, [[], [], [request(200)]], (0, 0), [3_600, 7_200]),
        (9 * DAY, [[request(200, "curl"), {"message": "x"}, {"message": "[1]"}, request(200)]], (1, 0), [3_600]),
    ],
)
def test_given_requests_of_slack_when_counted_then_the_shortest_window_with_an_answer_counts(
    logging: Callable[..., list[dict[str, Any]]],
    age: float,
    pages: list[list[Any]],
    found: tuple[int, int],
    windows: list[int],
) -> None:
    asked = logging(*({"events": page} for page in pages))
    assert activity._slacks_requests(NOW - age) == found
    assert [one["startTime"] for one in asked] == [int((NOW - window) * 1_000) for window in windows]


@pytest.mark.parametrize(
    ("version", "age", "counts", "state", "detail", "began"),
    [
        (1, 3_600, (5, 1), "ok", "5 accepted recently", 3_600),
        (
            2,
            3_600,
            (5, 0),
            "ok",
            "accepted; the previous signing secret also works until 2026-01-02 09:02 UTC",
            3_600,
        ),
        (2, 25 * 3_600, (5, 0), "ok", "5 accepted recently", 3_600),
        (2, DAY, (5, 0), "ok", "5 accepted recently", DAY),
        (2, 3_600, (0, 3), "failed", "all 3 were rejected", 3_600),
        (1, 3_600, (0, 0), "ok", "none since the signing secret was written", 3_600),
    ],
)
def test_given_a_rotated_secret_when_requests_are_verified_then_those_that_the_earlier_one_may_have_signed_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    age: float,
    counts: tuple[int, int],
    state: str,
    detail: str,
    began: float,
) -> None:
    asked: list[float] = []
    secret = Parameter("secret", "value", version, datetime.fromtimestamp(NOW - age, UTC))
    monkeypatch.setattr(parameters, "read", {"secret": secret}.__getitem__)

    def requests(since: float) -> tuple[int, int]:
        asked.append(NOW - since)
        return counts

    monkeypatch.setattr(activity, "_slacks_requests", requests)
    (line,) = activity._requests()
    assert (line.state, line.detail[: len(detail)], asked) == (state, detail, [began])


def test_given_no_access_log_or_secret_when_requests_are_verified_then_nothing_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, chosen: SimpleNamespace
) -> None:
    unset = Parameter("secret", "not-configured", 1, datetime.fromtimestamp(NOW, UTC))
    monkeypatch.setattr(parameters, "read", {"secret": unset}.__getitem__)
    assert list(activity._requests()) == []
    assert verify._probe() is None
    chosen.api_access_logs = False
    assert [line.state for line in activity._requests()] == ["warning"]


@pytest.mark.parametrize(
    ("version", "values", "works", "asked", "shown"),
    [
        (1, {}, [], [], None),
        (2, {1: "one"}, [], ["one"], None),
        (2, {1: "one"}, ["one"], ["one"], 1),
        (2, {1: "current"}, ["current"], [], None),
        (2, {1: "not-configured"}, [], [], None),
        (5, {4: "four", 3: "three", 2: "two", 1: "one"}, ["one"], ["four", "three", "two"], None),
        (5, {4: "four", 3: "three", 2: "two"}, ["two"], ["four", "three", "two"], 2),
        (5, {4: "four", 3: "three", 2: "two"}, ["four", "two"], ["four"], 4),
        (4, {3: "three", 2: "two", 1: "one"}, ["one"], ["three", "two", "one"], 1),
    ],
)
def test_given_earlier_tokens_when_verified_then_slack_must_refuse_the_three_before_this_one(
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    values: dict[int, str],
    works: list[str],
    asked: list[str],
    shown: int | None,
) -> None:
    used: list[str] = []

    def authenticate(token: str, _base_url: str | None) -> Installation:
        used.append(token)
        if token not in works:
            raise TokenRefusedError("invalid_auth")
        return Installation("T1", "team", None, "bot", frozenset())

    changed = datetime.fromtimestamp(NOW, UTC)
    stored = {"token": Parameter("token", "current", version, changed)}
    stored |= {f"token:{number}": Parameter("token", value, number, changed) for number, value in values.items()}
    monkeypatch.setattr(parameters, "read", stored.__getitem__)
    monkeypatch.setattr(slack_app, "authenticate", authenticate)
    (line,) = slack_app._previous_token("current")
    assert used == asked
    expected = f"the bot token of version {shown} still works" if shown else "Slack refuses it, or there is none"
    assert (line.state, line.detail) == ("failed" if shown else "ok", expected)


def installation(team: str = "T1", enterprise: str | None = None, scopes: Sequence[str] = ()) -> Installation:
    return Installation(team, "team", enterprise, "bot", frozenset(scopes))


def test_given_the_scopes_of_a_token_when_compared_then_missing_ones_are_sorted_and_others_ignored() -> None:
    wanted = list(slack_app.wanted_scopes())
    assert installation(scopes=[*wanted, "other"]).missing_scopes() == []
    assert installation(scopes=wanted[2:]).missing_scopes() == sorted(wanted[:2])
    assert [installation("T1", "E1").is_of(name) for name in ("T1", "E1", "T2")] == [True, True, False]


def test_given_the_channels_of_an_app_when_listed_then_all_pages_are_read_and_sorted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pages: list[dict[str, Any]] = [
        {"channels": [{"name": "b"}], "response_metadata": {"next_cursor": "c1"}},
        {"channels": [{"name": "a"}], "response_metadata": {"next_cursor": ""}},
    ]
    asked: list[tuple[str, str]] = []

    def call(_token: str, _base_url: str | None, method: str, **values: str) -> dict[str, Any]:
        asked.append((method, values["cursor"]))
        return pages.pop(0)

    monkeypatch.setattr(slack_app, "_call", call)
    assert slack_app.channel_names("t", None) == ["a", "b"]
    assert asked == [("users.conversations", ""), ("users.conversations", "c1")]
    pages.append({"channels": None})
    assert slack_app.channel_names("t", None) == []
    monkeypatch.setattr(slack_app, "_call", lambda *_: {"ok": True, "revoked": False})
    with pytest.raises(SlackUnreachableError):
        slack_app.revoke("t", None)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"retentionInDays": 400, "kmsKeyId": "key"}, ""),
        ({"retentionInDays": 399, "kmsKeyId": "key"}, "kept for 399 days instead of 400"),
        ({"kmsKeyId": "key"}, "kept for ever instead of 400"),
        ({"retentionInDays": 400, "kmsKeyId": "other"}, "not encrypted with the key of ir-router"),
        ({"retentionInDays": 400}, "not encrypted with the key of ir-router"),
    ],
)
def test_given_a_log_group_when_verified_then_its_retention_comes_before_its_key(
    group: dict[str, Any], words: str
) -> None:
    found: Any = group
    assert watching._changed("any", found) == words
    access: Any = {"retentionInDays": 7, "kmsKeyId": "key"}
    assert watching._changed(names.access_log_group(), access) == ""


@pytest.mark.parametrize(
    ("arns", "state", "detail"),
    [
        ([], "warning", "no subscription, so no recipient gets alerts"),
        (["arn:1"], "ok", "1 subscription"),
        (["arn:1", "arn:2"], "ok", "2 subscriptions"),
        (["arn:1", "PendingConfirmation"], "warning", "1 of 2 subscriptions confirmed"),
        (["PendingConfirmation"], "warning", "0 of 1 subscription confirmed, so no recipient gets alerts"),
        (["arn:1", "Deleted"], "warning", "a subscription was removed; 1 of 2 subscriptions left"),
        (
            ["Deleted"],
            "warning",
            "a subscription was removed; 0 of 1 subscription left, so no recipient gets alerts",
        ),
    ],
)
def test_given_the_subscriptions_of_a_topic_when_verified_then_the_line_states_whether_a_recipient_is_left(
    monkeypatch: pytest.MonkeyPatch, arns: list[str], state: str, detail: str
) -> None:
    monkeypatch.setattr(watching, "_subscriptions", lambda arn, region: arns)
    (line,) = watching._topic("alert topic", "topic", "eu-central-1")
    assert (line.name, line.state, line.detail) == ("alert topic", state, detail)
