"""The clients of Slack and SSM: arguments, errors, pages and names."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError, SlackRequestError

from ir_router import aws, clock
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys, leases, table
from ir_router.slack import credentials, gateway, installation, parameters
from ir_router.slack.gateway import Names, Slack
from ir_router.sync import channel
from tests.support.answers import SlackAnswers

CASE = "1234567890"


def test_given_a_client_of_slack_when_made_then_it_repeats_nothing_by_itself() -> None:
    gateway.forget_clients()
    client = gateway._client("token", "http://localhost:1/api/")
    assert (client.retry_handlers, client.timeout, client.base_url) == ([], 10, "http://localhost:1/api/")
    gateway.forget_clients()


def test_given_pages_when_read_then_each_has_the_cursor_before_it() -> None:
    slack: Any = SlackAnswers(
        {"members": [{"id": 1}], "response_metadata": {"next_cursor": "c2"}},
        {"response_metadata": {"next_cursor": "c3"}},
        {"members": [{"id": 3}], "response_metadata": None},
    )
    assert [one["id"] for one in Slack.pages(slack, "users.list", "members", team="T1")] == [1, 3]
    assert slack.asked == [
        ("users.list", {"limit": 200, "team": "T1"}),
        ("users.list", {"limit": 200, "team": "T1", "cursor": "c2"}),
        ("users.list", {"limit": 200, "team": "T1", "cursor": "c3"}),
    ]


class Sdk:
    """The SDK's client, of which each call gives the next answer or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def api_call(self, method: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(data=answer)


def sending(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[Slack, Sdk, list[str]]:
    """Return Slack over these answers of the SDK, and the tokens that were used."""
    sdk = Sdk(*answers)
    tokens: list[str] = []

    def client(token: str, _url: str) -> Sdk:
        tokens.append(token)
        return sdk

    monkeypatch.setattr(gateway, "_client", client)
    monkeypatch.setattr(credentials, "bot_token", lambda fresh=False: "fresh" if fresh else "cached")
    monkeypatch.setattr(installation, "team_id", lambda _slack: "T1")
    return Slack(Deadline(soft=clock.now() + 60, hard=clock.now() + 70)), sdk, tokens


def api_error(code: Any, status: int = 200, **headers: str) -> Any:
    response: Any = SimpleNamespace(status_code=status, data={"ok": False, "error": code}, headers=headers)
    make: Any = SlackApiError  # the SDK has no types
    return make("no", response)


@pytest.mark.parametrize(
    ("method", "arguments", "sent"),
    [
        ("chat.postMessage", {"text": "a", "x": None, "y": True}, {"json": {"text": "a", "x": None, "y": True}}),
        ("views.open", {"a": 1}, {"json": {"a": 1}}),
        ("files.completeUploadExternal", {"a": 1}, {"json": {"a": 1}}),
        ("chat.getPermalink", {"a": True, "b": None}, {"params": {"a": "true"}}),
        ("users.info", {"user": "U1"}, {"params": {"user": "U1"}}),
        *(
            (method, {"a": 1}, {"params": {"team_id": "T1", "a": 1}})
            for method in ("conversations.create", "users.conversations", "usergroups.list", "usergroups.users.list")
        ),
    ],
)
def test_given_a_method_when_called_then_its_arguments_have_the_form_that_slack_reads(
    monkeypatch: pytest.MonkeyPatch, method: str, arguments: dict[str, Any], sent: dict[str, Any]
) -> None:
    slack, sdk, tokens = sending(monkeypatch, {"ok": True, "name": "a\ud800"})
    assert slack.post(method, **arguments) == {"ok": True, "name": "a\ufffd"}
    assert (sdk.asked, tokens) == ([(method, sent)], ["cached"])


@pytest.mark.parametrize(
    ("failure", "kind", "shown"),
    [
        (api_error("no_such_thing"), RefusedError, "Slack rejected chat.postMessage (no_such_thing)"),
        (api_error("ratelimited", 429, retry_after="7"), RetryLaterError, "throttled chat.postMessage (ratelimited)"),
        (api_error("ratelimited", 200), RetryLaterError, "(ratelimited)"),
        (api_error("any_code", 500), UncertainError, "Slack did not confirm chat.postMessage (any_code)"),
        (api_error("<html>", 499), UncertainError, "(HTTP 499)"),
        (api_error(None, 200), UncertainError, "(HTTP 200)"),
        (ConnectionResetError("x"), UncertainError, "(ConnectionResetError)"),
        (http.client.IncompleteRead(b""), UncertainError, "(IncompleteRead)"),
        (SlackRequestError("x"), UncertainError, "(SlackRequestError)"),
        (ValueError("x"), UncertainError, "(ValueError)"),
        (b"binary", UncertainError, "(the answer was not JSON)"),
    ],
    ids=repr,
)
def test_given_a_call_that_fails_when_posted_then_the_kind_of_error_says_whether_it_had_an_effect(
    monkeypatch: pytest.MonkeyPatch, failure: Any, kind: type[Exception], shown: str
) -> None:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    slack, sdk, _ = sending(monkeypatch, *[failure] * 3)
    with pytest.raises(kind) as error:
        slack.post("chat.postMessage", text="a")
    assert shown in str(error.value)
    assert len(sdk.asked) == (3 if kind is RetryLaterError else 1)


def test_given_a_rotated_token_when_slack_refuses_the_old_one_then_the_new_one_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack, _, tokens = sending(monkeypatch, api_error("invalid_auth"), {"ok": True})
    assert slack.post("chat.postMessage") == {"ok": True}
    assert tokens == ["cached", "fresh"]
    slack, _, tokens = sending(monkeypatch, api_error("invalid_auth"), api_error("invalid_auth"))
    with pytest.raises(RefusedError, match="invalid_auth"):
        slack.post("chat.postMessage")
    assert tokens == ["cached", "fresh"]


@pytest.mark.parametrize(
    "failure", [UncertainError("Slack", "users.info", "x"), RetryLaterError("Slack", "users.info", "ratelimited", 1)]
)
def test_given_slack_that_cannot_name_a_user_now_when_asked_then_a_patient_run_fails_and_another_uses_the_ids(
    failure: Exception,
) -> None:
    Names.forget()
    slack: Any = SlackAnswers(failure, {"user": {"name": "jane"}})
    hurried = Names(slack, patient=False)
    assert [hurried.real_name("U1"), hurried.real_name("U2"), len(slack.asked)] == ["U1", "U2", 1]
    again: Any = SlackAnswers(failure, {"user": {"name": "jane"}})
    patient = Names(again)
    with pytest.raises(type(failure)):
        patient.real_name("U1")
    assert patient.real_name("U1") == "jane"
    Names.forget()


def test_given_names_when_looked_up_then_they_are_kept_for_ten_minutes_and_rejections_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names.forget()
    now = [1_000.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    slack: Any = SlackAnswers(
        RefusedError("Slack", "users.info", "missing_scope"),
        {"user": {"profile": {"real_name": " Jane\nSmith "}, "real_name": "J", "name": "jane"}},
        RefusedError("Slack", "users.info", "user_not_found"),
        {"user": {"real_name": "J", "name": "jane"}},
        {"channel": {"name": "sec"}},
        {"usergroups": [{"id": "S1", "handle": "oncall"}, {"id": "S2"}]},
        {"user_id": "U0"},
        {"bot_id": "B0"},
    )
    names = Names(slack)
    assert [names.real_name("U1"), names.real_name("U1"), names.real_name("U2")] == ["U1", "Jane Smith", "U2"]
    now[0] = 1_599.9
    assert [names.real_name("U1"), names.real_name("U2"), len(slack.asked)] == ["Jane Smith", "U2", 3]
    now[0] = 1_600
    assert names.real_name("U1") == "J"
    assert [names.channel("C1"), names.group("S1"), names.own_ids()] == ["sec", "oncall", ("U0", "B0")]
    assert slack.asked[3:] == [
        ("users.info", {"user": "U1"}),
        ("conversations.info", {"channel": "C1"}),
        ("usergroups.list", {"include_disabled": "true"}),
        ("auth.test", {}),
        ("auth.test", {}),
    ]
    assert [names.group("S1"), names.own_ids(), len(slack.asked)] == ["oncall", ("U0", "B0"), 8]
    Names.forget()


def test_given_a_parameter_when_read_then_it_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def get_parameter(**arguments: Any) -> Any:
        asked.append(arguments)
        return {"Parameter": {"Value": "v", "Version": 1}}

    monkeypatch.setattr(aws, "client", {"ssm": SimpleNamespace(get_parameter=get_parameter)}.__getitem__)
    parameters.read("/a", "slack_bot_token")
    assert asked == [{"Name": "/a", "WithDecryption": True}]


def test_given_a_channel_under_a_new_id_when_found_then_the_rows_of_this_run_and_of_the_ledger_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: 7.0)
    monkeypatch.setattr(table, "get", lambda key: {"moved_to": "C2"} if key == keys.channel("C1") else None)
    monkeypatch.setattr(table, "update", lambda key, change, **values: written.append((key.sk, change, values)))
    monkeypatch.setattr(table, "put", lambda key, row: written.append((key.pk, row)))
    monkeypatch.setattr(leases, "save", lambda lease, **values: written.append((lease.case_id, values)))
    case = keys.case(CASE)
    rows = {
        sk: {"PK": case.pk, "SK": sk, "channel_id": channel}
        for sk, channel in ((case.sk, "C1"), ("COMMENT#1", "C1"), ("COMMENT#2", "C9"))
    }
    sync: Any = SimpleNamespace(
        case_id=CASE,
        channel_id="C1",
        rows=rows,
        slack=SlackAnswers({"channel": {"id": "C2", "name": "security-ir-1"}}),
        lease=SimpleNamespace(case_id=CASE, row={}),
    )

    found = channel._found_again(sync)

    assert found == {"id": "C2", "name": "security-ir-1"}
    assert sync.channel_id == "C2"
    assert [row["channel_id"] for row in rows.values()] == ["C1", "C2", "C9"]
    assert written == [
        ("COMMENT#1", "SET channel_id = :new", {"new": "C2"}),
        (keys.channel("C1").pk, {"case_id": CASE, "moved_to": "C2"}),
        (keys.channel("C2").pk, {"case_id": CASE}),
        (
            CASE,
            {
                "slackChannelId": "C2",
                "channel_id": "C2",
                "slackChannelName": "security-ir-1",
                "channel_away_since": 7.0,
            },
        ),
    ]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    gateway.forget_clients()
