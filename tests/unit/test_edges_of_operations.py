"""Operations at their limits: ages of secrets and members, failed calls, quotas, names to erase, selectors."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.cases.models import CaseRow
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import configuration, keys, table
from ir_router.ops import (
    checks,
    credentials,
    failing_cases,
    forget,
    members,
    membership,
    resources,
    trails,
    watch,
)
from ir_router.ops.checks import Check
from ir_router.ops.credentials import Parameter
from ir_router.security_ir import gateway

NOW = 1_767_261_720.0
DAY = 86_400


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def rejection(code: str, status: int | None) -> ClientError:
    answer: Any = {"Error": {"Code": code}}
    if status is not None:
        answer["ResponseMetadata"] = {"HTTPStatusCode": status}
    return ClientError(answer, "GetIt")


@pytest.mark.parametrize(
    ("code", "status", "passes"),
    [
        ("Any", 499, False),
        ("Any", 500, True),
        ("Any", 429, True),
        ("Any", 428, False),
        ("Any", 430, False),
        ("Any", None, False),
        ("Throttling", 400, True),
        ("ThrottledException", 400, True),
    ],
)
def test_given_a_rejected_call_when_it_may_pass_then_the_line_is_unread_and_lasting_otherwise(
    code: str, status: int | None, *, passes: bool
) -> None:
    error = rejection(code, status)
    assert checks.may_pass(error) is passes
    assert checks._refused("line", error, "missing").error == ("passing" if passes else "lasting")


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("ResourceNotFoundException", "missing"),
        ("AWS.SimpleQueueService.NonExistentQueue", "missing"),
        ("StateMachineDoesNotExist", "missing"),
        ("NoSuchEntity", "missing"),
        ("NoSuchEntityElse", checks._LATER),
        ("AccessDenied", checks._PERMISSION),
        ("UnauthorizedOperation", checks._PERMISSION),
    ],
)
def test_given_the_code_of_a_rejected_call_when_verified_then_the_fix_fits_to_it(code: str, fix: str) -> None:
    found = checks._refused("line", rejection(code, 500), "missing")
    assert (found.state, found.fix, "GetIt" in found.detail) == ("failed", fix, True)
    assert found.error == ("passing" if fix == checks._LATER else "lasting")


@pytest.mark.parametrize(
    ("ages", "state", "detail"),
    [
        ([90.0, 3.0], "ok", "90 days; rotate them every 90 days"),
        ([3.0, 90.9], "warning", "b is 90 days old; rotate it every 90 days"),
        ([91.5, 3.0], "warning", "a is 91 days old; rotate it every 90 days"),
        ([0.0, 0.99], "ok", "0 days; rotate them every 90 days"),
    ],
)
def test_given_secrets_when_verified_then_the_older_one_may_be_90_days_old(
    ages: list[float], state: str, detail: str
) -> None:
    secrets = [
        Parameter(name, "v", 1, datetime.fromtimestamp(NOW - age * DAY, UTC))
        for name, age in zip("ab", ages, strict=True)
    ]
    (line,) = credentials._age(secrets)
    assert (line.state, line.detail) == (state, detail)
    assert list(credentials._age([])) == []
    assert [Parameter("n", value, 1, secrets[0].changed).is_set for value in ("", "not-configured", "x")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("age", "late"), [(3 * 3_600, None), (3 * 3_600 + 1, "3 hours"), (4 * 3_600, "4 hours"), (7_199, None)]
)
def test_given_members_when_they_were_not_checked_for_three_hours_then_the_line_fails(
    monkeypatch: pytest.MonkeyPatch, age: int, late: str | None
) -> None:
    row = {
        "at": NOW - age,
        "known": ["a", "b", "c"],
        "not_ready_count": 1,
        "not_ready": {"c": {"shown": "c", "detail": "d", "fix": ""}},
        "listed": True,
        "complete": True,
        "others_count": 0,
        "others": [],
    }
    monkeypatch.setattr(configuration, "organization_id", lambda: "o-1")
    monkeypatch.setattr(table, "get", lambda key: row if key == keys.members() else None)

    summary, line = members.checks()
    assert (summary.state, line.name, line.fix) == ("failed" if late else "ok", "member c", "")
    expected = f"last checked {late} ago" if late else f"2 of 3 members ready {age // 60} minutes ago."
    assert summary.detail.startswith(expected)
    assert [one.name for one in members.not_ready()] == [*(["members"] if late else []), "member c"]


def case_row(status: str = "Submitted", resolver: str = "Self", age: float = 2 * DAY) -> CaseRow:
    created = datetime.fromtimestamp(NOW - age, UTC)
    return CaseRow(case_id="1", case_status=status, resolver_type=resolver, created_date=created)


@pytest.mark.parametrize(
    ("number", "state", "words"),
    [
        (7, "ok", None),
        (8, "warning", "A quota is near"),
        (9, "warning", "A quota is near"),
        (10, "warning", "A quota is reached"),
        (11, "warning", "A quota is reached"),
    ],
)
def test_given_cases_when_verified_then_a_quota_is_near_from_four_fifths_on(
    monkeypatch: pytest.MonkeyPatch, number: int, state: str, words: str | None
) -> None:
    quotas = SimpleNamespace(case_quotas=(50, 10, 20), region="eu-central-1")
    monkeypatch.setattr(membership, "settings", lambda: quotas)
    rows = [case_row(resolver="AWS") for _ in range(number)]
    monkeypatch.setattr(gateway, "list_cases", lambda token: (rows, None))
    (line,) = membership._cases()
    counted = (
        f"readable; {number} found: 0 of 50 active self-managed, {number} of 10 active AWS-supported, "
        "0 of 20 AWS-supported of the last day"
    )
    assert (line.state, line.detail[: len(counted)]) == (state, counted)
    assert (words or counted) in line.detail


def test_given_more_pages_of_cases_than_are_read_when_verified_then_twenty_are_read_and_the_line_states_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens: list[str | None] = []

    def page(token: str | None) -> tuple[list[CaseRow], str | None]:
        tokens.append(token)
        return [case_row("Closed", "AWS", DAY), case_row("Closed", "AWS", DAY - 1)], f"t{len(tokens)}"

    monkeypatch.setattr(gateway, "list_cases", page)
    (line,) = membership._cases()
    assert line.detail.startswith("readable; 40 or more found: ")
    assert "20 of " in line.detail
    assert tokens == [None, *(f"t{number}" for number in range(1, 20))]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (UncertainError("AWS", "ListCases", "EndpointConnectionError"), "no reachable endpoint"),
        (RefusedError("AWS", "ListCases", "SecurityIncidentResponseNotActiveException"), "no active membership"),
        (RefusedError("AWS", "ListCases", "Other"), "cases cannot be read (Other)"),
    ],
)
def test_given_cases_that_cannot_be_read_when_verified_then_the_line_has_the_cause(
    monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    def page(_token: str | None) -> Any:
        raise error

    monkeypatch.setattr(gateway, "list_cases", page)
    (line,) = membership._cases()
    assert (line.state, detail in line.detail) == ("failed", True)
    monkeypatch.setattr(gateway, "list_cases", lambda _: (_ for _ in ()).throw(UncertainError("AWS", "x", "Other")))
    with pytest.raises(UncertainError):
        list(membership._cases())


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("u1", True),
        ("jane@x.com", True),
        ("<@U1>", True),
        ("JANE@X.COM.", True),
        ("u12", False),
        ("au1", False),
        ("u1.b", False),
        ("mary.jane@x.com", False),
        ("jane@x.com.au", False),
        ("jane@x.com-b", False),
        ("", False),
    ],
)
def test_given_rows_of_a_case_when_a_person_is_erased_then_one_of_the_names_is_enough(
    monkeypatch: pytest.MonkeyPatch, text: str, *, is_named: bool
) -> None:
    rows = {keys.case("7").pk: [{"text": "nothing"}, {"text": {"inner": [text]}}, {"number": 5}]}
    monkeypatch.setattr(table, "query", lambda pk: iter(rows[pk]))
    assert forget._is_named({"u1", "jane@x.com"}, "7") is is_named


@pytest.mark.parametrize(
    ("person", "calls", "answer", "names"),
    [
        ("U1", "users.info", {"user": {"id": "U1", "profile": {"email": "Jane@x.com"}}}, {"u1", "jane@x.com"}),
        ("U1", "users.info", {"user": {"id": "U1"}}, {"u1"}),
        ("Jane@x.com", "users.lookupByEmail", {"user": {"id": "U1"}}, {"u1", "jane@x.com"}),
        ("U1", "users.info", RefusedError("Slack", "users.info", "user_not_found"), {"u1"}),
    ],
)
def test_given_a_person_when_erased_then_slack_adds_the_other_name(
    person: str, calls: str, answer: Any, names: set[str]
) -> None:
    asked: list[str] = []

    def read(method: str, **_: str) -> Any:
        asked.append(method)
        if isinstance(answer, Exception):
            raise answer
        return answer

    slack: Any = SimpleNamespace(read=read)
    assert forget._names_of(person, slack) == names
    assert asked == [calls]


def test_given_states_of_a_difference_when_it_ends_then_a_missing_line_counts_only_without_a_failed_call() -> None:
    fine, bad = Check("a", "ok", "d"), Check("b", "failed", "d")
    lines = {"a": fine, "b": bad}
    assert watch._ended(["c", "a", "b"], lines) == ["a", "c"]
    unread = Check("x", "failed", "d", error="passing")
    assert watch._ended(["c", "a", "b"], {**lines, "x": unread}) == ["a"]


def test_given_cases_that_wait_when_verified_then_only_those_of_the_future_count_and_twenty_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [{"index_sk": str(number), "next_try": NOW + 1} for number in range(25)]
    entries = [{"index_sk": "past", "next_try": NOW}, {"index_sk": "none"}, *waiting]
    read: list[str] = []

    def get(key: keys.Key) -> dict[str, Any]:
        read.append(key.pk)
        return {"failing_reason": "broken" if len(read) < 20 else "other", "failing_fix": "Fix it"}

    monkeypatch.setattr(table, "query_index", lambda index: iter(entries))
    monkeypatch.setattr(table, "get", get)
    lines = list(failing_cases.checks())
    assert [line.detail for line in lines] == ["19 cases out of sync: broken", "1 case out of sync: other"]
    assert read == [keys.case(str(number)).pk for number in range(20)]


def selector(*fields: tuple[str, list[str]]) -> dict[str, Any]:
    return {"FieldSelectors": [{"Field": name, "Equals": values} for name, values in fields]}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (selector(("eventCategory", ["Management"])), "All"),
        (selector(("eventCategory", ["Management"]), ("readOnly", ["true"])), "ReadOnly"),
        (selector(("eventCategory", ["Management"]), ("readOnly", ["false"])), "WriteOnly"),
        (selector(("eventCategory", ["Data"])), None),
        (selector(("readOnly", ["true"])), None),
    ],
)
def test_given_an_advanced_selector_when_read_then_only_management_events_count(
    given: dict[str, Any], kind: str | None
) -> None:
    assert trails._kind(given) == kind


def test_given_variables_when_digested_then_only_the_ports_of_urls_are_left_out() -> None:
    one = resources.variables_digest({"b": {"y": "1", "x": "http://h:123/a"}, "a": {}})
    assert one == resources.variables_digest({"a": {}, "b": {"x": "http://h:9/a", "y": "1"}})
    assert one != resources.variables_digest({"b": {"y": "1", "x": "http://h:123/b"}})
    assert one != resources.variables_digest({"c": {"y": "1", "x": "http://h:123/a"}})
    assert resources._without_port("arn:aws:sqs:eu:1:q http://h:8/x:9") == "arn:aws:sqs:eu:1:q http://h/x:9"
