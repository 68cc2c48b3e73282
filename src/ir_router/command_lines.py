"""Commands of the AWS CLI for operators, with placeholders in capital letters. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ir_router.ledger import creators
from ir_router.ledger.approvals import Answer
from ir_router.settings import settings


def invoke(payload: Mapping[str, Any], function: str = "workflow") -> str:
    """Return the shell command that invokes a function of the deployment with this payload."""
    return (
        f"aws lambda invoke --function-name {settings().name_prefix}-{function} --cli-binary-format raw-in-base64-out "
        f"--payload {shlex.quote(json.dumps(payload))} response.json"
    )


def decide(approval_id: str, decision: Answer) -> str:
    """Return the shell command that approves or denies an approval request."""
    payload = {"approval_id": approval_id, "decision": decision, "analyst": "YOUR NAME", "notes": "WHY"}
    return invoke(payload, "approval-handler")


def contain_creator(approval_id: str, creator: str) -> str:
    """Return the shell command that contains the creator of a key (full ARN), for an approval request."""
    payload = {"approval_id": approval_id, "decision": creators.CONTAIN, "creator": creator, "analyst": "YOUR NAME"}
    return invoke(payload, "approval-handler")


def release_request(approval_id: str) -> str:
    """Return the shell command that releases the principals of an approval request after its end."""
    return invoke(
        {"approval_id": approval_id, "decision": "release", "analyst": "YOUR NAME", "notes": "WHY"}, "approval-handler"
    )


def release(arn: str) -> str:
    """Return the shell command that releases the containment of a principal (full ARN)."""
    return invoke({"task": "release", "principal": arn, "released_by": "YOUR NAME", "reason": "WHY"})
