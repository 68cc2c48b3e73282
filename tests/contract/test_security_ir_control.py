"""The control API and the process of the local Security IR service."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_sandbox.http import RunningServer
from ir_sandbox.security_ir import SecurityIrService, serve
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir() as running:
        yield running


@pytest.fixture
def case_id(sir: LocalSecurityIr) -> str:
    return sir.service.create_case_as(case_parameters())


def control(url: str, method: str, path: str, body: object = None):
    """Call the control API; return the status and the JSON."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_local/{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_given_the_control_api_when_called_then_it_is_ready_and_lists_its_endpoints(sir):
    assert control(sir.url, "GET", "ready") == (200, {"ready": True})
    status, endpoints = control(sir.url, "GET", "")
    assert status == 200
    assert "POST /_local/faults" in endpoints
    assert control(sir.url, "GET", "nowhere")[0] == 404


def test_given_faults_over_http_when_the_api_is_called_then_they_strike(sir):
    client = sir.client()
    fault = {"kind": "error", "code": "ThrottlingException", "operation": "ListCases", "retry_after_seconds": 3}

    assert control(sir.url, "POST", "faults", fault)[0] == 200
    assert control(sir.url, "GET", "faults")[1][0]["retry_after_seconds"] == 3
    with pytest.raises(ClientError) as refused:
        client.list_cases()

    assert refused.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "3"
    control(sir.url, "POST", "faults", {"kind": "reset", "times": None})
    control(sir.url, "DELETE", "faults")
    assert client.list_cases()["items"] == []
    assert [call["status"] for call in control(sir.url, "GET", "calls")[1]] == [429, 200]
    control(sir.url, "DELETE", "calls")
    assert control(sir.url, "GET", "calls")[1] == []


def test_given_a_responder_over_http_when_it_acts_then_the_case_shows_it(sir, case_id):
    client = sir.client()
    comment = {"operation": "CreateCaseComment", "parameters": {"caseId": case_id, "body": "We are on it."}}

    assert control(sir.url, "POST", "call", comment)[0] == 200
    control(sir.url, "POST", "act/status", {"case_id": case_id, "status": "Acknowledged"})
    control(sir.url, "POST", "act/pending-action", {"case_id": case_id, "pending_action": "Customer"})
    investigation = {
        "case_id": case_id, "action_type": "Evidence", "title": "T", "content": "C", "status": "Completed",
    }  # fmt: skip
    _, investigation_id = control(sir.url, "POST", "act/investigation", investigation)
    _, attachment = control(sir.url, "POST", f"act/attachment?case_id={case_id}&file_name=a.txt", b"content")

    assert client.list_comments(caseId=case_id)["items"][0]["creator"] == "AWS Responder"
    assert client.list_investigations(caseId=case_id)["investigationActions"][0]["investigationId"] == investigation_id
    case = client.get_case(caseId=case_id)
    assert (case["caseStatus"], case["pendingAction"]) == ("Acknowledged", "Customer")
    assert case["caseAttachments"][0]["attachmentId"] == attachment["attachment_id"]
    control(sir.url, "POST", "act/close", {"case_id": case_id, "closure_code": "Duplicate"})
    assert client.get_case(caseId=case_id)["closureCode"] == "Duplicate"


def test_given_a_case_over_http_when_opened_by_the_service_then_it_is_there(sir):
    parameters = {**case_parameters(), "reportedIncidentStartDate": 1768479869}
    call = {"operation": "CreateCase", "parameters": parameters, "principal": "security-ir.amazonaws.com"}

    _, answer = control(sir.url, "POST", "call", call)

    assert sir.client().list_cases()["items"][0]["caseId"] == answer["caseId"]


def test_given_the_state_over_http_when_asked_then_it_has_the_case_with_all_that_belongs_to_it(sir, case_id):
    comment_id = sir.service.add_comment_as(case_id, body="x")
    attachment_id = sir.service.add_attachment_as(case_id, content=b"hello")
    arn = sir.client().get_case(caseId=case_id)["caseArn"]
    sir.client().tag_resource(resourceArn=arn, tags={"severity": "High"})

    _, state = control(sir.url, "GET", "state")

    case = state["cases"][case_id]
    assert case["comments"][comment_id]["body"] == "x"
    assert case["attachments"][attachment_id]["status"] == "Pending"
    assert case["attachments"][attachment_id]["size"] == 5
    assert case["tags"] == {"severity": "High"}
    (membership,) = state["memberships"].values()
    assert membership["incident_response_team"][0]["email"] == "jane.smith@example.com"


def test_given_settings_over_http_when_put_then_they_hold(sir, case_id):
    client = sir.client()
    control(sir.url, "PUT", "settings", {"verification_delay_seconds": 0, "changes_without_date": ["comment"]})
    before = client.list_cases()["items"][0]["lastUpdatedDate"]
    control(sir.url, "POST", "clock/advance", {"seconds": 60})
    sir.service.add_comment_as(case_id, body="x")
    assert client.list_cases()["items"][0]["lastUpdatedDate"] == before

    sir.service.add_attachment_as(case_id, content=b"x")

    assert client.get_case(caseId=case_id)["caseAttachments"][0]["attachmentStatus"] == "Verified"
    assert (client.list_cases()["items"][0]["lastUpdatedDate"] - before).total_seconds() >= 60
    assert control(sir.url, "GET", "settings")[1]["changes_without_date"] == ["comment"]


def test_given_event_switches_over_http_when_put_then_events_obey(sir, case_id):
    sir.events.wait_for(1)
    control(sir.url, "PUT", "events/switches", {"reverse_batch": 5})
    sir.service.add_comment_as(case_id, body="x")
    assert control(sir.url, "GET", "events/switches")[1]["reverse_batch"] == 5
    assert [event["detail-type"] for event in control(sir.url, "GET", "events")[1]] == [
        "Case Created", "Case Comment Added",
    ]  # fmt: skip

    control(sir.url, "POST", "events/flush")

    assert sir.events.wait_for(2)
    assert control(sir.url, "GET", "events/undelivered")[1] == []


def test_given_people_over_http_when_put_then_the_api_knows_them(sir, case_id):
    team = [
        {"name": "Ana Silva", "jobTitle": "Commander", "email": "ana@example.com"},
        {"name": "Ben Okafor", "jobTitle": "Engineer", "email": "ben@example.com"},
    ]
    ana = "arn:aws:iam::111122223333:user/ana"
    control(sir.url, "PUT", "response-team", team)
    control(sir.url, "PUT", "organization", ["111122223333"])
    control(sir.url, "PUT", "principals", {"key-of-ana": ana})
    client = sir.client("key-of-ana")

    membership = client.get_membership(membershipId=client.list_memberships()["items"][0]["membershipId"])
    client.create_case_comment(caseId=case_id, body="x")

    assert membership["incidentResponseTeam"] == team
    assert membership["numberOfAccountsCovered"] == 2
    assert client.list_comments(caseId=case_id)["items"][0]["creator"] == ana
    assert control(sir.url, "GET", "principals")[1] == {"key-of-ana": ana}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"kind": "explosion"}, 400),
        ("POST", "faults", b"{", 400),
        ("PUT", "settings", {"no_such_setting": 1}, 400),
        ("PUT", "principals", {"key": "Bob"}, 400),
        ("PUT", "events/switches", {"copies": 0}, 400),
        ("POST", "clock/advance", {"seconds": -1}, 400),
        ("POST", "call", {"operation": "NoSuchOperation"}, 400),
        ("POST", "call", {"operation": "GetCase", "parameters": {"caseId": "0000000000"}}, 404),
        ("POST", "act/status", {"case_id": "0000000000", "status": "Acknowledged"}, 404),
        ("POST", "act/status", {"case_id": "0000000000", "status": "Open"}, 400),
        ("POST", "act/attachment?case_id=0000000000", b"x", 400),
        ("POST", "act/attachment?case_id=0000000000&file_name=a", b"x", 404),
        ("PUT", "response-team", [], 400),
    ],
)
def test_given_an_invalid_control_request_when_sent_then_it_is_rejected_with_a_message(sir, method, path, body, status):
    answered, document = control(sir.url, method, path, body)

    assert answered == status
    assert document


def test_given_a_clock_that_cannot_be_moved_when_asked_to_then_refused():
    with SecurityIrService() as service:
        server = serve(service)
        assert control(server.url, "POST", "clock/advance", {"seconds": 1})[0] == 400
        server.close()


# The process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_given_the_process_when_started_then_it_serves_puts_its_events_and_ends_on_a_signal(number):
    received: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def bus(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        received.put({"target": environ["HTTP_X_AMZ_TARGET"], **json.loads(body)})
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [b'{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}']

    events = RunningServer(bus)
    command = [sys.executable, "-m", "ir_sandbox.security_ir", "--events-endpoint", events.url, "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(SOURCE)}, text=True) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 900)[0], "not ready in 900 s"
            address = json.loads(process.stdout.readline())
            client = boto3.client(
                "security-ir",
                endpoint_url=address["url"],
                region_name="us-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
            )
            case_id = client.create_case(**case_parameters())["caseId"]
            request = received.get(timeout=120)
            assert control(address["url"], "POST", "clock/advance", {"seconds": 1})[0] == 200
        finally:
            process.send_signal(number)
            process.wait()
            events.close()
        assert process.returncode == 0
        assert process.stdout.read() == ""
    assert address["url"] == f"http://127.0.0.1:{address['port']}"
    assert request["target"] == "AWSEvents.PutEvents"
    (entry,) = request["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("aws.security-ir", "Case Created")
    assert json.loads(entry["Detail"]) == {"caseId": case_id, "createdBy": "000000000000"}
