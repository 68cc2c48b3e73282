"""Addresses, statuses, quotas and ids of cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ir_router.cases import addresses, ids, imports, quotas, status
from ir_router.cases.models import CaseRow

AT = datetime(2026, 1, 15, 12, 30, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "mailbox", "without_suffix", "domain"),
    [
        (" Jane.Smith+work@Example.com ", "janesmith@example.com", "Jane.Smith@Example.com", "example.com"),
        ("jane@example.com", "jane@example.com", "jane@example.com", "example.com"),
        ("a@b@Example.com", "a@b@example.com", "a@b@Example.com", "example.com"),
        ("nobody", "", "nobody", ""),
        ("", "", "", ""),
    ],
)
def test_given_an_address_when_compared_then_its_variants_are_one_mailbox(
    address: str, mailbox: str, without_suffix: str, domain: str
) -> None:
    assert addresses.same_mailbox(address) == mailbox
    assert addresses.without_suffix(address) == without_suffix
    assert addresses.domain_of(address) == domain
    assert addresses.is_within(address, [" Example.COM ", "other.example"]) is bool(domain)
    assert not addresses.is_within(address, ["com", "sub.example.com"])


RECOVERY = "Containment, Eradication and Recovery"


@pytest.mark.parametrize(
    ("before", "wanted", "steps"),
    [
        ("Submitted", "Submitted", ()),
        ("Submitted", "Detection and Analysis", ("Detection and Analysis",)),
        ("Submitted", RECOVERY, ("Detection and Analysis", RECOVERY)),
        ("Submitted", "Post-incident Activities", ("Detection and Analysis", "Post-incident Activities")),
        ("Acknowledged", RECOVERY, ("Detection and Analysis", RECOVERY)),
        (RECOVERY, "Detection and Analysis", ("Detection and Analysis",)),
        (RECOVERY, "Submitted", ("Submitted",)),
        ("Post-incident Activities", RECOVERY, (RECOVERY,)),
        ("Closed", "Submitted", ("Submitted",)),
    ],
)
def test_given_a_status_when_another_is_wanted_then_each_step_is_documented(
    before: str, wanted: str, steps: tuple[str, ...]
) -> None:
    assert status.way(before, wanted) == steps


def test_given_a_status_when_read_then_what_can_follow_and_its_words_are_these() -> None:
    later = ("Detection and Analysis", RECOVERY, "Post-incident Activities")
    assert status.reachable("Submitted") == status.reachable("Acknowledged") == later
    assert status.reachable("Detection and Analysis") == later[1:]
    assert status.reachable(RECOVERY) == ("Post-incident Activities", "Detection and Analysis")
    assert status.reachable("Post-incident Activities") == (RECOVERY, "Detection and Analysis")
    assert status.reachable("Closed") == ()
    shown = {name: status.shown(name) for name in (*status.STATUSES, "Odd", "")}
    assert shown == {
        "Submitted": "Open (Submitted)",
        "Acknowledged": "In Progress (Acknowledged)",
        "Detection and Analysis": "In Progress (Detection and Analysis)",
        RECOVERY: f"In Progress ({RECOVERY})",
        "Post-incident Activities": "Resolved (Post-incident Activities)",
        "Ready to Close": "Resolved (Ready to Close)",
        "Closed": "Closed",
        "Odd": "Odd",
        "": "Unknown",
    }
    assert status.specified("Odd") == "Odd"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("open", "Submitted"),
        ("In_Progress", "Detection and Analysis"),
        ("in–progress!", "Detection and Analysis"),
        (" resolved. ", "Post-incident Activities"),
        ("CONTAINMENT", RECOVERY),
        ("eradication  and recovery", RECOVERY),
        ("closed", "Closed"),
        ("ready-to-close", "Ready to Close"),
        ("done", None),
        ("", None),
    ],
)
def test_given_a_typed_status_when_read_then_either_vocabulary_counts(typed: str, meant: str | None) -> None:
    assert status.parse(typed) == meant


def test_given_cases_when_counted_then_closed_ones_count_only_for_the_day_on_which_they_were_made() -> None:
    now = AT.timestamp()

    def row(resolver: str | None, state: str, seconds: float | None) -> CaseRow:
        made = None if seconds is None else AT - timedelta(seconds=seconds)
        return CaseRow(case_id="1", resolver_type=resolver, case_status=state, created_date=made)

    rows = [
        row("Self", "Submitted", 1),
        row("Self", "Closed", 1),
        row("AWS", "Submitted", 86_399),
        row("AWS", "Closed", 86_399),
        row("AWS", "Submitted", 86_400),
        row(None, "Submitted", None),
    ]
    found = quotas.count(rows, now)
    assert found == {"self_managed": 1, "aws_supported": 3, "new_aws_supported": 2}


@pytest.mark.parametrize(
    ("value", "is_id"),
    [
        ("1" * 10, True),
        ("1" * 32, True),
        ("1" * 9, False),
        ("1" * 33, False),
        ("123456789x", False),
        (1234567890, False),
    ],
)
def test_given_a_value_when_it_has_not_the_form_of_a_case_id_then_it_is_none(value: object, is_id: bool) -> None:
    assert ids.is_case_id(value) is is_id


def test_given_a_case_of_the_moment_of_the_first_poll_when_asked_then_it_is_synchronised() -> None:
    assert imports.is_ours(100, closed=True, first_poll=100, initial_import="none")
    assert not imports.is_ours(99, closed=True, first_poll=100, initial_import="none")
