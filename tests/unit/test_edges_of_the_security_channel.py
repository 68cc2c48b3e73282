"""The security channel that ir-router makes: its claim, its members, its replacement, and the logged reasons."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ledger.claims import Claim, Done, Held
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.sync import approvers, channel, members, security_channel_made
from tests.support.answers import client_error
from tests.support.journal import Journal, refused

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
KEY = keys.security_channel()
PURPOSE = "ir-router posts approval requests and alerts here. Its members are the approvers and the response team."


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    settings = SimpleNamespace(security_channel_id=None, security_channel_name="Sec", approvers=("U1", "a@b.cd"))
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(security_channel_made, "settings", lambda: settings)
    found = Journal(monkeypatch)
    for module, names in ((table, ("update", "delete")), (claims, ("note", "confirm"))):
        for name in names:
            found.replace(module, name)
    for name in ("warning", "error"):
        found.replace(logger, name)
    return found


def slack_of(journal: Journal, *answers: Any) -> Any:
    slack = SimpleNamespace(read=None, pages=None, deadline=SimpleNamespace(settle_after=NOW + 500))
    journal.replace(slack, "read", *answers)
    return slack


INVITED = ["_is_usable", "get", "_people", "invite", "update"]
ERRORS = [
    (refused("x"), "Slack rejected m (x)"),
    (client_error("x"), "ClientError"),
    (BotoCoreError(), "BotoCoreError"),
    (ConditionFailedError({}), "ConditionFailedError"),
    (ValueError("odd"), None),
]


@pytest.mark.parametrize(("error", "reason"), ERRORS)
def test_given_an_error_when_the_channel_is_ensured_or_synchronised_then_the_reason_is_logged_without_a_text_of_others(
    journal: Journal, error: Exception, reason: str | None
) -> None:
    slack = slack_of(journal)
    journal.replace(security_channel, "known_id", "")
    journal.replace(security_channel_made, "Slack", slack)
    journal.replace(security_channel_made, "_make", error)

    runs: Any = ((security_channel_made.ensure, slack), (security_channel_made.synchronise, DEADLINE))
    for run, given in runs:
        if reason is None:
            with pytest.raises(ValueError, match="odd"):
                run(given)
        else:
            run(given)
    logged = [call[2] for call in journal.taken() if call[0] == "warning"]
    assert logged == ([{"extra": {"reason": reason}}] * 2 if reason else [])
    journal.replace(security_channel, "known_id", "C1")
    security_channel_made.ensure(slack)
    assert journal.calls == [("known_id",)]


@pytest.mark.parametrize(
    ("known", "usable", "row", "people", "effects"),
    [
        ("", None, None, [], ["_make"]),
        ("C1", False, None, [], ["_is_usable", "error", "delete", "_make"]),
        ("C1", True, None, ["U1"], ["_is_usable", "get", "_people", "invite", "update"]),
        (
            "C1",
            True,
            {"invited": ["U0", "U1"]},
            ["U1", "U2", "U3"],
            ["_is_usable", "get", "_people", "invite", "update"],
        ),
        ("C1", True, {"invited": ["U1"]}, ["U1"], ["_is_usable", "get", "_people"]),
        ("C1", True, {"invited": None}, [], ["_is_usable", "get", "_people"]),
    ],
)
def test_given_a_known_channel_when_synchronised_then_new_people_are_invited_and_an_unusable_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    known: str,
    usable: bool | None,
    row: Any,
    people: list[str],
    effects: list[str],
) -> None:
    slack = slack_of(journal)
    journal.replace(security_channel_made, "Slack", slack)
    journal.replace(security_channel, "known_id", known)
    journal.replace(security_channel_made, "_is_usable", usable)
    journal.replace(security_channel_made, "_make")
    journal.replace(security_channel_made, "_people", people)
    journal.replace(table, "get", row)
    journal.replace(approvers, "invite", lambda _slack, _channel, new: new[:1])

    security_channel_made.synchronise(DEADLINE)

    before = list((row or {}).get("invited") or [])
    new = [one for one in people if one not in before]
    invited = {"invited": [*before, *new[:1]], "id": "C1"}
    calls = {
        "_make": ("_make", slack),
        "_is_usable": ("_is_usable", slack, "C1"),
        "error": ("error", "security_channel.replaced: the app cannot use it", {"extra": {"channel": "C1"}}),
        "delete": ("delete", KEY, "channel_id = :old", {"old": "C1"}),
        "get": ("get", KEY),
        "_people": ("_people", slack),
        "invite": ("invite", slack, "C1", new),
        "update": ("update", KEY, "SET invited = :invited", "channel_id = :id", invited),
    }
    assert journal.taken() == [("Slack", DEADLINE), ("known_id",), *(calls[name] for name in effects)]
    monkeypatch.setattr(security_channel_made, "settings", lambda: SimpleNamespace(security_channel_id="C7"))
    security_channel_made.synchronise(DEADLINE)
    assert journal.calls == []


@pytest.mark.parametrize("stored", ["", "C4"])
@pytest.mark.parametrize("purpose", [{}, refused("restricted_action"), RetryLaterError("Slack", "m", "x", 1)])
def test_given_people_when_the_channel_is_made_then_claim_creation_purpose_and_invitations_follow(
    journal: Journal, stored: str, purpose: Any
) -> None:
    slack = slack_of(journal, purpose)
    taken = Claim(KEY, 1, must_look=False, row={"channel_id": stored} if stored else {})
    journal.replace(security_channel_made, "_people", ["U1", "U2"])
    journal.replace(claims, "take", taken)
    journal.replace(security_channel_made, "_created", {"id": "C3"})
    journal.replace(approvers, "invite", ["U1"])

    if isinstance(purpose, RetryLaterError):
        with pytest.raises(RetryLaterError):
            security_channel_made._make(slack)
    else:
        security_channel_made._make(slack)

    used = stored or "C3"
    created = [("_created", slack, taken), ("note", taken, {"channel_id": "C3"})]
    end = [
        ("invite", slack, used, ["U1", "U2"]),
        ("confirm", taken, {"channel_id": used, "invited": ["U1"]}),
    ]
    assert [call for call in journal.taken() if call[0] != "warning"] == [
        ("_people", slack),
        ("take", KEY, {"settle_after": NOW + 500}),
        *([] if stored else created),
        ("read", "conversations.setPurpose", {"channel": used, "purpose": PURPOSE}),
        *([] if isinstance(purpose, RetryLaterError) else end),
    ]
    for other in (Done({}), Held(5.0)):
        journal.replace(claims, "take", other)
        security_channel_made._make(slack)
    assert [name for name, *_ in journal.taken()] == ["_people", "take"] * 2
    journal.replace(security_channel_made, "_people", [])
    security_channel_made._make(slack)
    assert [name for name, *_ in journal.calls] == ["_people", "warning"]


@pytest.mark.parametrize(
    ("must_look", "own", "result"),
    [(True, {"id": "C2"}, "C2"), (True, None, "C3"), (False, {"id": "C2"}, "C3")],
)
def test_given_an_earlier_attempt_when_the_channel_is_made_then_it_is_looked_for_under_all_names(
    journal: Journal, must_look: bool, own: Any, result: str
) -> None:
    slack = slack_of(journal)
    journal.replace(security_channel_made, "_own", own)
    journal.replace(security_channel_made, "_create", {"id": "C3"})
    taken = Claim(KEY, 1, must_look=must_look, row={})

    assert security_channel_made._created(slack, taken) == {"id": result}

    names = channel.names("Sec", "")
    looked = [("_own", slack, names)] if must_look else []
    assert journal.calls == [*looked, *([("_create", slack, names)] if result == "C3" else [])]


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([{"name": "b", "creator": "UBOT", "id": "C2"}, {"name": "a", "creator": "UBOT", "id": "C1"}], "C1"),
        ([{"name": "b", "creator": "UBOT", "id": "C2"}, {"name": "a", "creator": "U1", "id": "C1"}], "C2"),
        ([{"name": "x", "creator": "UBOT", "id": "C2"}, {"id": "C3"}], None),
    ],
)
def test_given_listed_channels_when_searched_then_the_bots_one_with_the_first_name_is_taken(
    journal: Journal, listed: list[Any], found: str | None
) -> None:
    slack = slack_of(journal, {"user_id": "UBOT"})
    journal.replace(slack, "pages", listed)

    assert (security_channel_made._own(slack, ["a", "b"]) or {}).get("id") == found

    wanted = {"types": "private_channel", "exclude_archived": True}
    assert journal.calls == [("read", "auth.test"), ("pages", "users.conversations", "channels", wanted)]


def test_given_approvers_and_team_when_listed_then_each_user_is_named_once(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    slack = slack_of(journal)
    monkeypatch.setattr(members, "response_team", lambda: [Person(email="t@b.cd")])
    journal.replace(approvers, "user_ids", ["U1", "U2", "U1"])

    assert security_channel_made._people(slack) == ["U1", "U2"]
    assert journal.calls == [("user_ids", slack, ["U1", "a@b.cd", "t@b.cd"])]


def test_given_a_channel_when_its_usability_is_asked_then_the_request_names_it(journal: Journal) -> None:
    slack = slack_of(journal, {"channel": {}}, OutOfTimeError("x"), refused("channel_not_found"), refused("x"))

    assert security_channel_made._is_usable(slack, "C1") is True
    with pytest.raises(OutOfTimeError):
        security_channel_made._is_usable(slack, "C1")
    assert security_channel_made._is_usable(slack, "C1") is False
    with pytest.raises(RefusedError):
        security_channel_made._is_usable(slack, "C1")
    assert journal.calls == [("read", "conversations.info", {"channel": "C1"})] * 4
