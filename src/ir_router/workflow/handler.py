"""The tasks of the state machine and of operators: `{"task": "<name>", ...}`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ir_router import observability
from ir_router.errors import UnknownEventError
from ir_router.workflow import sessions

# Task -> module and function. The module of a state has the state's name.
TASKS: Mapping[str, tuple[str, str]] = {
    "extract_event_context": ("extract_event_context", "run_task"),
    "event_not_believed": ("event_not_believed", "run_task"),
    "check_allowlist": ("check_allowlist", "run_task"),
    "evaluate_severity": ("evaluate_severity", "run_task"),
    "log_and_exit": ("log_and_exit", "run_task"),
    "alert_only": ("alert_only", "run_task"),
    "alert_only_without_ledger": ("alert_only", "without_ledger"),
    "alert_count": ("alert_only", "count"),
    "immediate_containment": ("immediate_containment", "run_task"),
    "read_without_ledger": ("without_ledger", "read"),
    "contain_without_ledger": ("without_ledger", "contain"),
    "alert_without_ledger": ("without_ledger", "alert"),
    "contain_with_ledger": ("without_ledger", "record"),
    "open_case": ("open_case", "run_task"),
    "open_missing_cases": ("missing_cases", "open_all"),
    "limit_reached": ("limit_reached", "run_task"),
    "send_alert": ("send_alert", "run_task"),
    "verify_containment": ("verify_containment", "run_task"),
    "verify_open_containments": ("verify_containment", "run_scheduled"),
    "write_audit_log": ("write_audit_log", "run_task"),
    "request_approval": ("request_approval", "run_task"),
    "record_decision": ("request_approval", "record_decision"),
    "record_timeout": ("request_approval", "record_timeout"),
    "delete_key_permanently": ("delete_key_permanently", "run_task"),
    "reenable_key_remove_deny_policy": ("reenable_key_remove_deny_policy", "run_task"),
    "keep_containment": ("keep_containment", "run_task"),
    "final_alert_and_audit_log": ("final_alert_and_audit_log", "run_task"),
    "report_failure": ("report_failure", "run_task"),
    "note_failed_branch": ("report_failure", "note_failed_branch"),
    "release": ("release", "run_task"),
    "report_break_glass": ("break_glass", "report"),
    "allowlist_add": ("allowlist_tasks", "add"),
    "allowlist_list": ("allowlist_tasks", "list_entries"),
    "allowlist_remove": ("allowlist_tasks", "remove"),
    "verify_audit": ("operator_tasks", "verify_audit"),
    "check_allowlist_entries": ("stale_allowlist", "run_task"),
    "check_members": ("members", "run_task"),
    "read_member_activity": ("member_activity", "run_task"),
    "witness_audit": ("witness_audit", "run_task"),
}


# Imported while Lambda initialises, when the function has a full processor; afterwards it has only a share of one.
_MODULES = {module: importlib.import_module(f"ir_router.workflow.{module}") for module, _ in TASKS.values()}


def prepare() -> None:
    """Open the session that reads IAM before the first task."""
    sessions.prepare()


def handle(event: Mapping[str, Any], context: Any) -> Any:
    """Run the task that the event names. Raises UnknownEventError if there is no such task."""
    name = str(event["task"])
    if name not in TASKS:
        raise UnknownEventError(f"Unknown task {name}. Use one of: {', '.join(TASKS)}.")
    execution = _execution(event)
    observability.correlate(execution)
    sessions.begin_task(execution)
    module, function = TASKS[name]
    return getattr(_MODULES[module], function)(event, context)


def _execution(event: Mapping[str, Any]) -> str:
    """Return the execution's name, or the task's name for an operator's task."""
    incident = event.get("incident") or event.get("state", {}).get("incident") or {}
    execution = incident.get("execution") or event.get("execution") or {}
    return str(execution.get("name") or event["task"])
