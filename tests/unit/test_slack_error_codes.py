"""The classification of Slack's error codes, and the details of a rejection that reach the log."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.slack import error_codes
from ir_router.slack.gateway import _classified, _detail


@pytest.mark.parametrize(
    ("code", "about"),
    [
        ("missing_scope", "app"),
        ("account_inactive", "app"),
        ("user_is_ultra_restricted", "person"),
        ("is_archived", "channel"),
        ("message_not_found", "message"),
        ("exchanged_trigger_id", "form"),
        ("not_in_the_table", "request"),
    ],
)
def test_given_a_code_when_classified_then_it_is_about_what_must_change(code: str, about: str) -> None:
    assert error_codes.meaning(code).about == about


def test_given_codes_about_app_person_or_channel_when_listed_then_each_has_words() -> None:
    for code, meaning in error_codes.MEANINGS.items():
        assert meaning.words, code


def test_given_arguments_that_slack_rejects_when_logged_then_the_field_is_named_and_no_text() -> None:
    answer: dict[str, Any] = {
        "response_metadata": {
            "messages": [
                "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
                '[ERROR] invalid value "the secret text" [json-pointer:/blocks/1]',
                "[ERROR] must be a valid enum value: geheim [json-pointer:/view/type]",
            ]
        }
    }
    detail = _detail(answer)
    assert "json-pointer:/blocks/0/text/text" in detail
    assert "secret" not in detail
    assert "geheim" not in detail
    assert _detail({"needed": "users:read.email"}) == "users:read.email"


@pytest.mark.parametrize("words", ["'trigger_id' has expired", "invalid value [json-pointer:/trigger_id]"])
def test_given_rejected_arguments_that_name_the_trigger_when_classified_then_the_form_was_opened_too_late(
    words: str,
) -> None:
    detail = _detail({"response_metadata": {"messages": [f"[ERROR] {words}"]}})
    assert error_codes.is_expired_trigger("invalid_arguments", detail)


@pytest.mark.parametrize(
    ("seconds", "wait"), [(0.5, 0.5), (-3, 0), (90_000, 900), (float("inf"), 900), (float("nan"), 1)]
)
def test_given_any_number_in_retry_after_when_rejected_for_now_then_the_wait_is_possible(
    seconds: float, wait: float
) -> None:
    assert RetryLaterError("Slack", "chat.postMessage", "ratelimited", seconds).seconds == wait


@pytest.mark.parametrize("data", [{}, {"error": None}, {"error": ["x"]}, {"error": {"code": "x"}}, {"error": "<html>"}])
def test_given_a_rejection_without_a_code_when_classified_then_its_effect_is_uncertain(data: dict[str, Any]) -> None:
    response = SlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data={"ok": False, **data}, headers={}, status_code=200
    )
    error = SlackApiError("rejected", response)  # type: ignore[no-untyped-call]
    assert isinstance(_classified("chat.postMessage", error), UncertainError)


@pytest.mark.parametrize(
    ("method", "about"), [("files.completeUploadExternal", "channel"), ("files.info", "app"), ("files.delete", "app")]
)
def test_given_a_denied_access_when_classified_then_only_the_share_of_a_file_is_about_the_channel(
    method: str, about: str
) -> None:
    assert error_codes.meaning_of(RefusedError("Slack", method, "access_denied")).about == about
