"""Which deployment a command is for, and how its operations function is asked."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from ir_local.deploy.errors import OperationError, asking_aws
from ir_local.deploy.terraform_root import TerraformRoot

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# -sync may work for 15 minutes, and a replay must not be asked for twice by a retry.
_CONFIG = Config(read_timeout=910, retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class Deployment:
    """A deployment by its name prefix and region. `webhook_url` is known where Terraform's outputs are."""

    prefix: str
    region: str
    webhook_url: str | None = None

    @property
    def function(self) -> str:
        """The function that serves operations."""
        return f"{self.prefix}-sync"

    def environment(self) -> dict[str, str]:
        """What the operations function is told. Raises OperationError."""
        with asking_aws(f"Looking for {self.function} in {self.region}"):
            found = self._client().get_function_configuration(FunctionName=self.function)
        return dict(found.get("Environment", {}).get("Variables", {}))

    def run(self, task: str, **options: Any) -> dict[str, Any]:
        """Have an operation carried out; its answer. Raises OperationError with what the function raised."""
        with asking_aws(f"Asking {self.function} in {self.region}"):
            answer = self._client().invoke(
                FunctionName=self.function, Payload=json.dumps({"task": task, **options}).encode()
            )
            content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            kind, message = content.get("errorType", "an error"), content.get("errorMessage", "")
            raise OperationError(
                f"{self.function} ended with {kind}: {message} "
                f"(log group /aws/lambda/{self.function}, request {answer['ResponseMetadata'].get('RequestId', '?')})"
            )
        return dict(content)

    def _client(self) -> LambdaClient:
        return boto3.client("lambda", region_name=self.region, config=_CONFIG)


def of_outputs(outputs: dict[str, Any]) -> Deployment:
    """The deployment that Terraform's outputs describe. Raises OperationError when there is none."""
    try:
        return Deployment(
            prefix=str(outputs["function_names"]["sync"]).removesuffix("-sync"),
            region=str(outputs["state_machine_arn"]).split(":")[3],
            webhook_url=str(outputs["SlackWebhookUrl"]),
        )
    except KeyError as error:
        raise OperationError(
            "This Terraform state holds no deployment. Run make deploy, or name a deployment that somebody else made: "
            "--prefix security-incident --region us-east-1."
        ) from error


def find(root: TerraformRoot, prefix: str | None, region: str | None, webhook_url: str | None) -> Deployment:
    """The deployment that is named, or else the one of the Terraform state. Raises OperationError."""
    if not prefix and not region:
        return of_outputs(root.outputs())
    chosen = region or os.environ.get("AWS_REGION") or boto3.session.Session().region_name
    if not chosen:
        raise OperationError("Say in which region the deployment is: --region us-east-1.")
    return Deployment(prefix or "security-incident", chosen, webhook_url)
