"""A file that somebody shared in the channel becomes an attachment of the case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ir_router import transfer
from ir_router.cases.files import safe_name
from ir_router.cases.limits import ATTACHMENT_LIMIT, FILE_SIZE_LIMIT
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import claims, keys
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials, messages
from ir_router.sync import comment_claims, slack_to_case

if TYPE_CHECKING:
    from ir_router.sync.files import Transfer

_MEGABYTE = 1_048_576


class FileFromSlack:
    """One file, by its Slack id."""

    def __init__(self, case_id: str, channel_id: str, file_id: str, run: Transfer) -> None:
        """Nothing is read or written yet."""
        self._case_id = case_id
        self._channel_id = channel_id
        self._file_id = file_id
        self._run = run

    def copy(self) -> None:
        """Copy it once; what cannot be copied is said once, with the reason."""
        key = keys.slack_message(self._case_id, f"{self._file_id}#file")
        claim = self._run.claim(key, kind="file", file_id=self._file_id, channel_id=self._channel_id, origin="slack")
        if claim is None:
            return
        try:
            outcome = self._make()
        except RefusedError:
            claims.refused(claim)
            raise
        claims.confirm(claim, outcome=outcome)
        if outcome == "copied":
            slack_to_case.publish(
                "FileSynchronized", {"caseId": self._case_id, "channelId": self._channel_id, "fileId": self._file_id}
            )

    def _make(self) -> str:
        file = self._run.slack.read("files.info", file=self._file_id)["file"]
        name = str(file.get("name") or file.get("title") or self._file_id)
        stored_name = safe_name(name, self._file_id)
        case = security_ir.get_case(self._case_id)
        # The name carries the Slack file's id: what has it is this file, whoever got so far.
        present = any(attachment.file_name == stored_name for attachment in case.case_attachments)
        if not present:
            reason = _cannot_be_copied(file, len(case.case_attachments), closed=case.is_closed)
            if reason:
                self._run.say(f"file-refused-{self._file_id}", messages.file_not_copied(name, reason))
                return "not copied"
            self._stream(file, stored_name)
        self._run.say(f"file-{self._file_id}", messages.file_uploaded(name, stored_name))
        return "copied"

    def _stream(self, file: dict[str, Any], stored_name: str) -> None:
        url = str(file["url_private_download"])
        transfer.check_slack_host(url)
        size = int(file["size"])
        token = comment_claims.token_for(self._case_id, "file", self._file_id)
        authorization = {"Authorization": f"Bearer {credentials.bot_token()}"}
        with transfer.download("Slack", url, authorization) as source:
            media_type = str(file.get("mimetype") or "application/octet-stream")
            if source.content_type.startswith("text/html") and not media_type.startswith("text/html"):
                # https://api.slack.com/types/file#authentication: without a good token Slack shows its sign-in page.
                raise RefusedError("Slack", "the download of a file", "token_refused")
            if source.length is not None and source.length != size:
                raise UncertainError("Slack", "the download of a file", "another length than announced")
            target = security_ir.upload_url(self._case_id, stored_name, size, token)
            transfer.upload("AWS Security Incident Response", "PUT", target, source, size, media_type)


def _cannot_be_copied(file: dict[str, Any], attachments: int, *, closed: bool) -> str | None:
    size = int(file.get("size") or 0)
    if file.get("mode") in ("tombstone", "hidden_by_limit") or not file.get("url_private_download"):
        return "it is not stored in Slack (an external link, or already deleted)."
    if size > FILE_SIZE_LIMIT:
        return f"it has {size / _MEGABYTE:.0f} MB, and a case takes at most 100 MB a file. Split it, or link to it."
    if size < 1:
        return "it is empty."
    if closed:
        return "the case is closed."
    if attachments >= ATTACHMENT_LIMIT:
        return f"the case has {attachments} attachments already, and {ATTACHMENT_LIMIT} is the most it takes."
    return None
