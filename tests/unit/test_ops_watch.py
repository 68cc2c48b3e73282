"""The hourly verification: when it runs, and which differences reach the security channel once."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import UncertainError
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ops import watch
from ir_router.ops.checks import Check, unread
from ir_router.sync import posting
from tests.support.answers import client_error

HOUR = 3_600.0


class Watched:
    """The deployment's differences, the stored row, the messages, the metric, and the answer for the claim."""

    def __init__(self) -> None:
        self.checks = [Check("rule", "ok", "fine", ""), Check("topic", "failed", "gone", "Apply.")]
        self.row: dict[str, Any] | None = None
        self.messages: list[tuple[str, Any]] = []
        self.measured: list[tuple[str, int]] = []
        self.claimed: list[Any] = []
        self.channel = "C9"
        self.answer: Any = claims.Claim(keys.watched(), 1, must_look=False, row={})
        self.take: Callable[[Any, float], Any] | None = None
        self.error: Exception | None = None


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched()

    def take(key: Any, settle_after: float) -> Any:
        found.claimed.append((key, settle_after))
        return found.take(key, settle_after) if found.take is not None else found.answer

    def post(_slack: Any, channel: str, _claim: Any, message: Any) -> None:
        if found.error is not None:
            raise found.error
        found.messages.append((channel, message))

    def assign(key: Any, **values: Any) -> None:
        assert key == keys.watched()
        found.row = {name: value for name, value in {**(found.row or {}), **values}.items() if value is not None}

    monkeypatch.setattr(clock, "now", lambda: 10 * HOUR)
    monkeypatch.setattr(watch, "_checks", lambda: iter(found.checks))
    monkeypatch.setattr(watch, "measure", lambda name, value: found.measured.append((name, value)))
    monkeypatch.setattr(security_channel, "known_id", lambda: found.channel)
    monkeypatch.setattr(watch, "of_invocation", lambda _context, reserve: SimpleNamespace(settle_after=reserve))
    monkeypatch.setattr(watch, "Slack", lambda deadline: deadline)
    monkeypatch.setattr(claims, "take", take)
    monkeypatch.setattr(posting, "post", post)
    monkeypatch.setattr(table, "get", lambda _key: found.row)
    monkeypatch.setattr(table, "assign", assign)
    return found


def run(**event: Any) -> list[str] | None:
    context: Any = None
    answer: list[str] | None = watch.run_operation(event, context)["differences"]
    return answer


@pytest.mark.parametrize(
    ("minutes", "runs"), [(0, True), (14, True), (15, False), (30, False), (59, False), (60, True)]
)
def test_given_the_schedule_when_a_quarter_begins_then_only_the_hours_first_verifies(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, minutes: int, runs: bool
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 10 * HOUR + 60 * minutes)

    assert run() == (["topic"] if runs else None)
    assert watched.measured == ([("DeploymentDifferences", 1)] if runs else [])
    assert run(now=True) == ["topic"]


def test_given_a_difference_when_watched_then_it_is_posted_once_until_its_detail_changes_or_it_ends(
    watched: Watched,
) -> None:
    for _ in range(2):
        run()
    assert watched.row == {"reported": {"topic": "gone"}, "number": 1}
    ((channel, message),) = watched.messages
    assert channel == "C9"
    assert message.text == (
        "⚠️ 1 part of ir-router needs attention. Fix it now: alerts or containments may depend on it."
    )
    shown = str(message.blocks)
    assert "*topic*  gone. Apply." in shown
    assert "make verify shows all checks." in shown
    assert "Fixed" not in shown

    watched.checks = [Check("topic", "failed", "no recipient", "x" * 700), Check("rule", "warning", "off", "Apply.")]
    run()
    assert watched.row == {"reported": {"topic": "no recipient", "rule": "off"}, "number": 2}
    assert "2 parts of ir-router need attention" in watched.messages[-1][1].text
    assert "(700 characters in total)" in str(watched.messages[-1][1].blocks)

    watched.checks = [Check("topic", "ok", "fine", ""), Check("rule", "warning", "off", "Apply.")]
    run()
    assert watched.messages[-1][1].text == "Fixed: topic"
    assert "*rule*" not in str(watched.messages[-1][1].blocks)
    assert watched.row == {"reported": {"rule": "off"}, "number": 3}
    assert [key.pk.rpartition("#")[0] for key, _ in watched.claimed] == [
        keys.deduplication(f"WATCH#{number}").pk for number in (1, 2, 3)
    ]
    assert {after for _, after in watched.claimed} == {20}
    assert [count for name, count in watched.measured if name == "DeploymentDifferences"] == [1, 1, 2, 1]


def test_given_nothing_to_report_when_watched_then_nothing_is_posted_or_stored(watched: Watched) -> None:
    watched.checks = watched.checks[:1]

    assert run() == []
    assert (watched.row, watched.messages, watched.claimed) == (None, [], [])


def test_given_another_run_that_posts_when_watched_then_the_next_hour_looks_again(watched: Watched) -> None:
    watched.answer = claims.Held(1.0)
    run()
    assert (watched.row, watched.messages) == (None, [])

    watched.answer = claims.Done({})
    run()
    assert watched.messages == []
    assert watched.row == {"reported": {"topic": "gone"}, "number": 1}


def test_given_no_security_channel_when_watched_then_the_difference_is_stored_without_a_message(
    watched: Watched,
) -> None:
    watched.channel = ""
    run()

    assert (watched.messages, watched.claimed) == ([], [])
    assert watched.row == {"reported": {"topic": "gone"}, "number": 1}


def test_given_slack_that_fails_when_watched_then_the_differences_are_returned_and_reported_next_time(
    watched: Watched,
) -> None:
    watched.error = UncertainError("Slack", "chat.postMessage", "timeout")
    assert run() == ["topic"]
    assert watched.row is None

    watched.error = None
    run()
    assert len(watched.messages) == 1


def at(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setattr(clock, "now", lambda: 10 * HOUR + 60 * minutes)


GONE = Check("topic", "failed", "gone", "Apply.")
FINE = Check("topic", "ok", "fine")


def test_given_a_part_that_is_unread_once_when_watched_then_it_is_read_a_quarter_later_and_never_reported(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.checks = [unread("rule", "DescribeRule returned Throttling"), GONE]
    for minute in (0, 1, 9):  # a retry of the run is no second reading
        at(monkeypatch, minute)
        assert run() == ["rule", "topic"]
    assert watched.row == {"unread": {"rule": 10 * HOUR}, "reported": {"topic": "gone"}, "number": 1}
    assert len(watched.messages) == 1
    assert "*rule*" not in str(watched.messages[-1][1].blocks)
    assert watched.measured == [("DeploymentDifferences", 1)] * 3

    watched.checks = [Check("rule", "ok", "fine"), GONE]
    at(monkeypatch, 15)
    assert run() == ["topic"]
    assert watched.row == {"reported": {"topic": "gone"}, "number": 1}
    assert len(watched.messages) == 1

    at(monkeypatch, 30)
    assert run() is None


def test_given_a_part_that_stays_unread_when_watched_then_it_is_reported_once_and_later_verified_each_hour(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes, error in ((0, "Throttling"), (15, "Throttling"), (60, "ServiceUnavailable")):
        at(monkeypatch, minutes)
        watched.checks = [unread("rule", f"DescribeRule returned {error}")]
        assert run() == ["rule"]
    at(monkeypatch, 75)
    assert run() is None

    ((_, message),) = watched.messages
    assert "*rule*  DescribeRule returned Throttling. Run make verify again in a few minutes." in str(message.blocks)
    assert watched.measured == [("DeploymentDifferences", 1)] * 2

    watched.checks = [Check("rule", "ok", "fine")]
    at(monkeypatch, 120)
    assert run() == []
    assert watched.messages[-1][1].text == "Fixed: rule"


def test_given_a_reported_part_when_it_cannot_be_read_then_it_stays_a_difference_and_is_not_reported_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = unread("topic", "AWS did not answer")
    hidden = Check("alerts", "failed", "the function has no permission", "Apply.", error="lasting")
    for hour, checks in enumerate([[GONE], [lost], [lost], [hidden], [unread("alerts", "AWS did not answer")], [GONE]]):
        at(monkeypatch, 60 * hour)
        watched.checks = [Check("other", "ok", "fine"), *checks]
        run()

    shown = [message.text for _, message in watched.messages]
    assert [text.partition(". ")[0] for text in shown] == ["⚠️ 1 part of ir-router needs attention"] * 2 + [
        "Fixed: alerts"
    ]
    assert [count for _, count in watched.measured] == [1, 1, 1, 2, 2, 1]

    watched.checks = [FINE]
    at(monkeypatch, 360)
    run()
    assert watched.messages[-1][1].text == "Fixed: topic"


def test_given_one_part_that_stays_unread_when_another_is_fixed_then_its_end_is_reported(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = unread("membership", "AWS did not answer")
    for hour, checks in enumerate([[GONE, lost], [GONE, lost], [FINE, lost], [GONE, lost]]):
        at(monkeypatch, 60 * hour)
        watched.checks = checks
        run()

    texts = [message.text for _, message in watched.messages]
    assert texts[2] == "Fixed: topic"
    assert ["*topic*  gone" in str(message.blocks) for _, message in watched.messages] == [True, False, False, True]


def test_given_slack_that_fails_when_a_part_stays_unread_then_the_alarm_has_it(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.error = UncertainError("Slack", "chat.postMessage", "timeout")
    watched.checks = [unread("rule", "DescribeRule returned Throttling")]
    for minutes in (0, 15):
        at(monkeypatch, minutes)
        run()

    assert watched.measured == [("DeploymentDifferences", 1)]


@pytest.mark.parametrize("minutes", [0, 15])
def test_given_a_ledger_that_cannot_be_read_when_watched_then_the_alarm_has_the_differences(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    def refuse(_key: Any) -> None:
        raise client_error("KMS.DisabledException")

    monkeypatch.setattr(table, "get", refuse)
    at(monkeypatch, minutes)
    with pytest.raises(ClientError):
        run()

    assert watched.measured == ([("DeploymentDifferences", 1)] if minutes == 0 else [])


def test_given_a_message_whose_record_was_lost_when_another_part_differs_then_a_second_message_has_it(
    watched: Watched,
) -> None:
    posted: set[Any] = set()

    def take(key: Any, settle_after: float) -> Any:
        if key in posted:
            return claims.Done({})
        posted.add(key)
        return claims.Claim(key, 1, must_look=False, row={})

    watched.take = take
    run()
    watched.row = None
    run()
    assert len(watched.messages) == 1
    watched.row = None
    watched.checks = [GONE, Check("rule", "failed", "off", "Apply.")]
    run()
    assert "*rule*  off" in str(watched.messages[-1][1].blocks)
