"""State "Keep Containment": no decision was taken. The principal stays contained until somebody releases it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.workflow import remediation
from ir_router.workflow.remediation import RemediationResult


def handle(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """See that it stays, and mark the containment as kept: the next event for the principal asks for a decision."""
    return remediation.for_each_principal(task, context, remediation.keep)
