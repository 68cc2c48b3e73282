"""Select the audit records of an incident: which texts of a record link it, and in which order the records appear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_router.ledger import audit, audit_incident

USER = "arn:aws:iam::111122223333:user/team/backdoor"
EXECUTION = "arn:aws:states:eu-central-1:111122223333:execution:response:first"


def record(number: int, details: object, **values: Any) -> dict[str, Any]:
    return {
        "hash": f"h{number}",
        "at": f"2026-01-01T00:00:{number:02}.000Z",
        "sequence": number,
        "action": "key_deleted",
        "details": details if isinstance(details, str) else json.dumps(details),
        **values,
    }


def chosen(rows: list[dict[str, Any]], reference: str) -> list[str]:
    return [row["hash"] for row in audit_incident.find(rows, reference).records]


@pytest.mark.parametrize(
    ("name", "value", "reference", "expected"),
    [
        ("case_id", "1234567890", "1234567890", True),
        ("case_id", "1234567890", "123456789", False),
        ("approval_id", "abc", "abc", True),
        ("execution", "first", "first", True),
        ("incident", "first", "first", True),
        ("joined_execution", "first", "first", True),
        ("notes", "1234567890", "1234567890", False),
        ("notes", USER, USER, True),
        ("principal", USER, "backdoor", True),
        ("principal", USER, "door", False),
        ("principal", USER, "team", False),
        ("execution", EXECUTION, "first", True),
        ("execution", EXECUTION, "response:first", True),
        ("execution", EXECUTION, "irst", False),
    ],
)
def test_given_a_text_of_a_record_when_compared_then_a_link_must_be_equal_and_an_arn_may_end_with_the_name(
    name: str, value: str, reference: str, expected: bool
) -> None:
    assert audit_incident._names(name, value, reference) is expected


def test_given_records_that_share_only_a_note_when_one_is_named_then_the_others_are_left_out() -> None:
    rows = [
        record(1, {"case_id": "1", "notes": "2"}),
        record(2, {"case_id": "2", "notes": "shared"}),
        record(3, {"case_id": "3", "notes": "shared"}),
    ]
    assert chosen(rows, "2") == ["h2"]
    assert chosen(rows, "shared") == []


def test_given_a_chain_of_links_when_one_end_is_named_then_all_records_of_the_chain_are_found_once() -> None:
    rows = [
        record(1, {"case_id": "7", "approval_id": "a"}),
        record(2, {"approval_id": "a", "execution": EXECUTION}),
        record(3, {"joined_execution": "second", "incident": EXECUTION, "principals": [USER, USER]}),
        record(4, {"execution": "second", "principal": USER}),
        record(5, {"execution": "third"}),
        record(6, {"heads": {"1": "case"}, "case_id": "7"}, action=audit.TIED),
    ]
    found = audit_incident.find(reversed(rows), "7")

    assert [row["hash"] for row in found.records] == ["h1", "h2", "h3", "h4"]
    assert found.cases == ["7"]
    assert found.executions == [EXECUTION, "second"]
    assert found.principals == [USER]


def test_given_records_of_one_moment_when_found_then_the_main_chain_is_first_and_the_sequence_decides() -> None:
    at = "2026-01-01T00:00:00.000Z"
    rows = [
        record(1, {"case_id": "7"}, at=at, chain=2),
        record(4, {"case_id": "7"}, at=at),
        record(3, {"case_id": "7"}, at=at),
        record(2, {"case_id": "7"}, at=at, chain=1),
        record(9, {"case_id": "7"}, at="2025-12-31T00:00:00.000Z", chain=9),
    ]
    assert chosen(rows, "7") == ["h9", "h3", "h4", "h2", "h1"]


def test_given_details_that_are_no_object_when_read_then_they_are_empty() -> None:
    assert [audit_incident.details_of(row) for row in (record(1, "[1]"), record(2, "{"), {}, {"details": 5})] == [
        {},
        {},
        {},
        {},
    ]
    assert chosen([record(1, '["7"]'), record(2, {"case_id": ["6", {"approval_id": "7"}]})], "7") == ["h2"]
    assert chosen([record(1, {"case_id": ["6", ["7"]]}), record(2, {"case_id": ""})], "7") == ["h1"]
