"""Status, closure, edit log and dates of cases of the local Security IR service, called through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast

import pytest
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir import Change, Settings
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from mypy_boto3_security_ir.literals import SelfManagedCaseStatusType
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


# Status


def move(client: SecurityIncidentResponseClient, case_id: str, *statuses: str) -> None:
    for status in statuses:
        accepted = cast("SelfManagedCaseStatusType", status)
        assert client.update_case_status(caseId=case_id, caseStatus=accepted)["caseStatus"] == status


PATHS = {"Submitted": (), DETECTION: (DETECTION,), CONTAINMENT: (DETECTION, CONTAINMENT),
         POST_INCIDENT: (DETECTION, POST_INCIDENT)}  # fmt: skip
MODELLED_TRANSITIONS = {
    ("Submitted", DETECTION), (DETECTION, CONTAINMENT), (DETECTION, POST_INCIDENT), (CONTAINMENT, DETECTION),
    (CONTAINMENT, POST_INCIDENT), (POST_INCIDENT, CONTAINMENT), (POST_INCIDENT, DETECTION),
}  # fmt: skip


@pytest.mark.parametrize("source", ACCEPTED)
def test_fact_a_self_managed_case_moves_only_along_the_documented_transitions(client, source):
    """Botocore's model, UpdateCaseStatus: the transitions of self-managed cases."""
    for target in ACCEPTED:
        case_id = create(client)
        move(client, case_id, *PATHS[source])
        if (source, target) in MODELLED_TRANSITIONS or source == target:
            move(client, case_id, target)
            assert row(client, case_id)["caseStatus"] == target
        else:
            with pytest.raises(client.exceptions.ConflictException):
                client.update_case_status(caseId=case_id, caseStatus=target)
            assert row(client, case_id)["caseStatus"] == source


def test_given_transitions_are_free_when_a_submitted_case_is_moved_then_any_accepted_status_goes(sir, client):
    sir.service.configure(Settings(status_transitions="any"))
    case_id = create(client)

    move(client, case_id, POST_INCIDENT, "Submitted")


@pytest.mark.parametrize("status", ["Acknowledged", "Ready to Close", "Closed", "Resolved"])
def test_fact_update_case_status_accepts_four_statuses(sir, status):
    """Fact: UpdateCaseStatus accepts Submitted, Detection and Analysis, Containment..., Post-incident."""
    client = sir.client(validate=False)

    with pytest.raises(client.exceptions.ValidationException):
        client.update_case_status(caseId=create(client), caseStatus=status)


def test_fact_update_case_status_is_for_self_managed_cases_only(sir, client):
    """Fact: on self-managed cases only."""
    case_id = create(client, resolverType="AWS")

    with pytest.raises(client.exceptions.ConflictException):
        client.update_case_status(caseId=case_id, caseStatus=DETECTION)

    sir.service.set_status_as(case_id, "Acknowledged")
    assert row(client, case_id)["caseStatus"] == "Acknowledged"
    assert client.close_case(caseId=case_id)["caseStatus"] == "Closed"


def test_fact_update_resolver_type_is_one_way(client):
    """Fact: UpdateResolverType (one way)."""
    case_id = create(client)

    assert client.update_resolver_type(caseId=case_id, resolverType="Self")["resolverType"] == "Self"
    assert client.update_resolver_type(caseId=case_id, resolverType="AWS")["resolverType"] == "AWS"
    with pytest.raises(client.exceptions.ConflictException):
        client.update_resolver_type(caseId=case_id, resolverType="Self")
    assert row(client, case_id)["resolverType"] == "AWS"


def test_fact_a_closed_case_can_neither_be_reopened_nor_changed(client):
    """Fact: a closed case cannot be reopened."""
    case_id = create(client)
    comment_id = client.create_case_comment(caseId=case_id, body="before")["commentId"]
    answer = client.close_case(caseId=case_id)
    before = client.get_case(caseId=case_id)

    calls: list[Callable[[], object]] = [
        lambda: client.close_case(caseId=case_id),
        lambda: client.update_case_status(caseId=case_id, caseStatus=DETECTION),
        lambda: client.update_case(caseId=case_id, title="after"),
        lambda: client.update_resolver_type(caseId=case_id, resolverType="AWS"),
        lambda: client.create_case_comment(caseId=case_id, body="after"),
        lambda: client.update_case_comment(caseId=case_id, commentId=comment_id, body="after"),
        lambda: client.get_case_attachment_upload_url(caseId=case_id, fileName="a", contentLength=1),
    ]
    for call in calls:
        with pytest.raises(client.exceptions.ConflictException) as refused:
            call()
        assert refused.value.response["resourceId"] == case_id
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409

    after = client.get_case(caseId=case_id)
    assert {**before, "ResponseMetadata": None} == {**after, "ResponseMetadata": None}
    assert (answer["caseStatus"], after["caseStatus"]) == ("Closed", "Closed")
    assert answer["closedDate"] == after["closedDate"]
    assert client.list_comments(caseId=case_id)["items"][0]["body"] == "before"


def test_given_a_responder_when_it_closes_the_case_then_the_closure_code_shows(sir, client):
    case_id = create(client, resolverType="AWS")

    sir.service.close_case_as(case_id, "False Positive")

    assert client.get_case(caseId=case_id)["closureCode"] == "False Positive"
    assert client.list_case_edits(caseId=case_id)["items"][0]["principal"] == "AWS Responder"


def test_given_a_responder_when_it_waits_for_the_customer_then_pending_action_shows(sir, client):
    case_id = create(client, resolverType="AWS")

    sir.service.set_pending_action_as(case_id, "Customer")

    assert row(client, case_id)["pendingAction"] == "Customer"
    assert client.get_case(caseId=case_id)["pendingAction"] == "Customer"


def test_given_values_that_the_api_has_not_when_a_responder_uses_them_then_value_error(sir, client):
    case_id = create(client)
    acts: list[Callable[[], object]] = [
        lambda: sir.service.set_status_as(case_id, "Open"),
        lambda: sir.service.set_status_as(case_id, "Closed"),
        lambda: sir.service.set_pending_action_as(case_id, "Nobody"),
        lambda: sir.service.close_case_as(case_id, "Because"),
        lambda: sir.service.add_comment_as(case_id, "Bob", "hello"),
    ]
    for act in acts:
        with pytest.raises(ValueError, match=r"Member must|close_case_as"):
            act()
    assert row(client, case_id)["caseStatus"] == "Submitted"


# The log and the date


def test_given_a_life_of_a_case_when_edits_are_listed_then_each_change_is_there_newest_first(sir, client):
    case_id = create(client)
    comment_id = client.create_case_comment(caseId=case_id, body="one")["commentId"]
    sir.service.add_comment_as(case_id, body="two")
    client.update_case_comment(caseId=case_id, commentId=comment_id, body="three")
    sir.service.add_attachment_as(case_id, content=b"x")
    client.update_resolver_type(caseId=case_id, resolverType="AWS")
    client.close_case(caseId=case_id)

    answer = client.list_case_edits(caseId=case_id)

    jane, responder = "arn:aws:iam::111122223333:user/jane", "AWS Responder"
    assert [(edit["action"], edit["principal"]) for edit in answer["items"]] == [
        ("Case Closed", jane),
        ("Case Updated To Service Managed", jane),
        ("Case Attachment Uploaded", responder),
        ("Case Comment Updated", jane),
        ("Case Comment Added", responder),
        ("Case Comment Added", jane),
        ("Case Created", jane),
    ]
    assert answer["total"] == 7
    times = [edit["eventTimestamp"] for edit in answer["items"]]
    assert times == sorted(times, reverse=True)


def test_given_an_unlisted_access_key_when_it_calls_then_the_default_principal_is_the_creator(sir):
    client = sir.client("unlisted")

    edit = client.list_case_edits(caseId=create(client))["items"][0]

    assert edit["principal"] == "arn:aws:iam::000000000000:root"


def changes_of(
    sir: LocalSecurityIr, client: SecurityIncidentResponseClient, case_id: str
) -> dict[Change, Callable[[], object]]:
    return {
        Change.FIELDS: lambda: client.update_case(caseId=case_id, title="Changed"),
        Change.STATUS: lambda: client.update_case_status(caseId=case_id, caseStatus=DETECTION),
        Change.COMMENT: lambda: client.create_case_comment(caseId=case_id, body="x"),
        Change.COMMENT_EDIT: lambda: client.update_case_comment(
            caseId=case_id, commentId=client.list_comments(caseId=case_id)["items"][0]["commentId"], body="y"
        ),
        Change.ATTACHMENT: lambda: sir.service.add_attachment_as(case_id, content=b"x"),
        Change.TAGS: lambda: client.tag_resource(
            resourceArn=client.get_case(caseId=case_id)["caseArn"], tags={"a": "b"}
        ),
    }


@pytest.mark.parametrize("still", [None, frozenset(), frozenset(Change)], ids=["default", "none", "all"])
def test_given_the_setting_when_a_case_changes_then_last_updated_date_moves_or_not(sir, client, still):
    """Fact: attachments publish no event; the changes that update lastUpdatedDate are not documented."""
    if still is None:
        still = frozenset({Change.ATTACHMENT, Change.TAGS})
        assert sir.service.settings.changes_without_date == still
    else:
        sir.service.configure(Settings(changes_without_date=still))
    case_id = create(client)

    for kind, change in changes_of(sir, client, case_id).items():
        before = row(client, case_id)["lastUpdatedDate"]
        sir.clock.advance(timedelta(seconds=10))
        change()
        moved = row(client, case_id)["lastUpdatedDate"] > before
        assert moved == (kind not in still), kind


def test_given_a_clock_when_it_is_moved_then_dates_follow(sir, client):
    sir.clock.advance(timedelta(days=400))

    created = client.get_case(caseId=create(client))["createdDate"]

    assert created - datetime.now(UTC) > timedelta(days=399)


def test_given_a_seed_when_services_start_with_it_then_ids_repeat():
    ids = []
    for _ in range(2):
        with local_security_ir(seed=7) as sir:
            service = sir.service
            case_id = service.create_case_as(case_parameters())
            comment = service.add_comment_as(case_id, body="x")
            attachment = service.add_attachment_as(case_id, content=b"x")
            ids.append((case_id, comment, attachment))
    assert ids[0] == ids[1]
