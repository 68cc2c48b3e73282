"""Members, approvers and the security channel: states after each answer of Slack, order, and single effects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import Person
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import approvals, claims, keys, table, urgent
from ir_router.ledger.claims import Claim
from ir_router.sync import (
    approver_set,
    approvers,
    members,
    posting,
    security_channel_made,
    urgent_messages,
)
from tests.support.answers import SlackAnswers

NOW = 50_000.0


def refused(code: str) -> RefusedError:
    return RefusedError("Slack", "m", code)


class Pages(SlackAnswers):
    """Slack's gateway with the same listed objects for each list."""

    def __init__(self, listed: list[Any], *answers: Any) -> None:
        super().__init__(*answers)
        self.listed = listed
        self.deadline = SimpleNamespace(settled_from_now=NOW + 500)

    def pages(self, method: str, _name: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        return iter(self.listed)


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows that were stored, in order."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(table, "put", lambda _key, row, *_condition, **_values: found.append(row))
    return found


def sync(slack: Any, notes: list[dict[str, Any]] | None = None) -> Any:
    revisits: list[float] = []
    return SimpleNamespace(
        case_id="1",
        channel_id="C1",
        slack=slack,
        deadline=SimpleNamespace(check=lambda: None),
        rows_of=lambda _prefix: notes or [],
        revisit=revisits.append,
        revisits=revisits,
    )


FOUND = {"user": {"id": "U1", "profile": {"real_name": "Jane"}}}


@pytest.mark.parametrize(
    ("before", "invitation", "states"),
    [
        (None, {}, ["inviting", "invited"]),
        (None, refused("already_in_channel"), ["inviting", "present"]),
        (None, refused("cant_invite_self"), ["inviting", "present"]),
        ({"state": "inviting"}, refused("already_in_channel"), ["invited"]),
        ({"state": "inviting"}, {}, ["invited"]),
        ({"state": "former"}, refused("already_in_channel"), ["inviting", "back"]),
        ({"state": "former", "quiet": True}, refused("already_in_channel"), ["inviting", "present"]),
        ({"state": "inviting", "returns": True}, refused("already_in_channel"), ["back"]),
        ({"state": "missing"}, refused("already_in_channel"), ["inviting", "present"]),
    ],
)
def test_given_an_earlier_state_when_a_member_is_invited_then_the_new_state_shows_how_the_member_came(
    stored: list[dict[str, Any]], before: dict[str, Any] | None, invitation: Any, states: list[str]
) -> None:
    slack = SlackAnswers(FOUND, invitation)

    row = members._add(sync(slack), Person(email="A@b.cd"), before, "w")

    assert [one["state"] for one in stored] == states
    assert row == stored[-1]
    known = {"email": "a@b.cd", "watchers": "w", "looked_up_at": NOW, "since": NOW, "slack_user_id": "U1"}
    assert row.items() >= {**known, "shown": "Jane"}.items()
    assert slack.asked[0] == ("users.lookupByEmail", {"email": "A@b.cd"})
    assert slack.asked[1] == ("conversations.invite", {"channel": "C1", "users": "U1"})


@pytest.mark.parametrize(
    ("user", "name", "shown"),
    [
        ({"profile": {"real_name": "Jane"}, "name": "j"}, "Person", "Jane"),
        ({"name": "j"}, "Person", "Person"),
        ({"name": "j"}, None, "j"),
        ({}, None, "a@b.cd"),
    ],
)
def test_given_names_of_a_member_when_invited_then_the_best_one_is_shown(
    user: dict[str, Any], name: str | None, shown: str
) -> None:
    slack = SlackAnswers({"user": {"id": "U1", **user}})

    assert members._add(sync(slack), Person(email="A@b.cd", name=name), None, "w")["shown"] == shown


@pytest.mark.parametrize(("before", "since"), [(None, NOW), ("missing", 7.0), ("former", NOW)])
def test_given_an_unknown_address_when_invited_then_the_time_of_its_announcement_stays(
    before: str | None, since: float
) -> None:
    known = {"state": before, "since": 7.0} if before else None

    row = members._add(sync(SlackAnswers(refused("users_not_found"))), Person(email="a@b.cd"), known, "w")

    assert (row["state"], row["since"]) == ("missing", since)
    assert row["shown"].startswith("a@b.cd (")
    with pytest.raises(RefusedError):
        members._add(sync(SlackAnswers(refused("invalid_auth"))), Person(email="a@b.cd"), known, "w")


@pytest.mark.parametrize(
    ("row", "listed", "states", "revisits"),
    [
        ({"state": "inviting"}, [], ["former"], []),
        ({"state": "inviting"}, ["U1"], ["invited"], [NOW]),
        ({"state": "inviting", "returns": True}, ["U1"], ["back"], [NOW]),
        ({"state": "invited"}, [], [], [NOW]),
        ({"state": "present"}, [], ["former"], []),
        ({"state": "missing"}, [], ["former"], []),
    ],
)
def test_given_a_former_member_when_left_then_an_invitation_is_announced_first(
    stored: list[dict[str, Any]],
    row: dict[str, Any],
    listed: list[str],
    states: list[str],
    revisits: list[float],
) -> None:
    own = sync(Pages(listed))
    before = {"email": "a@b.cd", "since": 7.0, "slack_user_id": "U1", **row}

    after = members._leave(own, before)

    assert [one["state"] for one in stored] == states
    assert own.revisits == revisits
    assert after["state"] == (states[-1] if states else row["state"])
    if states == ["former"]:
        assert after["since"] == NOW
        assert after["quiet"] is (row["state"] in ("inviting", "missing"))


def test_given_an_announced_member_when_left_then_the_member_is_former_at_once(stored: list[dict[str, Any]]) -> None:
    notes = [{"people": [{"email": "x", "since": 7.0}, {"email": "a@b.cd", "since": 7.0}]}]

    members._leave(sync(Pages([]), notes), {"state": "invited", "email": "a@b.cd", "since": 7.0})

    assert [one["state"] for one in stored] == ["former"]


@pytest.mark.parametrize(
    ("row", "watchers", "due"),
    [
        ({"state": "missing", "watchers": "w", "looked_up_at": NOW - 86_400}, "w", True),
        ({"state": "missing", "watchers": "w", "looked_up_at": NOW - 86_399}, "w", False),
        ({"state": "missing", "watchers": "w", "looked_up_at": NOW}, "other", True),
        ({"state": "invited", "watchers": "w", "looked_up_at": 0}, "other", False),
    ],
)
def test_given_a_missing_member_when_due_then_a_day_or_a_change_of_the_watchers_has_passed(
    row: dict[str, Any], watchers: str, *, due: bool
) -> None:
    assert members._is_due(row, watchers) is due


@pytest.mark.parametrize(
    ("frozen", "owners", "before", "last"),
    [
        (["U1", "U2"], {"a@b.c": {"U1"}}, {}, []),
        (["U1"], {"a@b.c": {"U1"}}, {}, ["U1"]),
        (["U1", "U2"], {"a@b.c": {"U1"}, "b@b.c": {"U2"}}, {}, ["U2"]),
        (["U1", "U2"], {"a@b.c": {"U1"}, "b@b.c": {"U2"}}, {"owners_looked_up": ["b@b.c"]}, ["U1"]),
        (["U1", "U2"], {"a@b.c": {"U1"}, "b@b.c": {"U2"}}, {"last_approvers": ["U1"]}, ["U1"]),
        (["a@b.c"], {"a@b.c": set()}, {}, ["a@b.c"]),
        (["U1", "U2"], {"a@b.c": {"U1", "U2"}}, {}, ["U1", "U2"]),
        (["U2", "U1"], {"a@b.c": {"U1", "U2"}, "b@b.c": {"U2"}}, {}, ["U1", "U2"]),
    ],
)
def test_given_owners_among_the_approvers_when_barred_then_the_last_ones_may_decide(
    frozen: list[str], owners: dict[str, set[str]], before: dict[str, Any], last: list[str]
) -> None:
    assert approver_set._last_approvers(before, frozen, owners) == last


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, True),
        ({"approvers": []}, False),
        ({"approvers": ["U1"]}, True),
        ({"approvers": ["U2", "a@b.cd"]}, True),
        ({"approvers": ["U2"]}, False),
    ],
)
def test_given_frozen_approvers_when_a_user_decides_then_id_or_confirmed_address_counts(
    row: dict[str, Any], *, expected: bool
) -> None:
    assert approver_set.is_frozen_approver(row, "U1", "A@b.cd") is expected
    assert approver_set.is_frozen_approver({"approvers": ["a@b.cd"]}, "U1", None) is False


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"state": "decided", "owners": ["a"]}, True),
        ({"state": "pending"}, False),
        ({"state": "pending", "approvers": []}, True),
        ({"state": "pending", "approvers": [], "owners": ["a"]}, False),
        ({"state": "pending", "approvers": [], "owners": ["a"], "owners_looked_up": ["a"]}, True),
        ({"state": "pending", "owners": ["a"], "owners_looked_up": ["a"]}, False),
    ],
)
def test_given_a_request_when_frozen_then_approvers_and_all_owners_are_stored(
    row: dict[str, Any], *, expected: bool
) -> None:
    assert approver_set.is_frozen(row) is expected


def test_given_an_owner_when_looked_up_then_ids_need_no_call_and_a_suffix_is_also_tried() -> None:
    slack: Any = SlackAnswers({"user": {"id": "U1"}}, refused("users_not_found"))

    assert approver_set._owner_ids(slack, "U1ABC") == {"U1ABC"}
    assert approver_set._owner_ids(slack, "backdoor") == set()
    assert slack.asked == []
    assert approver_set._owner_ids(slack, "jane+admin@b.cd") == {"U1"}
    assert [arguments["email"] for _, arguments in slack.asked] == ["jane+admin@b.cd", "jane@b.cd"]


def claim(*, must_look: bool) -> Claim:
    return Claim(keys.security_channel(), 1, must_look=must_look, row={})


OWN = {"name": "b", "creator": "UBOT", "id": "C2"}


def test_given_a_taken_name_when_the_channel_is_made_then_the_apps_own_one_or_the_next_name_is_used() -> None:
    bot = {"user_id": "UBOT"}
    other = Pages(
        [{**OWN, "creator": "U1"}, {**OWN, "name": "x"}], refused("name_taken"), bot, {"channel": {"id": "C3"}}
    )
    own = Pages([OWN], refused("name_taken"), bot)
    full = Pages([], refused("name_taken"), bot)

    create: Any = security_channel_made._create
    assert create(other, ["b", "c"]) == {"id": "C3"}
    assert other.asked[0] == ("conversations.create", {"name": "b", "is_private": True})
    assert other.asked[-1] == ("conversations.create", {"name": "c", "is_private": True})
    assert create(own, ["b", "c"]) == OWN
    with pytest.raises(RefusedError) as error:
        create(full, ["b"])
    assert (error.value.service, error.value.operation, error.value.code) == (
        "Slack",
        "conversations.create",
        "name_taken",
    )
    with pytest.raises(RefusedError, match="restricted_action"):
        create(Pages([], refused("restricted_action")), ["b", "c"])


@pytest.mark.parametrize(
    ("error", "effect"),
    [
        (refused("restricted_action"), "refused"),
        (RetryLaterError("Slack", "m", "ratelimited", 1), "refused"),
        (OutOfTimeError("x"), "refused"),
        (UncertainError("Slack", "m", "timeout"), NOW + 500),
    ],
)
def test_given_a_failure_when_the_channel_is_made_then_only_a_rejection_frees_the_claim(
    monkeypatch: pytest.MonkeyPatch, error: Exception, effect: object
) -> None:
    effects: list[Any] = []
    monkeypatch.setattr(claims, "refused", lambda _claim: effects.append("refused"))
    monkeypatch.setattr(claims, "unanswered", lambda _claim, until: effects.append(until))
    slack: Any = Pages([], error)

    with pytest.raises(type(error)):
        security_channel_made._created(slack, claim(must_look=False))

    assert effects == [effect]


@pytest.mark.parametrize(
    ("answer", "usable"),
    [
        ({"channel": {}}, True),
        ({"channel": {"is_member": True, "is_archived": False}}, True),
        ({"channel": {"is_member": False}}, False),
        ({"channel": {"is_archived": True}}, False),
        (refused("channel_not_found"), False),
    ],
)
def test_given_a_channel_when_checked_then_it_is_usable_unless_archived_or_left(answer: Any, *, usable: bool) -> None:
    slack: Any = SlackAnswers(answer)

    assert security_channel_made._is_usable(slack, "C1") is usable
    rejected: Any = SlackAnswers(refused("invalid_auth"))
    with pytest.raises(RefusedError):
        security_channel_made._is_usable(rejected, "C1")


@pytest.mark.parametrize(
    ("state", "code", "raised"),
    [
        (approvals.PENDING, "is_archived", True),
        (approvals.DECIDED, "is_archived", True),
        (approvals.DELIVERED, "is_archived", False),
        (approvals.DELIVERED, "invalid_blocks", True),
    ],
)
def test_given_an_archived_channel_when_an_urgent_message_is_posted_then_it_may_fail_only_after_the_incident(
    monkeypatch: pytest.MonkeyPatch, state: str, code: str, *, raised: bool
) -> None:
    def post(*_arguments: object) -> None:
        raise refused(code)

    monkeypatch.setattr(urgent, "current", lambda _row: [{"name": "n", "text": "t"}])
    monkeypatch.setattr(posting, "post", post)
    monkeypatch.setattr(approvers, "mentions", lambda _slack, _row: [])
    place: Any = SimpleNamespace(urgent=lambda _name: keys.note("1", "x"), channel_id="C1")

    def run() -> None:
        slack: Any = SlackAnswers()
        row = {"state": state, "kind": "remediate"}
        urgent_messages._post(place, slack=slack, row=row, take=lambda _key: claim(must_look=False))

    if raised:
        with pytest.raises(RefusedError):
            run()
    else:
        run()
