"""Every operation and every constraint of botocore's model, tested on the local Security IR service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from ir_sandbox.security_ir import SecurityIrService
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

MODEL = service_model()
OPERATIONS = sorted(MODEL.operation_names)


def input_shape(operation: str) -> StructureShape:
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    return shape


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[LocalSecurityIr, dict[str, Parameters]]]:
    """A service with one resource of each kind, and valid parameters for each operation."""
    with local_security_ir() as sir:
        parameters = good_parameters(sir.service)
        sir.clock.advance(timedelta(seconds=2))
        yield sir, parameters


def good_parameters(service: SecurityIrService) -> dict[str, Parameters]:
    case_id = service.create_case_as(case_parameters())
    comment_id = service.add_comment_as(case_id, body="x")
    attachment_id = service.add_attachment_as(case_id, content=b"x")
    investigation_id = service.add_investigation(case_id, "Evidence", "Title", "Content", "Completed")
    membership_id = next(iter(service.snapshot()["memberships"]))
    arn = service.call("GetCase", {"caseId": case_id})["caseArn"]
    case, membership, page = {"caseId": case_id}, {"membershipId": membership_id}, {"maxResults": 25}
    person = {"name": "Ana", "jobTitle": "Commander", "email": "ana@example.com"}
    team = [person, {**person, "communicationPreferences": ["Case Created"]}]
    features = [{"featureName": "Triage", "isEnabled": True}]
    day = datetime(2026, 1, 1, tzinfo=UTC)
    details = {
        "threatActorIpAddresses": [{"ipAddress": "10.0.0.1", "userAgent": "x"}],
        "impactedServices": ["IAM"],
        "impactedAwsRegions": [{"region": "us-east-1"}],
    }
    changes = {**details, "watchers": [{"email": "b@example.com", "name": "B", "jobTitle": "B"}],
               "impactedAccounts": ["000000000001"]}  # fmt: skip
    return {
        "BatchGetMemberAccountDetails": {**membership, "accountIds": ["000000000000"]},
        "CancelMembership": membership,
        "CloseCase": case,
        "CreateCase": {**case_parameters(), **details, "tags": {"a": "b"}, "clientToken": "case"},
        "CreateCaseComment": {**case, "body": "x", "clientToken": "comment"},
        "CreateMembership": {
            "membershipName": "Ours", "incidentResponseTeam": team, "optInFeatures": features, "tags": {"a": "b"},
            "coverEntireOrganization": True, "clientToken": "membership",
        },
        "GetCase": case,
        "GetCaseAttachmentDownloadUrl": {**case, "attachmentId": attachment_id},
        "GetCaseAttachmentUploadUrl": {**case, "fileName": "a.txt", "contentLength": 1, "clientToken": "upload"},
        "GetFindingMetrics": {**membership, "startDate": day, "endDate": day},
        "GetMembership": membership,
        "ListCaseEdits": {**case, **page},
        "ListCases": page,
        "ListComments": {**case, **page},
        "ListInvestigations": {**case, **page},
        "ListMemberships": page,
        "ListTagsForResource": {"resourceArn": arn},
        "SendFeedback": {**case, "resultId": investigation_id, "usefulness": "USEFUL", "comment": "x"},
        "TagResource": {"resourceArn": arn, "tags": {"a": "b"}},
        "UntagResource": {"resourceArn": arn, "tagKeys": ["a"]},
        "UpdateCase": {
            **case, "title": "x", "description": "x", "reportedIncidentStartDate": day, "actualIncidentStartDate": day,
            "engagementType": "Investigation", "caseMetadata": [{"key": "k", "value": "v"}],
            **{f"{name}ToAdd": value for name, value in changes.items()},
            **{f"{name}ToDelete": value for name, value in changes.items()},
        },
        "UpdateCaseComment": {**case, "commentId": comment_id, "body": "y"},
        "UpdateCaseStatus": {**case, "caseStatus": "Submitted"},
        "UpdateMembership": {
            **membership, "membershipName": "Ours", "incidentResponseTeam": team, "optInFeatures": features,
            "membershipAccountsConfigurationsUpdate": {
                "coverEntireOrganization": True, "organizationalUnitsToAdd": ["ou-abcd-12345678"],
                "organizationalUnitsToRemove": ["ou-abcd-12345678"],
            },
            "undoMembershipCancellation": False,
        },
        "UpdateResolverType": {**case, "resolverType": "Self"},
    }  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
def test_given_the_model_when_each_operation_is_called_by_unchanged_boto3_then_it_answers(operation, monkeypatch):
    """Fact: boto3 reads AWS_ENDPOINT_URL_SECURITY_IR. Status codes are those of botocore's model."""
    with local_security_ir() as sir:
        parameters = good_parameters(sir.service)[operation]
        if operation == "CreateMembership":
            sir.service.terminate_membership(next(iter(sir.service.snapshot()["memberships"])))
        sir.clock.advance(timedelta(seconds=2))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECURITY_IR", sir.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        client = boto3.client("security-ir", region_name="us-east-1")

        answer = getattr(client, xform_name(operation))(**parameters)

        expected = MODEL.operation_model(operation).http["responseCode"]
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == expected
        assert sir.service.calls.count() == {operation: 1}


def test_given_the_good_parameters_when_compared_with_the_model_then_they_use_every_member():
    """Otherwise the tests below would not cover a constraint."""
    with local_security_ir() as sir:
        parameters = good_parameters(sir.service)
    assert parameters.keys() == set(OPERATIONS)
    for operation in OPERATIONS:
        shape = input_shape(operation)
        assert set(shape.members) - {"nextToken"} == parameters[operation].keys(), operation


# Constraints


def wrong_values(shape: Shape, good: object, in_path: bool) -> Iterator[object]:
    """Return values that botocore can send but the model forbids."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "string":
            if least and not in_path:
                yield ""
            if least and least > 1:
                yield "1" * (least - 1)
            if most:
                yield "1" * (most + 1)
            if shape.metadata.get("enum"):
                yield "No such value"
            if shape.metadata.get("pattern"):
                yield "\n" * (least or 1)
                yield f"{good}\n" if shape.name != "CaseId" else "12345"
        case "integer" | "long":
            if least is not None:
                yield least - 1
            if most is not None:
                yield most + 1
        case "list":
            assert isinstance(good, list)
            if least:
                yield good[:1] * (least - 1)
            if most:
                yield good[:1] * (most + 1)
        case "map":
            if most:
                yield {f"key-{number}": "" for number in range(most + 1)}


def violations(shape: Shape, good: object, in_path: bool = False) -> Iterator[Any]:
    """Yield copies of `good`, each with one violated constraint."""
    yield from wrong_values(shape, good, in_path)
    if isinstance(shape, StructureShape):
        assert isinstance(good, Mapping)
        for name, value in good.items():
            member = shape.members[name]
            for wrong in violations(member, value, member.serialization.get("location") == "uri"):
                yield {**good, name: wrong}
    elif isinstance(shape, ListShape):
        assert isinstance(good, list)
        for index, value in enumerate(good):
            for wrong in violations(shape.member, value):
                yield [*good[:index], wrong, *good[index + 1 :]]
    elif isinstance(shape, MapShape):
        assert isinstance(good, Mapping)
        key, value = next(iter(good.items()))
        yield from ({wrong: value} for wrong in violations(shape.key, key))
        yield from ({key: wrong} for wrong in violations(shape.value, value))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_given_each_constraint_of_the_model_when_broken_then_refused_by_name_and_without_effect(world, operation):
    sir, parameters = world
    client = sir.client(validate=False)
    good = parameters[operation]
    before = sir.service.snapshot()
    tried = 0

    for wrong in violations(input_shape(operation), good):
        tried += 1
        (broken,) = (name for name in good if wrong[name] != good[name])
        with pytest.raises(client.exceptions.ValidationException) as refused:
            getattr(client, xform_name(operation))(**wrong)
        response = refused.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert response["reason"] == "FIELD_VALIDATION_FAILED"
        assert {field["name"].split(".")[0].split(" ")[0] for field in response["fieldList"]} == {broken}

    assert tried
    assert sir.service.snapshot() == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_given_each_required_member_when_missing_then_refused_by_name(world, operation):
    sir, parameters = world
    client = sir.client(validate=False)
    shape = input_shape(operation)
    in_body = [name for name in shape.required_members if shape.members[name].serialization.get("location") != "uri"]
    for name in in_body:
        wrong = {key: value for key, value in parameters[operation].items() if key != name}
        with pytest.raises(client.exceptions.ValidationException) as refused:
            getattr(client, xform_name(operation))(**wrong)
        assert [field["name"] for field in refused.value.response["fieldList"]] == [name]
