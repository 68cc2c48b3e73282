"""The pauses after a failed synchronisation, and the failures that people read about."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ir_router import clock
from ir_router.errors import NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import leases
from ir_router.sync import back_off, channel, failures
from ir_router.sync.channel import ChannelUnavailableError
from ir_router.sync.comment_reading import ReadingTooSlowError
from ir_router.sync.failures import Failure

NOW = 50_000.0
AWS = ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")
ASK = "Contact the operators of ir-router and quote the error ID. No data is lost."


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`released`: the row's attributes; `reported`: the failures with the channel; `jitter`: its limits; `measured`."""
    found: dict[str, Any] = {"released": [], "reported": [], "jitter": set(), "measured": []}
    monkeypatch.setattr(back_off, "measure", found["measured"].append)
    monkeypatch.setattr(clock, "now", lambda: NOW)

    def middle(low: float, high: float) -> float:
        found["jitter"].add((low, high))
        return 1.0

    monkeypatch.setattr(random, "uniform", middle)
    monkeypatch.setattr(leases, "release_unfinished", lambda _lease, **row: found["released"].append(row))
    monkeypatch.setattr(failures, "first_error_id", lambda case_id, name, _id: f"{case_id}/{name}")
    monkeypatch.setattr(
        failures, "report", lambda case_id, at, failure, _deadline: found["reported"].append((case_id, at, failure))
    )
    return found


def failed(error: Exception, **row: Any) -> None:
    lease: Any = SimpleNamespace(case_id="111", row={"slackChannelId": "C1", **row})
    deadline: Any = None
    back_off.record(lease, error, deadline)


@pytest.mark.parametrize(
    ("error", "before", "pause"),
    [
        (AWS, 0, 15),
        (AWS, 9, 15),
        (UncertainError("Slack", "m", "timeout"), 4, 15),
        (RetryLaterError("Slack", "m", "ratelimited", 3), 4, 15),
        (RefusedError("AWS", "m", "ConflictException"), 4, 15),
        (EndpointConnectionError(endpoint_url="https://a.example"), 4, 15),
        (RefusedError("AWS", "m", "ValidationException"), 0, 30),
        (RefusedError("AWS", "m", "ValidationException"), 1, 60),
        (RefusedError("AWS", "m", "ValidationException"), 6, 1_920),
        (RefusedError("AWS", "m", "ValidationException"), 7, 3_600),
        (RefusedError("AWS", "m", "missing_scope"), 9, 3_600),  # a code of Slack alone is about the app
        (RefusedError("Slack", "m", "missing_scope"), 2, 120),
        (RefusedError("Slack", "m", "missing_scope"), 4, 300),
        (RefusedError("Slack", "m", "is_archived"), 9, 3_600),
        (ValueError("a bug"), 0, 30),
        (ValueError("a bug"), 2_000, 3_600),
    ],
)
def test_given_a_failure_when_recorded_then_its_pause_grows_only_if_a_person_must_act(
    recorded: dict[str, Any], error: Exception, before: int, pause: float
) -> None:
    failed(error, failures=before, failing_since=40_000.0, channel_visibility="private")

    (row,) = recorded["released"]
    assert (row["next_try"], row["failures"], row["failing_since"]) == (NOW + pause, before + 1, 40_000.0)
    assert recorded["jitter"] == {(0.8, 1.2)}


def test_given_a_first_failure_when_recorded_then_it_begins_now(recorded: dict[str, Any]) -> None:
    failed(AWS)

    assert recorded["released"] == [
        {"next_try": NOW + 15, "failures": 1, "failing_since": NOW, "failing_fix": ASK,
         "failing_reason": "AWS does not respond to ir-router"}
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), [(None, 120), (60, 120), (390, 780), (600, 780)])
def test_given_comments_that_take_too_long_when_recorded_then_the_next_slice_is_twice_as_long_up_to_13_minutes(
    recorded: dict[str, Any], before: float | None, after: float
) -> None:
    failed(ReadingTooSlowError("slow"), slice_seconds=before)
    assert [row["slice_seconds"] for row in recorded["released"]] == [after]


def test_given_a_missing_configuration_when_recorded_then_the_poller_waits_and_nobody_is_asked(
    recorded: dict[str, Any],
) -> None:
    failed(NotConfiguredError("set it"), failures=9)

    assert recorded == {
        "released": [{"next_try": NOW + 15}], "reported": [], "jitter": set(), "measured": ["CaseSyncFailed"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "before", "reported"),
    [
        (AWS, 1, False),
        (AWS, 2, True),
        (AWS, 3, True),
        (ValueError("a bug"), 1, False),
        (RefusedError("AWS", "m", "ValidationException"), 0, True),
        (RefusedError("AWS", "m", "ConflictException"), 0, False),
        (RefusedError("Slack", "m", "is_archived"), 0, True),
        (RefusedError("Slack", "m", "channel_not_found"), 0, False),  # the deletion's event may explain it
        (RefusedError("Slack", "m", "channel_not_found"), 1, True),
        (ChannelUnavailableError("deleted"), 0, True),
    ],
)
def test_given_failures_when_recorded_then_a_report_comes_when_it_lasts_or_a_person_must_act(
    recorded: dict[str, Any], error: Exception, before: int, reported: bool
) -> None:
    failed(error, failures=before, channel_visibility="private")

    assert len(recorded["reported"]) == int(reported)


def test_given_a_report_when_written_then_cause_fix_and_first_error_id_are_there(recorded: dict[str, Any]) -> None:
    failed(RefusedError("Slack", "chat.postMessage", "missing_scope", "chat:write"), failing_since=40_000.7)

    cause = "Slack rejected chat.postMessage (missing_scope: chat:write): a scope is missing"
    fix = "Ask the operators of ir-router to reinstall the app with the current manifest. No data is lost."
    assert recorded["reported"] == [
        ("111", "C1", Failure(
            name="sync-40000-app", what=f"This case and its Slack channel are out of sync: {cause}.", fix=fix,
            retried=True, error_id="111/sync-40000-app", transient=False, of_case=True,
        ))
    ]  # fmt: skip
    assert (recorded["released"][0]["failing_reason"], recorded["released"][0]["failing_fix"]) == (cause, fix)
    assert "channel_away_since" not in recorded["released"][0]


def test_given_a_long_outage_when_reported_without_a_channel_then_it_is_transient(recorded: dict[str, Any]) -> None:
    failed(AWS, failures=2, slackChannelId=None)

    ((_case, at, failure),) = recorded["reported"]
    assert (at, failure.transient) == ("", True)


def test_given_a_bug_when_recorded_then_users_read_no_detail_and_the_log_has_its_type(
    recorded: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    failed(ValueError("secret"))
    failed(UncertainError("Slack", "m", "timeout"), failures=2)

    line, own = [vars(record) for record in caplog.records if record.message == "case.sync_failed"]
    assert (line["error"], line["failures"], "reason" in line) == ("ValueError", 1, False)
    assert (own["error"], own["failures"]) == ("UncertainError", 3)
    assert own["reason"] == "Slack did not confirm m (timeout)"
    assert recorded["released"][0]["failing_reason"] == "ir-router had an unexpected error"


@pytest.mark.parametrize(
    ("code", "visibility", "reason"),
    [
        ("is_archived", "private", "archived"),
        ("is_inactive", "public", "archived"),
        ("not_in_channel", "private", "not a member"),
        ("channel_not_found", "private", "not visible"),
        ("channel_not_found", "public", "deleted"),
    ],
)
def test_given_an_unavailable_channel_when_recorded_then_the_state_is_named_and_messages_are_caught_up_later(
    recorded: dict[str, Any], code: str, visibility: str, reason: str
) -> None:
    failed(RefusedError("Slack", "m", code), failing_since=40_000.0, channel_visibility=visibility)

    wanted = ChannelUnavailableError(reason)
    (row,) = recorded["released"]
    assert (row["channel_away_since"], row["failing_fix"]) == (40_000.0, wanted.fix)
    assert row["failing_reason"].startswith(str(wanted))


@pytest.mark.parametrize(
    "error",
    [RefusedError("AWS", "m", "is_archived"), RefusedError("Slack", "m", "name_taken"), ValueError("x")],
)
def test_given_another_error_when_read_then_it_is_not_about_the_channel(error: Exception) -> None:
    assert channel.as_unavailable(error, {}) is error


def test_given_a_case_when_its_channel_is_named_then_nine_names_fit_slacks_rules() -> None:
    names = channel.names("IR ", "1" * 90)

    assert names[0] == "ir-" + "1" * 77
    assert names[1:] == [f"ir-{'1' * 75}-{number}" for number in range(2, 10)]
