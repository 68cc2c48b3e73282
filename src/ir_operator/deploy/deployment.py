"""Find the deployment that a command is for, and invoke its operations function."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from ir_operator.deploy.errors import OperationError, explain_aws_errors
from ir_operator.deploy.terraform_root import root_of
from ir_operator.project import NoCheckoutError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_PREFIX = "security-incident"
"""The default of the Terraform variable `name_prefix`."""

# -operations may run for 15 minutes. A retry of the call would start a second replay.
_CONFIG = Config(read_timeout=910, retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class Deployment:
    """A deployment in one region. `webhook_url` is None if neither Terraform's outputs nor an option gave it."""

    prefix: str
    region: str
    webhook_url: str | None = None

    @property
    def function(self) -> str:
        """The name of the operations function."""
        return f"{self.prefix}-operations"

    def environment(self, part: str = "operations") -> dict[str, str]:
        """Return the environment variables of the function -operations, or of another `part`. Raises OperationError."""
        function = f"{self.prefix}-{part}"
        with explain_aws_errors(f"Reading the configuration of {function} in {self.region}"):
            found = self._client().get_function_configuration(FunctionName=function)
        return dict(found.get("Environment", {}).get("Variables", {}))

    def invoke(self, task: str, **options: Any) -> dict[str, Any]:
        """Run an operation inside the deployment and return its result.

        Args:
            task: `verify`, `replay` or `resync` (`ir_router.ops`).
            options: Further keys of the event.

        Raises:
            OperationError: The function cannot be called, or it raised an error, whose text the message contains.
        """
        return self.call("operations", {"task": task, **options}, task)

    def call(self, part: str, payload: Mapping[str, Any], task: str) -> dict[str, Any]:
        """Invoke a function of the deployment and return its result.

        Args:
            part: The function's name without the prefix, for example `approval-handler`.
            payload: The event.
            task: The name of the work in the message of an error.

        Raises:
            OperationError: The function cannot be called, or it raised an error, whose text the message contains.
        """
        function = f"{self.prefix}-{part}"
        with explain_aws_errors(f"Invoking {function} in {self.region}"):
            answer = self._client().invoke(FunctionName=function, Payload=json.dumps(payload).encode())
            content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            kind, message = content.get("errorType", "an error"), content.get("errorMessage", "")
            raise OperationError(
                f"{task} failed: {function} raised {kind}: {message} "
                f"(log group /aws/lambda/{function}, request {answer['ResponseMetadata'].get('RequestId', '?')})"
            )
        return dict(content)

    def _client(self) -> LambdaClient:
        return boto3.client("lambda", region_name=self.region, config=_CONFIG)


def of_outputs(outputs: dict[str, Any]) -> Deployment:
    """Return the deployment that Terraform's outputs describe. Raises OperationError if the outputs are empty."""
    try:
        return Deployment(
            prefix=str(outputs["function_names"]["sync"]).removesuffix("-sync"),
            region=str(outputs["state_machine_arn"]).split(":")[3],
            webhook_url=str(outputs["SlackWebhookUrl"]),
        )
    except KeyError as error:
        raise OperationError(
            "This Terraform state contains no deployment, so nothing was done. Run make deploy, or name an existing "
            f"deployment: --prefix {_PREFIX} --region us-east-1."
        ) from error


def find(tfvars: Path | None, prefix: str | None, region: str | None, webhook_url: str | None) -> Deployment:
    """Return the named deployment, or else the deployment in the Terraform state.

    Args:
        tfvars: Selects the Terraform state; the clone's `terraform.tfvars` by default.
        prefix: The deployment's `name_prefix`.
        region: The deployment's AWS region. If only the prefix is given, the region of the AWS configuration.
        webhook_url: The deployment's `SlackWebhookUrl`, if the webhook endpoint is to be checked.

    Raises:
        OperationError: The region is unknown, or the Terraform state contains no deployment.
        NoCheckoutError: No deployment is named, and there is no clone with a Terraform state.
    """
    if not prefix and not region:
        try:
            root = root_of(tfvars)
        except NoCheckoutError as error:
            raise NoCheckoutError(f"{error} Or name the deployment: --prefix {_PREFIX} --region us-east-1.") from error
        return of_outputs(root.outputs())
    chosen = region or os.environ.get("AWS_REGION") or boto3.session.Session().region_name
    if not chosen:
        raise OperationError("The deployment's region is unknown, so nothing was done. Add --region us-east-1.")
    return Deployment(prefix or _PREFIX, chosen, webhook_url)
