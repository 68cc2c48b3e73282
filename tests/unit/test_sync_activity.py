"""The times of the readings of calls, and the addresses that a case can take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, trail_search
from ir_router.cases.trail_calls import TrailCall
from ir_router.errors import RetryLaterError
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import activity
from ir_router.trail_search import Progress

NOW = 1_000_000.0
CREDENTIALS = [
    {"contained_at": at, "since": at - 60, "account": "123456789012"} for at in (NOW - 500, NOW - 20, NOW - 300)
]


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, NOW - 20 + 30),
        ({"readings_of": NOW - 20, "readings": 1}, NOW - 20 + 900),
        ({"readings_of": NOW - 20, "readings": 2}, NOW - 20 + 3_600),
        ({"readings_of": NOW - 20, "readings": 3}, None),
        ({"readings_of": NOW - 300, "readings": 3}, NOW - 20 + 30),  # another principal was contained since then
        ({"readings_of": NOW - 20, "readings": 3, "requested_at": 5.0, "answered_at": 4.0}, NOW),
    ],
)
def test_given_several_containments_when_the_next_reading_is_due_then_the_newest_one_counts(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], due: float | None
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    assert activity._due_at({"credentials": CREDENTIALS, **changes}) == due


@pytest.mark.parametrize(("remaining", "seconds"), [(600.0, 20.0), (20.0, 12.5)])
def test_given_the_time_of_a_run_when_calls_are_read_then_a_slice_takes_20_seconds_at_most_and_leaves_time(
    monkeypatch: pytest.MonkeyPatch, remaining: float, seconds: float
) -> None:
    until: list[float] = []
    again: list[float] = []

    def read(_case_id: str, _progress: Progress, end: float, *_: Any) -> bool:
        until.append(end)
        raise RetryLaterError("AWS", "LookupEvents", "ThrottlingException", 1.0)

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(trail_search, "read", read)
    progress = Progress(end=NOW, since=0.0, pending=[])
    monkeypatch.setattr(Progress, "from_row", lambda _row: progress)
    sync: Any = SimpleNamespace(
        case_id="1234567890",
        case=SimpleNamespace(case_arn="arn:aws:security-ir:us-east-1:123456789012:case/1234567890"),
        deadline=SimpleNamespace(remaining=lambda: remaining),
        revisit=again.append,
    )
    activity._read(sync, {"progress": {}, "credentials": CREDENTIALS})
    assert (until, again) == ([NOW + seconds], [NOW + 60])


@pytest.mark.parametrize(("known", "added"), [(0, 200), (197, 3), (200, 0), (210, 0)])
def test_given_more_addresses_than_a_case_takes_when_its_fields_are_updated_then_two_hundred_are_the_most(
    monkeypatch: pytest.MonkeyPatch, known: int, added: int
) -> None:
    updates: list[dict[str, Any]] = []
    monkeypatch.setattr(security_ir, "update_case", lambda _case_id, **fields: updates.append(fields))
    case: Any = SimpleNamespace(
        case_id="1234567890",
        threat_actor_ip_addresses=[{"ipAddress": f"198.51.{one // 256}.{one % 256}"} for one in range(known)],
        impacted_services=["iam"],
        impacted_aws_regions=[],
    )
    calls = [
        TrailCall(
            f"e{one}", NOW, "us-east-1", "iam", "ListUsers", "", f"203.0.{one // 256}.{one % 256}", "", "", "c", "u"
        )
        for one in range(250)
    ]
    early = TrailCall("e", NOW - 561, "eu-west-1", "s3", "ListBuckets", "", "192.0.2.1", "", "", "c", "u")
    found: Any = SimpleNamespace(calls=[early, *calls])

    activity._update_fields(case, {"credentials": CREDENTIALS}, found)
    (fields,) = updates
    addresses = [one["ipAddress"] for one in fields.get("threatActorIpAddressesToAdd", [])]
    assert addresses == [f"203.0.0.{one}" for one in range(added)]
    assert fields["impactedAwsRegionsToAdd"] == [{"region": "us-east-1"}]
    assert "impactedServicesToAdd" not in fields
