"""Copy a file that was shared in the channel to the case, as an attachment.

Slack announces a file before it has processed it. During the first ten minutes its negative answers (no URL, size 0, an
unknown file, a web page in place of the content) therefore only mean "not yet".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ir_router import clock, transfer
from ir_router.cases import file_lines, files
from ir_router.cases.limits import ATTACHMENT_LIMIT, FILE_SIZE_LIMIT
from ir_router.cases.models import Attachment
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials, messages
from ir_router.slack.announcements import announce
from ir_router.sync import comment_claims, file_comments
from ir_router.sync.file_transfer import YOUNG_SECONDS, NotReadyError, Transfer, is_app_error

_SLACK = "Slack"
_SERVICE = "AWS Security Incident Response"
_DOWNLOAD = "the download of a file"
_MEGABYTE = 1_048_576
# The code of an answer with a web page in place of the file's content: Slack's sign-in page, for example, which it also
# sends for a file that is not ready. https://docs.slack.dev/reference/objects/file-object#authentication
_WEB_PAGE = "web_page"
# Presigned URLs of earlier attempts are valid for this long at most.
_URL_SECONDS = 900
_FULL = f"the case has its maximum of {ATTACHMENT_LIMIT} attachments."


class _StaysInSlackError(Exception):
    """The file certainly cannot be copied.

    The message is the reason for the channel, or empty if the channel must not read about the file. `short` is the
    reason for the comment.
    """

    def __init__(self, reason: str, short: str) -> None:
        super().__init__(reason)
        self.short = short


@dataclass
class _Copied:
    """The attachment's name, a remark about a difference from the announced size, and the SHA-256 of its bytes.

    The last one is empty if an earlier attempt copied them.
    """

    stored_name: str
    remark: str = ""
    sha256: str = ""


class FileFromSlack:
    """One file from Slack."""

    def __init__(self, case_id: str, channel_id: str, file_id: str, file_transfer: Transfer) -> None:
        """Store the ids. Nothing is read or written yet."""
        self._case_id = case_id
        self._channel_id = channel_id
        self._file_id = file_id
        self._transfer = file_transfer
        self._name = f"file {file_id}"
        self._may_have_landed = False
        self._moved = False

    def copy(self) -> None:
        """Copy the file once. If it cannot be copied, post the reason once."""
        key = file_comments.key_of(self._case_id, self._file_id)
        claim = self._transfer.claim(
            key, kind="file", file_id=self._file_id, channel_id=self._channel_id, origin="slack"
        )
        if claim is None:
            return
        table.put(keys.shared_file(self._file_id), {"case_id": self._case_id})
        self._transfer.remember(claim)
        self._name = self._transfer.file_name or self._name
        try:
            outcome, result = self._outcome(claim)
        except (NotReadyError, RefusedError, RetryLaterError, UncertainError) as error:
            self._transfer.failed(claim, error, may_have_landed=self._may_have_landed, moved=self._moved)
            raise
        claims.confirm(claim, outcome=outcome, file_name=self._name, **result)
        if outcome == "copied":
            announce(
                "FileSynchronized", {"caseId": self._case_id, "channelId": self._channel_id, "fileId": self._file_id}
            )
        file_comments.settle(self._case_id, self._file_id)

    def _outcome(self, claim: Claim) -> tuple[Literal["copied", "not copied"], dict[str, str]]:
        try:
            copied = self._make(claim)
        except _StaysInSlackError as stays:
            return "not copied", {"reason": stays.short}
        self._may_have_landed = True
        message = messages.file_uploaded(self._name, copied.stored_name, copied.remark)
        try:
            self._transfer.post_once(f"file-{self._file_id}", message)
        except RefusedError as error:
            if is_app_error(error):
                raise
            # The file is on the case, and its comment names the attachment.
            logger.warning("file.confirmation_rejected: the file was copied", extra={"code": error.code})
        known = {"sha256": copied.sha256} if copied.sha256 else {}
        return "copied", {"stored_name": copied.stored_name, **known}

    def _make(self, claim: Claim) -> _Copied:
        """Copy the file and return its attachment, or raise _StaysInSlackError after the reason was posted."""
        file: dict[str, Any] = {"id": self._file_id}
        try:
            file = self._info(claim)
            self._check_channel(claim, file)
            self._name = self._transfer.file_name = file_comments.name_of(file)
            return self._copy(claim, file)
        except _StaysInSlackError as stays:
            if str(stays):
                self._transfer.post_once(f"file-refused-{self._file_id}", self._notice(file, str(stays)))
            raise

    def _notice(self, file: dict[str, Any], reason: str) -> messages.Message:
        kind = files.document_kind(file)
        if kind is not None or files.is_external(file):
            return messages.file_only_in_slack(self._name, kind or "", files.link(file))
        return messages.file_not_copied(self._name, reason)

    def _info(self, claim: Claim) -> dict[str, Any]:
        try:
            file: dict[str, Any] = self._transfer.slack.read("files.info", file=self._file_id)["file"]
        except RefusedError as error:
            # For a file this code is about its access, such as that of a workspace in Slack Connect.
            if is_app_error(error) and error.code != "access_denied":
                raise
            self._wait_while_young(claim, f"files.info answers {error.code}")
            if error.code == "file_deleted":
                raise _deleted() from error
            reason = f"Slack does not have it, or does not show it to the app ({error.code})."
            raise _StaysInSlackError(reason, "not available") from error
        return file

    def _wait_while_young(self, claim: Claim, why: str) -> None:
        """Raise NotReadyError until ten minutes after ir-router first knew about the file."""
        known_since = claim.row.get("claimed_at") or (clock.now() if claim.attempt == 1 else 0.0)
        if clock.now() - float(known_since) < YOUNG_SECONDS:
            raise NotReadyError(f"Slack has not finished with the file: {why}")

    def _check_channel(self, claim: Claim, file: dict[str, Any]) -> None:
        """Ensure that the file is in the case's channel: no record may copy a file from another conversation."""
        if self._channel_id in files.channels(file) or self._is_in_message(claim):
            return
        self._wait_while_young(claim, "files.info does not list the case's channel")
        logger.warning("file.ignored: Slack does not show the file in the case's channel")
        raise _StaysInSlackError("", "not shared in this channel")

    def _is_in_message(self, claim: Claim) -> bool:
        """Whether a message of the channel contains the file: files.info does not list forwarded files everywhere."""
        for ts in sorted(str(one) for one in claim.row.get("shown_in") or ()):
            try:
                found = self._transfer.slack.read(
                    "conversations.replies", channel=self._channel_id, ts=ts, oldest=ts, inclusive=True, limit=1
                )
            except RefusedError as error:
                if is_app_error(error):
                    raise
                continue
            for message in found.get("messages") or []:
                if message.get("ts") == ts and any(file["id"] == self._file_id for file in files.files_of(message)):
                    return True
        return False

    def _copy(self, claim: Claim, file: dict[str, Any]) -> _Copied:
        if files.document_kind(file) is not None or files.is_external(file):
            raise _StaysInSlackError("it is in Slack only.", str(file_lines.certain_reason(file)))
        case = security_ir.get_case(self._case_id)
        # The name contains the Slack file's id, so an attachment with this id in its name is a copy of this file.
        present = next(
            (one for one in case.case_attachments if files.slack_file_id(one.file_name) == self._file_id), None
        )
        if present is None:
            self._check(claim, file, len(case.case_attachments), closed=case.is_closed)
        elif not self._may_be_incomplete(claim, present):
            return _Copied(present.file_name)
        try:
            return self._stream(claim, file, present.file_name if present is not None else None)
        except RefusedError as error:
            if error.service != _SERVICE or error.code != "ServiceQuotaExceededException":
                raise
            raise _StaysInSlackError(_FULL, "the case has its maximum of attachments") from error

    def _may_be_incomplete(self, claim: Claim, present: Attachment) -> bool:
        """Whether an earlier attempt's upload may not have arrived.

        AWS does not document whether it lists an attachment before its upload is complete. While the earlier URL is
        valid, the upload is repeated there; S3 answers 412 if it had arrived.
        """
        since = self._transfer.transferred_at or float(claim.row.get("claimed_at") or 0.0)
        return claim.attempt > 1 and present.attachment_status == "Pending" and clock.now() - since < _URL_SECONDS

    def _check(self, claim: Claim, file: dict[str, Any], attachments: int, *, closed: bool) -> None:
        """Raise _StaysInSlackError if the case or Slack cannot take or give the file, NotReadyError if only not yet."""
        if closed:
            raise _StaysInSlackError("the case is closed.", "the case is closed")
        if attachments >= ATTACHMENT_LIMIT:
            raise _StaysInSlackError(_FULL, "the case has its maximum of attachments")
        size = int(file.get("size") or 0)
        if size > FILE_SIZE_LIMIT:
            raise _too_large(size)
        if files.is_gone(file):
            self._wait_while_young(claim, f"its mode is {file['mode']}")
            if file["mode"] == "tombstone":
                raise _deleted()
            raise _StaysInSlackError("Slack hides it because of the limit of the workspace's plan.", file_lines.HIDDEN)
        if size < 1:
            self._wait_while_young(claim, "its size is 0")
        if not files.download_url(file):
            self._wait_while_young(claim, "it has no URL")
            raise _unreadable(size, "Slack returns no URL for its content")

    def _stream(self, claim: Claim, file: dict[str, Any], listed_name: str | None) -> _Copied:
        """Copy the bytes. For a listed attachment they go to the address of the attempt that created it."""
        url = files.download_url(file)
        if not url:
            raise NotReadyError("Slack returns no URL for the file")
        transfer.check_slack_host(url)
        number = int(claim.row.get("upload", 1)) if listed_name else claim.attempt
        if number != int(claim.row.get("upload", 1)):
            claims.note(claim, upload=number)
        client_token = comment_claims.token_for(self._case_id, "file", self._file_id, str(number))
        stored_name = listed_name or files.attachment_name(file)
        bot_token = credentials.bot_token()
        try:
            return self._send(claim, file, bot_token, stored_name, client_token)
        except RefusedError as error:
            if error.service != _SLACK:
                raise
            # The token may have been rotated since it was read.
            renewed = credentials.bot_token(fresh=True)
            if renewed != bot_token:
                return self._send(claim, file, renewed, stored_name, client_token)
            raise self._refused_by_slack(claim, file, error) from error

    def _refused_by_slack(self, claim: Claim, file: dict[str, Any], error: RefusedError) -> Exception:
        """Return the error for a rejected download of an old file.

        Raises RefusedError if Slack refuses the app's token, and NotReadyError for a young file.
        """
        self._transfer.slack.read("auth.test")  # only this proves that the token is refused
        self._wait_while_young(claim, f"its download answers {error.code}")
        return _unreadable(
            int(file.get("size") or 0),
            "Slack serves a web page instead of its content"
            if error.code == _WEB_PAGE
            else f"Slack does not serve its content ({error.code})",
        )

    def _send(self, claim: Claim, file: dict[str, Any], bot_token: str, stored_name: str, client_token: str) -> _Copied:
        headers = {"Authorization": f"Bearer {bot_token}"}
        with transfer.download(_SLACK, files.download_url(file), headers) as source:
            is_page = source.content_type.startswith("text/html") and source.length != int(file.get("size") or 0)
            if is_page and not files.is_web_page(file):
                raise RefusedError(_SLACK, _DOWNLOAD, _WEB_PAGE)
            if source.length is None:
                self._begin(claim)
            with source.measured(FILE_SIZE_LIMIT):
                length = source.length or 0
                self._check_length(claim, file, length, is_page=is_page)
                target = security_ir.upload_url(self._case_id, stored_name, length, client_token)
                self._begin(claim)
                self._may_have_landed = True
                with transfer.signed_headers(_SERVICE, target, source) as signed:
                    transfer.upload(_SERVICE, "PUT", target, source, length, signed)
        announced = int(file.get("size") or 0)
        remark = "" if length == announced else f"Slack announced {announced:,} bytes and served {length:,} bytes."
        return _Copied(stored_name, remark, source.sha256)

    def _begin(self, claim: Claim) -> None:
        """Count the transfer of bytes once in this attempt."""
        if not self._moved:
            self._transfer.begin(claim)
            self._moved = True

    def _check_length(self, claim: Claim, file: dict[str, Any], served: int, *, is_page: bool) -> None:
        """Raise unless the length is the announced one, or Slack serves the same other length a second time.

        Slack announces the size of a clip before it transcodes it.
        """
        if served < 1:
            self._wait_while_young(claim, "its content is empty")
            raise _StaysInSlackError("it is empty.", "empty")
        if served > FILE_SIZE_LIMIT:
            raise _too_large(served)
        if served == int(file.get("size") or 0):
            return
        if is_page:
            self._wait_while_young(claim, "its download is a web page of another length")
        if int(claim.row.get("served_length") or 0) != served:
            claim.row["served_length"] = served
            claims.note(claim, served_length=served)
            raise NotReadyError("Slack serves another length than it announces")


def _too_large(size: int) -> _StaysInSlackError:
    megabytes = f"{size / _MEGABYTE:.0f} MB"
    return _StaysInSlackError(
        f"it is {megabytes}, and a case accepts at most 100 MB per file. Split it, or post a link.",
        f"{megabytes}, more than a case accepts",
    )


def _deleted() -> _StaysInSlackError:
    return _StaysInSlackError("it was deleted in Slack before it could be copied.", file_lines.DELETED)


def _unreadable(size: int, cause: str) -> _StaysInSlackError:
    if size < 1:
        return _StaysInSlackError("it is empty.", "empty")
    return _StaysInSlackError(f"{cause}. Download it and share it again.", cause)
