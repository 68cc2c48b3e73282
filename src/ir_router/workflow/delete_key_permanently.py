"""State "Delete Key Permanently": after an approval, delete the keys that events named. The containment stays.

The deny policy stays until a release, since temporary credentials outlive the key that created them by up to 36 hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.workflow import remediation
from ir_router.workflow.remediation import RemediationResult


def run_task(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Delete the keys, keep the rest of the containment in place and mark it as approved."""
    return remediation.for_each_principal(task, context, remediation.delete_named_keys)
