"""The Slack app as verify sees it (slack_app): each answer of Slack, and the complete lines with their fixes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError, SlackRequestError

from ir_router.errors import NotConfiguredError
from ir_router.ops import approver_checks, slack_app
from ir_router.ops import credentials as parameters
from ir_router.ops.checks import Check, failed, ok, waiting, warning
from ir_router.ops.credentials import Parameter
from ir_router.ops.slack_app import Installation, SlackUnreachableError, TokenRefusedError
from ir_router.slack import credentials
from ir_router.slack.gateway import DEFAULT_BASE_URL

SCOPES = slack_app.wanted_scopes()
FOUND = Installation("T1", "Acme", "E1", "bot", frozenset(SCOPES))
AGAIN = (
    "Paste the manifest (output slack_app_manifest; operations.md, Set up) into the app again, reinstall it, then run "
    "make rotate with the new token."
)


class Answer(dict[str, Any]):
    """An answer of slack_sdk."""

    headers: dict[str, Any] = {}  # noqa: RUF012
    status_code = 200


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Let Slack give these answers in turn, and return the calls."""

    def use(*answers: Any) -> list[Any]:
        left: list[Any] = list(answers)
        asked: list[Any] = []

        class Client:
            def __init__(self, **given: Any) -> None:
                asked.append(given)

            def api_call(self, method: str, params: dict[str, str]) -> Any:
                asked.append((method, params))
                answer = left.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer

        monkeypatch.setattr(slack_app, "WebClient", Client)
        return asked

    return use


def test_given_an_answer_of_slack_when_authenticated_then_workspace_bot_and_scopes_are_read(
    calls: Callable[..., list[Any]],
) -> None:
    answer = Answer(team_id="T1", team="Acme", enterprise_id="E1", user="bot")
    for header in ("chat:write, ,users:read ", ["chat:write,users:read", "x"]):
        answer.headers = {"X-OAuth-Scopes": header}
        asked = calls(answer)
        found = slack_app.authenticate("xoxb", None)
        assert found == Installation("T1", "Acme", "E1", "bot", frozenset({"chat:write", "users:read"}))
        assert asked == [
            {"token": "xoxb", "base_url": DEFAULT_BASE_URL, "timeout": 10},
            ("auth.test", {}),
        ]
    calls(Answer())
    assert slack_app.authenticate("xoxb", "http://x") == Installation("", "", None, "", frozenset())
    assert [FOUND.is_of(one) for one in ("T1", "E1", "T2")] == [True, True, False]
    assert Installation("", "", None, "", frozenset()).missing_scopes() == sorted(SCOPES)


def test_given_pages_of_channels_when_named_then_all_are_read_and_sorted(calls: Callable[..., list[Any]]) -> None:
    asked = calls(
        Answer(channels=[{"name": "b"}, {}], response_metadata={"next_cursor": "c2"}), Answer(channels=[{"name": "a"}])
    )
    assert slack_app.channel_names("xoxb", "http://x") == ["None", "a", "b"]
    wanted = {"types": "public_channel,private_channel", "exclude_archived": "true", "limit": "200"}
    assert asked[1::2] == [
        ("users.conversations", {**wanted, "cursor": ""}),
        ("users.conversations", {**wanted, "cursor": "c2"}),
    ]
    assert asked[0]["base_url"] == "http://x"


def rejected(status: int, data: Any) -> SlackApiError:
    return SlackApiError("m", SimpleNamespace(data=data, status_code=status))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (rejected(200, {"error": "invalid_auth"}), TokenRefusedError, "Slack returned invalid_auth"),
        (rejected(200, {"error": "Invalid auth"}), SlackUnreachableError, "Slack returned HTTP 200"),
        (rejected(200, b"x"), SlackUnreachableError, "Slack returned HTTP 200"),
        (rejected(503, {"error": "fatal"}), SlackUnreachableError, "Slack returned HTTP 503"),
        (SlackRequestError("x"), SlackUnreachableError, "Slack did not answer (SlackRequestError)"),
        (TimeoutError("x"), SlackUnreachableError, "Slack did not answer (TimeoutError)"),
    ],
)
def test_given_a_call_that_fails_when_made_then_only_a_code_of_slack_is_a_rejection(
    calls: Callable[..., list[Any]], error: Exception, kind: type[Exception], text: str
) -> None:
    calls(error)
    with pytest.raises(kind) as raised:
        slack_app.revoke("xoxb", None)
    assert (str(raised.value), type(raised.value)) == (text, kind)
    assert isinstance(raised.value.__cause__, type(error))
    if isinstance(raised.value, TokenRefusedError):
        assert raised.value.code == "invalid_auth"


def test_given_a_token_when_revoked_then_slack_confirms_it(calls: Callable[..., list[Any]]) -> None:
    asked = calls(Answer(revoked=True), Answer(revoked=False))
    slack_app.revoke("xoxb", None)
    with pytest.raises(SlackUnreachableError, match=r"^Slack did not revoke the token$"):
        slack_app.revoke("xoxb", None)
    assert asked[1::2] == [("auth.revoke", {})] * 2


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The stored token, the answers of Slack by token, the versions of the parameters, and the teams."""
    found = SimpleNamespace(
        token="now", answers={"now": FOUND}, versions={"token": "now", "workspace": "T1"}, number=1, asked=[], teams=[]
    )

    def answer(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    def read(name: str) -> Parameter:
        found.asked.append(name)
        return Parameter(name, found.versions.get(name, ""), found.number, datetime.fromtimestamp(0, UTC))

    def bot_token(*, fresh: bool) -> Any:
        assert fresh
        return answer(found.token)

    chosen = SimpleNamespace(
        bot_token_parameter="token", workspace_id_parameter="workspace", slack_api_base_url="http://x"
    )
    monkeypatch.setattr(slack_app, "settings", lambda: chosen)
    monkeypatch.setattr(credentials, "bot_token", bot_token)
    monkeypatch.setattr(parameters, "read", read)
    refused = TokenRefusedError("token_revoked")
    monkeypatch.setattr(slack_app, "authenticate", lambda token, base: answer(found.answers.get(token, refused)))
    monkeypatch.setattr(approver_checks, "checks", lambda slack, team: [ok("approvers", f"{team}")])
    return found


def lines(app: SimpleNamespace) -> list[Check]:
    slack: Any = SimpleNamespace(pages=lambda *given: app.teams if given == ("auth.teams.list", "teams") else [])
    team: Any = ["team"]
    return list(slack_app.checks(slack, team))


WORKS = ok("Slack token", "works: bot bot in Acme (T1)")
NONE = ok("previous Slack token", "Slack refuses it, or there is none")
GRANTED = ok("Slack scopes", f"all {len(SCOPES)} required scopes granted")
OURS = ok("Slack workspace", "requests from Acme are accepted")


def test_given_a_token_that_works_when_verified_then_scopes_workspace_and_approvers_follow(
    app: SimpleNamespace,
) -> None:
    assert lines(app) == [WORKS, NONE, GRANTED, OURS, ok("approvers", "['team']")]
    app.versions["workspace"] = "not-configured"
    assert lines(app)[3] == waiting("Slack workspace", "no workspace id yet", "See the line workspace id.")
    app.versions["workspace"] = "T2"
    detail = "the token belongs to T1, but only requests from T2 are accepted"
    assert lines(app)[3] == failed("Slack workspace", detail, "Run make rotate with SLACK_WORKSPACE_ID=T1.")
    first, second = sorted(SCOPES)[:2]
    app.answers["now"] = Installation("T1", "Acme", None, "bot", frozenset(SCOPES) - {first, second})
    uses = f"the token lacks {first} ({SCOPES[first]}); {second} ({SCOPES[second]})"
    assert lines(app)[2] == failed("Slack scopes", uses, AGAIN)


@pytest.mark.parametrize(
    ("teams", "line"),
    [
        (
            [],
            failed(
                "case channels",
                "the app was added to no workspace of the organisation",
                "Add the app to the workspace that has the case channels, in the settings of the organisation.",
            ),
        ),
        ([{"name": "Acme"}], ok("case channels", "created in Acme")),
        (
            [{"id": "T7"}, {"name": "b"}],
            warning(
                "case channels",
                "created in T7, the first of 2 workspaces with the app",
                "If another workspace has the case channels, run make rotate with SLACK_WORKSPACE_ID set to its id.",
            ),
        ),
    ],
)
def test_given_an_organisation_when_verified_then_the_workspace_of_the_channels_is_named(
    app: SimpleNamespace, teams: list[Any], line: Check
) -> None:
    app.versions["workspace"], app.teams = "E1", teams
    assert lines(app)[3:5] == [OURS, line]


@pytest.mark.parametrize(
    ("token", "answer", "line"),
    [
        (
            NotConfiguredError("x"),
            None,
            waiting("Slack token", "no token yet, so the app cannot be checked", "See the line bot token."),
        ),
        (
            "now",
            TokenRefusedError("invalid_auth"),
            failed(
                "Slack token",
                "Slack rejected the bot token (invalid_auth)",
                "Reinstall the app to the workspace, copy its Bot User OAuth Token and run make rotate.",
            ),
        ),
        (
            "now",
            SlackUnreachableError("Slack returned HTTP 500"),
            failed(
                "Slack token",
                "Slack returned HTTP 500",
                "Check status.slack.com. Run make verify again in a few minutes.",
            ),
        ),
    ],
)
def test_given_no_token_that_works_when_verified_then_nothing_else_is_checked(
    app: SimpleNamespace, token: Any, answer: Any, line: Check
) -> None:
    app.token, app.answers["now"] = token, answer
    assert lines(app) == [line]


def test_given_earlier_tokens_when_verified_then_the_three_before_must_be_refused(app: SimpleNamespace) -> None:
    fix = "Run make rotate REVOKE_PREVIOUS=1, or revoke it in the app's settings (OAuth & Permissions)."
    app.number = 6
    app.versions |= {"token:5": "now", "token:4": "not-configured", "token:3": "old", "token:2": "older"}
    app.answers["older"] = FOUND

    assert lines(app)[1] == NONE
    assert app.asked[:4] == ["token", "token:5", "token:4", "token:3"]
    app.answers["old"] = FOUND
    assert lines(app)[1] == failed("previous Slack token", "the bot token of version 3 still works", fix)
    app.number, app.asked = 2, []
    assert lines(app)[1] == NONE
    assert app.asked[:3] == ["token", "token:1", "workspace"]
