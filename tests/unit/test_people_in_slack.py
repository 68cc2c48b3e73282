"""The identity of a user by the responses of Slack, and the number of calls to Slack."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.commands import people
from ir_router.errors import RefusedError
from ir_router.ops import activity
from ir_router.settings import settings
from ir_router.slack import credentials, installation


class SlackOf:
    """Slack with user groups; `asked` are the groups that were read."""

    def __init__(self, **groups: list[str]) -> None:
        self.groups = groups
        self.asked: list[str] = []
        self.code = "no_such_subteam"

    def read(self, method: str, usergroup: str = "") -> dict[str, Any]:
        if method == "auth.test":
            return {"team_id": "T1", "enterprise_id": "E1"}
        assert method == "usergroups.users.list"
        self.asked.append(usergroup)
        if usergroup not in self.groups:
            raise RefusedError("Slack", method, self.code)
        return {"users": self.groups[usergroup] or None}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    people.forget_groups()
    settings.cache_clear()
    installation.forget()
    monkeypatch.setattr(credentials, "workspace_id", lambda: "T1")
    yield
    people.forget_groups()
    settings.cache_clear()


def command(user: dict[str, Any], slack: SlackOf) -> Any:
    names = SimpleNamespace(user=lambda _id: user)
    return SimpleNamespace(names=names, slack=slack, user_id="U1")


def test_given_a_user_group_when_it_is_asked_for_again_then_slack_is_asked_once_in_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    slack: Any = SlackOf(S1=["U1"], S2=[])
    for _ in range(2):
        assert people._members(slack, "S1") == {"U1"}
        assert people._members(slack, "S2") == frozenset()
        assert people._members(slack, "S3") == frozenset()  # Slack does not know it, and there is no second call
    assert slack.asked == ["S1", "S2", "S3"]
    now[0] += 299
    people._members(slack, "S1")
    assert len(slack.asked) == 3
    now[0] += 1
    slack.groups["S1"] = []
    assert people._members(slack, "S1") == frozenset()
    assert len(slack.asked) == 4

    slack.code = "missing_scope"
    assert people._members(slack, "S4") == frozenset()
    slack.groups["S4"] = ["U1"]
    assert people._members(slack, "S4") == {"U1"}  # as soon as an operator has added the scope


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"profile": {"email": "a@b.example"}}, {"email": "a@b.example", "is_person": True}),
        ({"profile": {"email": "a@b.example"}, "is_email_confirmed": False}, {"email": None}),
        ({"profile": {}}, {"email": ""}),
        ({}, {"is_person": False, "email": ""}),
        ({"id": "U1", "deleted": True}, {"is_person": False}),
        ({"id": "U1", "is_bot": True}, {"is_person": False}),
        ({"id": "U1", "is_restricted": True}, {"is_guest": True}),
        ({"id": "U1", "is_ultra_restricted": True}, {"is_guest": True}),
        ({"id": "U1"}, {"is_guest": False, "is_stranger": False}),
        ({"id": "U1", "is_stranger": True}, {"is_stranger": True}),
        ({"id": "U1", "team_id": "T1"}, {"is_stranger": False}),
        ({"id": "U1", "team_id": "E1"}, {"is_stranger": False}),
        ({"id": "U1", "team_id": "T2"}, {"is_stranger": True}),
        ({"id": "U1", "team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}, {"is_stranger": False}),
        ({"id": "U1", "team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, {"is_stranger": True}),
        ({"id": "U1", "team_id": "T2", "enterprise_user": {}}, {"is_stranger": True}),
    ],
    ids=repr,
)
def test_given_a_user_of_slack_when_asked_who_they_are_then_each_mark_counts(
    user: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = people.requester(command(user, SlackOf()), [])
    assert {name: getattr(found, name) for name in expected} == expected


def test_given_editors_by_group_when_asked_who_somebody_is_then_only_groups_are_looked_up() -> None:
    slack = SlackOf(S1=["U1"], S2=["U2"])
    found = people.requester(command({"id": "U1"}, slack), ["S1", "S2", "U9", "S@b.example"])
    assert found.groups == {"S1"}
    assert slack.asked == ["S1", "S2"]


@pytest.mark.parametrize(
    ("polls", "deployed_ago", "state", "says"),
    [
        ([120, 40, 300], 9_999, "ok", "succeeded 40 s ago"),
        ([], 100, "ok", "deployed 100 s ago"),
        ([], 180, "failed", "no poll succeeded in 15 minutes"),
        ([], 9_999, "failed", "no poll succeeded in 15 minutes"),
    ],
)
def test_given_the_log_of_the_poll_when_verified_then_the_newest_counts_and_a_new_deployment_has_time(
    monkeypatch: pytest.MonkeyPatch, polls: list[int], deployed_ago: int, state: str, says: str
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(clock, "now", lambda: now)
    asked: list[float] = []

    def events(_group: str, pattern: str, since: float) -> list[dict[str, Any]]:
        asked.append(now - since)
        assert pattern == '"poll.completed"'
        return [{"timestamp": int((now - ago) * 1000)} for ago in polls]

    modified = datetime.fromtimestamp(now - deployed_ago, UTC).isoformat()
    client = SimpleNamespace(get_function_configuration=lambda **_: {"LastModified": modified})
    monkeypatch.setattr(activity, "_events", events)
    monkeypatch.setattr(aws, "client", lambda _name: client)

    (line,) = activity._last_poll()

    assert (line.state, asked) == (state, [900])
    assert says in line.detail
