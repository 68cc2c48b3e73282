"""Channels that ir-router makes: names, claims, the rows of a moved or deleted channel, and the security channel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import LeaseLostError, OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.keys import Key
from ir_router.ledger.table import TransactionFailedError
from ir_router.slack import credentials
from ir_router.sync import channel, channel_pace, security_channel_made, system_comments
from ir_router.sync.channel import ChannelUnavailableError
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing
from tests.support.transfers import claim

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
OWN = {"name": "ir-1", "creator": "UBOT", "id": "C2"}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(channel, "settings", lambda: SimpleNamespace(channel_visibility="private"))
    monkeypatch.setattr(
        security_channel_made,
        "settings",
        lambda: SimpleNamespace(security_channel_id=None, security_channel_name="Sec", approvers=("U1", "a@b.cd")),
    )
    found = Journal(monkeypatch)
    for module, names in ((table, ("put", "update", "delete")), (claims, ("note", "confirm", "refused", "unanswered"))):
        for name in names:
            found.replace(module, name)
    return found


def made(journal: Journal, **changes: Any) -> Any:
    """Return a synchronisation of a case without or with a channel."""
    own = syncing(journal, **changes)
    own.slack.pages = None
    journal.replace(own.slack, "pages", [])
    own.lease = SimpleNamespace(row=changes.get("row", {}))
    own.row = lambda key: own.rows.get(key.sk)
    own.deadline.settled_from_now = NOW + 9
    return own


# The channel of a case


@pytest.mark.parametrize(
    ("channel_id", "created", "asks"),
    [("", {"id": "C5", "topic": {}}, False), ("", {"id": "C5"}, True), ("C5", None, True)],
)
@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"is_member": True, "is_archived": False, "x": 1}, None),
        ({"x": 1}, None),
        ({"is_archived": True}, "archived"),
        ({"is_member": False}, "not a member"),
        (refused("is_archived"), "archived"),
        (refused("not_in_channel"), "not a member"),
    ],
)
def test_given_a_case_when_its_channel_is_ensured_then_it_is_made_or_read_and_must_be_usable(
    journal: Journal, channel_id: str, created: Any, asks: bool, info: Any, reason: str | None
) -> None:
    own = made(journal, channel_id=channel_id)
    journal.replace(channel, "_make", created)
    journal.replace(own.slack, "read", {"channel": info} if isinstance(info, dict) else info)

    if asks and reason:
        with pytest.raises(ChannelUnavailableError) as error:
            channel.ensure(own)
        assert error.value.reason == reason
    else:
        assert channel.ensure(own) == (info if asks else created)
    assert own.channel_id == "C5"
    making = [] if channel_id else [("_make", own, keys.note("1", "channel"))]
    assert journal.calls == [*making, *([("read", "conversations.info", {"channel": "C5"})] if asks else [])]


def test_given_a_missing_channel_when_ensured_then_it_is_found_or_replaced_and_other_errors_pass(
    journal: Journal,
) -> None:
    own = made(journal, channel_id="C5")
    journal.replace(own.slack, "read", refused("channel_not_found"))
    journal.replace(channel, "_found_again", {"id": "C6"}, None)
    journal.replace(channel, "_replaced", {"id": "C7"})

    assert [channel.ensure(own), channel.ensure(own)] == [{"id": "C6"}, {"id": "C7"}]
    ((_, replaced, unavailable),) = [call for call in journal.calls if call[0] == "_replaced"]
    assert (replaced, unavailable.reason) == (own, "not visible")
    journal.replace(own.slack, "read", refused("invalid_auth"))
    with pytest.raises(RefusedError, match="invalid_auth"):
        channel.ensure(own)


@pytest.mark.parametrize(
    ("moved_to", "own_channel", "found"),
    [
        ("C2", None, {"id": "C2", "name": "ir-1"}),
        ("", {"id": "C2", "name": "ir-1"}, {"id": "C2", "name": "ir-1"}),
        ("", {"id": "C2"}, {"id": "C2"}),
        ("", None, None),
    ],
)
def test_given_a_changed_id_when_found_then_all_rows_of_the_channel_move_before_the_case(
    journal: Journal, moved_to: str, own_channel: Any, found: Any
) -> None:
    rows = {
        "META": {"PK": "CASE#1", "SK": "META", "channel_id": "C1"},
        "a": {"PK": "CASE#1", "SK": "a", "channel_id": "C1"},
        "b": {"PK": "CASE#1", "SK": "b", "channel_id": "C8"},
        "c": {"PK": "CASE#1", "SK": "c"},
    }
    own = made(journal, rows=rows, row={"slackChannelName": "old"})
    journal.replace(table, "get", {"moved_to": moved_to})
    journal.replace(credentials, "channel_prefix", "ir-")
    journal.replace(channel, "_own", own_channel)
    journal.replace(channel, "_described", {"id": "C2", "name": "ir-1"})
    journal.replace(leases, "save")

    assert channel._found_again(own) == found

    looked = ("_own", own, ["old", *channel.names("ir-", "1")], {"other_than": "C1"})
    searched = [("_described", own)] if moved_to else [("channel_prefix",), looked]
    known = {"slackChannelId": "C2", "channel_id": "C2", "slackChannelName": (found or {}).get("name", "")}
    moved = [
        ("update", Key("CASE#1", "a"), "SET channel_id = :new", {"new": "C2"}),
        ("put", keys.channel("C1"), {"case_id": "1", "moved_to": "C2"}),
        ("put", keys.channel("C2"), {"case_id": "1"}),
        ("save", own.lease, {"channel_away_since": NOW, **known}),
    ]
    assert journal.calls == [("get", keys.channel("C1")), *searched, *(moved if found else [])]
    assert [row.get("channel_id") for row in rows.values()] == ["C1", "C2" if found else "C1", "C8", None]
    assert own.channel_id == ("C2" if found else "C1")


@pytest.mark.parametrize(
    ("visibility", "known", "count", "status", "replaces"),
    [
        ("public", None, 2, "Acknowledged", True),
        ("private", {"deleted": True}, None, "Acknowledged", True),
        ("private", {}, 0, "Acknowledged", False),
        ("private", None, 0, "Acknowledged", False),
        ("public", None, 3, "Acknowledged", False),
        ("public", None, 0, "Closed", False),
    ],
)
@pytest.mark.parametrize(
    ("created", "row_name", "name", "described"),
    [
        ({"id": "C2", "name": "n", "topic": {}}, "", "n", False),
        ({"id": "C2"}, "stored", "stored", True),
        ({"id": "C2"}, "", "C2", True),
    ],
)
def test_given_a_deleted_channel_when_replaced_then_only_the_first_messages_and_members_are_forgotten(
    journal: Journal,
    visibility: str,
    known: Any,
    count: int | None,
    status: str,
    replaces: bool,
    created: Any,
    row_name: str,
    name: str,
    described: bool,
) -> None:
    gone = ("NOTE#notice", "NOTE#closed-to-messages", "MEMBER#a", "NOTE#members-x")
    rows = {sk: {"PK": "CASE#1", "SK": sk} for sk in (*gone, "NOTE#notice-2", "COMMENT#1")}
    stored = {"channel_visibility": visibility, "channels_replaced": count, "slackChannelName": row_name}
    own = made(journal, rows=rows, row=stored, case=case_of(case_status=status))
    journal.replace(table, "get", known)
    journal.replace(channel, "_make", created)
    journal.replace(channel, "_described", {"described": 1})
    journal.replace(system_comments, "write")
    unavailable = ChannelUnavailableError("deleted")

    if not replaces:
        with pytest.raises(ChannelUnavailableError) as error:
            channel._replaced(own, unavailable)
        assert error.value is unavailable
        assert len(rows) == 6
        return
    assert channel._replaced(own, unavailable) == ({"described": 1} if described else created)
    reference = "channel-instead-of-C1"
    more = {"other_than": "C1", "channels_replaced": (count or 0) + 1}
    text = f"The Slack channel of this case was deleted. Slack channel #{name} replaces it, with the same members."
    assert journal.calls == [
        *([("get", keys.channel("C1"))] if visibility == "private" else []),
        *[("delete", Key("CASE#1", sk)) for sk in gone],
        ("_make", own, keys.note("1", reference), more),
        ("write", "1", reference, text),
        *([("_described", own)] if described else []),
    ]
    assert list(rows) == ["NOTE#notice-2", "COMMENT#1"]
    assert own.channel_id == "C2"


@pytest.mark.parametrize(
    ("answer", "effect"),
    [
        (refused("x"), "refused"),
        (RetryLaterError("Slack", "m", "x", 1), "refused"),
        (OutOfTimeError("x"), "refused"),
        (UncertainError("Slack", "m", "x"), "unanswered"),
        (ValueError("odd"), None),
    ],
)
def test_given_an_error_when_a_channel_is_made_then_only_a_certain_rejection_frees_the_claim(
    journal: Journal, answer: Exception, effect: str | None
) -> None:
    own, taken = made(journal), claim()
    journal.replace(own, "claim", taken)
    journal.replace(credentials, "channel_prefix", "ir-")
    journal.replace(channel, "_create", answer)

    with pytest.raises(type(answer)):
        channel._make(own, keys.note("1", "x"), "C0")

    freed: dict[str, list[Any]] = {"refused": [("refused", taken)], "unanswered": [("unanswered", taken, NOW + 9)]}
    assert journal.calls[2:] == [
        ("_create", own, channel.names("ir-", "1"), "C0"),
        *freed.get(effect or "", []),
    ]


def test_given_taken_names_when_a_channel_is_created_then_each_is_paced_and_the_apps_own_one_is_used(
    journal: Journal,
) -> None:
    own = made(journal)
    journal.replace(channel_pace, "wait")
    journal.replace(own.slack, "post", refused("name_taken"), {"channel": {"id": "C3"}})
    journal.replace(channel, "_own", None)

    assert channel._create(own, ["a", "b", "c"], "C0") == ({"id": "C3"}, True)

    def created(name: str) -> list[Any]:
        return [("wait", own), ("post", "conversations.create", {"name": name, "is_private": True})]

    assert journal.taken() == [*created("a"), ("_own", own, ["a"], "C0"), *created("b")]
    journal.replace(own.slack, "post", refused("name_taken"))
    with pytest.raises(RefusedError) as error:
        channel._create(own, ["a"], "")
    assert (error.value.service, error.value.operation, error.value.code) == (
        "Slack",
        "conversations.create",
        "name_taken",
    )
    journal.replace(channel, "_own", OWN)
    assert channel._create(own, ["a", "b"], "") == (OWN, False)
    journal.replace(own.slack, "post", refused("restricted_action"))
    with pytest.raises(RefusedError, match="restricted_action"):
        channel._create(own, ["a", "b"], "")


@pytest.mark.parametrize(
    ("listed", "owners", "found"),
    [
        ([OWN], [None], "C2"),
        ([OWN], [{"case_id": "1"}], "C2"),
        ([OWN], [{"case_id": "2"}], None),
        ([{**OWN, "name": "ir-2", "id": "C3"}, OWN], [{"case_id": "2"}, None], "C3"),
        ([{**OWN, "creator": "U1"}], [None], None),
        ([{**OWN, "name": "other"}], [None], None),
        ([{**OWN, "id": "C0"}], [None], None),
    ],
)
def test_given_listed_channels_when_searched_then_the_apps_first_one_without_another_case_is_taken(
    journal: Journal, listed: list[Any], owners: list[Any], found: str | None
) -> None:
    own = made(journal)
    journal.replace(own.slack, "read", {"user_id": "UBOT"})
    journal.replace(own.slack, "pages", listed)
    journal.replace(table, "get", *owners)

    assert (channel._own(own, ["ir-1", "ir-2"], "C0") or {}).get("id") == found

    wanted = {"types": "public_channel,private_channel", "exclude_archived": True}
    assert journal.calls[:2] == [("read", "auth.test"), ("pages", "users.conversations", "channels", wanted)]


@pytest.mark.parametrize(
    ("reasons", "raised"),
    [
        (["ConditionalCheckFailed", "None"], LeaseLostError),
        (["TransactionConflict"], RetryLaterError),
    ],
)
@pytest.mark.parametrize(
    ("must_look", "more", "visibility", "away_since"),
    [
        (True, {}, "public", NOW),
        (True, {"is_private": True, "created": 7}, "private", 7.0),
        (False, {"is_private": True}, "private", None),
    ],
)
def test_given_a_made_channel_when_it_is_stored_then_a_failed_condition_is_another_run(
    journal: Journal,
    reasons: list[str],
    raised: Any,
    must_look: bool,
    more: dict[str, Any],
    visibility: str,
    away_since: float | None,
) -> None:
    own, taken = made(journal, row={"old": 1}), Claim(keys.note("1", "x"), 1, must_look=must_look, row={})
    journal.replace(own, "claim", taken)
    journal.replace(credentials, "channel_prefix", "ir-")
    own.lease.fence = 4
    journal.replace(channel, "_own", {"id": "C2", "name": "n", **more})
    journal.replace(channel, "_create", ({"id": "C3", "topic": {}, **more}, True))
    journal.replace(claims, "confirm_item", "confirmed")
    journal.replace(table, "put_item", "stored")
    journal.replace(table, "update_item", "updated")
    journal.replace(table, "transact", TransactionFailedError(reasons), None)

    with pytest.raises(raised) as error:
        channel._make(own, keys.note("1", "x"))
    if raised is RetryLaterError:
        kept = error.value
        found = (kept.service, kept.operation, kept.code, kept.seconds)
        assert found == ("DynamoDB", "TransactWriteItems", "TransactionConflict", 1.0)
    assert own.lease.row == {"old": 1}
    created = channel._make(own, keys.note("1", "x"), "", channels_replaced=2)

    expected = {"id": "C2", "name": "n"} if must_look else {"id": "C3", "topic": {}}
    assert created == {**expected, **more}
    values = {"slackChannelId": created["id"], "channel_id": created["id"], "slackChannelName": created.get("name", "")}
    values |= {"channel_visibility": visibility, "channels_replaced": 2}
    values |= {"channel_away_since": away_since} if must_look else {}
    assert own.lease.row == {"old": 1, **values}
    assignments = "SET " + ", ".join(f"{name} = :{name}" for name in values)
    assert journal.calls[-4:] == [
        ("confirm_item", taken, {"channel_id": created["id"]}),
        ("put_item", keys.channel(created["id"]), {"case_id": "1"}),
        ("update_item", keys.case("1"), assignments, "fence = :fence", {"fence": 4, **values}),
        ("transact", ["confirmed", "stored", "updated"]),
    ]
    journal.replace(own, "claim", None)
    own.rows[keys.note("1", "x").sk] = {"channel_id": "C9"}
    assert channel._make(own, keys.note("1", "x")) == {"id": "C9"}
