"""Attachments: the operations that return presigned URLs, and the files behind these URLs."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from ir_sandbox.security_ir.errors import conflict, not_found, quota_exceeded
from ir_sandbox.security_ir.model import Parameters, service_model
from ir_sandbox.security_ir.records import Attachment, Case, Change, Principal, Upload
from ir_sandbox.security_ir.state import Caller, State

PATH = "/_attachments/"
_CHUNK_BYTES = 64 * 1024
# The values that an upload must send for the headers that its presigned URL signs. AWS's own integration sends exactly
# these (https://github.com/aws-samples/sample-aws-security-incident-response-integrations); its earlier uploads with
# Slack's media type failed. `If-None-Match: *` makes the PUT a conditional write, which a second PUT cannot repeat:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
UPLOAD_HEADERS = {"content-type": "application/octet-stream", "if-none-match": "*"}
_SIGNED_FOR_UPLOAD = "content-length;content-type;host;if-none-match"
# The harmless EICAR test virus, in two parts so that no scanner reports this file.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class StorageError(Exception):
    """An error of the file storage, in S3's form: an HTTP status, a code, a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Create an error with an HTTP status and S3's error code."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def _already_there() -> StorageError:
    return StorageError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")


@dataclass(frozen=True)
class StoredFile:
    """A received file: its path, its size in bytes, its hash, and whether it holds the test virus."""

    path: Path
    size: int
    sha256: str
    infected: bool


class AttachmentOperations:
    """GetCaseAttachmentUploadUrl, GetCaseAttachmentDownloadUrl, and the requests to the presigned URLs.

    An attachment exists after its bytes have arrived. Several attachments can have the same name. Files are in a
    private folder that is deleted with this object.
    """

    def __init__(self, state: State) -> None:
        """Work on `state`; the folder is created on first use."""
        self._state = state
        self._uploads: dict[str, Upload] = {}
        self._folder: Path | None = None
        self._remove_folder: Callable[[], object] | None = None

    def get_case_attachment_upload_url(self, request: Parameters, caller: Caller) -> Parameters:
        """GetCaseAttachmentUploadUrl: a URL for a PUT of exactly `contentLength` bytes, without an attachment id."""
        case = self._state.open_case(request["caseId"])
        self._require_room(case)
        upload = Upload(
            self._state.new_uuid(), case.case_id, request["fileName"], request["contentLength"], caller.principal.id
        )
        self._uploads[upload.attachment_id] = upload
        return {"attachmentPresignedUrl": self._presign("PUT", upload.attachment_id, caller)}

    def get_case_attachment_download_url(self, request: Parameters, caller: Caller) -> Parameters:
        """GetCaseAttachmentDownloadUrl: a URL for a verified attachment; ConflictException for any other."""
        case = self._state.case(request["caseId"])
        attachment = case.attachments.get(request["attachmentId"])
        if attachment is None:
            raise not_found("attachment", request["attachmentId"])
        status = attachment.status(self._state.now())
        if status != "Verified":
            raise conflict(f"The attachment is {status}.", "attachment", attachment.attachment_id)
        return {"attachmentPresignedUrl": self._presign("GET", attachment.attachment_id, caller)}

    def receive(
        self,
        query: dict[str, str],
        attachment_id: str,
        stream: BinaryIO,
        length: int | None,
        headers: Mapping[str, str],
    ) -> StoredFile:
        """Write the bytes of a PUT to disk; `keep` then creates the attachment.

        Args:
            query: The query parameters of the presigned URL.
            attachment_id: The id in the presigned URL.
            stream: The request's body.
            length: The Content-Length, if any.
            headers: The request's headers.

        Raises:
            StorageError: The URL is invalid or expired, a signed header is missing or has another value, or the
                attachment exists already.
        """
        with self._state.lock:
            self._check_signature("PUT", attachment_id, query)
            upload = self._uploads[attachment_id]
            exists = attachment_id in self._state.cases[upload.case_id].attachments
        if length is None:
            raise StorageError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        different = [name for name, value in UPLOAD_HEADERS.items() if headers.get(name) != value]
        if length != upload.content_length:
            different.append("content-length")
        if different:
            raise StorageError(403, "SignatureDoesNotMatch", f"Signed headers differ: {', '.join(different)}.")
        if exists:
            raise _already_there()
        return self._store(stream, length)

    def keep(self, attachment_id: str, stored: StoredFile, content_type: str) -> None:
        """Create an attachment from a received file; raises StorageError if it exists or the case accepts no more."""
        with self._state.lock:
            upload = self._uploads[attachment_id]
            case = self._state.cases[upload.case_id]
            if attachment_id in case.attachments:
                stored.path.unlink()
                raise _already_there()
            if case.closed is not None or self._is_full(case):
                stored.path.unlink()
                raise StorageError(403, "AccessDenied", "The case accepts no more attachments.")
            self._attach(case, upload, stored, content_type)

    def attach(
        self, case_id: str, principal: Principal, file_name: str, stream: BinaryIO, size: int, content_type: str
    ) -> str:
        """Attach a file directly, as AWS's responders do.

        Args:
            case_id: The case.
            principal: The creator.
            file_name: The attachment's name.
            stream: The content.
            size: The content's length in bytes.
            content_type: The content's media type.

        Returns:
            The attachment's id.

        Raises:
            ApiError: The case is unknown, closed or full.
        """
        with self._state.lock:
            case = self._state.open_case(case_id)
            self._require_room(case)
            upload = Upload(self._state.new_uuid(), case_id, file_name, size, principal.id)
            self._uploads[upload.attachment_id] = upload
        self.keep(upload.attachment_id, self._store(stream, size), content_type)
        return upload.attachment_id

    def open(self, query: dict[str, str], attachment_id: str) -> Attachment:
        """Return the attachment of a presigned download URL; raises StorageError if the URL is invalid or expired."""
        with self._state.lock:
            self._check_signature("GET", attachment_id, query)
            for case in self._state.cases.values():
                if attachment_id in case.attachments:
                    return case.attachments[attachment_id]
        raise StorageError(404, "NoSuchKey", "The specified key does not exist.")

    def close(self) -> None:
        """Delete all files."""
        if self._remove_folder is not None:
            self._remove_folder()

    def _attach(self, case: Case, upload: Upload, stored: StoredFile, content_type: str) -> None:
        now = self._state.now()
        case.attachments[upload.attachment_id] = Attachment(
            attachment_id=upload.attachment_id,
            file_name=upload.file_name,
            creator=upload.creator,
            created=now,
            verified_at=now + timedelta(seconds=self._state.settings.verification_delay_seconds),
            infected=stored.infected,
            path=stored.path,
            size=stored.size,
            sha256=stored.sha256,
            content_type=content_type,
        )
        self._state.changed(
            case, Change.ATTACHMENT, Principal(upload.creator), "Case Attachment Uploaded",
            f"Attachment {upload.attachment_id} was uploaded.", None,
        )  # fmt: skip

    def _is_full(self, case: Case) -> bool:
        limit: int = service_model().shape_for("CaseAttachmentsList").metadata["max"]
        return len(case.attachments) >= limit

    def _require_room(self, case: Case) -> None:
        if self._is_full(case):
            raise quota_exceeded("The case accepts no more attachments.", "case", case.case_id, "caseAttachments")

    def _store(self, stream: BinaryIO, length: int) -> StoredFile:
        """Stream to disk and detect the test virus, also across chunk boundaries."""
        digest, left, tail, infected = hashlib.sha256(), length, b"", False
        with tempfile.NamedTemporaryFile(dir=self._private_folder(), delete=False) as file:
            path = Path(file.name)
            while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                file.write(chunk)
                digest.update(chunk)
                infected = infected or EICAR in tail + chunk
                tail = (tail + chunk)[-len(EICAR) :]
                left -= len(chunk)
        if left:
            path.unlink()
            raise StorageError(400, "IncompleteBody", f"{left} of {length} announced bytes did not arrive.")
        return StoredFile(path, length, digest.hexdigest(), infected)

    def _private_folder(self) -> Path:
        with self._state.lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="security-ir-"))
                self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            return self._folder

    def _presign(self, method: str, attachment_id: str, caller: Caller) -> str:
        now = self._state.now()
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
            "X-Amz-Expires": str(self._state.settings.presigned_url_seconds),
            "X-Amz-SignedHeaders": _SIGNED_FOR_UPLOAD if method == "PUT" else "host",
        }
        query["X-Amz-Signature"] = self._sign(method, attachment_id, query)
        return f"{caller.base_url}{PATH}{attachment_id}?{urlencode(query)}"

    def _sign(self, method: str, attachment_id: str, query: dict[str, str]) -> str:
        signed = [method, attachment_id, *(f"{name}={query[name]}" for name in sorted(query))]
        return hmac.new(self._state.secret, "\n".join(signed).encode(), hashlib.sha256).hexdigest()

    def _check_signature(self, method: str, attachment_id: str, query: dict[str, str]) -> None:
        signed = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
        expected = self._sign(method, attachment_id, signed)
        if not hmac.compare_digest(query.get("X-Amz-Signature", "").encode(), expected.encode()):
            raise StorageError(403, "SignatureDoesNotMatch", "The signature does not match the request.")
        signed_at = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self._state.now() > signed_at + timedelta(seconds=int(signed["X-Amz-Expires"])):
            raise StorageError(403, "AccessDenied", "Request has expired")
