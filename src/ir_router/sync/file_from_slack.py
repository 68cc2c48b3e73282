"""A file that somebody shared in the channel becomes an attachment of the case."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ir_router import transfer
from ir_router.cases.files import safe_name
from ir_router.cases.limits import ATTACHMENT_LIMIT, FILE_SIZE_LIMIT
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys
from ir_router.ledger.claims import Claim
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials, messages
from ir_router.slack.announcements import announce
from ir_router.sync import comment_claims

if TYPE_CHECKING:
    from ir_router.sync.files import Transfer

_SLACK = "Slack"
_MEGABYTE = 1_048_576
# https://www.rfc-editor.org/rfc/rfc6838#section-4.2; it becomes a header of the upload.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")
_TOKEN_REFUSED = frozenset({"token_refused", "HTTP 302", "HTTP 401", "HTTP 403"})


class FileFromSlack:
    """One file, by its Slack id."""

    def __init__(self, case_id: str, channel_id: str, file_id: str, run: Transfer) -> None:
        """Nothing is read or written yet."""
        self._case_id = case_id
        self._channel_id = channel_id
        self._file_id = file_id
        self._run = run
        self._may_have_landed = False

    def copy(self) -> None:
        """Copy it once; what cannot be copied is said once, with the reason."""
        key = keys.slack_message(self._case_id, f"{self._file_id}#file")
        claim = self._run.claim(key, kind="file", file_id=self._file_id, channel_id=self._channel_id, origin="slack")
        if claim is None:
            return
        try:
            outcome = self._make(claim)
        except (RefusedError, RetryLaterError, UncertainError) as error:
            self._run.failed(claim, error, may_have_landed=self._may_have_landed)
            raise
        claims.confirm(claim, outcome=outcome)
        if outcome == "copied":
            announce(
                "FileSynchronized", {"caseId": self._case_id, "channelId": self._channel_id, "fileId": self._file_id}
            )

    def _make(self, claim: Claim) -> str:
        file = self._file()
        name = str(file.get("name") or file.get("title") or self._file_id)
        stored_name = safe_name(name, self._file_id)
        case = security_ir.get_case(self._case_id)
        # The name carries the Slack file's id: what has it is this file, whoever got so far.
        present = next((one for one in case.case_attachments if one.file_name == stored_name), None)
        if present is None:
            reason = _cannot_be_copied(file, len(case.case_attachments), closed=case.is_closed)
            if reason:
                self._run.say(f"file-refused-{self._file_id}", messages.file_not_copied(name, reason))
                return "not copied"
            self._stream(claim, file, stored_name, again=False)
        elif claim.attempt > 1 and present.attachment_status == "Pending":
            # AWS does not say whether it lists an attachment before its bytes have come.
            self._stream(claim, file, stored_name, again=True)
        self._may_have_landed = True
        self._run.say(f"file-{self._file_id}", messages.file_uploaded(name, stored_name))
        return "copied"

    def _file(self) -> dict[str, Any]:
        try:
            file: dict[str, Any] = self._run.slack.read("files.info", file=self._file_id)["file"]
        except RefusedError as error:
            if error.code not in ("file_not_found", "file_deleted"):
                raise
            return {"id": self._file_id, "mode": "tombstone"}
        return file

    def _stream(self, claim: Claim, file: dict[str, Any], stored_name: str, *, again: bool) -> None:
        """Bring the bytes over. `again`: to the address of the attempt before, where they replace what came of it."""
        url = str(file["url_private_download"])
        transfer.check_slack_host(url)
        number = int(claim.row.get("upload", 1)) if again else claim.attempt
        if number != int(claim.row.get("upload", 1)):
            claims.note(claim, upload=number)
        client_token = comment_claims.token_for(self._case_id, "file", self._file_id, str(number))
        try:
            self._send(url, credentials.bot_token(), file, stored_name, client_token)
        except RefusedError as error:
            if error.service != _SLACK or error.code not in _TOKEN_REFUSED:
                raise
            # The token may have been rotated since it was read.
            self._send(url, credentials.bot_token(fresh=True), file, stored_name, client_token)

    def _send(self, url: str, bot_token: str, file: dict[str, Any], stored_name: str, client_token: str) -> None:
        size = int(file["size"])
        media_type = str(file.get("mimetype"))
        if not _MEDIA_TYPE.fullmatch(media_type):
            media_type = "application/octet-stream"
        with transfer.download(_SLACK, url, {"Authorization": f"Bearer {bot_token}"}) as source:
            if _is_sign_in_page(source, media_type):
                raise RefusedError(_SLACK, "the download of a file", "token_refused")
            if source.length is not None and source.length != size:
                raise UncertainError(_SLACK, "the download of a file", "another length than announced")
            target = security_ir.upload_url(self._case_id, stored_name, size, client_token)
            self._may_have_landed = True
            transfer.upload("AWS Security Incident Response", "PUT", target, source, size, media_type)


def _is_sign_in_page(source: transfer.Download, media_type: str) -> bool:
    """https://api.slack.com/types/file#authentication: without a good token Slack shows its sign-in page."""
    return source.content_type.startswith("text/html") and not media_type.startswith("text/html")


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
