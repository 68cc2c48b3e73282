"""An attachment of the case becomes a file in the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ir_router import transfer
from ir_router.cases.limits import FILE_SIZE_LIMIT
from ir_router.cases.models import Attachment
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.slack import messages

if TYPE_CHECKING:
    from ir_router.sync.files import Transfer

_SERVICE = "AWS Security Incident Response"


class FileToSlack:
    """One attachment, by its id."""

    def __init__(self, case_id: str, attachment_id: str, run: Transfer) -> None:
        """Nothing is read or written yet."""
        self._case_id = case_id
        self._attachment_id = attachment_id
        self._run = run
        self._may_be_shared = False

    def copy(self) -> None:
        """Copy it once; one that is too large is named with how to get it."""
        found = security_ir.get_case(self._case_id).case_attachments
        attachment = next((one for one in found if one.attachment_id == self._attachment_id), None)
        if attachment is None or attachment.attachment_status != "Verified" or not self._run.channel_id:
            logger.info("an attachment cannot be copied now; the sync of the case asks again")
            return
        key = keys.attachment(self._case_id, self._attachment_id)
        claim = self._run.claim(key, origin="aws", file_name=attachment.file_name)
        if claim is None:
            return
        try:
            # Files are known by the id that is kept in the claim before they can be seen.
            is_shared = self._is_in_channel(str(claim.row.get("slack_file_id") or ""))
            outcome = "copied" if is_shared else self._make(claim, attachment)
        except (RefusedError, RetryLaterError, UncertainError) as error:
            self._run.failed(claim, error, may_have_landed=self._may_be_shared)
            raise
        claims.confirm(claim, outcome=outcome)

    def _is_in_channel(self, file_id: str) -> bool:
        """Whether the file of an earlier attempt was shared in the channel."""
        if not file_id:
            return False
        try:
            file = self._run.slack.read("files.info", file=file_id)["file"]
        except RefusedError as error:
            if error.code in ("file_not_found", "file_deleted"):
                return False
            raise
        shares = file.get("shares") or {}
        channels = {*file.get("channels", []), *file.get("groups", [])}
        channels |= {channel for kind in ("public", "private") for channel in shares.get(kind) or {}}
        return self._run.channel_id in channels

    def _make(self, claim: Claim, attachment: Attachment) -> str:
        source_url = security_ir.download_url(self._case_id, self._attachment_id)
        with transfer.download(_SERVICE, source_url) as source:
            if source.length is None:
                raise UncertainError(_SERVICE, "the download of an attachment", "no length was given")
            if source.length > FILE_SIZE_LIMIT:
                link = messages.console_link(self._case_id, settings().region)
                message = messages.attachment_too_large(attachment.file_name, source.length, link)
                self._run.say(f"attachment-too-large-{self._attachment_id}", message)
                return "too large"
            if source.length < 1:
                self._run.say(
                    f"attachment-empty-{self._attachment_id}", messages.attachment_empty(attachment.file_name)
                )
                return "empty"
            answer = self._run.slack.read(
                "files.getUploadURLExternal", filename=attachment.file_name, length=source.length
            )
            url, file_id = str(answer["upload_url"]), str(answer["file_id"])
            transfer.check_slack_host(url)
            # Both before the file can be seen: how a later run finds it, and how its own event is known as an echo.
            claims.note(claim, slack_file_id=file_id)
            table.put(
                keys.slack_message(self._case_id, f"{file_id}#file"),
                {"state": "done", "kind": "file", "origin": "aws", "attachment_id": self._attachment_id},
            )
            transfer.upload("Slack", "POST", url, source, source.length, source.content_type)
        self._may_be_shared = True
        self._run.slack.post(
            "files.completeUploadExternal",
            files=[{"id": file_id, "title": attachment.file_name}],
            channel_id=self._run.channel_id,
            initial_comment=messages.new_attachment(attachment),
        )
        return "copied"
