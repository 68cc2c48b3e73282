"""Attachments of the local Security IR service: boto3 for the presigned URLs, plain HTTP for the bytes."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from botocore.loaders import Loader
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.security_ir import Settings
from ir_sandbox.security_ir.attachments import EICAR
from ir_sandbox.security_ir.shapes import require
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

HEADERS = {"Content-Type": "application/octet-stream", "If-None-Match": "*"}
JANE = "arn:aws:iam::111122223333:user/jane"


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir(principals={"jane": JANE}) as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client("jane")


@pytest.fixture
def case_id(client: SecurityIncidentResponseClient) -> str:
    return client.create_case(**case_parameters())["caseId"]


def send(method: str, url: str, data: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request; return its status, headers with lower-case names, and body, also for error statuses."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, {name.lower(): value for name, value in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def put(url: str, data: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send an upload with the headers that the URL signs."""
    return send("PUT", url, data, **{**HEADERS, **headers})


def upload_url(client: SecurityIncidentResponseClient, case_id: str, length: int, name: str = "report.pdf") -> str:
    answer = client.get_case_attachment_upload_url(caseId=case_id, fileName=name, contentLength=length)
    return answer["attachmentPresignedUrl"]


def upload(client: SecurityIncidentResponseClient, case_id: str, content: bytes, name: str = "report.pdf") -> None:
    url = upload_url(client, case_id, len(content), name)
    assert put(url, content)[0] == 200


def attachments(client: SecurityIncidentResponseClient, case_id: str):
    return client.get_case(caseId=case_id)["caseAttachments"]


def wait_for_verification(sir: LocalSecurityIr) -> None:
    sir.clock.advance(timedelta(seconds=2))


def test_given_a_file_when_uploaded_then_pending_then_verified_then_downloaded_unchanged(sir, client, case_id):
    content = bytes(range(256)) * 100
    upload(client, case_id, content)

    (pending,) = attachments(client, case_id)
    assert pending["attachmentStatus"] == "Pending"
    wait_for_verification(sir)
    (verified,) = attachments(client, case_id)
    assert verified["attachmentStatus"] == "Verified"

    url = client.get_case_attachment_download_url(caseId=case_id, attachmentId=verified["attachmentId"])
    status, headers, body = send("GET", url["attachmentPresignedUrl"])
    assert (status, body) == (200, content)
    assert headers["content-length"] == str(len(content))
    assert headers["content-type"] == "application/octet-stream"


def test_fact_attachment_has_these_members_neither_size_nor_type(client, case_id):
    """Fact: attachmentId, fileName, attachmentStatus, creator, createdDate: no size, no type."""
    upload(client, case_id, b"x")

    (attachment,) = attachments(client, case_id)

    assert attachment.keys() == {"attachmentId", "fileName", "attachmentStatus", "creator", "createdDate"}
    assert (attachment["fileName"], attachment["creator"]) == ("report.pdf", JANE)


def test_fact_the_upload_call_returns_no_attachment_id(client, case_id):
    """Fact: GetCaseAttachmentUploadUrl returns no attachment id."""
    answer = client.get_case_attachment_upload_url(caseId=case_id, fileName="a", contentLength=1)

    assert answer.keys() == {"attachmentPresignedUrl", "ResponseMetadata"}


def test_fact_the_modelled_pattern_of_presigned_urls_matches_no_loopback_address(client, case_id):
    """Fact: the presigned URL's pattern in botocore's model matches no loopback address, so it is not applied."""
    model = Loader().load_service_model("security-ir", "service-2", "2018-05-10")
    pattern = model["shapes"]["Url"]["pattern"]
    url = upload_url(client, case_id, 1)

    assert re.fullmatch(pattern, "https://bucket.s3.amazonaws.com/key?X-Amz-Expires=900")
    assert not re.fullmatch(pattern, url)
    assert url.startswith("http://127.0.0.1:")
    require("Url", url)


def test_given_an_upload_url_when_nothing_is_put_then_there_is_no_attachment(client, case_id):
    upload_url(client, case_id, 10)

    assert attachments(client, case_id) == []


@pytest.mark.parametrize("before", [b"", b"x" * 65_530, b"x" * 200_000], ids=["at once", "across chunks", "late"])
def test_given_the_eicar_string_when_uploaded_then_the_scan_fails_and_there_is_no_download(
    sir, client, case_id, before
):
    upload(client, case_id, before + EICAR + b"tail")
    wait_for_verification(sir)

    (attachment,) = attachments(client, case_id)

    assert attachment["attachmentStatus"] == "Failed"
    with pytest.raises(client.exceptions.ConflictException):
        client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment["attachmentId"])


def test_given_a_pending_attachment_when_its_download_is_asked_for_then_conflict(client, case_id):
    upload(client, case_id, b"x")

    with pytest.raises(client.exceptions.ConflictException):
        client.get_case_attachment_download_url(
            caseId=case_id, attachmentId=attachments(client, case_id)[0]["attachmentId"]
        )


def test_given_the_delay_when_it_is_set_then_verification_takes_that_long(sir, client, case_id):
    sir.service.configure(Settings(verification_delay_seconds=600))
    upload(client, case_id, b"x")

    sir.clock.advance(timedelta(seconds=590))
    assert attachments(client, case_id)[0]["attachmentStatus"] == "Pending"
    sir.clock.advance(timedelta(seconds=11))
    assert attachments(client, case_id)[0]["attachmentStatus"] == "Verified"


def test_given_two_files_of_one_name_when_uploaded_then_both_are_there(sir, client, case_id):
    upload(client, case_id, b"first")
    upload(client, case_id, b"second")
    wait_for_verification(sir)

    found = attachments(client, case_id)

    assert [item["fileName"] for item in found] == ["report.pdf", "report.pdf"]
    urls = [
        client.get_case_attachment_download_url(caseId=case_id, attachmentId=item["attachmentId"]) for item in found
    ]
    assert {send("GET", url["attachmentPresignedUrl"])[2] for url in urls} == {b"first", b"second"}


def test_fact_a_second_put_to_one_url_answers_412_and_changes_nothing(sir, client, case_id):
    """Fact: the upload is a conditional write (`If-None-Match: *`)."""
    url = upload_url(client, case_id, 5)

    assert put(url, b"first")[0] == 200
    status, _, body = put(url, b"after")

    assert (status, b"<Code>PreconditionFailed</Code>" in body) == (412, True)
    wait_for_verification(sir)
    (attachment,) = attachments(client, case_id)
    address = client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment["attachmentId"])
    assert send("GET", address["attachmentPresignedUrl"])[2] == b"first"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/octet-stream"},
        {"If-None-Match": "*"},
        {**HEADERS, "Content-Type": "application/pdf"},
        {**HEADERS, "If-None-Match": '"etag"'},
    ],
)
def test_fact_the_upload_url_signs_its_headers_and_refuses_others(client, case_id, headers):
    """Fact: content-length, content-type, host and if-none-match are signed."""
    url = upload_url(client, case_id, 5)
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match" in url

    status, _, body = send("PUT", url, b"first", **headers)

    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    assert attachments(client, case_id) == []


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("ConditionalRequestConflict", 409, "ConditionalRequestConflict"),
        ("RequestTimeout", 400, "RequestTimeout"),
        ("SlowDown", 503, "SlowDown"),
        ("RequestExpired", 403, "AccessDenied"),
    ],
)
def test_given_an_error_of_s3_on_demand_when_put_then_it_has_s3s_form_once(sir, client, case_id, name, status, code):
    url = upload_url(client, case_id, 1)
    sir.service.faults.refuse(name, "UploadAttachment")

    answered, headers, body = put(url, b"x")

    assert (answered, headers["content-type"]) == (status, "application/xml")
    assert f"<Code>{code}</Code>".encode() in body
    assert put(url, b"x")[0] == 200


@pytest.mark.parametrize("content", [b"1234", b"123456", b""])
def test_given_another_length_than_announced_when_put_then_refused_and_no_attachment(client, case_id, content):
    status, _, body = put(upload_url(client, case_id, 5), content)

    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)
    assert attachments(client, case_id) == []


def test_given_no_content_length_when_put_then_411(client, case_id):
    address = urlsplit(upload_url(client, case_id, 5))
    connection = http.client.HTTPConnection(address.netloc, timeout=120)

    connection.request("PUT", f"{address.path}?{address.query}", iter([b"12", b"345"]), encode_chunked=True)

    assert connection.getresponse().status == 411
    connection.close()
    assert attachments(client, case_id) == []


def test_given_a_connection_lost_half_way_when_put_then_no_attachment(sir, client, case_id):
    address = urlsplit(upload_url(client, case_id, 100))
    connection = http.client.HTTPConnection(address.netloc, timeout=120)
    connection.putrequest("PUT", f"{address.path}?{address.query}")
    for name, value in {"Content-Length": "100", **HEADERS}.items():
        connection.putheader(name, value)
    connection.endheaders(b"only some bytes")
    assert connection.sock is not None
    connection.sock.shutdown(1)

    assert connection.getresponse().status == 400

    connection.close()
    assert attachments(client, case_id) == []


def test_given_an_expired_url_when_used_then_403(sir, client, case_id):
    target = upload_url(client, case_id, 1)
    sir.service.add_attachment_as(case_id, content=b"x")
    wait_for_verification(sir)
    (attachment,) = attachments(client, case_id)
    get = client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment["attachmentId"])

    sir.clock.advance(timedelta(seconds=901))

    assert put(target, b"x")[0] == 403
    assert b"Request has expired" in send("GET", get["attachmentPresignedUrl"])[2]
    assert len(attachments(client, case_id)) == 1


def test_given_a_url_when_it_is_tampered_with_or_used_otherwise_then_refused(client, case_id):
    url = upload_url(client, case_id, 1)

    assert send("PUT", url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"), b"x")[0] == 403
    assert put(url.split("?")[0], b"x")[0] == 403
    assert send("GET", url)[0] == 403
    assert send("DELETE", url)[0] == 405
    assert attachments(client, case_id) == []


def test_given_a_case_closed_after_the_url_was_given_when_put_then_refused(client, case_id):
    url = upload_url(client, case_id, 1)
    client.close_case(caseId=case_id)

    assert put(url, b"x")[0] == 403
    assert attachments(client, case_id) == []


def test_fact_a_case_takes_fifty_attachments(sir, client, case_id):
    """Fact: attachments 50 a case."""
    spare = upload_url(client, case_id, 1)
    for number in range(50):
        sir.service.add_attachment_as(case_id, file_name=f"{number}.txt", content=b"x")

    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        upload_url(client, case_id, 1)
    assert put(spare, b"x")[0] == 403
    assert len(attachments(client, case_id)) == 50


@pytest.mark.parametrize("name", ["", "a b.txt", "a/b", "é.txt", "x" * 256, "a\n"])
def test_fact_file_names_are_up_to_255_of_a_few_characters(sir, case_id, name):
    """Fact: file name 1-255 of [a-zA-Z0-9._-]."""
    client = sir.client(validate=False)
    with pytest.raises(client.exceptions.ValidationException):
        client.get_case_attachment_upload_url(caseId=case_id, fileName=name, contentLength=1)
    assert upload_url(client, case_id, 1, "a-Z_0.9" + "x" * 248)


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True), (104_857_600, True), (104_857_601, False)])
def test_fact_a_file_has_1_to_104857600_bytes(sir, case_id, length, accepted):
    """Fact: file 1-104,857,600 bytes."""
    client = sir.client(validate=False)
    if accepted:
        assert upload_url(client, case_id, length)
    else:
        with pytest.raises(client.exceptions.ValidationException):
            upload_url(client, case_id, length)


def test_given_five_megabytes_when_streamed_up_and_down_then_every_byte_arrives(sir, client, case_id):
    block = hashlib.sha256(b"seed").digest() * 2048
    size = 5 * 1024 * 1024
    blocks = size // len(block)
    address = urlsplit(upload_url(client, case_id, size))
    connection = http.client.HTTPConnection(address.netloc, timeout=120)
    connection.request(
        "PUT",
        f"{address.path}?{address.query}",
        (block for _ in range(blocks)),
        {"Content-Length": str(size), **HEADERS},
    )
    assert connection.getresponse().status == 200
    connection.close()
    wait_for_verification(sir)
    (attachment,) = attachments(client, case_id)

    url = client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment["attachmentId"])

    received = hashlib.sha256()
    with urllib.request.urlopen(url["attachmentPresignedUrl"], timeout=120) as response:
        assert response.headers["Content-Length"] == str(size)
        while part := response.read(100_000):
            received.update(part)
    assert received.hexdigest() == hashlib.sha256(block * blocks).hexdigest()


def test_given_an_attachment_of_another_case_when_its_download_is_asked_for_then_not_found(sir, client, case_id):
    other_case = client.create_case(**case_parameters())["caseId"]
    attachment_id = sir.service.add_attachment_as(other_case, content=b"x")
    wait_for_verification(sir)

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_case_attachment_download_url(caseId=case_id, attachmentId=attachment_id)


def test_fact_attachments_raise_no_event(sir, client, case_id):
    """Fact: no attachment event."""
    upload(client, case_id, b"x")
    sir.service.events.wait_until_idle()

    assert [event["detail-type"] for event in sir.events.all()] == ["Case Created"]


def test_given_files_when_the_service_ends_then_its_folder_is_gone():
    with local_security_ir() as sir:
        case_id = sir.service.create_case_as(case_parameters())
        attachment_id = sir.service.add_attachment_as(case_id, content=b"x")
        path = sir.service.snapshot()["cases"][case_id]["attachments"][attachment_id]["path"]
        assert path.read_bytes() == b"x"
        assert path.parent.stat().st_mode & 0o077 == 0

    assert not path.parent.exists()
