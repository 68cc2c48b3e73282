"""Step Functions with a customer-managed key: the permissions on the key, and the refusals without them.

Sources:

- docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html: the encryption context of every use of the key
  is `aws:states:stateMachineArn`. Step Functions uses the key with the execution role for executions, and with the
  caller's permissions for definitions and histories.
- The API reference of DescribeExecution, DescribeStateMachine and GetExecutionHistory (`includedData`,
  KmsAccessDeniedException, KmsInvalidStateException) and of CreateStateMachine (InvalidEncryptionConfiguration).
- github.com/aws-samples/aws-stepfunctions-examples/pull/74: StartExecution needs kms:Decrypt and kms:GenerateDataKey of
  the execution role, and no permission of its caller.
"""
# ruff: noqa: SLF001 - a patch uses private members of the patched module

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ir_sandbox.cloud.ministack_patches.originals import module, replace

APP = module("app")
EVALUATOR = module("core.iam_evaluator")
KEYS = module("services.kms")
RESPONSES = module("core.responses")
ROUTER = module("core.router")
WORKFLOWS = module("services.stepfunctions")

CUSTOMER_MANAGED = "CUSTOMER_MANAGED_KMS_KEY"
SAVES = frozenset({"CreateStateMachine", "UpdateStateMachine"})
READS = frozenset(
    {"DescribeExecution", "DescribeStateMachine", "DescribeStateMachineForExecution", "GetExecutionHistory"}
)
ENCRYPTED_FIELDS = ("cause", "error", "input", "inputDetails", "output", "outputDetails")

Json = dict[str, Any]
Allows = Callable[[str, str, Json], bool]

_originals: dict[str, Callable[..., Any]] = {}


def apply() -> None:
    """Check the permissions and the state of the key; raises EmulatorChangedError."""
    for name, expected, replacement in (
        ("handle_request", "efa6e8c4532a", handle_request),
        ("_start_execution", "9923282fc76c", start_execution),
    ):
        _originals[name] = replace(WORKFLOWS, name, expected, replacement)


async def handle_request(method: str, path: str, headers: Json, body: bytes, parameters: Json) -> Any:
    """Serve a request, if its caller may use the key."""
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    request = json.loads(body) if action in SAVES | READS and body else {}
    metadata_only = request.get("includedData") == "METADATA_ONLY"
    if action in SAVES | READS and not metadata_only:
        refusal = refuse_caller(action, request, ROUTER.extract_access_key_id(headers, parameters))
        if refusal is not None:
            return refusal
    answer = await _originals["handle_request"](method, path, headers, body, parameters)
    return without_data(answer) if metadata_only else answer


def refuse_caller(action: str, request: Json, access_key: str) -> Any:
    """Return the error if the caller may not use the key that the request concerns, or None."""

    def allows(permission: str, key: str, context: Json) -> bool:
        named = {"resource_arn": key, "service_context": context}
        return EVALUATOR.enforce(access_key, permission, "kms", RESPONSES.get_region(), **named) is None

    arn = machine_of(request)
    if action in READS:
        stored = WORKFLOWS._state_machines.get(arn) or {}
        return refuse(stored.get("encryptionConfiguration"), arn, ("kms:Decrypt",), allows)
    encryption = request.get("encryptionConfiguration") or {}
    key = KEYS._resolve_key(encryption.get("kmsKeyId"))
    if encryption.get("type") == CUSTOMER_MANAGED and (key is None or KEYS._check_key_state(key) is not None):
        message = f"The KMS key {encryption.get('kmsKeyId')} does not exist or is not enabled."
        return RESPONSES.error_response_json("InvalidEncryptionConfiguration", message, 400)
    return refuse(encryption, arn, ("kms:DescribeKey", "kms:GenerateDataKey"), allows)


def machine_of(request: Json) -> str:
    """Return the ARN of the state machine that a request concerns, also of one that does not exist yet."""
    if "executionArn" in request:
        execution: Json = WORKFLOWS._executions.get(request["executionArn"]) or {}
        return str(execution.get("stateMachineArn", ""))
    if "stateMachineArn" in request:
        return str(request["stateMachineArn"])
    return f"arn:aws:states:{RESPONSES.get_region()}:{RESPONSES.get_account_id()}:stateMachine:{request.get('name')}"


def start_execution(request: Json) -> Any:
    """Start an execution, if the role of its state machine may use the key."""
    arn = str(request.get("stateMachineArn", ""))
    machine: Json = WORKFLOWS._state_machines.get(arn) or {}
    account = RESPONSES.get_account_id()

    def allows(permission: str, key: str, context: Json) -> bool:
        role = str(machine["roleArn"])
        lower = {name.lower(): value for name, value in context.items()}
        question = EVALUATOR.EvalContext(
            role, "AssumedRole", account, permission, key, RESPONSES.get_region(), service_context=lower
        )
        policies = EVALUATOR._gather_role_policies(role.rpartition("/")[2], account)
        return bool(EVALUATOR.evaluate(question, policies).decision == "Allow")

    refusal = refuse(machine.get("encryptionConfiguration"), arn, ("kms:Decrypt", "kms:GenerateDataKey"), allows)
    return _originals["_start_execution"](request) if refusal is None else refusal


def refuse(encryption: Mapping[str, Any] | None, machine: str, permissions: Iterable[str], allows: Allows) -> Any:
    """Return the error if the key of a state machine is disabled or a permission on it is missing, or None."""
    if not encryption or encryption.get("type") != CUSTOMER_MANAGED:
        return None
    key = KEYS._resolve_key(encryption["kmsKeyId"])
    if key is None or KEYS._check_key_state(key) is not None:
        return RESPONSES.error_response_json("KmsInvalidStateException", "The KMS key is not enabled.", 400)
    context = {
        "kms:EncryptionContext:aws:states:stateMachineArn": machine,
        "kms:ViaService": f"states.{RESPONSES.get_region()}.amazonaws.com",
    }
    for permission in permissions:
        if APP.AUTH and not allows(permission, key["Arn"], context):
            message = f"The KMS key policy or the caller lacks {permission} on {key['Arn']}."
            return RESPONSES.error_response_json("KmsAccessDeniedException", message, 400)
    return None


def without_data(answer: Any) -> Any:
    """Return the answer to a request for metadata only: without inputs, outputs and errors, and an empty definition."""
    status, headers, body = answer
    found = {name: value for name, value in json.loads(body).items() if name not in ENCRYPTED_FIELDS}
    if "definition" in found:
        found["definition"] = "{}"
    return (status, headers, json.dumps(found).encode()) if status == 200 else answer
