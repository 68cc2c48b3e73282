"""Attach a file that ir-router made to the case, once."""

from __future__ import annotations

import hashlib

from ir_router import clock, transfer
from ir_router.cases.limits import ATTACHMENT_LIMIT
from ir_router.cases.models import Attachment
from ir_router.errors import RefusedError
from ir_router.ledger import claims, keys
from ir_router.ledger.claims import Claim
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import comment_claims
from ir_router.sync.case_sync import CaseSync

SERVICE = "AWS Security Incident Response"
_URL_SECONDS = 900


def attach(sync: CaseSync, name: str, content: bytes) -> None:
    """Attach a file. The synchronisation of attachments then shares it in the channel.

    Raises:
        RefusedError: The case is closed, or has its maximum of attachments.
    """
    claim = sync.claim(keys.note(sync.case_id, name))
    if claim is None:
        return
    listed = security_ir.get_case(sync.case_id).case_attachments
    present = next((one for one in listed if one.file_name == name), None)
    if present is None and len(listed) >= ATTACHMENT_LIMIT:
        claims.refused(claim)
        raise RefusedError(SERVICE, "GetCaseAttachmentUploadUrl", "ServiceQuotaExceededException")
    if present is None or _may_be_incomplete(claim, present):
        # An attempt whose attachment is not listed needs a new URL: the earlier one may have expired.
        number = claim.attempt if present is None else int(claim.row.get("upload", 1))
        claims.note(claim, upload=number)
        token = comment_claims.token_for(sync.case_id, name, str(number))
        try:
            target = security_ir.upload_url(sync.case_id, name, len(content), token)
            transfer.upload_content(SERVICE, target, content)
        except RefusedError:
            claims.refused(claim)
            raise
    # The report names the hash of each file.
    claims.confirm(claim, stored_name=name, sha256=hashlib.sha256(content).hexdigest())


def _may_be_incomplete(claim: Claim, present: Attachment) -> bool:
    """Return whether an upload may not have arrived. It is repeated while its URL is valid, for 15 minutes."""
    since = float(claim.row.get("claimed_at") or 0.0)
    return present.attachment_status == "Pending" and clock.now() - since < _URL_SECONDS
