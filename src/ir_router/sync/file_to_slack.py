"""Copy an attachment of the case to the channel, as a file.

Slack shares a completed upload asynchronously, and sometimes never
(https://github.com/slackapi/python-slack-sdk/issues/1277). An upload therefore counts only when files.info shows it in
the channel.
"""

from __future__ import annotations

from typing import Literal

from ir_router import clock, transfer
from ir_router.cases.files import channels
from ir_router.cases.limits import FILE_SIZE_LIMIT
from ir_router.cases.models import Attachment
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync.file_comments import key_of
from ir_router.sync.file_transfer import YOUNG_SECONDS, NotReadyError, Transfer, is_app_error

_SERVICE = "AWS Security Incident Response"
# Slack knows a completed upload within seconds. If it does not, the request to complete it did not arrive.
_UNKNOWN_SECONDS = 120.0
# On a closed case a transfer that failed this often is not retried.
_TRIES_ON_CLOSED_CASE = 3
# Slack no longer knows the upload that it has just taken. Another upload can succeed, but a scanner may delete each.
_UPLOAD_LOST = frozenset({"file_not_found", "file_deleted"})
_LOST_UPLOADS_RETRIED = 3

Outcome = Literal["copied", "too large", "empty", "closed"]


class FileToSlack:
    """One attachment of a case."""

    def __init__(self, case_id: str, attachment_id: str, file_transfer: Transfer) -> None:
        """Store the ids. Nothing is read or written yet."""
        self._case_id = case_id
        self._attachment_id = attachment_id
        self._transfer = file_transfer
        self._may_be_shared = False
        self._moved = False

    def copy(self) -> None:
        """Copy the attachment once. If it is too large, post a link to the case instead."""
        case = security_ir.get_case(self._case_id)
        attachment = next((one for one in case.case_attachments if one.attachment_id == self._attachment_id), None)
        if attachment is None or attachment.attachment_status != "Verified" or not self._transfer.channel_id:
            logger.info("file.not_copied_now: the case's synchronisation queues the attachment again")
            return
        key = keys.attachment(self._case_id, self._attachment_id)
        claim = self._transfer.claim(key, origin="aws", file_name=attachment.file_name)
        if claim is None:
            return
        self._transfer.remember(claim)
        try:
            outcome = self._settled(claim) or self._make(claim, attachment, closed=case.is_closed)
        except (NotReadyError, RefusedError, RetryLaterError, UncertainError) as error:
            self._transfer.failed(claim, error, may_have_landed=self._may_be_shared, moved=self._moved)
            raise
        claims.confirm(claim, outcome=outcome)

    def _settled(self, claim: Claim) -> Outcome | None:
        """Return the outcome if the file of an earlier attempt is in the channel, None if it never will be.

        The claim stores the Slack file's id before the file is visible. Raises NotReadyError while Slack may still
        share it.
        """
        file_id = str(claim.row.get("slack_file_id") or "")
        if not file_id:
            return None
        channel_ids = self._channels_of(file_id)
        if self._transfer.channel_id in (channel_ids or ()):
            return "copied"
        patience = YOUNG_SECONDS if channel_ids is not None else _UNKNOWN_SECONDS
        if clock.now() - float(claim.row.get("slack_file_at") or 0) < patience:
            self._may_be_shared = True
            raise NotReadyError("Slack does not show the uploaded file in the channel yet")
        logger.warning("file.never_shared: Slack did not share an uploaded file", extra={"slack_file_id": file_id})
        self._delete(file_id)
        claims.note(claim, slack_file_id="")
        return None

    def _delete(self, file_id: str) -> None:
        """Delete an upload that Slack did not share, so that it cannot appear next to the next one."""
        try:
            self._transfer.slack.read("files.delete", file=file_id)
        except RefusedError as error:
            if is_app_error(error):
                raise
            logger.info("file.not_deleted", extra={"code": error.code})

    def _channels_of(self, file_id: str) -> set[str] | None:
        """Return the channels in which files.info shows the file, or None if Slack does not know the file."""
        try:
            file = self._transfer.slack.read("files.info", file=file_id)["file"]
        except RefusedError as error:
            if is_app_error(error):
                raise
            return None
        return channels(file)

    def _make(self, claim: Claim, attachment: Attachment, *, closed: bool) -> Outcome:
        if closed and self._transfer.transfers >= _TRIES_ON_CLOSED_CASE:
            message = messages.attachment_not_retried(attachment.file_name)
            self._transfer.post_once(f"attachment-closed-{self._attachment_id}", message)
            return "closed"
        source_url = security_ir.download_url(self._case_id, self._attachment_id)
        with transfer.download(_SERVICE, source_url) as source:
            if source.length is None:
                raise UncertainError(_SERVICE, "the download of an attachment", "no Content-Length")
            if source.length > FILE_SIZE_LIMIT:
                link = messages.console_link(self._case_id, settings().region)
                message = messages.attachment_too_large(attachment.file_name, source.length, link)
                self._transfer.post_once(f"attachment-too-large-{self._attachment_id}", message)
                return "too large"
            if source.length < 1:
                self._transfer.post_once(
                    f"attachment-empty-{self._attachment_id}", messages.attachment_empty(attachment.file_name)
                )
                return "empty"
            answer = self._transfer.slack.read(
                "files.getUploadURLExternal", filename=attachment.file_name, length=source.length
            )
            url, file_id = str(answer["upload_url"]), str(answer["file_id"])
            transfer.check_slack_host(url)
            self._transfer.begin(claim)
            self._moved = True
            transfer.upload("Slack", "POST", url, source, source.length, {"Content-Type": source.content_type})
        self._share(claim, attachment, file_id, source.sha256)
        return "copied"

    def _share(self, claim: Claim, attachment: Attachment, file_id: str, sha256: str) -> None:
        """Share the uploaded file. Raises NotReadyError until files.info shows it in the channel."""
        # Stored before the file is visible: a later run finds the file by its id, and its event counts as an echo.
        claims.note(claim, slack_file_id=file_id, slack_file_at=clock.now(), sha256=sha256)
        table.put(
            key_of(self._case_id, file_id),
            {
                "state": "done",
                "kind": "file",
                "origin": "aws",
                "attachment_id": self._attachment_id,
                "stored_name": attachment.file_name,
            },
        )
        self._may_be_shared = True
        try:
            self._transfer.slack.post(
                "files.completeUploadExternal",
                files=[{"id": file_id, "title": attachment.file_name}],
                channel_id=self._transfer.channel_id,
                initial_comment=messages.new_attachment(attachment),
            )
        except RefusedError as error:
            claims.note(claim, slack_file_id="")  # certainly not shared
            if error.code in _UPLOAD_LOST and self._transfer.transfers < _LOST_UPLOADS_RETRIED:
                raise RetryLaterError(error.service, error.operation, error.code, 0.0) from error
            raise
        except (RetryLaterError, OutOfTimeError):
            claims.note(claim, slack_file_id="")  # certainly not shared
            raise
        if self._transfer.channel_id not in (self._channels_of(file_id) or ()):
            raise NotReadyError("Slack does not show the uploaded file in the channel yet")
