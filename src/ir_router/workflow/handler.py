"""Tasks of the state machine and of operators: `{"task": "<name>", ...}`, one table."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ir_router import observability
from ir_router.errors import UnknownEventError

# Task -> module and function. A state's module is named like the state.
TASKS: Mapping[str, tuple[str, str]] = {
    "extract_event_context": ("extract_event_context", "handle"),
    "check_allowlist": ("check_allowlist", "handle"),
    "evaluate_severity": ("evaluate_severity", "handle"),
    "log_and_exit": ("log_and_exit", "handle"),
    "alert_only": ("alert_only", "handle"),
    "alert_count": ("alert_only", "count"),
    "immediate_containment": ("immediate_containment", "handle"),
    "open_case": ("open_case", "handle"),
    "limit_reached": ("limit_reached", "handle"),
    "send_alert": ("send_alert", "handle"),
    "write_audit_log": ("write_audit_log", "handle"),
    "request_approval": ("request_approval", "handle"),
    "record_decision": ("request_approval", "record_decision"),
    "record_timeout": ("request_approval", "record_timeout"),
    "delete_key_permanently": ("delete_key_permanently", "handle"),
    "reenable_key_remove_deny_policy": ("reenable_key_remove_deny_policy", "handle"),
    "keep_containment": ("keep_containment", "handle"),
    "final_alert_and_audit_log": ("final_alert_and_audit_log", "handle"),
    "report_failure": ("report_failure", "handle"),
    "note_failed_branch": ("report_failure", "note_failed_branch"),
    "release": ("release", "handle"),
    "allowlist_add": ("allowlist_tasks", "add"),
    "allowlist_list": ("allowlist_tasks", "list_entries"),
    "allowlist_remove": ("allowlist_tasks", "remove"),
    "list_approvals": ("operator_tasks", "list_approvals"),
    "verify_audit": ("operator_tasks", "verify_audit"),
}


# All of them now, while Lambda initialises: the function that contains has little of a processor afterwards.
_MODULES = {module: importlib.import_module(f"ir_router.workflow.{module}") for module, _ in TASKS.values()}


def handle(event: Mapping[str, Any], context: Any) -> Any:
    """Run the task that the event names. Raises UnknownEventError, naming the tasks, for any other."""
    name = str(event["task"])
    if name not in TASKS:
        raise UnknownEventError(f"There is no task {name}. Known: {', '.join(TASKS)}.")
    observability.correlate(_execution(event))
    module, function = TASKS[name]
    return getattr(_MODULES[module], function)(event, context)


def _execution(event: Mapping[str, Any]) -> str:
    """The execution's name, or the task's for tasks that people run."""
    incident = event.get("incident") or event.get("state", {}).get("incident") or {}
    execution = incident.get("execution") or event.get("execution") or {}
    return str(execution.get("name") or event["task"])
