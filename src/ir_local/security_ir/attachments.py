"""Attachments: the operations that give presigned addresses, and the files behind those addresses."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from ir_local.security_ir.errors import conflict, not_found, quota_exceeded
from ir_local.security_ir.model import Parameters, service_model
from ir_local.security_ir.records import Attachment, Case, Change, Principal, Upload
from ir_local.security_ir.state import Caller, State

PATH = "/_attachments/"
_CHUNK_BYTES = 64 * 1024
# The industry's harmless test virus, cut in two so that no scanner takes this file for it.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}" + rb"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class StorageError(Exception):
    """A refusal of the file storage, in the manner of S3: an HTTP status, a code, a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Refuse with `status` and S3's `code`."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class StoredFile:
    """A file as received: where it lies, what it is."""

    path: Path
    size: int
    sha256: str
    infected: bool


class AttachmentOperations:
    """GetCaseAttachmentUploadUrl and GetCaseAttachmentDownloadUrl, and what happens at those addresses.

    An attachment exists once its bytes have arrived, and several may have one name. Files lie in a private folder
    that goes with this object.
    """

    def __init__(self, state: State) -> None:
        """Work on `state`; the folder is made when it is first needed."""
        self._state = state
        self._uploads: dict[str, Upload] = {}
        self._folder: Path | None = None
        self._remove_folder: Callable[[], object] | None = None

    def get_case_attachment_upload_url(self, request: Parameters, caller: Caller) -> Parameters:
        """GetCaseAttachmentUploadUrl: an address for one PUT of exactly `contentLength` bytes; no attachment id."""
        case = self._state.open_case(request["caseId"])
        self._require_room(case)
        upload = Upload(
            self._state.new_uuid(), case.case_id, request["fileName"], request["contentLength"], caller.principal.id
        )
        self._uploads[upload.attachment_id] = upload
        return {"attachmentPresignedUrl": self._presign("PUT", upload.attachment_id, caller)}

    def get_case_attachment_download_url(self, request: Parameters, caller: Caller) -> Parameters:
        """GetCaseAttachmentDownloadUrl: an address for a verified attachment; otherwise a ConflictException."""
        case = self._state.case(request["caseId"])
        attachment = case.attachments.get(request["attachmentId"])
        if attachment is None:
            raise not_found("attachment", request["attachmentId"])
        status = attachment.status(self._state.now())
        if status != "Verified":
            raise conflict(f"The attachment is {status}.", "attachment", attachment.attachment_id)
        return {"attachmentPresignedUrl": self._presign("GET", attachment.attachment_id, caller)}

    def receive(self, query: dict[str, str], attachment_id: str, stream: BinaryIO, length: int | None) -> StoredFile:
        """Take the bytes of a PUT to disk; raises StorageError. `keep` makes the attachment of them."""
        with self._state.lock:
            self._check_signature("PUT", attachment_id, query)
            upload = self._uploads[attachment_id]
        if length is None:
            raise StorageError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if length != upload.content_length:
            raise StorageError(403, "SignatureDoesNotMatch", "content-length is not the one that was signed.")
        return self._store(stream, length)

    def keep(self, attachment_id: str, stored: StoredFile, content_type: str) -> None:
        """Make received bytes the attachment; raises StorageError if the case no longer takes one.

        A second PUT to the same address replaces the bytes, as S3 does, and verification starts again.
        """
        with self._state.lock:
            upload = self._uploads[attachment_id]
            case = self._state.cases[upload.case_id]
            if case.closed is not None or (attachment_id not in case.attachments and self._is_full(case)):
                stored.path.unlink()
                raise StorageError(403, "AccessDenied", "The case takes no more attachments.")
            self._attach(case, upload, stored, content_type)

    def attach(
        self, case_id: str, principal: Principal, file_name: str, stream: BinaryIO, size: int, content_type: str
    ) -> str:
        """Attach a file without an address, as AWS's responders do; returns its attachment id. Raises ApiError."""
        with self._state.lock:
            case = self._state.open_case(case_id)
            self._require_room(case)
            upload = Upload(self._state.new_uuid(), case_id, file_name, size, principal.id)
            self._uploads[upload.attachment_id] = upload
        self.keep(upload.attachment_id, self._store(stream, size), content_type)
        return upload.attachment_id

    def open(self, query: dict[str, str], attachment_id: str) -> Attachment:
        """Return the attachment that a GET may have; raises StorageError."""
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
        replaced = case.attachments.get(upload.attachment_id)
        if replaced is not None:
            replaced.path.unlink()
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
            raise quota_exceeded("The case takes no more attachments.", "case", case.case_id, "caseAttachments")

    def _store(self, stream: BinaryIO, length: int) -> StoredFile:
        """Stream to disk, looking for the test virus across chunk borders."""
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
            raise StorageError(400, "IncompleteBody", f"{left} bytes of the promised {length} did not come.")
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
            "X-Amz-SignedHeaders": "content-length;host" if method == "PUT" else "host",
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
            raise StorageError(403, "SignatureDoesNotMatch", "The signature does not fit the request.")
        signed_at = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self._state.now() > signed_at + timedelta(seconds=int(signed["X-Amz-Expires"])):
            raise StorageError(403, "AccessDenied", "Request has expired")
