"""Requests that change while they are pending, the calls in member accounts, and the names of accounts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, bus, clock, cloudtrail_lake, trail_search
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import approvals, containments
from ir_router.ledger import creators as offers
from ir_router.ledger import member_activity as stored
from ir_router.observability import logger
from ir_router.trail_search import Lookup, Progress
from ir_router.workflow import (
    accounts,
    contained_credentials,
    invocation,
    member_activity,
    request_approval,
    sessions,
    wording_decisions,
)
from ir_router.workflow.accounts import Account
from ir_router.workflow.sessions import NoRoleError
from tests.support.answers import AnswersInTurn, ClientAnswers, client_error
from tests.support.texts import facts

NOW = 1_768_480_300.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


TEXTS = {"approve_does": "a", "owners": ["o"], "credentials": ["i"]}
REQUEST: dict[str, Any] = {"execution": "i", "kind": "remediate", "state": approvals.PENDING, "of": ["p"], **TEXTS}


class Request:
    """A request and its containment rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, row: Any, *parts: Any) -> None:
        self.done: list[Any] = []
        self.rows = [row, {**row, "amended": True}] if row else [row]
        self.parts = dict(zip((row or {}).get("of", ()), parts, strict=False))
        monkeypatch.setattr(approvals, "get", lambda _id: self.rows.pop(0))
        monkeypatch.setattr(approvals, "principals_of", lambda row: row["of"])
        monkeypatch.setattr(approvals, "amend", lambda _id, **texts: self.done.append(("amend", texts)))
        monkeypatch.setattr(containments, "get", self.parts.get)
        monkeypatch.setattr(offers, "of", lambda row: row.get("creators", {}))
        monkeypatch.setattr(offers, "add", lambda _id, added: self.done.append(("offer", added)))
        monkeypatch.setattr(wording_decisions, "current_texts", self._texts)
        monkeypatch.setattr(wording_decisions, "completely_contained", lambda parts: {"at_large": [], "n": len(parts)})
        monkeypatch.setattr(contained_credentials, "of", lambda parts: [one["incident"] for one in parts])

    @staticmethod
    def _texts(_parts: Any, *, several: bool) -> dict[str, Any]:
        return {"approve_does": "a", **({"who": "both"} if several else {})}


PART = {"incident": "i"}


@pytest.mark.parametrize(
    ("changes", "parts", "done"),
    [
        ({}, [PART], []),
        ({"state": approvals.DECIDED, "owners": []}, [PART], []),
        ({"owners": []}, [{"incident": "other"}], []),
        ({"owners": []}, [None], []),
        ({"owners": ["z"]}, [{**PART, "joined_owners": ["b", "z", "a"]}],
         [("amend", {**TEXTS, "owners": ["a", "b", "z"]})]),
        ({"approve_does": "b"}, [PART], [("amend", TEXTS)]),
        ({"credentials": []}, [PART], [("amend", TEXTS)]),
        ({"kind": "contain", "credentials": []}, [PART], []),
        ({"of": ["p", "q"]}, [PART, None], [("amend", {**TEXTS, "who": "both"})]),
        ({"of": ["p", "q"], "who": "both", "credentials": ["i", "i"]}, [PART, PART], []),
        ({"at_large": ["k"]}, [PART], [("amend", {**TEXTS, "at_large": [], "n": 1})]),
        ({"at_large": ["k"]}, [{**PART, "scope": "key"}], []),
        ({"at_large": ["k"], "of": ["p", "q"], "who": "both", "credentials": ["i", "i"]},
         [PART, {**PART, "scope": "key"}], []),
        ({"creators": {"c": 1}}, [{**PART, "joined_creators": {"c": 2}}], []),
        ({"creators": {"c": 1}}, [{**PART, "joined_creators": {"c": 2, "d": 3}}],
         [("offer", {"c": 1, "d": 3}), ("amend", TEXTS)]),
        ({}, [{**PART, "joined_creators": None}], []),
    ],
)  # fmt: skip
def test_given_a_pending_request_when_an_event_joined_then_only_what_changed_amends_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], parts: list[Any], done: list[Any]
) -> None:
    request = Request(monkeypatch, {**REQUEST, **changes}, *parts)

    row = request_approval.refresh("a")

    assert request.done == done
    assert row == {**REQUEST, **changes, **({"amended": True} if done else {})}
    Request(monkeypatch, None)
    assert request_approval.refresh("a") is None


def test_given_cases_to_read_when_the_minute_runs_then_each_has_the_time_that_is_left_and_one_failure_stops_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved: list[Any] = []
    read: list[Any] = []
    errors: list[Any] = []
    left = [20.0, 20.0, 20.0, 10.0, 5.0, 5.0, 4.0, 4.0, 0.5, 0.5, 0.0]
    asked: list[Any] = []
    answers: dict[str, Any] = {
        "1": True, "2": RetryLaterError("AWS", "x", "y", 1), "3": UncertainError("AWS", "x", "y"),
        "4": client_error("Any", "LookupEvents"), "5": KeyError("carol"), "6": True,
    }  # fmt: skip

    def tried(case_id: str, row: Any, until: float) -> bool:
        read.append((case_id, row["SK"], until))
        if isinstance(answers[case_id], Exception):
            raise answers[case_id]
        return bool(answers[case_id])

    def of_invocation(context: Any, **given: Any) -> Any:
        asked.append((context, given))
        return SimpleNamespace(remaining=lambda: left.pop(0) if len(left) > 1 else left[0])

    rows = [{"SK": number} for number in range(1, 7)]
    warnings: list[Any] = []
    monkeypatch.setattr(stored, "wanted", lambda: rows)
    monkeypatch.setattr(stored, "save", lambda case_id, **values: saved.append((case_id, values)))
    monkeypatch.setattr(member_activity, "of_invocation", of_invocation)
    monkeypatch.setattr(member_activity, "_read", tried)
    monkeypatch.setattr(logger, "error", lambda text, extra: errors.append((text, extra)))
    monkeypatch.setattr(logger, "warning", lambda text, extra: warnings.append(extra["reason"]))

    assert member_activity.run_task({}, "c") == {"finished": 1, "pending": 5}  # type: ignore[arg-type]

    assert asked == [("c", {"reserve": 15, "at_most": 30})]
    seconds = (20.0, 10.0, 5.0, 4.0, 0.5)
    assert read == [(str(number), number, NOW + one) for number, one in enumerate(seconds, start=1)]
    assert saved == [(str(number), {"tried_at": NOW}) for number in range(1, 6)]
    told = {"case_id": "5", "error": "KeyError"}
    assert errors == [("activity.case_failed: a later minute tries it", told)]
    assert warnings == [str(answers["2"]), str(answers["3"]), "LookupEvents returned Any"]


class Reading:
    """The reading of one case: each read gives the next answer or raises it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers = list(answers)
        self.saved: list[Any] = []
        self.begun: list[Any] = []
        self.events: list[Any] = []
        self.progress = Progress(NOW, 5.0, [], limited=["l"], lost=["m"], sessions={"k": "arn"}, read_to={"x": 1.0},
                                 elsewhere={"k": "2"})  # fmt: skip
        monkeypatch.setattr(stored, "save", lambda case_id, **values: self.saved.append((case_id, values)))
        monkeypatch.setattr(trail_search, "begin", self._begin)
        monkeypatch.setattr(trail_search, "read", self._read)
        monkeypatch.setattr(bus, "put", self.events.extend)
        monkeypatch.setattr(accounts, "of", lambda account, at_most_old: Account(account, f"A{at_most_old}"))

    def _begin(self, *given: Any) -> Progress:
        self.begun.append(given)
        return self.progress

    def _read(self, case_id: str, progress: Progress, until: float, _history: Any, save: Any) -> bool:
        answer = self.answers.pop(0)
        save(progress)
        assert (case_id, until) == ("7", 9.0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


ROW: dict[str, Any] = {"credentials": ["c"], "since": 5, "wanted_at": 8.0}


@pytest.mark.parametrize(
    ("row", "earlier"),
    [
        ({}, {"read_to": None, "sessions": {}, "elsewhere": {}, "lost": None}),
        (
            {"handed_over": {"k1": ["arn:1", "1"], "k2": ["arn:2", "2"]}, "sessions": {"k1": "arn:own"},
             "elsewhere": {"k1": "own"}, "read_to": {"x": 1}, "lost": ["l"]},
            {"read_to": {"x": 1}, "sessions": {"k1": "arn:own", "k2": "arn:2"}, "elsewhere": {"k1": "own", "k2": "2"},
             "lost": ["l"]},
        ),
    ],
)  # fmt: skip
def test_given_a_request_when_read_to_its_end_then_the_result_is_stored_and_the_case_gets_a_hint(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], earlier: dict[str, Any]
) -> None:
    reading = Reading(monkeypatch, True)

    assert member_activity._read("7", {**ROW, **row}, 9.0) is True

    progress = reading.progress.to_row()
    assert reading.begun == [(["c"], 5.0, earlier)]
    done = {
        "done_at": 8.0, "read_to": {"x": 1.0}, "sessions": {"k": "arn"}, "elsewhere": {"k": "2"}, "limited": ["l"],
        "lost": ["m"], "progress": None,
    }  # fmt: skip
    assert reading.saved == [
        ("7", {"reads_for": 8.0, "progress": progress}), ("7", {"progress": progress}), ("7", done)
    ]  # fmt: skip
    assert reading.events == [bus.Event("security-ir", "CaseUpdated", {"caseId": "7"})]


def test_given_a_reading_that_continues_when_an_account_refuses_then_only_its_history_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arn = "arn:aws:iam::{}:user/u"
    pending = [Lookup("r", "EventName", "v", arn.format(of)) for of in ("1", "2", "1", "2")]  # type: ignore[arg-type]
    lake = Lookup("lake", "EventName", "v", arn.format("1"))  # type: ignore[arg-type]
    monkeypatch.setattr(cloudtrail_lake, "PLACE", "lake")
    progress = Progress(NOW, 5.0, [*pending[:3], lake, pending[3]], token="t", page=3)
    refused = RefusedError("AWS", "LookupEvents", "AccessDenied")
    reading = Reading(monkeypatch, refused, False, True)
    monkeypatch.setattr(Progress, "from_row", {1: progress}.__getitem__)
    row = {**ROW, "progress": 1, "reads_for": 6.0}

    assert member_activity._read("7", row, 9.0) is False

    assert (progress.pending, progress.token, progress.page) == ([pending[1], lake, pending[3]], None, 0)
    (missing,) = progress.limited
    assert missing == (
        "the calls in account 1 were not read (the permission cloudtrail:LookupEvents is missing: "
        "apply terraform/modules/account in that account)"
    )
    assert (reading.begun, reading.events) == ([], [])
    assert member_activity._read("7", row, 9.0) is True
    assert reading.saved[-1][1]["done_at"] == 6.0
    progress.pending = [pending[1]]
    reading.answers = [NoRoleError("x"), True]
    assert member_activity._read("7", row, 9.0) is True
    reading.answers = [UncertainError("AWS", "x", "y")]
    with pytest.raises(UncertainError):
        member_activity._read("7", row, 9.0)


@pytest.mark.parametrize(
    ("state", "error", "why"),
    [
        ("SUSPENDED", NoRoleError("x"), "the account is closed"),
        ("PENDING_CLOSURE", RefusedError("a", "b", "c"), "the account is closed"),
        ("CLOSED", NoRoleError("x"), "the account is closed"),
        ("ACTIVE", RefusedError("a", "b", "c"), "the permission cloudtrail:LookupEvents is missing: FIX"),
        ("", RefusedError("a", "b", "c"), "the permission cloudtrail:LookupEvents is missing: FIX"),
        ("", NoRoleError("x"), "no access. If the account belongs to your organisation, FIX"),
        ("ACTIVE", NoRoleError("x"), "no access: FIX"),
    ],
)
def test_given_an_account_that_was_not_read_when_explained_then_its_newest_state_decides(
    monkeypatch: pytest.MonkeyPatch, state: str, error: Any, why: str
) -> None:
    asked: list[Any] = []

    def of(account: str, *, at_most_old: int) -> Account:
        asked.append((account, at_most_old))
        return Account(account, state)

    monkeypatch.setattr(accounts, "of", of)

    fix = "apply terraform/modules/account in that account"
    assert member_activity._why("1", error) == why.replace("FIX", fix)
    assert asked == [("1", 900)]


def test_given_accounts_when_their_histories_are_read_then_each_has_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(sessions, "trails", lambda account: opened.append(account))
    known: dict[str, Any] = {}

    first = member_activity._history(known, "1")

    assert member_activity._history(known, "1") is first
    assert member_activity._history(known, "2") is not first
    assert (opened, [*known]) == (["1", "2"], ["1", "2"])


def test_given_accounts_of_the_organisation_when_described_then_name_and_state_are_those_of_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page: list[Any] = [
        {"Id": 1, "Name": "shop ", "State": "ACTIVE", "Status": "SUSPENDED"}, {"Id": "2", "Name": None},
        {"Id": "3", "Name": "old", "Status": "SUSPENDED"}, {"Id": "4", "State": "CLOSED"},
    ]  # fmt: skip
    client: Any = ClientAnswers(list_accounts=[{"Accounts": page[:1]}, {"Accounts": page[1:]}])
    monkeypatch.setattr(aws, "client", lambda name: client if name == "organizations" else None)
    assert (accounts.listed(), client.asked) == ({"1": "shop (1)", "2": "2"}, [("list_accounts", {})])
    assert [accounts._account("9", one) for one in page] == [
        ("shop (9)", "ACTIVE"), ("9", "ACTIVE"), ("old (9)", "SUSPENDED"), ("9", "CLOSED")
    ]  # fmt: skip
    client = AnswersInTurn({"Account": page[2]}, client_error("x"), EndpointConnectionError(endpoint_url="x"))
    assert [accounts._described("3") for _ in range(3)] == [("old (3)", "SUSPENDED"), ("3", ""), ("3", "")]
    assert client.asked == [{"AccountId": "3"}] * 3

    client = AnswersInTurn({"Account": page[0]}, {"Account": page[2]}, {"Account": page[2]})
    accounts.forget()
    assert [accounts.of("1"), accounts.of("1"), accounts.of("2")] == [
        ("shop (1)", "ACTIVE"), ("shop (1)", "ACTIVE"), ("old (2)", "SUSPENDED")
    ]  # fmt: skip
    assert [accounts.of("1", at_most_old=0), accounts.of("2")] == [("old (1)", "SUSPENDED"), ("old (2)", "SUSPENDED")]
    accounts.forget()
    assert accounts._kept == {}


def test_given_an_organisation_when_texts_name_an_account_then_only_principals_of_it_have_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting: Any = SimpleNamespace(organization_id="o")
    monkeypatch.setattr(accounts, "settings", lambda: setting)
    monkeypatch.setattr(accounts, "of", lambda account: Account(f"shop ({account})", "ACTIVE"))
    monkeypatch.setattr(invocation, "contained_account", lambda incident, context: f"{incident['account']}{context}")
    incident = facts.event()
    other: Any = {**facts.BOB, "account": "9"}
    shown = f"shop ({facts.ACCOUNT}c)"

    found = accounts.with_names(incident, "c")

    assert found == {**incident, "in_account": shown, "subject": {**facts.MALLORY, "in_account": shown}}
    assert accounts.placed(facts.BOB, found) == {**facts.BOB, "in_account": shown}
    assert [accounts.placed(other, found), accounts.placed(facts.BOB, incident)] == [other, facts.BOB]
    assert accounts.named(other) == {**other, "in_account": "shop (9)"}
    assert accounts.named(facts.UNKNOWN) == facts.UNKNOWN
    setting.organization_id = None
    assert (accounts.with_names(incident, "c"), accounts.named(other)) == (incident, other)
