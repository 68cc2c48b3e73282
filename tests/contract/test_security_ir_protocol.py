"""The wire of the local Security IR service: every operation and every constraint of botocore's model."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from ir_local.security_ir import ApiError, SecurityIrService, serve
from ir_local.security_ir.errors import FaultInAnswerError
from ir_local.security_ir.model import Parameters, find_route, routes, service_model
from ir_local.security_ir.protocol import check_answer
from ir_local.security_ir.testing import LocalSecurityIr, case_parameters, close_promptly, local_security_ir

MODEL = service_model()
OPERATIONS = sorted(MODEL.operation_names)


def input_shape(operation: str) -> StructureShape:
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    return shape


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[LocalSecurityIr, dict[str, Parameters]]]:
    """A service with one of everything, and parameters that each operation accepts."""
    with local_security_ir() as sir:
        yield sir, good_parameters(sir.service)


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
    """PLATFORM_FACTS: boto3 reads AWS_ENDPOINT_URL_SECURITY_IR. Status codes are those of botocore's model."""
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
    """Otherwise a constraint would go untested below."""
    with local_security_ir() as sir:
        parameters = good_parameters(sir.service)
    assert parameters.keys() == set(OPERATIONS)
    for operation in OPERATIONS:
        shape = input_shape(operation)
        assert set(shape.members) - {"nextToken"} == parameters[operation].keys(), operation


# Constraints


def wrong_values(shape: Shape, good: object, in_path: bool) -> Iterator[object]:
    """Values that botocore can send and the model forbids."""
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
    """Copies of `good`, each with one constraint broken somewhere within."""
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


# Raw requests


def send(
    sir: LocalSecurityIr, method: str, path: str, body: bytes | None = None, authorization: str | None = "security-ir"
) -> tuple[int, dict[str, str], Parameters]:
    """Send what boto3 would never send; returns status, headers with lower-case names, JSON."""
    request = urllib.request.Request(f"{sir.url}{path}", body, method=method)
    if authorization:
        scope = f"local/20260101/us-east-1/{authorization}/aws4_request"
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            headers, text, status = response.headers, response.read(), response.status
    except urllib.error.HTTPError as error:
        with error:
            headers, text, status = error.headers, error.read(), error.code
    return status, {name.lower(): value for name, value in headers.items()}, json.loads(text)


def test_given_a_refusal_when_it_is_sent_then_it_has_the_form_of_rest_json(world):
    status, headers, document = send(world[0], "GET", "/v1/cases/0000000000/get-case")

    assert status == 404
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f-]{36}", headers["x-amzn-requestid"])
    assert document == {"message": "The case 0000000000 does not exist."}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"null"])
def test_given_a_body_that_is_no_json_object_when_sent_then_cannot_parse(world, body):
    status, headers, document = send(world[0], "POST", "/v1/create-case", body)

    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert document["reason"] == "CANNOT_PARSE"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("title", 5), ("title", ["x"]), ("watchers", {}), ("watchers", ["x"]), ("watchers", [{"email": 5}]),
        ("tags", []), ("tags", {"a": 5}), ("reportedIncidentStartDate", "2026-01-01T00:00:00Z"),
        ("reportedIncidentStartDate", True), ("reportedIncidentStartDate", 1e20), ("impactedAccounts", "x"),
    ],
)  # fmt: skip
def test_given_a_member_of_another_type_when_sent_then_cannot_parse_naming_it(world, member, value):
    good = {**case_parameters(), "reportedIncidentStartDate": 1768479869}

    _, headers, document = send(world[0], "POST", "/v1/create-case", json.dumps({**good, member: value}).encode())

    assert headers["x-amzn-errortype"] == "ValidationException"
    assert document["reason"] == "CANNOT_PARSE"
    assert document["fieldList"][0]["name"].split(".")[0] == member


def test_given_members_the_model_does_not_know_or_nulls_when_sent_then_they_are_ignored(world):
    """As AWS's rest-json services do."""
    good = {**case_parameters(), "reportedIncidentStartDate": 1768479869.5, "severity": "High", "tags": None}

    status, _, document = send(world[0], "POST", "/v1/create-case", json.dumps(good).encode())

    assert status == 201
    assert world[0].service.call("GetCase", document)["title"] == good["title"]


@pytest.mark.parametrize("query", ["maxResults=x", "maxResults=26", "maxResults="])
def test_given_a_wrong_query_parameter_when_sent_then_refused(world, query):
    case_id = world[1]["GetCase"]["caseId"]

    status, _, document = send(world[0], "GET", f"/v1/cases/{case_id}/list-investigations?{query}")

    assert status == 400
    assert document["fieldList"][0]["name"] == "maxResults"


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00"])
def test_given_a_wrong_timestamp_in_the_query_when_sent_then_refused(world, date):
    membership_id = world[1]["GetMembership"]["membershipId"]
    path = f"/v1/membership/{membership_id}/finding-metrics?startDate={date}&endDate=2026-01-02T00:00:00Z"

    status, _, document = send(world[0], "GET", path)

    assert status == 400
    assert document["fieldList"][0]["name"] == "startDate"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v1/create-case"), ("POST", "/v1/cases//close-case"), ("GET", "/v2")]
)
def test_given_no_operation_at_an_address_when_called_then_unknown_operation(world, method, path):
    status, _, document = send(world[0], method, path, b"{}" if method == "POST" else None)

    assert (status, document["reason"]) == (400, "UNKNOWN_OPERATION")


def test_given_an_unsigned_request_or_one_for_another_service_when_sent_then_forbidden(world):
    unsigned = send(world[0], "POST", "/v1/list-cases", b"{}", authorization=None)
    misdirected = send(world[0], "POST", "/v1/list-cases", b"{}", authorization="s3")

    assert (unsigned[0], unsigned[1]["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")
    assert (misdirected[0], misdirected[1]["x-amzn-errortype"]) == (403, "InvalidSignatureException")


# The model


def test_given_the_routes_when_every_address_is_looked_up_then_each_operation_is_found_once():
    for route in routes():
        path = route.operation.http["requestUri"].replace("{", "").replace("}", "")
        found = find_route(route.method, path)
        assert found is not None
        assert found[0].name == route.operation.name
        matching = [other for other in routes() if other.method == route.method and other.path.fullmatch(path)]
        assert len(matching) == 1


EXCEPTIONS = sorted(shape.name for shape in MODEL.error_shapes)


@pytest.mark.parametrize("code", EXCEPTIONS)
def test_given_each_error_of_the_model_when_demanded_then_boto3_raises_it_with_its_status_and_members(world, code):
    sir, client = world[0], world[0].client()
    sir.service.faults.refuse(code, "ListCases")

    with pytest.raises(getattr(client.exceptions, code)) as refused:
        client.list_cases()

    shape = MODEL.shape_for(code)
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]
    assert all(response[name] for name in shape.required_members)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
def test_fact_throttling_and_internal_errors_carry_retry_after_seconds(world, code):
    """PLATFORM_FACTS: both carry retryAfterSeconds; botocore's model: as header Retry-After."""
    sir, client = world[0], world[0].client()
    sir.service.faults.refuse(code, "ListCases", retry_after_seconds=7)

    with pytest.raises(ClientError) as refused:
        client.list_cases()

    response: Mapping[str, object] = refused.value.response
    assert response["retryAfterSeconds"] == 7
    assert refused.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"


@pytest.mark.parametrize(
    "answer", [{"caseId": "12"}, {}, {"caseId": None}, {"caseId": 1234567890}, {"caseId": "1234567890", "extra": 1}]
)
def test_given_an_answer_that_does_not_fit_the_model_when_checked_then_it_is_a_fault(answer):
    with pytest.raises(FaultInAnswerError, match="CreateCase"):
        check_answer(MODEL.operation_model("CreateCase"), answer)


def test_given_a_fault_of_this_service_when_called_then_a_loud_500_and_no_wrong_answer(world, caplog):
    sir, client = world[0], world[0].client()
    case_id = sir.service.create_case_as(case_parameters())
    sir.service._state.cases[case_id].title = ""

    with pytest.raises(client.exceptions.InternalServerException, match="FAULT IN THE LOCAL SECURITY IR SERVICE"):
        client.get_case(caseId=case_id)

    assert "title: Member must have length greater than or equal to 1" in caplog.text
    del sir.service._state.cases[case_id]


def test_given_the_python_api_when_called_wrongly_then_it_refuses_as_over_http(world):
    sir, parameters = world
    with pytest.raises(ApiError) as refused:
        sir.service.call("GetCase", {"caseId": "1"})
    assert refused.value.code == "ValidationException"

    first = sir.service.call("GetCase", parameters["GetCase"])
    first["watchers"].clear()
    assert sir.service.call("GetCase", parameters["GetCase"])["watchers"]


def test_given_a_test_that_needs_a_service_when_made_and_served_then_it_takes_less_than_50_ms():
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        service = SecurityIrService()
        server = serve(service)
        seconds.append(time.perf_counter() - started)
        close_promptly(server)
        service.close()

    assert min(seconds) < 0.05
