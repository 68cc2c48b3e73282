"""Texts and calls of Slack at their limits: parts of long texts, waits and attempts, ages of signatures and values."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.slack import envelopes, gateway, identity, inbound, messages, parameters, signature, text
from ir_router.slack.gateway import Slack

NOW = 1_767_261_720.0


@pytest.mark.parametrize(
    ("given", "length", "parts"),
    [
        ("", 4, [""]),
        ("abcd", 4, ["abcd"]),
        ("abcde", 4, ["abcd", "e"]),
        ("abcdefgh", 4, ["abcd", "efgh"]),
        ("ab cd ef", 5, ["ab cd", " ef"]),
        ("abcde\nf gh", 8, ["abcde\n", "f gh"]),
        ("ab\ncd efgh", 8, ["ab\ncd ef", "gh"]),
        ("abcd\nefghi", 8, ["abcd\nefg", "hi"]),
        ("a bcdefghij", 6, ["a bcde", "fghij"]),
        ("abc defghij", 6, ["abc de", "fghij"]),
        ("abcd efghij", 6, ["abcd ", "efghij"]),
        ("😀😀😀", 4, ["😀😀", "😀"]),
        ("😀😀😀", 5, ["😀😀", "😀"]),
        ("a😀😀", 4, ["a😀", "😀"]),
        ("ae\u0301e\u0301", 4, ["ae\u0301", "e\u0301"]),
        ("🇩🇪🇫🇷🇩🇪", 6, ["🇩🇪", "🇫🇷", "🇩🇪"]),
        ("a🇩🇪🇫🇷", 8, ["a🇩🇪", "🇫🇷"]),
    ],
)
def test_given_a_text_when_split_then_parts_end_at_lines_or_spaces_and_no_character_is_divided(
    given: str, length: int, parts: list[str]
) -> None:
    assert list(text.split(given, length)) == parts


def test_given_a_character_of_many_code_points_when_split_then_after_64_of_them_it_is_divided() -> None:
    marks = "\u0301" * 200
    assert [len(part) for part in text.split(f"x{marks}", 100)] == [100, 100, 1]
    start, accent = "a" * 60, "\u0301"
    assert text.split(start + "e" + accent * 45, 100)[0] == start
    assert [len(text.split("a" * before + "e" + accent * 80, 100)[0]) for before in (30, 35, 36)] == [100, 100, 36]


def test_given_an_escaped_text_when_split_then_every_part_fits_and_no_escape_is_divided() -> None:
    for length in (10, 11, 12):
        parts = text.split_escaped("a&b<c>d" * 5, length)
        assert all(0 < text.length_of(part) <= length for part in parts)
        assert text.unescape("".join(parts)) == "a&b<c>d" * 5
    assert text.split_escaped("&&", 10) == ["&amp;&amp;"]
    assert text.split_escaped("&&", 9) == ["&amp;", "&amp;"]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of calls, with the longest random part; the clock moves with them."""
    waited: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: NOW + sum(waited))
    monkeypatch.setattr(clock, "sleep", waited.append)
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    return waited


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[Any]]:
    def make(*given: Any) -> Iterator[Any]:
        answers = iter(given)

        def call(_slack: Slack, _method: str, _arguments: dict[str, Any]) -> Any:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(Slack, "_call", call)
        return answers

    return make


def throttled(seconds: float) -> RetryLaterError:
    return RetryLaterError("Slack", "any", "ratelimited", seconds)


def uncertain() -> UncertainError:
    return UncertainError("Slack", "any", "timeout")


@pytest.mark.parametrize("name", ["read", "post"])
def test_given_slack_that_throttles_when_called_then_three_attempts_are_made_with_the_waits_that_it_asks_for(
    answering: Callable[..., Iterator[Any]], waits: list[float], name: str
) -> None:
    send = getattr(Slack(Deadline(NOW + 99, NOW + 99)), name)
    answering(throttled(10.0), throttled(2.0), {"ok": True})
    assert send("any") == {"ok": True}
    assert waits == [10.5, 2.5]

    left = answering(throttled(1.0), throttled(1.0), throttled(1.0), "unused")
    with pytest.raises(RetryLaterError):
        send("any")
    assert (waits[2:], list(left)) == ([1.5, 1.5], ["unused"])

    left = answering(throttled(10.1), "unused")
    with pytest.raises(RetryLaterError):
        send("any")
    assert (len(waits), list(left)) == (4, ["unused"])


def test_given_slack_that_does_not_answer_when_called_then_only_a_reading_is_repeated_with_longer_waits(
    answering: Callable[..., Iterator[Any]], waits: list[float]
) -> None:
    slack = Slack(Deadline(NOW + 99, NOW + 99))
    answering(uncertain(), uncertain(), {"ok": True})
    assert slack.read("any") == {"ok": True}
    assert waits == [1.0, 2.0]
    left = answering(uncertain(), uncertain(), uncertain(), "unused")
    with pytest.raises(UncertainError):
        slack.read("any")
    assert (len(waits), list(left)) == (4, ["unused"])
    left = answering(uncertain(), "unused")
    with pytest.raises(UncertainError):
        slack.post("any")
    assert (len(waits), list(left)) == (4, ["unused"])


def test_given_a_run_without_time_when_it_posts_then_nothing_is_sent(
    answering: Callable[..., Iterator[Any]], waits: list[float]
) -> None:
    left = answering("unused")
    with pytest.raises(OutOfTimeError):
        Slack(Deadline(NOW - 1, NOW + 99)).post("any")
    assert list(left) == ["unused"]
    answering(throttled(3.0), "unused")
    with pytest.raises(OutOfTimeError):
        Slack(Deadline(NOW + 3.4, NOW + 99)).post("any")
    assert waits == []


def rejection(status: int, data: Any, headers: dict[str, Any] | None = None) -> SlackApiError:
    response = SimpleNamespace(status_code=status, data=data, headers=headers or {})
    error: SlackApiError = SlackApiError("any", response)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize(
    ("status", "data", "kind", "words"),
    [
        (429, {}, RetryLaterError, "ratelimited"),
        (200, {"error": "message_limit_exceeded"}, RetryLaterError, "ratelimited"),
        (200, {"error": "not_in_channel"}, RefusedError, "not_in_channel"),
        (499, {"error": "not_in_channel"}, RefusedError, "not_in_channel"),
        (500, {"error": "not_in_channel"}, UncertainError, "not_in_channel"),
        (200, {"error": "internal_error"}, UncertainError, "internal_error"),
        (200, {"error": "x" * 80}, RefusedError, "x" * 80),
        (200, {"error": "x" * 81}, UncertainError, "HTTP 200"),
        (503, "<html>", UncertainError, "HTTP 503"),
        (200, {"error": {"code": "odd"}}, UncertainError, "HTTP 200"),
        (200, {"error": "missing_scope", "needed": "chat:write"}, RefusedError, "missing_scope: chat:write"),
        (200, {"error": "missing_scope", "needed": "chat write"}, RefusedError, r"\(missing_scope\)"),
    ],
)
def test_given_an_error_of_slack_when_classified_then_code_and_status_decide(
    status: int, data: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        raise gateway._classified("any", rejection(status, data))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), (["8"], 8.0), ("300", 300.0), ("301", 300.0), ("soon", 1.0), (None, 1.0), ([None], 1.0)],
)
def test_given_a_header_of_slack_when_throttled_then_its_wait_counts_within_limits(value: Any, seconds: float) -> None:
    assert gateway._retry_after(SimpleNamespace(headers={"Retry-After": value})) == seconds
    assert gateway._retry_after(SimpleNamespace()) == 1.0


@pytest.mark.parametrize(
    ("age", "timestamp", "is_checked"),
    [
        (0, None, True),
        (300, None, True),
        (301, None, False),
        (-300, None, True),
        (-301, None, False),
        (0, "01767261720", False),
        (0, "+1767261720", False),
        (0, "１７６７２６１７２０", False),
        (0, "", False),
    ],
)
def test_given_a_signed_request_when_it_is_older_than_five_minutes_then_it_is_not_authentic(
    monkeypatch: pytest.MonkeyPatch, age: int, timestamp: str | None, *, is_checked: bool
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(signature, "_cache", SimpleNamespace(get=lambda _: ["secret"], reread=lambda _: ["secret"]))
    sent = str(int(NOW) - age) if timestamp is None else timestamp
    signed = signature.sign("secret", sent, b"body")
    assert signature.is_authentic(sent, signed, b"body") is is_checked
    assert not signature.is_authentic(sent, signed, b"other")


@pytest.mark.parametrize(
    ("version", "age_hours", "secrets"),
    [(2, 0.0, ["new", "old"]), (2, 23.99, ["new", "old"]), (2, 24.0, ["new"]), (1, 0.0, ["new"]), (2, None, ["new"])],
)
def test_given_a_rotated_secret_when_read_then_the_earlier_version_counts_for_some_hours(
    monkeypatch: pytest.MonkeyPatch, version: int, age_hours: float | None, secrets: list[str]
) -> None:
    changed = None if age_hours is None else datetime.fromtimestamp(NOW - age_hours * 3_600, UTC)
    values = {"name": "new", f"name:{version - 1}": "old"}
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(signature, "settings", lambda: SimpleNamespace(previous_signing_secret_hours=24))
    monkeypatch.setattr(parameters, "read", lambda name, _: parameters.Parameter(values[name], version, changed))
    assert signature._secrets("name") == secrets


def test_given_a_cached_value_when_asked_for_then_it_is_read_again_after_five_minutes_and_at_most_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = [NOW]
    reads: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: moment[0])
    monkeypatch.setattr(parameters.Cache, "_failed_at", float("-inf"))

    def read_now(_: str) -> int:
        reads.append(moment[0] - NOW)
        if moment[0] - NOW in (700, 760):
            raise UncertainError("AWS", "GetParameter", "any")
        return len(reads)

    cache: parameters.Cache[int] = parameters.Cache(read_now)
    for after, value in ((0, 1), (300, 1), (301, 2), (700, 2), (759, 2), (760, 2), (819, 2), (820, 5)):
        moment[0] = NOW + after
        assert (after, cache.get("name")) == (after, value)
    assert reads == [0, 301, 700, 760, 820]
    moment[0] = NOW + 879
    assert cache.reread("name") == 5
    moment[0] = NOW + 880
    assert cache.reread("name") == 6


def test_given_names_that_look_like_an_id_when_a_user_is_identified_then_the_last_parentheses_are_ir_routers() -> None:
    assert identity.identified("Jane", "j@x.com", "U1") == "Jane (j@x.com, U1)"
    assert identity.identified("Jane", None, "U1") == "Jane (U1)"
    assert identity.identified("U1", None, "U1") == "U1"
    assert identity.identified("", "j@x.com", "U1") == " (j@x.com, U1)"
    assert identity.identified("Jane", "", "") == "Jane"
    assert identity.confirmed_email({"is_email_confirmed": False, "profile": {"email": "a"}}) is None
    assert identity.confirmed_email({"profile": {"email": "a"}}) == "a"
    assert identity.confirmed_email({"is_email_confirmed": True}) == ""


@pytest.mark.parametrize(
    ("payload", "ids", "enterprise", "is_certain"),
    [
        ({"team": {"id": "T1", "enterprise_id": "E1"}}, {"T1", "E1"}, "E1", False),
        ({"team": {"id": "T1", "enterprise_id": "E1"}, "enterprise": {"id": "E2"}}, {"T1", "E2"}, "E2", False),
        ({"team": None, "view": {"team_id": "T2"}, "user": {"team_id": "T3"}}, {"T2"}, "", False),
        ({"team": None, "user": {"team_id": "T3"}}, {"T3"}, "", False),
        ({"team": {"id": "T1"}, "view": {"app_installed_team_id": "T9"}}, {"T9"}, "", True),
        ({"team": {"id": "T1"}, "view": {"app_installed_team_id": ""}}, {"T1"}, "", False),
    ],
)
def test_given_an_interaction_when_its_origin_is_read_then_the_installation_comes_before_the_users_team(
    payload: dict[str, Any], ids: set[str], enterprise: str, *, is_certain: bool
) -> None:
    assert envelopes.of_interaction(payload) == envelopes.Origin(frozenset(ids), enterprise, is_certain)


def test_given_an_event_when_its_origin_is_read_then_the_outer_ids_count_only_without_a_workspace() -> None:
    outer = {"team_id": "T2", "context_team_id": "T3", "enterprise_id": "E2", "context_enterprise_id": "E3"}
    named = envelopes.of_event({**outer, "authorizations": [{"team_id": "T1", "enterprise_id": "E1"}, "odd"]})
    assert named == envelopes.Origin(frozenset({"T1", "E1"}), "E3", is_certain=True)
    org_wide = envelopes.of_event({**outer, "authorizations": [{"team_id": None, "enterprise_id": "E1"}]})
    assert org_wide.ids == {"E1", "T2", "T3", "E2"}
    assert envelopes.of_event(outer).ids == {"T2", "T3", "E2"}


def test_given_lines_of_a_message_when_shown_then_a_section_is_filled_up_to_its_limit() -> None:
    shown = messages.sections(["a" * 1_500, "b" * 1_499])
    assert [len(block["text"]["text"]) for block in shown] == [3_000]
    assert [len(block["text"]["text"]) for block in messages.sections(["a" * 1_500, "b" * 1_500])] == [1_500, 1_500]
    many = messages.sections(["x" * 2_999] * 4 + ["y"])
    assert [block["text"]["text"][:1] for block in many] == ["x", "x", "x", "…"]
    assert many[-1]["text"]["text"] == "… and 2 more lines"
    assert messages.sections([" "])[0]["text"]["text"] == "(empty)"
    five = [{"shown": name} for name in "abcde"]
    assert messages.joined(five).text.endswith("response team member: a, b, c, d, e")
    assert messages.joined([*five, {"shown": "f"}]).text.endswith("member:\n• a\n• b\n• c\n• d\n• e\n• f")


def test_given_a_deleted_file_when_its_event_is_trimmed_then_at_most_100_channels_are_kept() -> None:
    listed = [f"C{number}" for number in range(101)]
    event = {"type": "file_deleted", "file_id": "F1", "channel_ids": [*listed, 5], "event_ts": "1.2", "size": 3}
    assert inbound.trimmed(event) == {
        "type": "file_deleted",
        "file_id": "F1",
        "event_ts": "1.2",
        "channel_ids": listed[:100],
    }
    assert inbound.channel_of(event) == "C0"
    assert inbound.channel_of({"file_id": "F1"}) == "F1"
    assert inbound.channel_of({"channel": "C1", "channel_id": "C2"}) == "C1"
    assert inbound.channel_of({}) == "none"
