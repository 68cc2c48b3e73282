"""State "Keep Containment": without a decision the principal stays contained until a release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.workflow import remediation
from ir_router.workflow.remediation import RemediationResult


def run_task(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Keep the containment in place and mark it as kept: the next event for the principal needs a new decision."""
    return remediation.for_each_principal(task, context, remediation.keep)
