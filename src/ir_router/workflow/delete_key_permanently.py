"""State "Delete Key Permanently": approved. The keys that events named are deleted; the containment stays.

The deny policy stays until somebody releases it: temporary credentials outlive the key that made them by up to 36 h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.workflow import remediation
from ir_router.workflow.remediation import RemediationResult


def handle(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Delete, verify, see that the rest stays contained, and mark the containment as approved."""
    return remediation.for_each_principal(task, context, remediation.delete_named_keys)
