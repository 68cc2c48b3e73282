"""Commands of the AWS CLI for operators, with placeholders in capital letters. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ir_router.settings import settings


def invoke(payload: Mapping[str, Any]) -> str:
    """Return the shell command that invokes the function of the workflow with this payload."""
    return (
        f"aws lambda invoke --function-name {settings().name_prefix}-workflow --cli-binary-format raw-in-base64-out "
        f"--payload {shlex.quote(json.dumps(payload))} response.json"
    )


def release(arn: str) -> str:
    """Return the shell command that releases the containment of a principal (full ARN)."""
    return invoke({"task": "release", "principal": arn, "released_by": "YOUR NAME", "reason": "WHY"})
