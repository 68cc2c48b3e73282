"""Members of a channel: who is invited, looked up, marked and announced, in which order, and with which rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases.changes import digest
from ir_router.cases.models import Person
from ir_router.errors import NotConfiguredError, RefusedError, RetryLaterError
from ir_router.ledger import keys, table
from ir_router.ledger.keys import Key
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import error_codes, messages
from ir_router.slack.text import escape, shorten
from ir_router.sync import access_changes, members, posting
from ir_router.sync.members import Team
from tests.support.answers import client_error
from tests.support.journal import Journal, refused

NOW = 500_000.0
DAY = 86_400
JANE, JOE, ANN = (Person(email=f"{name}@b.cd") for name in ("Jane", "Joe", "Ann"))
ALL = {"invited", "back", "missing", "former", "outside"}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(members, "settings", lambda: SimpleNamespace(watcher_domains=(), remove_former_watchers=True))
    return Journal(monkeypatch)


def row(email: str, state: str, **more: Any) -> dict[str, Any]:
    return {"email": email, "state": state, "since": 7.0, **more}


def sync_of(journal: Journal, watchers: tuple[Person, ...] = (), rows: tuple[dict[str, Any], ...] = ()) -> Any:
    """Return a synchronisation with these rows, whose claims and Slack calls are in the journal."""
    own = SimpleNamespace(
        case_id="1",
        channel_id="C1",
        case=SimpleNamespace(watchers=list(watchers)),
        rows_of=lambda prefix: [one for one in rows if str(one["SK"]).startswith(prefix)],
        claim=None,
        revisit=None,
        slack=SimpleNamespace(read=None, post=None, pages=None),
        deadline=SimpleNamespace(check=None),
    )
    journal.replace(own, "claim", "claim")
    journal.replace(own, "revisit")
    journal.replace(own.deadline, "check")
    return own


def stored(*found: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple({**one, "SK": f"MEMBER#{one['email']}"} for one in found)


def announced(monkeypatch: pytest.MonkeyPatch, journal: Journal, synchronising: Any) -> dict[str, list[Any]]:
    """Synchronise, and return the rows that are given to the announcement of each state."""
    found: dict[str, list[Any]] = {}

    def announce(_sync: Any, state: str, people: list[Any], message: Any) -> None:
        journal.calls.append(("announce", state))
        assert message is members._MESSAGES[state]
        found[state] = [one["email"] for one in people]

    monkeypatch.setattr(members, "_announce", announce)
    members.synchronise(synchronising)
    return {state: people for state, people in found.items() if people}


def test_given_members_in_every_state_when_synchronised_then_each_is_invited_kept_or_marked_and_then_announced(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    watchers = digest(["ann@b.cd", "jane@b.cd", "joe@b.cd", "zoe@b.cd"])
    rows = stored(
        row("jane@b.cd", "invited"),
        row("joe@b.cd", "missing", watchers=watchers, looked_up_at=NOW - 5),
        row("gone@b.cd", "invited"),
        row("past@b.cd", "former"),
        row("there@out.cd", "outside"),
    )
    outside = [Person(email=f"{name}@out.cd") for name in ("Zed", "There", "Abe")]
    monkeypatch.setattr(members, "read_team", lambda: Team([JOE, JANE], is_known=True, kept_until=0))
    monkeypatch.setattr(members, "response_team", lambda: [JANE])
    journal.replace(members, "_add", lambda _sync, person, *_: row(person.email.lower(), "back"))
    journal.replace(members, "_set_outside", lambda _sync, email: row(email, "outside"))
    journal.replace(members, "_leave", lambda _sync, before: {**before, "state": "former"})
    own = sync_of(journal, (ANN, Person(email="Zoe@b.cd"), *outside), rows)

    found = announced(monkeypatch, journal, own)

    assert journal.calls == [
        ("_add", own, ANN, None, watchers),
        ("_add", own, Person(email="Zoe@b.cd"), None, watchers),
        ("revisit", NOW - 5 + DAY),
        ("_set_outside", own, "abe@out.cd"),
        ("_set_outside", own, "zed@out.cd"),
        ("_leave", own, rows[2]),
        *(("announce", state) for state in ("invited", "back", "missing", "former", "outside")),
    ]
    assert found == {
        "invited": ["jane@b.cd"],
        "back": ["ann@b.cd", "zoe@b.cd"],
        "missing": ["joe@b.cd"],
        "former": ["gone@b.cd", "past@b.cd"],
        "outside": ["there@out.cd", "abe@out.cd", "zed@out.cd"],
    }


@pytest.mark.parametrize(
    ("before", "is_added"),
    [
        (row("jane@b.cd", "former"), True),
        (row("jane@b.cd", "inviting"), True),
        (row("jane@b.cd", "outside"), True),
        (row("jane@b.cd", "missing", watchers="other", looked_up_at=NOW), True),
        (row("jane@b.cd", "invited"), False),
        (row("jane@b.cd", "present"), False),
        (row("jane@b.cd", "back"), False),
    ],
)
def test_given_an_earlier_state_when_synchronised_then_only_members_who_may_be_absent_are_invited(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, before: dict[str, Any], is_added: bool
) -> None:
    monkeypatch.setattr(members, "read_team", lambda: Team([JANE], is_known=False, kept_until=0))
    journal.replace(members, "_add", {**before, "state": "missing", "looked_up_at": 3})
    journal.replace(members, "_leave")
    own = sync_of(journal, (), stored(before, row("gone@b.cd", "invited")))
    (known, _) = own.rows_of("MEMBER#")

    announced(monkeypatch, journal, own)

    # The team is not known, so the other member stays.
    added = [("_add", own, JANE, known, digest(["jane@b.cd"])), ("revisit", 3 + DAY)]
    assert journal.calls[:-5] == (added if is_added else [])


@pytest.mark.parametrize(
    ("codes", "tried", "raised"),
    [
        (["invalid_auth", "x", "x"], 1, "invalid_auth"),
        (["is_archived", "x", "x"], 1, "is_archived"),
        (["other_error", "invalid_auth", "x"], 2, "other_error"),
        (["", "", "other_error"], 3, "other_error"),
    ],
)
def test_given_a_rejection_when_members_are_invited_then_one_about_the_app_ends_it_and_the_first_is_raised_at_the_end(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, codes: list[str], tried: int, raised: str
) -> None:
    monkeypatch.setattr(members, "read_team", lambda: Team([JANE, JOE, ANN], is_known=True, kept_until=0))
    journal.replace(members, "_add", *(refused(code) if code else row("x", "invited") for code in codes))
    found: list[str] = []
    monkeypatch.setattr(members, "_announce", lambda _sync, state, *_: found.append(state))

    with pytest.raises(RefusedError) as error:
        members.synchronise(sync_of(journal))

    assert error.value.code == raised
    assert [name for name, *_ in journal.calls] == ["_add"] * tried
    assert set(found) == ALL


def test_given_notes_and_new_members_when_announced_then_open_notes_come_first_and_only_new_members_follow(
    journal: Journal,
) -> None:
    people = [{"email": "a@b.cd", "since": 1.0, "shown": "A"}]
    key = Key("CASE#1", "NOTE#members-former-x")
    notes = (
        {"PK": key.pk, "SK": key.sk, "state": "claimed", "people": people},
        {"PK": key.pk, "SK": "NOTE#members-former-y", "state": "done", "people": [{"email": "c@b.cd", "since": 7.0}]},
    )
    own = sync_of(journal, (), notes)
    journal.replace(posting, "post")
    complete = {"shown": "Z", "removed": True, "fix": "f"}
    rows = [
        row("z@b.cd", "former", **complete, slack_user_id="U1"),
        row("a@b.cd", "former", shown="A"),
        row("c@b.cd", "former", shown="C"),
        row("q@b.cd", "former", shown="Q", quiet=True),
    ]

    members._announce(own, "former", rows, messages.left)

    new = [
        {"email": "a@b.cd", "since": 7.0, "shown": "A"},
        {"email": "z@b.cd", "since": 7.0, **complete},
    ]
    name = digest([("a@b.cd", 7.0), ("z@b.cd", 7.0)])
    assert journal.taken() == [
        ("claim", key, {"people": people}),
        ("post", own.slack, "C1", "claim", messages.left(people)),
        ("claim", keys.note("1", f"members-former-{name}"), {"people": new}),
        ("post", own.slack, "C1", "claim", messages.left(new)),
    ]
    members._announce(own, "former", rows[2:], messages.left)
    assert [name for name, *_ in journal.taken()] == ["claim", "post"]
    journal.replace(own, "claim", None)
    members._announce(own, "former", rows, messages.left)
    assert [name for name, *_ in journal.calls] == ["claim", "claim"]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (None, False),
        (RetryLaterError("Slack", "m", "x", 1), False),
        (client_error("x"), False),
        (BotoCoreError(), False),
        (ValueError("odd"), True),
    ],
)
def test_given_an_outside_watcher_when_stored_then_the_change_is_reported_with_the_full_text_first(
    journal: Journal, error: Exception | None, passes: bool
) -> None:
    journal.replace(access_changes, "report", error)
    journal.replace(table, "put")
    journal.replace(logger, "error")
    email = "<" + "x" * 259 + "@y.cd"
    own = sync_of(journal)

    if passes:
        with pytest.raises(ValueError, match="odd"):
            members._set_outside(own, email)
        return
    found = members._set_outside(own, email)

    report, *logged, put = journal.calls
    assert [name for _, name, _ in logged] == (["members.outside_not_reported"] if error else [])
    assert report[:-1] == (
        "report",
        own.slack,
        "watchers_outside",
        digest(["1", email]),
        {"case_id": "1", "watcher": email},
    )
    line = (
        f"⚠️ *Case 1 has a watcher with an outside address: {escape(shorten(email, 260))}.* ir-router does not invite "
        "this watcher, who has no permissions in Slack. AWS sends notifications to this address. If you did not expect "
        "it, remove the watcher from the case."
    )
    assert report[-1] == [line]
    assert found == {"email": email, "state": "outside", "since": NOW, "shown": email}
    assert put == ("put", keys.member("1", email), found)


@pytest.mark.parametrize(
    ("state", "answer", "more"),
    [
        ("invited", {}, {"removed": True, "quiet": False}),
        ("missing", refused("not_in_channel"), {"removed": True, "quiet": True}),
        ("outside", refused("cant_kick_self"), {"removed": False, "quiet": True}),
    ],
)
def test_given_a_former_member_when_marked_then_the_removal_and_its_silence_are_stored(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, state: str, answer: Any, more: dict[str, Any]
) -> None:
    own = sync_of(journal)
    journal.replace(own.slack, "read", answer)
    journal.replace(table, "put")
    before = row("a@b.cd", state, slack_user_id="U1")

    found = members._mark_former(own, before)

    assert found == {**before, "state": "former", "since": NOW, **more}
    assert journal.taken() == [
        ("check",),
        ("read", "conversations.kick", {"channel": "C1", "user": "U1"}),
        ("put", keys.member("1", "a@b.cd"), found),
    ]
    unknown = members._mark_former(own, row("a@b.cd", state))
    monkeypatch.setattr(members, "settings", lambda: SimpleNamespace(remove_former_watchers=False))
    kept = members._mark_former(own, before)
    assert [name for name, *_ in journal.calls] == ["put", "put"]
    assert "removed" not in unknown
    assert "removed" not in kept


def test_given_an_invitation_of_a_dead_run_when_a_member_leaves_then_slack_shows_whether_it_was_made(
    journal: Journal,
) -> None:
    own = sync_of(journal)
    journal.replace(own.slack, "pages", ["U2"])
    journal.replace(table, "put")
    before = row("a@b.cd", "inviting", slack_user_id="U1")

    left = members._leave(own, before)
    journal.replace(own.slack, "pages", ["U1"])
    back = members._leave(own, {**before, "returns": True})

    asked = ("pages", "conversations.members", "members", {"channel": "C1"})
    key = keys.member("1", "a@b.cd")
    assert left == {**before, "state": "former", "since": NOW, "quiet": True}
    assert back == {**before, "returns": True, "state": "back"}
    assert journal.calls == [asked, ("put", key, left), asked, ("put", key, back), ("revisit", NOW)]


def test_given_the_membership_when_read_then_it_is_kept_for_15_minutes_also_if_it_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    members.forget_team()
    known = Team([JANE], is_known=True, kept_until=NOW + 900)
    unknown = Team([], is_known=False, kept_until=NOW + 1_800)
    journal.replace(security_ir, "response_team", [JANE], refused("x", "AWS"), NotConfiguredError("x"))

    assert members.read_team() == known
    assert members.response_team() == [JANE]
    monkeypatch.setattr(clock, "now", lambda: NOW + 899)
    assert members.read_team() == known
    monkeypatch.setattr(clock, "now", lambda: NOW + 900)
    assert members.read_team() == unknown
    assert members.response_team() == []
    members.forget_team()
    with pytest.raises(NotConfiguredError):
        members.read_team()
    assert len(journal.calls) == 3


@pytest.mark.parametrize(
    ("domains", "team", "invited"),
    [
        (("b.cd",), [], ["Jane@b.cd"]),
        ((), ["x@b.cd"], ["Jane@b.cd"]),
        ((), [], ["Jane@b.cd", "o@out.cd", "none"]),
        ((), ["without"], ["Jane@b.cd", "o@out.cd", "none"]),
        (("*", "b.cd"), ["x@b.cd"], ["Jane@b.cd", "o@out.cd", "none"]),
        (("other.cd",), ["x@b.cd"], []),
    ],
)
def test_given_domains_when_watchers_are_chosen_then_the_setting_comes_before_the_domains_of_the_team(
    monkeypatch: pytest.MonkeyPatch, domains: tuple[str, ...], team: list[str], invited: list[str]
) -> None:
    monkeypatch.setattr(members, "settings", lambda: SimpleNamespace(watcher_domains=domains))
    monkeypatch.setattr(members, "response_team", lambda: [Person(email=one) for one in team])

    found = members.invited_watchers([Person(email=one) for one in ("Jane@b.cd", "o@out.cd", "none")])

    assert [one.email for one in found] == invited


@pytest.mark.parametrize(("before", "since"), [(None, NOW), ("missing", 7.0), ("former", NOW)])
def test_given_a_rejected_invitation_when_stored_then_words_and_fix_are_those_of_the_code(
    journal: Journal, before: str | None, since: float
) -> None:
    own = sync_of(journal)
    journal.replace(table, "put")
    known = row("a@b.cd", before) if before else None

    found = members._missing(own, {"email": "a@b.cd", "since": NOW}, known, refused("user_is_restricted"))

    meaning = error_codes.meaning("user_is_restricted")
    assert (meaning.about, bool(meaning.words), bool(meaning.fix)) == ("person", True, True)
    shown = {"state": "missing", "shown": f"a@b.cd ({meaning.words})", "fix": meaning.fix}
    assert found == {"email": "a@b.cd", "since": since, **shown}
    assert journal.calls == [("put", keys.member("1", "a@b.cd"), found)]
    with pytest.raises(RefusedError, match="is_archived"):
        members._missing(own, {"email": "a@b.cd"}, None, refused("is_archived"))


def test_given_other_errors_when_a_member_is_invited_then_they_pass(journal: Journal) -> None:
    own = sync_of(journal)
    journal.replace(own.slack, "read", ClientError({}, "x"))

    with pytest.raises(ClientError):
        members._add(own, JANE, None, "w")

    assert journal.calls == [("check",), ("read", "users.lookupByEmail", {"email": "Jane@b.cd"})]
