"""Faults on demand and the call log of the local Security IR service, called through boto3."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir import Fault, FaultKind
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir() as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client()


@pytest.fixture
def case_id(sir: LocalSecurityIr) -> str:
    return sir.service.create_case_as(case_parameters())


def comments(sir: LocalSecurityIr, case_id: str) -> int:
    return int(sir.service.call("ListComments", {"caseId": case_id})["total"])


def test_given_two_throttles_when_boto3_retries_then_the_third_attempt_succeeds(sir, case_id):
    sir.service.faults.throttle("CreateCaseComment", times=2, retry_after_seconds=0)
    client = sir.client(attempts=3)

    answer = client.create_case_comment(caseId=case_id, body="x")

    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert [call.status for call in sir.service.calls.all()] == [429, 429, 201]
    assert comments(sir, case_id) == 1


def test_given_a_throttle_for_one_operation_when_another_is_called_then_it_is_unharmed(sir, client, case_id):
    sir.service.faults.throttle("CreateCaseComment", times=None)

    assert client.get_case(caseId=case_id)
    for _ in range(2):
        with pytest.raises(client.exceptions.ThrottlingException):
            client.create_case_comment(caseId=case_id, body="x")
    sir.service.faults.clear()
    assert client.create_case_comment(caseId=case_id, body="x")
    assert comments(sir, case_id) == 1


def test_given_a_throttle_for_all_when_operations_are_called_then_each_counts(sir, client, case_id):
    sir.service.faults.throttle(times=2)

    for call in (client.list_cases, client.list_memberships):
        with pytest.raises(client.exceptions.ThrottlingException):
            call()
    assert client.list_cases()["total"] == 1


def test_given_an_error_before_the_effect_when_called_then_nothing_has_happened(sir, client, case_id):
    sir.service.faults.refuse("InternalServerException", "CreateCaseComment")

    with pytest.raises(client.exceptions.InternalServerException):
        client.create_case_comment(caseId=case_id, body="x")
    assert comments(sir, case_id) == 0


def test_given_an_error_after_the_effect_when_called_then_it_has_happened(sir, client, case_id):
    sir.service.faults.add(Fault(kind=FaultKind.ERROR, operation="CreateCaseComment", after_effect=True))

    with pytest.raises(client.exceptions.InternalServerException):
        client.create_case_comment(caseId=case_id, body="x")
    assert comments(sir, case_id) == 1


def test_given_a_reset_when_called_then_the_connection_is_cut_and_nothing_has_happened(sir, client, case_id):
    sir.service.faults.reset_connection("CreateCaseComment")

    with pytest.raises(ConnectionClosedError) as cut:
        client.create_case_comment(caseId=case_id, body="x")

    assert "reset by peer" in str(cut.value.kwargs["error"])
    assert comments(sir, case_id) == 0
    assert [call.status for call in sir.service.calls.all()] == [None]


def test_given_a_lost_answer_when_called_with_a_token_and_repeated_then_there_is_one_effect(sir, client, case_id):
    sir.service.faults.lose_answer("CreateCaseComment")

    with pytest.raises(ConnectionClosedError):
        client.create_case_comment(caseId=case_id, body="x", clientToken="token")
    assert comments(sir, case_id) == 1
    assert client.create_case_comment(caseId=case_id, body="x", clientToken="token")["commentId"]
    assert comments(sir, case_id) == 1


def test_given_a_lost_answer_when_a_closing_is_repeated_then_conflict_and_the_case_is_closed(sir, client, case_id):
    """CloseCase has no clientToken, so a repeated call finds the case closed."""
    sir.service.faults.lose_answer("CloseCase")

    with pytest.raises(ConnectionClosedError):
        client.close_case(caseId=case_id)
    with pytest.raises(client.exceptions.ConflictException):
        client.close_case(caseId=case_id)
    assert client.get_case(caseId=case_id)["caseStatus"] == "Closed"


def test_given_a_garbled_answer_when_called_then_the_effect_is_there_and_boto3_gives_an_answer_without_id(
    sir, client, case_id
):
    """Botocore does not raise for an incomplete JSON document: the response's members are missing."""
    sir.service.faults.garble_answer("CreateCaseComment")

    answer = client.create_case_comment(caseId=case_id, body="x")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "commentId" not in answer
    assert comments(sir, case_id) == 1


def test_given_latency_and_an_error_when_called_then_both_strike(sir, client, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(sir.service, "sleep", slept.append)
    sir.service.faults.slow_down(0.2, "ListCases", times=1)
    sir.service.faults.refuse("AccessDeniedException", "ListCases")

    with pytest.raises(client.exceptions.AccessDeniedException):
        client.list_cases()

    assert slept == [0.2]
    assert sir.service.faults.waiting() == []
    client.list_cases()
    assert slept == [0.2]


def test_given_a_fault_that_skips_two_when_called_then_the_third_call_meets_it(sir, client):
    sir.service.faults.add(Fault(kind=FaultKind.ERROR, code="ThrottlingException", skip=2))

    client.list_cases()
    client.list_memberships()
    with pytest.raises(client.exceptions.ThrottlingException):
        client.list_cases()
    client.list_cases()


def test_given_a_fault_on_an_upload_when_put_then_it_strikes_there(sir, client, case_id):
    url = client.get_case_attachment_upload_url(caseId=case_id, fileName="a", contentLength=1)
    signed = {"Content-Type": "application/octet-stream", "If-None-Match": "*"}
    put = urllib.request.Request(url["attachmentPresignedUrl"], b"x", signed, method="PUT")
    sir.service.faults.refuse("InternalServerException", "UploadAttachment")
    sir.service.faults.lose_answer("UploadAttachment")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(put, timeout=120)
    refused.value.close()
    assert client.get_case(caseId=case_id)["caseAttachments"] == []
    with pytest.raises(ConnectionResetError):
        urllib.request.urlopen(put, timeout=120)
    assert len(client.get_case(caseId=case_id)["caseAttachments"]) == 1


def test_given_faults_that_make_no_sense_when_added_then_value_error(sir):
    for wrong in (
        {"kind": "error", "code": "NoSuchException"},
        {"kind": "error", "code": "ConflictException", "retry_after_seconds": 1},
        {"kind": "error", "operation": "NoSuchOperation"},
        {"kind": "explosion"},
        {"kind": "error", "times": 0},
        {"kind": "latency"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            Fault.model_validate(wrong)


def test_given_calls_when_logged_then_each_has_operation_status_time_and_request_id(sir, client, case_id):
    before = time.monotonic()
    answer = client.get_case(caseId=case_id)
    with pytest.raises(ClientError):
        client.get_case(caseId="0000000000")

    first, second = sir.service.calls.all()

    assert (first.operation, first.status, second.operation, second.status) == ("GetCase", 200, "GetCase", 404)
    assert before <= first.at <= second.at <= time.monotonic()
    assert first.request_id == answer["ResponseMetadata"]["RequestId"] != second.request_id
    assert sir.service.calls.count() == {"GetCase": 2}
    sir.service.calls.reset()
    assert sir.service.calls.all() == []
