"""Cases of the local Security IR service, called through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from mypy_boto3_security_ir.type_defs import ListCasesItemTypeDef

DETECTION: Final = "Detection and Analysis"
CONTAINMENT = "Containment, Eradication and Recovery"
POST_INCIDENT = "Post-incident Activities"
ACCEPTED = ("Submitted", DETECTION, CONTAINMENT, POST_INCIDENT)


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir(principals={"jane": "arn:aws:iam::111122223333:user/jane"}) as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client("jane")


def create(client: SecurityIncidentResponseClient, **changes: object) -> str:
    return client.create_case(**case_parameters(**changes))["caseId"]


def row(client: SecurityIncidentResponseClient, case_id: str) -> ListCasesItemTypeDef:
    return next(item for item in client.list_cases()["items"] if item["caseId"] == case_id)


def test_given_a_membership_when_a_case_is_created_then_get_case_gives_what_was_sent(client):
    sent = case_parameters(
        threatActorIpAddresses=[{"ipAddress": "192.168.10.20", "userAgent": "aws-cli/2.15"}],
        impactedServices=["IAM"],
        impactedAwsRegions=[{"region": "us-east-1"}],
        tags={"severity": "High"},
    )

    case_id = client.create_case(**sent)["caseId"]

    case = client.get_case(caseId=case_id)
    returned = sent.keys() - {"tags"}
    assert {name: value for name, value in case.items() if name in returned} == {
        name: value for name, value in sent.items() if name in returned
    }
    assert case["caseStatus"] == "Submitted"
    assert case["pendingAction"] == "None"
    assert abs(case["createdDate"] - case["lastUpdatedDate"]) <= timedelta(milliseconds=1)
    assert case["caseAttachments"] == []
    assert client.list_tags_for_resource(resourceArn=case["caseArn"])["tags"] == {"severity": "High"}


def test_fact_case_id_has_ten_digits_and_the_arn_ends_with_it(client):
    """Fact: a case ARN has exactly 10 digits, so 10-digit case ids locally."""
    case_id = create(client)

    assert case_id.isdigit()
    assert len(case_id) == 10
    assert client.get_case(caseId=case_id)["caseArn"] == f"arn:aws:security-ir:us-east-1:000000000000:case/{case_id}"


def test_fact_get_case_has_neither_case_id_nor_severity(client):
    """Fact: GetCase's response has no caseId and no severity."""
    case = client.get_case(caseId=create(client))

    assert not {"caseId", "severity"} & case.keys()


def test_fact_list_cases_item_has_these_members_and_no_others(client):
    """Fact: the members of a ListCases item; closedDate once it is closed."""
    case_id = create(client)
    members = {
        "caseId", "lastUpdatedDate", "title", "caseArn", "engagementType", "caseStatus", "createdDate",
        "resolverType", "pendingAction",
    }  # fmt: skip

    assert row(client, case_id).keys() == members
    client.close_case(caseId=case_id)
    assert row(client, case_id).keys() == members | {"closedDate"}


def test_given_an_unknown_case_when_any_operation_names_it_then_not_found(client):
    missing = "0000000000"
    calls: list[Callable[[], object]] = [
        lambda: client.get_case(caseId=missing),
        lambda: client.update_case(caseId=missing, title="x"),
        lambda: client.update_case_status(caseId=missing, caseStatus="Submitted"),
        lambda: client.update_resolver_type(caseId=missing, resolverType="AWS"),
        lambda: client.close_case(caseId=missing),
        lambda: client.list_case_edits(caseId=missing),
        lambda: client.create_case_comment(caseId=missing, body="x"),
        lambda: client.update_case_comment(caseId=missing, commentId="000000", body="x"),
        lambda: client.list_comments(caseId=missing),
        lambda: client.get_case_attachment_upload_url(caseId=missing, fileName="a", contentLength=1),
        lambda: client.get_case_attachment_download_url(
            caseId=missing, attachmentId="12345678-1234-1234-1234-123456789012"
        ),
        lambda: client.list_investigations(caseId=missing),
        lambda: client.send_feedback(caseId=missing, resultId="inv-1234567890", usefulness="USEFUL"),
    ]
    for call in calls:
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            call()


def test_given_no_membership_when_a_case_operation_is_called_then_not_active():
    with local_security_ir(response_team=None) as sir:
        client = sir.client()
        calls: list[Callable[[], object]] = [
            lambda: create(client),
            client.list_cases,
            lambda: client.get_case(caseId="0000000000"),
            lambda: client.list_comments(caseId="0000000000"),
        ]
        for call in calls:
            with pytest.raises(client.exceptions.SecurityIncidentResponseNotActiveException):
                call()
        assert client.list_memberships()["items"] == []


# Updates


def test_given_a_case_when_fields_are_updated_then_only_they_change_and_the_log_names_them(sir, client):
    case_id = create(client)
    before = client.get_case(caseId=case_id)
    started = datetime(2026, 1, 14, tzinfo=UTC)

    client.update_case(
        caseId=case_id,
        title="New title",
        description="New description",
        engagementType="Investigation",
        reportedIncidentStartDate=started,
        actualIncidentStartDate=started,
        caseMetadata=[{"key": "ticket", "value": "SEC-1"}],
    )

    after = client.get_case(caseId=case_id)
    assert (after["title"], after["description"], after["engagementType"]) == (
        "New title", "New description", "Investigation",
    )  # fmt: skip
    assert after["reportedIncidentStartDate"] == after["actualIncidentStartDate"] == started
    assert after["caseMetadata"] == [{"key": "ticket", "value": "SEC-1"}]
    assert after["watchers"] == before["watchers"]
    edit = client.list_case_edits(caseId=case_id)["items"][0]
    assert edit["action"] == "Case Updated"
    assert edit["principal"] == "arn:aws:iam::111122223333:user/jane"
    assert all(name in edit["message"] for name in ("title", "description", "engagement type"))


def test_given_a_case_when_nothing_would_change_then_neither_date_nor_log_moves(sir, client):
    case_id = create(client, title="Same")
    before = row(client, case_id)

    client.update_case(caseId=case_id, title="Same")
    client.update_case(caseId=case_id)

    assert row(client, case_id) == before
    assert client.list_case_edits(caseId=case_id)["total"] == 1


def test_given_watchers_when_added_and_deleted_then_the_email_decides_whatever_its_case(client):
    case_id = create(client, watchers=[{"email": "a@example.com"}, {"email": "b@example.com"}])

    client.update_case(
        caseId=case_id,
        watchersToAdd=[{"email": "B@example.com", "name": "Bea"}, {"email": "c@example.com"}],
        watchersToDelete=[{"email": "A@EXAMPLE.COM"}, {"email": "unknown@example.com"}],
    )

    assert client.get_case(caseId=case_id)["watchers"] == [
        {"email": "B@example.com", "name": "Bea"},
        {"email": "c@example.com"},
    ]


def test_given_lists_when_added_to_and_deleted_from_then_they_hold_the_rest(client):
    case_id = create(client, impactedAccounts=["000000000001", "000000000002"])

    client.update_case(
        caseId=case_id,
        impactedAccountsToAdd=["000000000003"],
        impactedAccountsToDelete=["000000000001"],
        impactedServicesToAdd=["IAM", "S3"],
        impactedAwsRegionsToAdd=[{"region": "eu-west-1"}, {"region": "us-east-1"}],
        threatActorIpAddressesToAdd=[{"ipAddress": "10.0.0.1"}, {"ipAddress": "10.0.0.2"}],
    )
    client.update_case(
        caseId=case_id,
        impactedServicesToDelete=["S3"],
        impactedAwsRegionsToDelete=[{"region": "eu-west-1"}],
        threatActorIpAddressesToDelete=[{"ipAddress": "10.0.0.1"}],
    )

    case = client.get_case(caseId=case_id)
    assert case["impactedAccounts"] == ["000000000002", "000000000003"]
    assert case["impactedServices"] == ["IAM"]
    assert case["impactedAwsRegions"] == [{"region": "us-east-1"}]
    assert case["threatActorIpAddresses"] == [{"ipAddress": "10.0.0.2"}]


def test_fact_a_case_has_at_most_thirty_watchers(client):
    """Fact: watchers 30."""
    thirty = [{"email": f"watcher-{number}@example.com"} for number in range(30)]
    case_id = create(client, watchers=thirty)

    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as refused:
        client.update_case(caseId=case_id, watchersToAdd=[{"email": "one-more@example.com"}])

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert refused.value.response["resourceId"] == case_id
    assert len(client.get_case(caseId=case_id)["watchers"]) == 30
    client.update_case(caseId=case_id, watchersToAdd=[{"email": "one-more@example.com"}], watchersToDelete=[thirty[0]])


def test_fact_a_case_has_at_most_two_hundred_impacted_accounts(client):
    """Fact: impacted accounts 200, 12 digits zero-padded."""
    case_id = create(client, impactedAccounts=[f"{number:012d}" for number in range(200)])

    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.update_case(caseId=case_id, impactedAccountsToAdd=["000000000999"])
