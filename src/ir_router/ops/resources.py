"""Verify the resources that Terraform created: table, queues, functions, workflow, containment role."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ir_router import aws
from ir_router.ledger import configuration, keys
from ir_router.ops import names, regions
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run_checks, warning
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_KEYS: Sequence[tuple[str, Callable[[], str], str]] = (
    (
        "encryption key",
        lambda: settings().require("key_arn"),
        "no decision or synchronisation works, and containments go on without the ledger",
    ),
    ("key of the workflow", configuration.workflow_key_arn, "the workflow does not start and nothing is contained"),
)
_CHANGED = f"{APPLY} Find out who changed it: the call is in CloudTrail."
_REPLAY = "Fix the cause (see the function's log group), then run make replay."


def checks() -> Iterator[Check]:
    """Yield a line for each resource."""
    yield from run_checks("ledger", _ledger)
    for queue in names.FIFO_QUEUES:
        yield from run_checks(f"queue {queue}", partial(_fifo, queue))
    yield from run_checks("queue intake", _intake)
    yield from run_checks("queue approval", _approval_queue)
    yield from run_checks("queue failures", partial(_failures, "failures", names.failures_queue(), settings().region))
    if names.forwards():
        queue, region = names.forwarding_failures_queue(), names.GLOBAL_EVENTS_REGION
        yield from run_checks("queue forwarding-failures", partial(_failures, "forwarding-failures", queue, region))
    yield from always_there()


def dead_letters() -> Iterator[Check]:
    """Yield a line for the dead letters of each queue of Slack's events and files."""
    for name in names.FIFO_QUEUES:
        yield from run_checks(f"dead letters of {name}", partial(_dead_letters_of, name))


def always_there() -> Iterator[Check]:
    """Yield the lines that do not depend on pending work: keys, functions, workflow, policy and role."""
    for label, arn, effect in _KEYS:
        yield from run_checks(label, partial(_key, label, arn, effect))
    yield from run_checks("functions", _functions)
    yield from run_checks("workflow", _workflow)
    yield from run_checks("containment role", _containment_role)


def _key(label: str, arn: Callable[[], str], effect: str) -> Iterator[Check]:
    """Check an encryption key of the deployment. `effect` names the loss if it is disabled."""
    key = arn()
    state = regions.client("kms", settings().region).describe_key(KeyId=key)["KeyMetadata"].get("KeyState", "unknown")
    if state != "Enabled":
        fix = f"Run `aws kms cancel-key-deletion` if deletion is pending, then `aws kms enable-key --key-id {key}`."
        yield failed(label, f"its state is {state}, so {effect}", fix)
        return
    yield ok(label, "enabled")


def _ledger() -> Iterator[Check]:
    table = aws.client("dynamodb").describe_table(TableName=settings().require("table_name"))["Table"]
    status = table.get("TableStatus", "UNKNOWN")
    if status not in ("ACTIVE", "UPDATING"):
        yield failed("ledger", f"the table is {status}", "Wait until the table is active. Otherwise: " + APPLY)
        return
    indexes = [index.get("IndexName") for index in table.get("GlobalSecondaryIndexes", [])]
    if keys.INDEX not in indexes:
        yield failed("ledger", "the table has no index for the poller", APPLY)
        return
    yield ok("ledger", f"table {table.get('TableName')} is active")


def _fifo(name: str) -> Iterator[Check]:
    """Check a queue, its consumer and its dead letters."""
    label = f"queue {name}"
    attributes, redrive = _attributes(name)
    if not redrive.get("deadLetterTargetArn"):
        yield failed(label, "the queue has no dead-letter queue, so failed messages would be lost", APPLY)
        return
    yield from _consumer(label, attributes)
    yield from run_checks(f"dead letters of {name}", partial(_dead_letters, name, redrive))


def _intake() -> Iterator[Check]:
    """Check the queue of MEDIUM and LOW events and its consumer. The failures queue has its dead letters."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=names.intake_queue())["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if "RedrivePolicy" not in attributes:
        yield failed("queue intake", "the queue has no dead-letter queue, so failed events would be lost", APPLY)
        return
    yield from _consumer("queue intake", attributes)


def _consumer(label: str, attributes: dict[Any, str]) -> Iterator[Check]:
    arn = attributes["QueueArn"]
    found = aws.client("lambda").list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    waiting = f"{count(int(attributes.get('ApproximateNumberOfMessages', 0)), 'message', 'messages')} waiting"
    if not found:
        yield failed(label, f"nothing consumes this queue ({waiting})", APPLY)
        return
    states = sorted({mapping.get("State", "unknown") for mapping in found})
    if "Enabled" not in states:
        yield failed(label, f"the consumer is {', '.join(states)} ({waiting})", APPLY)
        return
    yield ok(label, waiting)


def _attributes(name: str) -> tuple[dict[Any, str], dict[str, str]]:
    """Return the attributes of a FIFO queue, and its redrive policy."""
    url = settings().require(f"{name.replace('-', '_')}_queue_url")
    attributes: dict[Any, str] = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return attributes, json.loads(attributes.get("RedrivePolicy", "{}"))


def _dead_letters_of(name: str) -> Iterator[Check]:
    yield from _dead_letters(name, _attributes(name)[1])


def _dead_letters(name: str, redrive: Mapping[str, str]) -> Iterator[Check]:
    label = f"dead letters of {name}"
    queue = redrive["deadLetterTargetArn"].rpartition(":")[2]
    depth = _depth(queue, aws.client("sqs"))
    if depth:
        yield failed(label, f"{count(depth, 'message', 'messages')} in {queue} failed after many attempts", _REPLAY)
        return
    yield ok(label, "none")


def _approval_queue() -> Iterator[Check]:
    url = settings().require("approval_queue_url")
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    yield ok(
        "queue approval",
        f"{count(int(attributes['ApproximateNumberOfMessages']), 'message', 'messages')}, kept for four days",
    )


def _failures(label: str, queue: str, region: str) -> Iterator[Check]:
    depth = _depth(queue, regions.client("sqs", region))
    if depth:
        yield failed(f"queue {label}", f"{count(depth, 'event', 'events')} not delivered or not processed", _REPLAY)
        return
    yield ok(f"queue {label}", "empty")


def _depth(queue: str, sqs: SQSClient) -> int:
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(attributes.get("ApproximateNumberOfMessages", 0))


def _functions() -> Iterator[Check]:
    versions: dict[str, list[str]] = {}
    variables: dict[str, Mapping[str, str]] = {}
    for part in names.FUNCTIONS:
        yield from run_checks(f"function {part}", partial(_function, part, versions, variables))
    if len(versions) > 1:
        shown = "; ".join(f"{', '.join(parts)} run {digest[:8]}" for digest, parts in versions.items())
        yield warning("one version", f"not all functions run the same zip: {shown}", APPLY)
    yield from _variables(variables)


def _function(part: str, versions: dict[str, list[str]], variables: dict[str, Mapping[str, str]]) -> Iterator[Check]:
    label = f"function {part}"
    found = aws.client("lambda").get_function_configuration(FunctionName=names.function(part))
    code = found.get("CodeSha256", "")
    versions.setdefault(code, []).append(part)
    variables[part] = found.get("Environment", {}).get("Variables", {})
    if not code.startswith(dict(settings().digests).get("code", "")):
        yield failed(label, "its code is not the zip that was deployed", _CHANGED)
        return
    # An idle function may be Inactive. The next invocation activates it.
    state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
    if state not in ("Active", "Inactive") or update == "Failed":
        reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
        yield failed(label, f"{state}, last update {update}: {reason}", APPLY)
        return
    yield ok(label, f"{state.lower()}, {found.get('Runtime')}")


def _variables(variables: Mapping[str, Mapping[str, str]]) -> Iterator[Check]:
    """Compare the variables of all functions but this one, which has the digest among its own variables."""
    label = "variables of the functions"
    others = sorted(set(names.FUNCTIONS) - {"operations"})
    if not variables.keys() >= set(others):
        return  # the line of a function has the reason
    digest = variables_digest({part: variables[part] for part in others})
    if digest != dict(settings().digests).get("variables", digest):
        yield failed(label, "they were changed since the last deployment", _CHANGED)
        return
    yield ok(label, "as deployed")


def variables_digest(variables: Mapping[str, Mapping[str, str]]) -> str:
    """Return the digest of functions' variables, without the ports of URLs, which no URL of AWS has."""
    lines = [
        f"{part} {name}={_without_port(variables[part][name])}"
        for part in sorted(variables)
        for name in sorted(variables[part])
    ]
    return _digest("\n".join(lines))


def _without_port(text: str) -> str:
    return re.sub(r"(://[^/:]+):[0-9]+", r"\1", text)


def _digest(text: str) -> str:
    """Return the digest that Terraform writes into IR_DIGESTS (terraform/functions.tf)."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest())[:10].decode()


def _workflow() -> Iterator[Check]:
    arn = settings().require("state_machine_arn")
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    if found.get("status", "ACTIVE") != "ACTIVE":
        yield failed("workflow", f"the state machine is {found.get('status')}", APPLY)
        return
    digest = _digest(found.get("definition", ""))
    if digest != dict(settings().digests).get("definition", digest):
        yield failed("workflow", "the definition of the state machine was changed since the last deployment", _CHANGED)
        return
    if found.get("encryptionConfiguration", {}).get("kmsKeyId") != configuration.workflow_key_arn():
        yield failed("workflow", "its execution history is not encrypted with the key of ir-router", _CHANGED)
        return
    yield ok("workflow", f"{arn.rpartition(':')[2]} is active; containment mode {settings().containment_mode}")


def _containment_role() -> Iterator[Check]:
    """Compare the role that `-workflow` assumes with the last deployment."""
    label, name = "containment role", names.containment_role()
    iam = aws.client("iam")
    try:
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        policy = iam.get_role_policy(RoleName=name, PolicyName="containment")["PolicyDocument"]
    except iam.exceptions.NoSuchEntityException:
        yield failed(label, f"the role {name} or its policy is missing, so nothing can be contained or restored", APPLY)
        return
    if not _is_deployed("role_trust", _digest_of(trust)):
        detail = f"the trust policy of {name} was changed: -workflow may be locked out, or others can assume the role"
        yield failed(label, detail, _CHANGED)
        return
    if not _is_deployed("role_policy", _digest_of(policy)):
        yield failed(label, f"the permissions of {name} were changed since the last deployment", _CHANGED)
        return
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    attached = [policy["PolicyName"] for page in pages for policy in page["AttachedPolicies"]]
    protection = sorted(policy for policy in attached if policy.startswith(names.protection_policies()))
    if not _is_deployed("protection", _digest(",".join(protection))):
        yield failed(label, f"{name} lacks policies that protect protected_principals", _CHANGED)
        return
    yield ok(label, f"{name} has the trust policy and the permissions of the last deployment")


def _is_deployed(part: str, digest: str) -> bool:
    return dict(settings().digests).get(part, digest) == digest


def _digest_of(document: Any) -> str:
    """Return the digest of a policy as `jsonencode` of Terraform writes it, with sorted keys."""
    return _digest(json.dumps(document, sort_keys=True, separators=(",", ":")))
