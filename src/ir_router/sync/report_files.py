"""Share a file that ir-router made in the case's channel, once. For a case that accepts no attachments."""

from __future__ import annotations

from ir_router import clock, transfer
from ir_router.cases.files import channels
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.observability import logger
from ir_router.sync.case_sync import CaseSync, ClaimHeldError
from ir_router.sync.file_comments import key_of

# Slack shares a completed upload within seconds. An upload that it does not know by then never arrived.
_UNKNOWN_SECONDS = 120


def share(sync: CaseSync, name: str, content: bytes, content_type: str) -> str:
    """Share the file, and return its address in Slack.

    Raises:
        ClaimHeldError: Slack does not show the file yet. The next run looks for it.
    """
    key = keys.note(sync.case_id, f"shared-{name}")
    claim = sync.claim(key)
    if claim is None:
        return str(sync.rows[key.sk].get("address") or "")
    address = _address(sync, claim)
    if address is None:
        _upload(sync, claim, name, content, content_type)
        address = _address(sync, claim)
    if address is None:
        raise ClaimHeldError(float(claim.row["slack_file_at"]) + _UNKNOWN_SECONDS)
    claims.confirm(claim, address=address)
    return address


def _address(sync: CaseSync, claim: Claim) -> str | None:
    """Return the address of the file of this or an earlier attempt, if the channel has it."""
    file_id = str(claim.row.get("slack_file_id") or "")
    if not file_id:
        return None
    try:
        file = sync.slack.read("files.info", file=file_id)["file"]
    except RefusedError as error:
        if error.code != "file_not_found":
            raise
        file = {}
    if sync.channel_id in channels(file):
        return str(file.get("permalink") or "")
    if clock.now() - float(claim.row["slack_file_at"]) < _UNKNOWN_SECONDS:
        until = float(claim.row["slack_file_at"]) + _UNKNOWN_SECONDS
        claims.unanswered(claim, until)
        raise ClaimHeldError(until)
    _delete(sync, file_id)
    return None


def _delete(sync: CaseSync, file_id: str) -> None:
    """Delete an upload that Slack did not share, so that it cannot appear next to the next one."""
    try:
        sync.slack.read("files.delete", file=file_id)
    except RefusedError as error:
        logger.info("file.not_deleted", extra={"code": error.code})


def _upload(sync: CaseSync, claim: Claim, name: str, content: bytes, content_type: str) -> None:
    answer = sync.slack.read("files.getUploadURLExternal", filename=name, length=len(content))
    url, file_id = str(answer["upload_url"]), str(answer["file_id"])
    transfer.check_slack_host(url)
    transfer.upload_content("Slack", url, content, method="POST", content_type=content_type)
    found = {"slack_file_id": file_id, "slack_file_at": clock.now()}
    # Before the file is visible: its event counts as an echo, and a later run finds the file by its id.
    claims.note(claim, **found)
    claim.row.update(found)
    table.put(key_of(sync.case_id, file_id), {"state": "done", "kind": "file", "origin": "aws", "stored_name": name})
    try:
        sync.slack.post(
            "files.completeUploadExternal", files=[{"id": file_id, "title": name}], channel_id=sync.channel_id
        )
    except (RefusedError, RetryLaterError, OutOfTimeError):
        claims.note(claim, slack_file_id="")
        claims.refused(claim)
        raise
