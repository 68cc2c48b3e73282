"""Watchers as members of a channel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ledger import table
from ir_router.settings import settings
from ir_router.sync import members
from tests.support.answers import SlackAnswers


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of members that were stored, without their keys."""
    rows: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(table, "put", lambda key, row: rows.append((key.sk, row)))
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    return rows


def syncing(*answers: Any) -> Any:
    return SimpleNamespace(
        case_id="1", channel_id="C1", slack=SlackAnswers(*answers), deadline=SimpleNamespace(check=lambda: None)
    )


USER = {"user": {"id": "U1", "name": "jane", "profile": {"real_name": "Jane Smith"}}}
JANE = Person(email="Jane@x", name="J")
FOUND = {"email": "jane@x", "watchers": "w", "looked_up_at": 1_000, "since": 1_000}
SHOWN = {"slack_user_id": "U1", "shown": "Jane Smith"}


def refused(code: str) -> RefusedError:
    return RefusedError("Slack", "any", code)


@pytest.mark.parametrize(
    ("before", "answer", "state", "more", "writes"),
    [
        (None, {}, "invited", {}, ["inviting", "invited"]),
        (None, refused("already_in_channel"), "present", {}, ["inviting", "present"]),
        (None, refused("cant_invite_self"), "present", {}, ["inviting", "present"]),
        ({"state": "inviting"}, refused("already_in_channel"), "invited", {}, ["invited"]),
        ({"state": "inviting"}, {}, "invited", {}, ["invited"]),
        ({"state": "former"}, refused("already_in_channel"), "back", {"returns": True}, ["inviting", "back"]),
        ({"state": "former"}, {}, "invited", {"returns": True}, ["inviting", "invited"]),
        ({"state": "former", "quiet": True}, refused("already_in_channel"), "present", {}, ["inviting", "present"]),
        (
            {"state": "inviting", "returns": True},
            refused("already_in_channel"),
            "back",
            {"returns": True},
            ["back"],
        ),
    ],
)
def test_given_a_watcher_when_invited_then_the_state_shows_how_the_person_came(
    stored: list[Any], before: Any, answer: Any, state: str, more: dict[str, Any], writes: list[str]
) -> None:
    sync = syncing(USER, answer)
    row = members._add(sync, JANE, before, "w")
    assert row == {**FOUND, **SHOWN, **more, "state": state}
    assert [one["state"] for _, one in stored] == writes
    assert stored[-1][1] == row
    assert sync.slack.asked == [
        ("users.lookupByEmail", {"email": "Jane@x"}),
        ("conversations.invite", {"channel": "C1", "users": "U1"}),
    ]


def test_given_a_watcher_whom_slack_does_not_know_when_invited_then_the_fix_is_stored_and_other_errors_are_raised(
    stored: list[Any],
) -> None:
    row = members._add(syncing(refused("users_not_found")), JANE, None, "w")
    assert (row["state"], row["since"]) == ("missing", 1_000)
    assert row["shown"].startswith("jane@x (")
    assert row["fix"]
    again = members._add(syncing(refused("users_not_found")), JANE, {"state": "missing", "since": 7}, "w")
    assert again["since"] == 7
    cannot = members._add(syncing(USER, refused("user_is_restricted")), JANE, {"state": "former", "since": 7}, "w")
    assert (cannot["state"], cannot["since"]) == ("missing", 1_000)
    with pytest.raises(RefusedError, match="missing_scope"):
        members._add(syncing(refused("missing_scope")), JANE, None, "w")
    unnamed = members._add(syncing({"user": {"id": "U1"}}, {}), Person(email="a@x"), None, "w")
    assert unnamed["shown"] == "a@x"
    named = members._add(syncing({"user": {"id": "U1", "name": "n"}}, {}), JANE, None, "w")
    assert named["shown"] == "J"


@pytest.mark.parametrize(
    ("removes", "answer", "before", "more"),
    [
        ("false", {}, {"state": "invited", "slack_user_id": "U1"}, {"quiet": False}),
        ("true", {}, {"state": "invited", "slack_user_id": "U1"}, {"quiet": False, "removed": True}),
        (
            "true",
            refused("not_in_channel"),
            {"state": "back", "slack_user_id": "U1"},
            {"quiet": False, "removed": True},
        ),
        (
            "true",
            refused("restricted_action"),
            {"state": "present", "slack_user_id": "U1"},
            {"quiet": False, "removed": False},
        ),
        ("true", {}, {"state": "missing"}, {"quiet": True}),
        ("true", {}, {"state": "outside"}, {"quiet": True}),
    ],
)
def test_given_a_former_watcher_when_marked_then_removed_only_if_the_variable_says_so(
    monkeypatch: pytest.MonkeyPatch, stored: list[Any], removes: str, answer: Any, before: Any, more: Any
) -> None:
    monkeypatch.setenv("IR_REMOVE_FORMER_WATCHERS", removes)
    settings.cache_clear()
    sync = syncing(answer)
    row = members._mark_former(sync, {"email": "jane@x", "since": 1, **before})
    settings.cache_clear()
    assert row == {"email": "jane@x", **before, "state": "former", "since": 1_000, **more}
    kicked = [("conversations.kick", {"channel": "C1", "user": "U1"})]
    assert sync.slack.asked == (kicked if "removed" in more else [])


@pytest.mark.parametrize(
    ("row", "due"),
    [
        ({"state": "invited", "watchers": "old", "looked_up_at": 0}, False),
        ({"state": "missing", "watchers": "old", "looked_up_at": 1_000}, True),
        ({"state": "missing", "watchers": "w", "looked_up_at": 1_000 - 86_400}, True),
        ({"state": "missing", "watchers": "w", "looked_up_at": 1_001 - 86_400}, False),
    ],
)
def test_given_a_missing_member_when_a_day_has_passed_or_the_watchers_changed_then_it_is_looked_up(
    stored: list[Any], row: Any, due: bool
) -> None:
    assert members._is_due(row, "w") is due
