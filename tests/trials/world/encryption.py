"""The encryption key of the deployment: while it is disabled, the services refuse the data that it encrypts.

Sources of the errors:

- DynamoDB: github.com/aws/aws-cdk/issues/10010 ("KMS key access denied error: ...", AccessDeniedException).
- SNS and SQS: docs.aws.amazon.com/sns/latest/api/API_Publish.html (KMSDisabled),
  docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (KmsDisabled).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.world import World

_DISABLED = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-4333-8444-555555555555 is disabled."
_DYNAMODB = (
    f"KMS key access denied error: com.amazonaws.services.kms.model.DisabledException: {_DISABLED} (Service: AWSKMS; "
    "Status Code: 400; Error Code: DisabledException)"
)


class Key:
    """The key of one simulator. `disable` disables it for some time on the simulated clock."""

    def __init__(self, world: World) -> None:
        """Start with an enabled key."""
        self.world = world
        self.disabled_until = 0.0
        hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
        hooks.register_first("before-call.dynamodb", self._dynamodb)
        hooks.register_first("before-call.sns.Publish", self._sns)
        hooks.register_first("before-call.sqs.SendMessage", self._sqs)

    def disable(self, seconds: float) -> None:
        """Disable the key, as kms:DisableKey does, and enable it after this time."""
        self.disabled_until = self.world.now() + seconds

    @property
    def is_disabled(self) -> bool:
        """Whether the services refuse the encrypted data of functions now."""
        return self.world.now() < self.disabled_until and self.world.wire.is_invoking

    def _dynamodb(self, **_: Any) -> Any:
        return _refusal("AccessDeniedException", _DYNAMODB) if self.is_disabled else None

    def _sns(self, params: Mapping[str, Any], **_: Any) -> Any:
        topic = params["body"]["TopicArn"]
        encrypted = topic in [self.world.environment[f"IR_{name}_TOPIC_ARN"] for name in ("ALERT", "PAGE")]
        return _refusal("KMSDisabled", _DISABLED) if self.is_disabled and encrypted else None

    def _sqs(self, **_: Any) -> Any:
        return _refusal("KMS.DisabledException", _DISABLED) if self.is_disabled else None


def _refusal(code: str, message: str) -> tuple[HttpAnswer, dict[str, Any]]:
    metadata = {"HTTPStatusCode": 400}
    return HttpAnswer(400), {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
