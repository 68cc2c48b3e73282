"""Test the player of shapes on a small folder of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trials.shapes import __main__ as command
from tests.trials.shapes.entries import BEGIN, Step, entry, read
from tests.trials.shapes.play import attempt
from tests.trials.shapes.scripts import Scripts

ACCOUNT, KEY = "111122223333", "AKIAEXAMPLEEXAMPLE01"


def sends(at: float, **event: Any) -> dict[str, Any]:
    """Return the request for an event in the case's channel."""
    ts = f"{BEGIN + at:.0f}.000{len(str(event)) % 900:03d}"
    whole = {"type": "message", "channel": "C0EXAMPLE1", "channel_type": "group", "ts": ts, "event_ts": ts, **event}
    body = {
        "type": "event_callback",
        "event_id": f"Ev{abs(hash(json.dumps(whole, sort_keys=True)))}",
        "team_id": "T0EXAMPLE1",
        "api_app_id": "A0EXAMPLE1",
        "authorizations": [{"team_id": "T0EXAMPLE1", "user_id": "U0EXAMPLE0", "is_bot": True}],
        "event": whole,
    }
    return {"at": at, "slack_sends": {"content_type": "application/json", "body": body}}


def answers(at: float, method: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"at": at, "slack_answers": {"method": method, "http_status": 200, "body": body, **more}}


def key_made() -> dict[str, Any]:
    identity = {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/eve",
        "accountId": ACCOUNT,
        "userName": "eve",
        "accessKeyId": "AKIAEXAMPLEEXAMPLE02",
    }
    detail = {
        "userIdentity": identity,
        "eventTime": "2026-09-21T14:13:20Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateAccessKey",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.9",
        "requestParameters": {"userName": "builder"},
        "responseElements": {"accessKey": {"userName": "builder", "accessKeyId": KEY, "status": "Active"}},
        "eventID": "00000000-0000-4000-8000-00000000aaaa",
        "readOnly": False,
        "recipientAccountId": ACCOUNT,
    }
    event = {"version": "0", "id": "event-a", "detail-type": "AWS API Call via CloudTrail", "source": "aws.iam"}
    return {**event, "account": ACCOUNT, "time": "2026-09-21T14:13:20Z", "region": "us-east-1", "detail": detail}


def played(*steps: dict[str, Any]) -> dict[str, Any]:
    """Play one entry with these steps."""
    result = attempt(entry("own", {"what": "own", "input": list(steps), "expect": "-"}))
    assert "crashed" not in result, result["crashed"]
    return result


def bodies(result: dict[str, Any]) -> list[str]:
    return [one["body"] for one in result["comments"]["1234567890"] if "[Slack Update]" in one["body"]]


def test_given_a_message_when_the_entry_is_played_then_the_result_shows_its_comment_with_the_neutral_ids() -> None:
    result = played(sends(0, user="U0EXAMPLE2", text="found the laptop"))
    assert [one["status"] for one in result["http_answers"]] == [200]
    (body,) = bodies(result)
    assert "Bob Brown" in body
    assert "found the laptop" in body
    assert "(Slack C0EXAMPLE1/" in body
    assert (result["unexpected"], result["not_played"], result["dead_letters"]) == ([], [], [])


def test_given_an_attachment_with_a_button_when_the_entry_is_played_then_the_result_shows_its_text() -> None:
    action = {"id": "1", "name": "mute", "type": "button", "text": "Mute"}
    result = played(sends(0, user="U0EXAMPLE2", text="", attachments=[{"id": 1, "text": "alert", "actions": [action]}]))
    (body,) = bodies(result)
    assert "alert\n[Mute]" in body
    shown = result["channel_messages"]["C0EXAMPLE1"]["messages"]
    assert [one["attachments"] for one in shown if "attachments" in one] == ["alert\n[Mute]"]


def test_given_a_file_whose_bytes_come_late_when_it_is_played_then_the_scripted_answers_follow_one_another() -> None:
    file = {"id": "F0EXAMPLE77", "name": "trace.txt", "mimetype": "text/plain", "size": 40, "user": "U0EXAMPLE1"}
    address = "https://files.slack.com/files-pri/T0EXAMPLE1-F0EXAMPLE77/download/file"
    whole = {**file, "url_private": address, "url_private_download": address, "mode": "hosted"}
    share = {"private": {"C0EXAMPLE1": [{"ts": "1.0"}]}}
    served = {"request": "GET url_private_download", "headers": {"Content-Type": "text/plain"}, "body_bytes": 40}
    result = played(
        sends(0, subtype="file_share", user="U0EXAMPLE1", text="the trace", files=[whole], upload=True),
        sends(0, type="file_shared", file_id=file["id"], user_id="U0EXAMPLE1", channel_id="C0EXAMPLE1"),
        answers(0, "files.info", {"ok": True, "file": {**whole, "shares": share}}, **{"with": {"file": file["id"]}}),
        {"at": 0, "file_host_answers": {**served, "http_status": 429, "headers": {"Retry-After": "3"}, "times": 1}},
        {"at": 3, "file_host_answers": {**served, "http_status": 200}},
    )
    attachments = result["case"]["1234567890"]["attachments"]
    assert [(one["size"], one["status"]) for one in attachments] == [(40, "Verified")]
    assert result["answers_never_asked_for"] == []


def test_given_a_command_in_a_channel_of_no_case_when_it_is_played_then_the_answer_arrives() -> None:
    form = {
        "command": "/security-ir", "text": "status", "user_id": "U0EXAMPLE1", "team_id": "T0EXAMPLE1",
        "channel_id": "C0EXAMPLE3", "channel_name": "operations", "api_app_id": "A0EXAMPLE1", "trigger_id": "1.2.3",
        "response_url": "https://hooks.slack.com/commands/T0EXAMPLE1/1/EXAMPLE",
    }  # fmt: skip
    result = played({"at": 0, "slack_sends": {"content_type": "application/x-www-form-urlencoded", "form": form}})
    assert "can only be used in AWS Security IR incident channels" in str(result["ephemeral"])


def test_given_a_contained_user_when_jane_denies_then_iam_before_and_after_agree() -> None:
    result = played(
        {"at": 0, "given": {"iam_user": {"name": "builder", "keys": {KEY: "Active"}}}},
        {"at": 0, "aws_sends": key_made()},
        {"at": 60, "person": "the user is contained"},
        {"at": 600, "person": "Jane denies"},
    )
    assert result["not_played"] == []
    assert result["rules"][0]["rules"] == ["create_access_key"]
    assert result["iam"]["before"] == result["iam"]["after"]
    assert [one["status"] for one in result["executions"]] == ["SUCCEEDED"]
    assert f"Account {ACCOUNT}" in result["alerts"][0]["message"]


def test_given_a_refusal_of_iam_when_it_is_played_then_it_counts_for_its_arguments_only() -> None:
    refusal = {"Error": {"Code": "AccessDenied", "Message": "no"}}
    answer = {"service": "iam", "operation": "UpdateAccessKey", "http_status": 403, "body": refusal}
    other = "AKIAEXAMPLEEXAMPLE03"
    result = played(
        {"at": 0, "given": {"iam_user": {"name": "builder", "keys": {KEY: "Active", other: "Active"}}}},
        {"at": 0, "aws_sends": key_made()},
        {"at": 0, "aws_answers": {**answer, "with": {"AccessKeyId": other}}},
    )
    assert result["iam"]["after"]["users"]["builder"]["keys"] == {KEY: "Inactive", other: "Active"}


def test_given_words_that_the_player_does_not_know_when_it_is_played_then_they_are_listed() -> None:
    result = played(
        {"at": 0, "given": {"weather": "rain"}},
        {"at": 1, "person": "Jane hums; Jane posts 'still here'"},
        sends(2, user="U0EXAMPLE1", text="hello"),
    )
    assert [one["why"] for one in result["not_played"]] == ["given weather: unknown", "person 'Jane hums': unknown"]
    assert len(bodies(result)) == 2


def test_given_an_unsigned_and_an_old_request_when_they_are_played_then_they_are_turned_away() -> None:
    unsigned, old = sends(0, user="U0EXAMPLE1", text="a"), sends(1, user="U0EXAMPLE1", text="b")
    unsigned["slack_sends"]["signed"] = False
    old["slack_sends"]["signed"] = "six minutes ago"
    result = played(unsigned, old)
    assert [one["status"] for one in result["http_answers"]] == [401, 401]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    first = {"id": "a-1", "what": "one", "input": [], "expect": "-"}
    (tmp_path / "a.json").write_text(json.dumps([first, {**first, "id": "a-2", "input": [{"given": {}}]}]))
    return tmp_path


def test_given_a_folder_when_the_command_plays_it_then_each_entry_has_a_file_and_a_row(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(folder), "ONLY=a-1"], {"JOBS": "1"}) == 0
    assert [file.name for file in command.RESULTS.iterdir()] == ["a-1.json"]
    assert "a-1" in capsys.readouterr().out
    assert command.main([str(folder / "nowhere")], {}) == 2


def test_given_an_entry_in_which_the_player_fails_when_it_plays_then_the_others_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "attempt", lambda one: {"id": one.id, "crashed": "Traceback", "seconds": 0.0})
    assert command.main([str(folder)], {"JOBS": "1"}) == 1
    assert len(list(command.RESULTS.iterdir())) == 2


def test_given_entries_when_they_are_read_then_globs_select_and_steps_keep_their_order(folder: Path) -> None:
    assert [one.id for one in read(folder, "*-2")] == ["a-2"]
    (step,) = read(folder, "a-2")[0].steps
    assert (step.kind, step.at) == ("given", 0.0)


def test_given_answers_with_times_when_they_are_spent_then_the_next_counts_at_once() -> None:
    steps = [
        Step(1, 0, "slack_answers", {"method": "m", "n": 1, "times": 2}),
        Step(2, 100, "slack_answers", {"method": "m", "n": 2}),
        Step(3, 200, "slack_answers", {"method": "m", "n": 3, "until": 300}),
    ]
    scripts = Scripts(steps, lambda answer: str(answer["method"]), 1000)
    given = [scripts.take("m", {}, now) for now in (999, 1000, 1001, 1002, 1100, 1200, 1300)]
    assert [one and one.answer["n"] for one in given] == [None, 1, 1, 2, 2, 3, None]
    assert scripts.take("other", {}, 1000) is None


def test_given_answers_that_begin_together_when_they_are_taken_then_they_follow_one_another() -> None:
    steps = [Step(n, 0, "slack_answers", {"method": "m", "n": n}) for n in (1, 2)]
    scripts = Scripts(steps, lambda answer: str(answer["method"]), 0)
    assert [one.answer["n"] for _ in range(3) if (one := scripts.take("m", {}, 5))] == [1, 2, 2]


def test_given_answers_for_arguments_when_calls_come_then_each_gets_its_own() -> None:
    steps = [
        Step(1, 0, "slack_answers", {"method": "m", "n": 1}),
        Step(2, 0, "slack_answers", {"method": "m", "n": 2, "with": {"users": "U2"}}),
    ]
    scripts = Scripts(steps, lambda answer: str(answer["method"]), 0)
    calls: tuple[dict[str, Any], ...] = ({"users": "U1"}, {"users": "U1,U2"}, {"users": ["U2"]}, {})
    assert [one.answer["n"] for call in calls if (one := scripts.take("m", call, 5))] == [1, 2, 2, 1]
