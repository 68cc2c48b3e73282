"""The protocol of the local Security IR service: rest-json, its errors, and bugs of the service itself."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

import pytest
from botocore.exceptions import ClientError

from ir_sandbox.security_ir import ApiError, SecurityIrService, serve
from ir_sandbox.security_ir.errors import FaultInAnswerError
from ir_sandbox.security_ir.model import Parameters, find_route, routes, service_model
from ir_sandbox.security_ir.protocol import check_answer
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

MODEL = service_model()


@pytest.fixture(scope="module")
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir() as running:
        yield running


# Raw requests


def send(
    sir: LocalSecurityIr, method: str, path: str, body: bytes | None = None, authorization: str | None = "security-ir"
) -> tuple[int, dict[str, str], Parameters]:
    """Send a request that boto3 never sends; return its status, headers with lower-case names, and JSON."""
    request = urllib.request.Request(f"{sir.url}{path}", body, method=method)
    if authorization:
        scope = f"local/20260101/us-east-1/{authorization}/aws4_request"
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            headers, text, status = response.headers, response.read(), response.status
    except urllib.error.HTTPError as error:
        with error:
            headers, text, status = error.headers, error.read(), error.code
    return status, {name.lower(): value for name, value in headers.items()}, json.loads(text)


def test_given_a_refusal_when_it_is_sent_then_it_has_the_form_of_rest_json(sir):
    status, headers, document = send(sir, "GET", "/v1/cases/0000000000/get-case")

    assert status == 404
    assert headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f-]{36}", headers["x-amzn-requestid"])
    assert document == {"message": "The case 0000000000 does not exist."}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"null"])
def test_given_a_body_that_is_no_json_object_when_sent_then_cannot_parse(sir, body):
    status, headers, document = send(sir, "POST", "/v1/create-case", body)

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
def test_given_a_member_of_another_type_when_sent_then_cannot_parse_naming_it(sir, member, value):
    good = {**case_parameters(), "reportedIncidentStartDate": 1768479869}

    _, headers, document = send(sir, "POST", "/v1/create-case", json.dumps({**good, member: value}).encode())

    assert headers["x-amzn-errortype"] == "ValidationException"
    assert document["reason"] == "CANNOT_PARSE"
    assert document["fieldList"][0]["name"].split(".")[0] == member


def test_given_members_the_model_does_not_know_or_nulls_when_sent_then_they_are_ignored(sir):
    """AWS's rest-json services do the same."""
    good = {**case_parameters(), "reportedIncidentStartDate": 1768479869.5, "severity": "High", "tags": None}

    status, _, document = send(sir, "POST", "/v1/create-case", json.dumps(good).encode())

    assert status == 201
    assert sir.service.call("GetCase", document)["title"] == good["title"]


@pytest.mark.parametrize("query", ["maxResults=x", "maxResults=26", "maxResults="])
def test_given_a_wrong_query_parameter_when_sent_then_refused(sir, query):
    case_id = sir.service.create_case_as(case_parameters())

    status, _, document = send(sir, "GET", f"/v1/cases/{case_id}/list-investigations?{query}")

    assert status == 400
    assert document["fieldList"][0]["name"] == "maxResults"


@pytest.mark.parametrize("date", ["yesterday", "2026-01-01T00:00:00"])
def test_given_a_wrong_timestamp_in_the_query_when_sent_then_refused(sir, date):
    membership_id = sir.service.call("ListMemberships", {})["items"][0]["membershipId"]
    path = f"/v1/membership/{membership_id}/finding-metrics?startDate={date}&endDate=2026-01-02T00:00:00Z"

    status, _, document = send(sir, "GET", path)

    assert status == 400
    assert document["fieldList"][0]["name"] == "startDate"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v1/create-case"), ("POST", "/v1/cases//close-case"), ("GET", "/v2")]
)
def test_given_no_operation_at_an_address_when_called_then_unknown_operation(sir, method, path):
    status, _, document = send(sir, method, path, b"{}" if method == "POST" else None)

    assert (status, document["reason"]) == (400, "UNKNOWN_OPERATION")


def test_given_an_unsigned_request_or_one_for_another_service_when_sent_then_forbidden(sir):
    unsigned = send(sir, "POST", "/v1/list-cases", b"{}", authorization=None)
    misdirected = send(sir, "POST", "/v1/list-cases", b"{}", authorization="s3")

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
def test_given_each_error_of_the_model_when_demanded_then_boto3_raises_it_with_its_status_and_members(sir, code):
    client = sir.client()
    sir.service.faults.refuse(code, "ListCases")

    with pytest.raises(getattr(client.exceptions, code)) as refused:
        client.list_cases()

    shape = MODEL.shape_for(code)
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]
    assert all(response[name] for name in shape.required_members)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
def test_fact_throttling_and_internal_errors_carry_retry_after_seconds(sir, code):
    """Fact: both carry retryAfterSeconds; botocore's model: as header Retry-After."""
    client = sir.client()
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


def test_given_a_fault_of_this_service_when_called_then_a_loud_500_and_no_wrong_answer(sir, caplog):
    client = sir.client()
    case_id = sir.service.create_case_as(case_parameters())
    sir.service._state.cases[case_id].title = ""

    with pytest.raises(client.exceptions.InternalServerException, match="BUG IN THE LOCAL SECURITY IR SERVICE"):
        client.get_case(caseId=case_id)

    assert "title: Member must have length greater than or equal to 1" in caplog.text
    del sir.service._state.cases[case_id]


def test_given_the_python_api_when_called_wrongly_then_it_refuses_as_over_http(sir):
    with pytest.raises(ApiError) as refused:
        sir.service.call("GetCase", {"caseId": "1"})
    assert refused.value.code == "ValidationException"

    case = {"caseId": sir.service.create_case_as(case_parameters())}
    sir.service.call("GetCase", case)["watchers"].clear()
    assert sir.service.call("GetCase", case)["watchers"]


def test_given_a_test_that_needs_a_service_when_made_and_served_then_it_takes_less_than_50_ms_of_the_processor():
    seconds = []
    for _ in range(5):
        started = time.process_time()
        service = SecurityIrService()
        server = serve(service)
        seconds.append(time.process_time() - started)
        server.close()
        service.close()

    assert min(seconds) < 0.05
