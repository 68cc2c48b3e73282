"""Memberships, tags, investigations and metrics of the local Security IR service, called through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from mypy_boto3_security_ir.type_defs import IncidentResponderTypeDef

TEAM: list[IncidentResponderTypeDef] = [
    {"name": "Ana Silva", "jobTitle": "Commander", "email": "ana@example.com"},
    {
        "name": "Ben Okafor",
        "jobTitle": "Engineer",
        "email": "ben@example.com",
        "communicationPreferences": ["Case Created"],
    },
]
UNKNOWN = "m-0000000000"


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir() as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client()


@pytest.fixture
def membership_id(client: SecurityIncidentResponseClient) -> str:
    return client.list_memberships()["items"][0]["membershipId"]


def test_given_a_new_service_when_asked_then_there_is_one_active_membership_with_a_team_of_two(client):
    (item,) = client.list_memberships()["items"]

    membership = client.get_membership(membershipId=item["membershipId"])

    assert item["membershipStatus"] == membership["membershipStatus"] == "Active"
    assert item["membershipArn"] == membership["membershipArn"]
    assert item["accountId"] == "000000000000"
    assert [person["email"] for person in membership["incidentResponseTeam"]] == [
        "jane.smith@example.com", "john.doe@example.com",
    ]  # fmt: skip
    assert all(person.keys() == {"name", "jobTitle", "email"} for person in membership["incidentResponseTeam"])
    assert (membership["customerType"], membership["numberOfAccountsCovered"]) == ("Standalone", 1)


def test_given_a_team_when_it_is_set_from_outside_then_get_membership_gives_it(sir, client, membership_id):
    sir.service.set_response_team(TEAM)

    assert client.get_membership(membershipId=membership_id)["incidentResponseTeam"] == TEAM


def test_given_no_membership_when_one_is_created_then_cases_work_and_an_event_is_published(sir):
    with local_security_ir(response_team=None) as sir:
        client = sir.client()
        membership_id = client.create_membership(
            membershipName="Ours",
            incidentResponseTeam=TEAM,
            optInFeatures=[{"featureName": "Triage", "isEnabled": True}],
            tags={"team": "security"},
            coverEntireOrganization=True,
        )["membershipId"]

        membership = client.get_membership(membershipId=membership_id)
        assert (membership["membershipName"], membership["incidentResponseTeam"]) == ("Ours", TEAM)
        assert membership["optInFeatures"] == [{"featureName": "Triage", "isEnabled": True}]
        assert membership["membershipAccountsConfigurations"]["coverEntireOrganization"]
        assert client.list_tags_for_resource(resourceArn=membership["membershipArn"])["tags"] == {"team": "security"}
        assert client.create_case(**case_parameters())["caseId"]
        (event, _) = sir.events.wait_for(2)
        assert event["detail-type"] == "Membership Created"
        assert event["resources"] == [membership["membershipArn"]]
        assert event["detail"] == {"membershipId": membership_id}


def test_given_a_membership_when_it_is_updated_then_get_membership_shows_it(sir, client, membership_id):
    units = ["ou-abcd-12345678", "ou-abcd-23456789"]
    client.update_membership(
        membershipId=membership_id,
        membershipName="Renamed",
        incidentResponseTeam=TEAM,
        optInFeatures=[{"featureName": "Triage", "isEnabled": False}],
        membershipAccountsConfigurationsUpdate={"coverEntireOrganization": False, "organizationalUnitsToAdd": units},
    )
    client.update_membership(
        membershipId=membership_id,
        membershipAccountsConfigurationsUpdate={"organizationalUnitsToRemove": units[:1]},
    )

    membership = client.get_membership(membershipId=membership_id)
    assert (membership["membershipName"], membership["incidentResponseTeam"]) == ("Renamed", TEAM)
    assert membership["optInFeatures"] == [{"featureName": "Triage", "isEnabled": False}]
    assert membership["membershipAccountsConfigurations"] == {
        "coverEntireOrganization": False,
        "organizationalUnits": units[1:],
    }
    assert [event["detail-type"] for event in sir.events.wait_for(2)] == ["Membership Updated"] * 2


def test_given_a_membership_when_it_is_cancelled_undone_and_terminated_then_cases_follow(sir, client, membership_id):
    client.cancel_membership(membershipId=membership_id)
    assert client.get_membership(membershipId=membership_id)["membershipDeactivationTimestamp"]
    with pytest.raises(client.exceptions.SecurityIncidentResponseNotActiveException):
        client.list_cases()
    with pytest.raises(client.exceptions.ConflictException):
        client.update_membership(membershipId=membership_id, membershipName="Renamed")
    client.cancel_membership(membershipId=membership_id)

    client.update_membership(membershipId=membership_id, undoMembershipCancellation=True)
    assert client.list_cases()["items"] == []
    with pytest.raises(client.exceptions.ConflictException):
        client.update_membership(membershipId=membership_id, undoMembershipCancellation=True)

    client.cancel_membership(membershipId=membership_id)
    sir.service.terminate_membership(membership_id)
    assert client.list_memberships()["items"][0]["membershipStatus"] == "Terminated"
    for call in (client.cancel_membership, client.update_membership):
        with pytest.raises(client.exceptions.ConflictException):
            call(membershipId=membership_id)

    new = client.create_membership(membershipName="New", incidentResponseTeam=TEAM)["membershipId"]
    assert [item["membershipId"] for item in client.list_memberships()["items"]] == [new, membership_id]
    assert [event["detail-type"] for event in sir.events.wait_for(5)] == [
        "Membership Cancelled", "Membership Updated", "Membership Cancelled", "Membership Terminated",
        "Membership Created",
    ]  # fmt: skip


def test_given_an_unknown_membership_when_it_is_named_then_not_found(client):
    day = datetime(2026, 1, 1, tzinfo=UTC)
    calls: list[Callable[[], object]] = [
        lambda: client.get_membership(membershipId=UNKNOWN),
        lambda: client.update_membership(membershipId=UNKNOWN),
        lambda: client.cancel_membership(membershipId=UNKNOWN),
        lambda: client.batch_get_member_account_details(membershipId=UNKNOWN, accountIds=["000000000000"]),
        lambda: client.get_finding_metrics(membershipId=UNKNOWN, startDate=day, endDate=day),
    ]
    for call in calls:
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


def test_given_an_organization_when_accounts_are_asked_for_then_each_has_its_relationship(sir, client, membership_id):
    sir.service.set_organization(["000123123123"])

    answer = client.batch_get_member_account_details(
        membershipId=membership_id, accountIds=["000000000000", "000123123123", "999999999999"]
    )

    assert [(item["accountId"], item["relationshipStatus"], item["relationshipType"]) for item in answer["items"]] == [
        ("000000000000", "Associated", "Organization"),
        ("000123123123", "Associated", "Organization"),
        ("999999999999", "Unassociated", "Unrelated"),
    ]
    assert client.get_membership(membershipId=membership_id)["customerType"] == "Organization"


def test_fact_account_ids_need_twelve_digits(sir, membership_id):
    """Fact: 12 digits zero-padded."""
    client = sir.client(validate=False)
    with pytest.raises(client.exceptions.ValidationException):
        client.batch_get_member_account_details(membershipId=membership_id, accountIds=["123123123"])


def test_given_metrics_when_a_window_of_days_is_asked_for_then_all_of_them_come(sir, client, membership_id):
    sir.service.set_finding_metrics(findingsTriaged=7)
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)

    metrics = client.get_finding_metrics(membershipId=membership_id, startDate=first, endDate=last)

    assert (metrics["findingsTriaged"], metrics["findingsEscalated"]) == (7, 0)
    for start, end in ((last, first), (first.replace(hour=1), last)):
        with pytest.raises(client.exceptions.ValidationException):
            client.get_finding_metrics(membershipId=membership_id, startDate=start, endDate=end)


# Tags


def test_given_a_case_when_tagged_retagged_and_untagged_then_the_list_follows(client):
    case_id = client.create_case(**case_parameters(tags={"severity": "High"}))["caseId"]
    arn = client.get_case(caseId=case_id)["caseArn"]

    client.tag_resource(resourceArn=arn, tags={"severity": "Low", "key with / and ü": ""})
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"severity": "Low", "key with / and ü": ""}
    client.untag_resource(resourceArn=arn, tagKeys=["key with / and ü", "unknown"])
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"severity": "Low"}
    client.close_case(caseId=case_id)
    client.tag_resource(resourceArn=arn, tags={"after": "closing"})
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"severity": "Low", "after": "closing"}


def test_given_wrong_tags_when_set_then_each_is_refused(client):
    case_id = client.create_case(**case_parameters())["caseId"]
    arn = client.get_case(caseId=case_id)["caseArn"]
    client.tag_resource(resourceArn=arn, tags={f"key-{number}": "" for number in range(200)})

    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.tag_resource(resourceArn=arn, tags={"one-more": ""})
    for tags in ({"aws:reserved": "x"}, {"k" * 129: "x"}, {"k": "x" * 257}):
        with pytest.raises(client.exceptions.ValidationException):
            client.tag_resource(resourceArn=arn, tags=tags)
    with pytest.raises(client.exceptions.ValidationException):
        client.create_case(**case_parameters(tags={"AWS:reserved": "x"}))
    with pytest.raises(client.exceptions.ValidationException):
        client.list_tags_for_resource(resourceArn="arn:aws:s3:::bucket")
    unknown = arn.replace(case_id, "0000000000")
    calls: list[Callable[[], object]] = [
        lambda: client.list_tags_for_resource(resourceArn=unknown),
        lambda: client.tag_resource(resourceArn=unknown, tags={}),
        lambda: client.untag_resource(resourceArn=unknown, tagKeys=["a"]),
    ]
    for call in calls:
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


# Investigations


def test_given_investigations_when_listed_and_rated_then_the_feedback_is_kept(sir, client):
    case_id = client.create_case(**case_parameters())["caseId"]
    ids = [
        sir.service.add_investigation(case_id, "Evidence", f"Title {number}", "Content", "Completed")
        for number in range(3)
    ]

    client.send_feedback(caseId=case_id, resultId=ids[2], usefulness="USEFUL", comment="Found it")
    client.send_feedback(caseId=case_id, resultId=ids[1], usefulness="NOT_USEFUL")

    pages = list(client.get_paginator("list_investigations").paginate(caseId=case_id, PaginationConfig={"PageSize": 2}))
    actions = [action for page in pages for action in page["investigationActions"]]
    assert [len(page["investigationActions"]) for page in pages] == [2, 1]
    assert [action["investigationId"] for action in actions] == ids[::-1]
    assert actions[0]["feedback"]["comment"] == "Found it"
    assert actions[1]["feedback"].keys() == {"usefulness", "submittedAt"}
    assert "feedback" not in actions[2]
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.send_feedback(caseId=case_id, resultId="inv-0000000000", usefulness="USEFUL")
