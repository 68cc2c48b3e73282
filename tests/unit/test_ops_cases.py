"""Lines of the verification about cases, and errors of their list."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, clock
from ir_router.cases.models import CaseRow, Person
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ops import membership
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.sync import availability
from ir_router.sync.availability import Problem
from tests.support.answers import ClientAnswers, client_error


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            UncertainError("AWS", "ListCases", "EndpointConnectionError"),
            ("failed", "AWS Security Incident Response has no reachable endpoint in this region (us-east-1)"),
        ),
        (
            RefusedError("AWS", "ListCases", "SecurityIncidentResponseNotActiveException"),
            (
                "failed",
                "no active membership of the service in this account and region (us-east-1), so no cases",
            ),
        ),
        (RefusedError("AWS", "ListCases", "AccessDenied"), ("failed", "cases cannot be read (AccessDenied)")),
        (
            ([], None),
            (
                "ok",
                (
                    "readable; 0 found: 0 of 50 active self-managed, 0 of 10 active AWS-supported, "
                    "0 of 10 AWS-supported of the last day"
                ),
            ),
        ),
        (
            ([CaseRow(case_id="1", resolver_type="Self")], "more"),
            (
                "ok",
                (
                    "readable; 20 or more found: 20 of 50 active self-managed, 0 of 10 active AWS-supported, "
                    "0 of 10 AWS-supported of the last day"
                ),
            ),
        ),
        (
            ([CaseRow(case_id="1", resolver_type="AWS")] * 10, None),
            (
                "warning",
                (
                    "readable; 10 found: 0 of 50 active self-managed, 10 of 10 active AWS-supported, 0 of 10 "
                    "AWS-supported of the last day. A quota is reached, so AWS opens no more cases"
                ),
            ),
        ),
        (
            ([CaseRow(case_id="1", resolver_type="Self")] * 40, None),
            (
                "warning",
                (
                    "readable; 40 found: 40 of 50 active self-managed, 0 of 10 active AWS-supported, 0 of 10 "
                    "AWS-supported of the last day. A quota is near. At the quota, AWS opens no more cases"
                ),
            ),
        ),
    ],
    ids=repr,
)
def test_given_cases_when_verified_then_the_line_counts_them_or_names_the_cause(
    monkeypatch: pytest.MonkeyPatch, answer: Any, line: tuple[str, str]
) -> None:
    asked: list[str | None] = []

    def list_cases(token: str | None) -> Any:
        asked.append(token)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings.cache_clear()
    monkeypatch.setattr(gateway, "list_cases", list_cases)
    (found,) = membership._cases()
    assert (found.name, found.state, found.detail) == ("cases", *line)
    assert asked == ([None, *["more"] * 19] if "20 or more" in line[1] else [None])


def test_given_a_connection_that_fails_otherwise_when_verified_then_the_error_names_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Any:
        raise UncertainError("AWS", "ListCases", "ReadTimeoutError")

    monkeypatch.setattr(gateway, "list_cases", fail)
    monkeypatch.setattr(aws, "client", fail)
    lines = [(line.name, line.state, line.detail) for line in membership.checks([])]
    assert lines == [
        ("membership", "failed", "AWS did not confirm ListCases (ReadTimeoutError)"),
        ("cases", "failed", "AWS did not confirm ListCases (ReadTimeoutError)"),
    ]


@pytest.mark.parametrize(
    ("statuses", "team", "shown"),
    [
        (["Active"], ["jane"], [("membership", "ok", "active"), ("response team", "ok", "1 person")]),
        (
            ["Active", "Cancelled"],
            ["jane", "bob"],
            [("membership", "ok", "active"), ("response team", "ok", "2 people")],
        ),
        (
            [None],
            [],
            [
                ("membership", "ok", "active"),
                (
                    "response team",
                    "warning",
                    "the team is empty: only a case's watchers are invited to its channel",
                ),
            ],
        ),
        (
            ["Terminated", "Cancelled"],
            [],
            [("membership", "failed", "the membership is Cancelled, Terminated (us-east-1)")],
        ),
        ([], [], [("membership", "failed", "no membership in this account and region (us-east-1)")]),
    ],
    ids=str,
)
def test_given_memberships_when_verified_then_one_must_be_active_and_its_team_counts(
    monkeypatch: pytest.MonkeyPatch, statuses: list[str | None], team: list[str], shown: list[tuple[str, str, str]]
) -> None:
    settings.cache_clear()
    pages = [{"items": [{"membershipStatus": one} if one else {}]} for one in statuses]
    monkeypatch.setattr(aws, "client", lambda _name: ClientAnswers(list_memberships=pages))
    people = [Person(email=f"{name}@example.com") for name in team]
    monkeypatch.setattr(gateway, "response_team", lambda: people)
    found: list[Person] = []
    assert [(line.name, line.state, line.detail) for line in membership._membership(found)] == shown
    assert found == people

    def unreachable(_name: str) -> Any:
        raise EndpointConnectionError(endpoint_url="x")

    monkeypatch.setattr(aws, "client", unreachable)
    (line,) = membership._membership([])
    assert line.detail == "AWS Security Incident Response has no reachable endpoint in this region (us-east-1)"


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (RefusedError("AWS", "ListCases", "AccessDenied"), Problem("AccessDenied", is_persistent=True)),
        (RetryLaterError("AWS", "ListCases", "Throttling", 1), Problem("Throttling", is_persistent=False)),
        (UncertainError("AWS", "ListCases", "ReadTimeoutError"), Problem("ReadTimeoutError", is_persistent=False)),
        (
            UncertainError("AWS", "ListCases", "EndpointConnectionError"),
            Problem("EndpointConnectionError", is_persistent=True),
        ),
    ],
    ids=repr,
)
def test_given_an_error_of_the_list_when_read_then_an_operator_must_act_or_not(raised: Any, problem: Problem) -> None:
    assert availability.problem_of(raised) == problem
    assert not problem.is_known_state
    assert Problem("SecurityIncidentResponseNotActiveException", is_persistent=True).is_known_state


def test_given_a_problem_when_noticed_then_the_verification_starts_once_and_once_more_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, started = [1_000.0], list[tuple[str, Any]]()
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(aws, "invoke_later", lambda *call: started.append(call))
    settings.cache_clear()
    gone = Problem("EndpointConnectionError", is_persistent=True)
    state = availability.noticed(None, gone)
    assert state == {"since": 1_000, "reported": ""}
    now[0] = 1_149.9
    assert availability.noticed(state, gone) == state
    assert started == []
    now[0] = 1_150
    state = availability.noticed(state, gone)
    assert state == {"since": 1_000, "reported": "EndpointConnectionError"}
    assert started == [("security-incident-operations", {"task": "watch", "now": True})]
    assert availability.noticed(state, gone) == state
    assert availability.noticed(state, Problem("Throttling", is_persistent=False)) == state
    assert len(started) == 1
    denied = availability.noticed(state, Problem("AccessDenied", is_persistent=True))
    assert denied == {"since": 1_000, "reported": "AccessDenied"}
    assert availability.noticed(denied, None) is None
    assert len(started) == 3
    assert availability.noticed({"since": 1, "reported": ""}, None) is None
    assert availability.noticed(None, None) is None
    assert len(started) == 3

    def refuse(*_: object) -> None:
        raise client_error("TooManyRequestsException", "Invoke")

    monkeypatch.setattr(aws, "invoke_later", refuse)
    assert availability.noticed(denied, None) == denied
    assert availability.noticed(None, Problem("AccessDenied", is_persistent=True)) == {"since": 1_150, "reported": ""}
