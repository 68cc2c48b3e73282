"""Numbers that limit waits, attempts and texts: each holds at its edge."""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock, router, transfer
from ir_router.cases import file_lines
from ir_router.commands import create_form, forms
from ir_router.commands.forms import CaseForm
from ir_router.errors import RetryLaterError, UncertainError
from ir_router.ledger import audit, audit_verification, containments
from ir_router.ops import slack_app, verify
from ir_router.settings import Settings
from ir_router.slack import parameters, response_url
from ir_router.slack.gateway import Names
from ir_router.sync import approval_places, attachments, queue
from ir_router.workflow import attempts, changes


@pytest.mark.parametrize(
    ("asked", "kept"),
    [(0.5, 0.5), (900, 900), (900.5, 900), (float("inf"), 900), (-3, 0), (float("nan"), 1)],
)
def test_given_a_wait_that_a_service_asks_for_when_kept_then_it_is_at_most_fifteen_minutes(
    asked: float, kept: float
) -> None:
    assert RetryLaterError("Slack", "chat.postMessage", "ratelimited", asked).seconds == kept


@pytest.mark.parametrize(("receives", "seconds"), [(1, 2), (5, 32), (6, 60), (30, 60)])
def test_given_a_message_that_failed_when_it_is_hidden_then_longer_each_time_and_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch, receives: int, seconds: float
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    record: Any = SimpleNamespace(receive_count=receives)

    assert queue._wait(record, UncertainError("Slack", "m", "timeout")) == seconds
    assert queue._wait(record, RetryLaterError("Slack", "m", "ratelimited", 77)) == 77


def test_given_a_change_that_iam_does_not_show_when_read_back_then_eight_times_with_pauses_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []
    pauses: list[float] = []
    monkeypatch.setattr(changes, "read", lambda principal: reads.append(principal["arn"]))
    monkeypatch.setattr(clock, "sleep", pauses.append)
    never: Any = SimpleNamespace(what="key disabled", target="AKIA1", shown=lambda _state: False)
    principal: Any = {"arn": "arn:aws:iam::123456789012:user/a"}

    (action,) = changes._read_back(principal, [never], {})

    assert (len(reads), len(pauses), action["verified"]) == (8, 7, False)


def test_given_several_steps_of_a_start_when_they_are_done_at_once_then_each_is_done_and_a_failure_ends_none() -> None:
    done: list[int] = []

    router._at_once([lambda number=number: done.append(number) for number in range(3)])  # type: ignore[misc]

    assert sorted(done) == [0, 1, 2]


def test_given_an_address_that_is_none_when_an_answer_is_due_there_then_it_is_not_allowed() -> None:
    assert not response_url.is_allowed("https://[hooks.slack.com/x")


def test_given_a_line_that_a_body_has_twice_when_it_is_replaced_then_only_the_first_changes() -> None:
    line = "📎 a.txt (file F1: not copied yet)"

    assert file_lines.replaced(f"{line}\n{line}", "F1", "📎 a.txt") == f"📎 a.txt\n{line}"


@pytest.mark.parametrize("status", [200, 412, 500])
def test_given_an_upload_when_it_was_answered_then_the_connection_is_given_back(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    closed: list[int] = []
    response: Any = SimpleNamespace(
        status=status, headers={}, close=lambda: closed.append(status), read=lambda *_, **__: b""
    )
    pool: Any = SimpleNamespace(request=lambda *_, **__: response)
    monkeypatch.setattr(transfer, "_pool", lambda: pool)
    source: Any = None

    with pytest.raises(UncertainError, match="HTTP 500") if status == 500 else nullcontext():
        transfer.upload("S3", "PUT", "https://s3.example", source, 1, {"if-none-match": "*"})

    assert closed == [status]


def test_given_a_token_that_slack_refused_when_the_error_is_shown_then_its_code_is_there() -> None:
    assert str(slack_app.TokenRefusedError("invalid_auth")) == "Slack returned invalid_auth"


def test_given_ssm_that_answers_an_error_without_a_code_when_a_parameter_is_read_then_it_is_uncertain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def get_parameter(**_: Any) -> Any:
        raise ClientError(answers.pop(0), "GetParameter")

    answers: list[Any] = [{}, {"Error": {"Code": "AccessDeniedException"}}, {"Error": {"Code": "ThrottlingException"}}]
    monkeypatch.setattr(aws, "client", lambda _service: SimpleNamespace(get_parameter=get_parameter))

    for kind, code in ((UncertainError, "Unknown"), (UncertainError, "AccessDenied"), (RetryLaterError, "Throttling")):
        with pytest.raises(kind, match=code):
            parameters.read("/name", "slack_bot_token")


def test_given_a_user_group_when_it_is_named_then_its_handle_is_shown_and_its_id_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = [{"id": "S1", "handle": "on-call"}, {"id": "S2", "handle": None}, {"handle": "x"}]
    slack: Any = SimpleNamespace(read=lambda *_, **__: {"usergroups": groups})
    monkeypatch.setattr(Names, "_cache", {})
    names = Names(slack)

    assert [names.group(group) for group in ("S1", "S2", "S3")] == ["on-call", "S2", "S3"]


def test_given_more_versions_of_a_message_than_are_kept_when_another_is_stored_then_the_newest_ten_stay() -> None:
    known: Any = {"versions": [f"v{number}" for number in range(10)]}

    assert approval_places.versions_with({}, "v1") == ["v1"]
    assert approval_places.versions_with(known, "new") == [*[f"v{number}" for number in range(1, 10)], "new"]


def test_given_an_incident_of_an_earlier_version_when_its_principal_calls_then_the_call_is_alerted_as_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Any] = [{"incident": "e1", "phase": "open"}, {"phase": "open"}, None]
    monkeypatch.setattr(containments, "get", lambda _arn: rows.pop(0))
    incident: Any = {"actor": {"arn": "arn:aws:iam::123456789012:user/a"}, "event_time": "", "detections": []}

    assert [attempts.handle(incident, None) for _ in range(3)] == [False, False, False]


def test_given_attempts_to_transfer_a_file_when_queued_then_each_has_its_own_message_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    revisited: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    monkeypatch.setattr(aws, "client", lambda _service: SimpleNamespace(send_message=lambda **one: sent.append(one)))
    monkeypatch.setattr(attachments, "settings", lambda: SimpleNamespace(require=lambda _name: "https://sqs/files"))
    sync: Any = SimpleNamespace(case_id="42", revisit=revisited.append)
    rows: list[Any] = [None, *({"attempt": number, "settle_after": 999} for number in (1, 2))]

    for row in rows:
        attachments._queue_transfer(sync, {"kind": "to_slack"}, "F1", row)
    attachments._queue_transfer(sync, {"kind": "to_slack"}, "F1", {"attempt": 1, "settle_after": 1_007})
    attachments._queue_transfer(sync, {"kind": "to_slack"}, "F1", {"given_up": True})

    groups = [one["MessageGroupId"] for one in sent]
    assert (len(groups), len(set(groups))) == (3, 3)
    assert groups == [one["MessageDeduplicationId"] for one in sent]
    assert revisited == [1_600, 1_600, 1_600, 1_007]


def test_given_the_settings_that_the_verification_needs_when_read_then_each_is_a_setting() -> None:
    assert {name for name in verify._NEEDED if name not in {field.name for field in fields(Settings)}} == set()


def test_given_the_moment_at_which_a_record_expires_when_it_is_missing_then_it_counts_as_expired_from_then_on() -> None:
    walk = audit_verification._Walk(audit.MAIN, 100.0)

    assert [walk._expired(moment) for moment in (99.0, 100.0, 100.5, None)] == [True, True, False, False]


def test_given_values_that_are_too_long_when_the_form_is_shown_then_slack_accepts_each_and_the_rest_is_as_given() -> (
    None
):
    given = CaseForm("t" * 400, "d" * 5_000, forms.KINDS[-1], forms.SEVERITIES[1], 77, ("1" * 12,) * 400, ("U1", "U2"))

    blocks = {block["block_id"]: block for block in create_form.view(given, {"channel": "C1"})["blocks"]}

    elements = {name: block["element"] for name, block in blocks.items()}
    texts = [elements[name] for name in (forms.TITLE, forms.DESCRIPTION, forms.ACCOUNTS)]
    assert [(len(one["initial_value"]), one["max_length"]) for one in texts] == [
        (300, 300),
        (3_000, 3_000),
        (3_000,) * 2,
    ]
    assert [elements[name]["initial_option"]["value"] for name in (forms.KIND, forms.SEVERITY)] == [
        given.kind,
        given.severity,
    ]
    assert elements[forms.START]["initial_date_time"] == 77
    assert elements[forms.WATCHERS]["initial_users"] == ["U1", "U2"]
    assert [name for name, block in blocks.items() if block["optional"]] == [forms.ACCOUNTS, forms.WATCHERS]
    empty = {block["block_id"]: block["element"] for block in create_form.view(CaseForm(), {})["blocks"]}
    assert not [name for name, element in empty.items() if {"initial_value", "initial_users"} & element.keys()]
    assert "initial_date_time" not in empty[forms.START]
