"""Lines of the verification about the Slack app and the approvers."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ops import slack_app
from ir_router.settings import settings
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


@pytest.mark.parametrize(
    ("channel", "mode", "answer", "state", "detail"),
    [
        ("", "enforce", None, "warning", "none is set; approval requests appear in case channels only"),
        ("", "dry_run", None, "ok", "none is set"),
        ("C1", "enforce", {"channel": {"name": "sec", "is_member": True}}, "ok", "#sec"),
        ("C1", "enforce", {"channel": {"name": "sec"}}, "failed", "the app is not in #sec"),
        (
            "C1",
            "enforce",
            {"channel": {"name": "sec", "is_archived": True, "is_member": True}},
            "failed",
            "#sec is archived",
        ),
        (
            "C1",
            "enforce",
            RefusedError("Slack", "conversations.info", "channel_not_found"),
            "failed",
            "the app cannot see C1: Slack returned channel_not_found",
        ),
        (
            "C1",
            "enforce",
            RefusedError("Slack", "conversations.info", "missing_scope", "needs channels:read"),
            "failed",
            "the app cannot see C1: Slack returned missing_scope: needs channels:read",
        ),
    ],
)
def test_given_the_security_channel_when_verified_then_the_app_must_be_in_it(
    monkeypatch: pytest.MonkeyPatch, channel: str, mode: str, answer: Any, state: str, detail: str
) -> None:
    monkeypatch.setenv("IR_SECURITY_CHANNEL_ID", channel)
    monkeypatch.setenv("IR_CONTAINMENT_MODE", mode)
    settings.cache_clear()
    slack: Any = SlackAnswers(answer)
    found = list(slack_app._security_channel(slack))
    settings.cache_clear()
    assert line(found) == ("security channel", state, detail)
    assert bool(found[0].fix) is (state != "ok")
    assert slack.asked == ([("conversations.info", {"channel": "C1"})] if channel else [])


@pytest.mark.parametrize(
    ("chosen", "team", "mode", "known", "state", "detail"),
    [
        ('["a@x", "b@x"]', [], "enforce", {"a@x", "b@x"}, "ok", "all 2 of slack_approvers found"),
        ('["a@x", "b@x"]', [], "enforce", {"b@x"}, "warning", "1 of slack_approvers found; 1 not in the workspace"),
        ('["a@x"]', ["c@x"], "enforce", set(), "failed", "no user of slack_approvers is in the workspace"),
        ("", ["c@x"], "enforce", {"c@x"}, "ok", "all 1 of the membership's response team found"),
        ("", [], "enforce", set(), "failed", "the membership's response team is empty, so no user can decide"),
        ("", [], "dry_run", set(), "warning", "the membership's response team is empty, so no user can decide"),
    ],
)
def test_given_approvers_when_verified_then_one_must_be_in_the_workspace(
    monkeypatch: pytest.MonkeyPatch, chosen: str, team: list[str], mode: str, known: set[str], state: str, detail: str
) -> None:
    monkeypatch.setenv("IR_APPROVERS", chosen)
    monkeypatch.setenv("IR_CONTAINMENT_MODE", mode)
    settings.cache_clear()
    monkeypatch.setattr(slack_app, "_reachable", lambda _slack, who: who in known)
    slack: Any = None
    found = slack_app._approvers(slack, [Person(email=email) for email in team])
    assert line(found) == ("approvers", state, detail)
    settings.cache_clear()


@pytest.mark.parametrize(
    ("who", "answer", "call", "is_reachable"),
    [
        ("a@x", {"user": {"id": "U1"}}, ("users.lookupByEmail", {"email": "a@x"}), True),
        ("a@x", {"user": {"deleted": True}}, ("users.lookupByEmail", {"email": "a@x"}), False),
        ("U1", {"user": {"id": "U1", "is_bot": True}}, ("users.info", {"user": "U1"}), False),
        ("U1", {"user": {"id": "U1"}}, ("users.info", {"user": "U1"}), True),
        ("U1", {}, ("users.info", {"user": "U1"}), False),
        ("S1", {"users": ["U1"]}, ("usergroups.users.list", {"usergroup": "S1"}), True),
        ("S1", {"users": []}, ("usergroups.users.list", {"usergroup": "S1"}), False),
        ("U1", RefusedError("Slack", "users.info", "user_not_found"), ("users.info", {"user": "U1"}), False),
    ],
)
def test_given_an_approver_when_looked_up_then_only_an_active_user_counts(
    who: str, answer: Any, call: Any, is_reachable: bool
) -> None:
    slack: Any = SlackAnswers(answer)
    assert slack_app._reachable(slack, who) is is_reachable
    assert slack.asked == [call]
