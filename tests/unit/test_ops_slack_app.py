"""Lines of the verification about the Slack app."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError

from ir_router.errors import RefusedError
from ir_router.ops import credentials, slack_app
from tests.support.answers import SlackAnswers


def line(checks: Any) -> tuple[str, str, str]:
    (found,) = checks
    return found.name, found.state, found.detail


class Pages(SlackAnswers):
    def pages(self, method: str, member: str) -> Any:
        return self.read(method, member=member)


@pytest.mark.parametrize(
    ("teams", "state", "detail"),
    [
        ([], "failed", "the app was added to no workspace of the organisation"),
        ([{"name": "acme", "id": "T1"}], "ok", "created in acme"),
        ([{"id": "T1"}, {"name": "b"}], "warning", "created in T1, the first of 2 workspaces with the app"),
    ],
)
def test_given_workspaces_of_an_organisation_when_verified_then_the_one_of_the_channels_is_named(
    teams: list[Any], state: str, detail: str
) -> None:
    slack: Any = Pages(teams)
    assert line(slack_app._case_channels(slack)) == ("case channels", state, detail)
    assert slack.asked == [("auth.teams.list", {"member": "teams"})]


def test_given_an_organisation_whose_teams_cannot_be_read_when_verified_then_the_failed_line_has_the_usual_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Refusing:
        def pages(self, method: str, _member: str) -> Any:
            raise RefusedError("Slack", method, "missing_scope")

    monkeypatch.setattr(credentials, "read", lambda _: SimpleNamespace(is_set=True, value="E1"))
    monkeypatch.setattr(slack_app, "settings", lambda: SimpleNamespace(workspace_id_parameter="id"))
    slack: Any = Refusing()
    found: Any = SimpleNamespace(is_of=lambda wanted: wanted == "E1", team="Acme", team_id="E1")

    workspace, channels = slack_app._workspace(slack, found)

    assert workspace.detail == "requests from Acme are accepted"
    assert (channels.name, channels.state, channels.detail) == (
        "case channels",
        "failed",
        "Slack rejected auth.teams.list (missing_scope)",
    )


@pytest.mark.parametrize(
    "error",
    [AttributeError("'list' object has no attribute 'get'"), RecursionError(), OSError(), SlackClientError("no JSON")],
)
def test_given_an_answer_that_is_unreadable_when_slack_is_called_then_it_counts_as_no_answer(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(WebClient, "api_call", fail)
    with pytest.raises(slack_app.SlackUnreachableError, match=type(error).__name__):
        slack_app._call("xoxb-1", None, "auth.test")
