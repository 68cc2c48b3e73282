"""The sub-command approvals: list the open approval requests, decide about one, or release its principals.

It invokes the function security-incident-approval-handler, and nothing else.
"""

from __future__ import annotations

from typing import Any

import boto3

from ir_operator import terminal
from ir_operator.deploy.deployment import Deployment
from ir_operator.deploy.errors import explain_aws_errors
from ir_router import links

_FUNCTION = "approval-handler"
_DONE = frozenset({"approved", "denied", "recorded", "release_started", "first_recorded", "withdrawn"})


def show(deployment: Deployment) -> bool:
    """Print the open approval requests.

    Raises:
        OperationError: The function cannot be called, or it raised an error.
    """
    requests = _pending(deployment)
    for request in requests:
        _print(deployment, request)
    count = len(requests)
    terminal.line("ok", f"{count or 'no'} open approval request{'' if count == 1 else 's'}")
    return True


def decide(deployment: Deployment, approval_id: str, decision: str, analyst: str | None, reason: str) -> bool:
    """Decide about a request, or release its principals after its end, and print the outcome.

    A decision counts only for the events that are printed here: if more events join meanwhile, nothing is decided.

    Args:
        deployment: The deployment.
        approval_id: The id of the request.
        decision: `approve`, `deny`, `withdraw` or `release`.
        analyst: The analyst's name; by default the name of the AWS session.
        reason: The reason.

    Raises:
        OperationError: The function cannot be called, or it raised an error.
    """
    payload: dict[str, Any] = {"approval_id": approval_id, "decision": decision, "notes": reason}
    payload["analyst"] = analyst or _session_name(deployment)
    for request in _pending(deployment):
        if request["approval_id"] == approval_id:
            _print(deployment, request)
            payload["joined_events"] = request["joined_events"]
    answer = deployment.call(_FUNCTION, payload, decision)
    good = answer["status"] in _DONE
    terminal.line("ok" if good else "failed", terminal.printable(str(answer["message"])))
    return good


def _pending(deployment: Deployment) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.call(_FUNCTION, {"task": "list_approvals"}, "list_approvals")["approvals"]
    return found


def _session_name(deployment: Deployment) -> str:
    with explain_aws_errors("Reading the name of your AWS session"):
        arn: str = boto3.client("sts", region_name=deployment.region).get_caller_identity()["Arn"]
    return arn.rpartition("/")[2] if "/" in arn else arn.rpartition(":")[2]


def _print(deployment: Deployment, request: dict[str, Any]) -> None:
    joined = request["joined_events"]
    facts = {
        "What": request.get("what"),
        "Done": "; ".join(request.get("done", [])),
        "Joined": f"{joined} more {'event' if joined == 1 else 'events'}" if joined else "",
        "Approve": request.get("approve_does"),
        "Deny": request.get("deny_does"),
        "People": "; ".join(request.get("people", [])),
        "Case": links.case(request["case_id"], deployment.region) if request.get("case_id") else "",
        "Workflow": links.execution(str(request.get("execution", ""))),
    }
    print(terminal.printable(f"{request['severity']}: {request['headline']}. Decide by {request['decide_by']}."))
    for name, fact in facts.items():
        if fact:
            print(f"  {name:<9} {terminal.printable(str(fact))}")
    print(f"  {'Id':<9} {request['approval_id']}\n")
