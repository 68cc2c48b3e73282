"""Attacks from one role on another: the functions, queues and workflows that each role can use, by the plan."""

from __future__ import annotations

import json
from typing import Any

from ir_operator.project import PROJECT_ROOT
from tests.terraform.iam import allows
from tests.terraform.root import ACCOUNT, Plan

ROLE = f"arn:aws:iam::{ACCOUNT}:role/security-incident-"
MACHINE = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:security-incident-response"

# From a role to the parts that it can make work: functions by invocation, queues by a message, the workflow by a start.
# A new path needs a reason, and a line in "Roles" of docs/security.md.
PATHS = {
    "webhook": {"slack", "slack_events", "files"},
    "slack": {"approval-handler as slack", "failures"},
    "sync": {"approval-handler", "operations", "slack_events", "files", "failures"},
    "operations": {"sync", "slack_events", "files", "intake", "failures", "workflow by start"},
    "workflow": {"approval", "workflow by start"},
    "approval-handler": {"failures", "workflow", "workflow by start", "workflow by token"},
    "state machine": {"workflow"},
    "event rules": {"workflow by start"},
}


def queues(plan: Plan) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Return the ARN and the policy of each queue in the home region."""
    return {
        address.rpartition(".")[2]: (f"arn:aws:sqs:us-east-1:{ACCOUNT}:{values['name']}", policy_of(values))
        for address, values in plan.resources("aws_sqs_queue").items()
    }


def policy_of(values: dict[str, str]) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(values["policy"])["Statement"]
    return statements


def roles(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    (machine,) = plan.role_policies("state_machine").values()
    (rules,) = plan.role_policies("events").values()
    return {**plan.role_policies(), "state machine": machine, "event rules": rules}


def test_given_all_roles_when_their_policies_are_followed_then_each_reaches_only_what_it_works_with(enforcing: Plan):
    found: dict[str, set[str]] = {}
    functions = {
        address.partition('["')[2].rstrip(
            '"]'
        ): f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{values['function_name']}"
        for address, values in enforcing.resources("aws_lambda_function").items()
    }
    handler = functions["approval-handler"]
    functions |= {f"approval-handler as {alias}": f"{handler}:{alias}" for alias in ("break-glass", "slack")}
    for role, statements in roles(enforcing).items():
        mine = found.setdefault(role, set())
        mine |= {name for name, arn in functions.items() if allows(statements, "lambda:InvokeFunction", arn)}
        for queue, (arn, policy) in queues(enforcing).items():
            context = {"aws_PrincipalArn": f"{ROLE}{role}", "aws_SecureTransport": "true"}
            if allows([*statements, *policy], "sqs:SendMessage", arn, **context):
                mine.add(queue)
        if allows(statements, "states:StartExecution", MACHINE):
            mine.add("workflow by start")
        if allows(statements, "states:SendTaskSuccess", "*"):
            mine.add("workflow by token")

    assert found == PATHS


def test_given_any_other_user_or_role_when_it_sends_to_a_queue_then_the_queue_refuses(enforcing: Plan):
    """An administrator's permission on all queues of the account is not enough, not even with the webhook's name."""
    everything: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    callers = (
        f"arn:aws:iam::{ACCOUNT}:user/mallory",
        f"arn:aws:iam::{ACCOUNT}:role/build-server",
        f"{ROLE}webhook-2",
        "arn:aws:iam::999999999999:role/security-incident-webhook",
    )

    for queue, (arn, policy) in queues(enforcing).items():
        if queue.startswith("forwarding"):
            continue
        for caller in callers:
            context = {"aws_PrincipalArn": caller, "aws_SecureTransport": "true"}
            assert not allows([everything, *policy], "sqs:SendMessage", arn, **context), (queue, caller)


def test_given_any_other_user_or_role_when_it_puts_events_then_the_bus_refuses(enforcing: Plan):
    """A principal that puts events on the bus writes into the record of Slack events."""
    everything: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    (bus,) = enforcing.resources("aws_cloudwatch_event_bus", "this").values()
    (values,) = enforcing.resources("aws_cloudwatch_event_bus_policy", "this").values()
    arn = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/{bus['name']}"

    def puts(statements: list[dict[str, Any]], caller: str) -> bool:
        return allows([*statements, *policy_of(values)], "events:PutEvents", arn, aws_PrincipalArn=caller)

    for caller in (f"arn:aws:iam::{ACCOUNT}:user/mallory", f"{ROLE}webhook", f"{ROLE}sync-2"):
        assert not puts([everything], caller), caller
    publishers = {role for role, statements in enforcing.role_policies().items() if puts(statements, f"{ROLE}{role}")}
    assert publishers == {"approval-handler", "operations", "slack", "sync", "workflow"}


def test_given_the_paths_between_roles_when_the_security_page_is_read_then_it_names_each_role(enforcing: Plan):
    page = (PROJECT_ROOT / "docs" / "security.md").read_text("utf-8")

    for role in enforcing.role_policies():
        assert f"**`-{role}`**" in page, role
