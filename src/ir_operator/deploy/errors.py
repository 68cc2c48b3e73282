"""The errors of operations on a deployment. The operator reads the messages at the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from ir_operator.errors import CommandError

_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})


class OperationError(CommandError):
    """An operation on a deployment failed."""


@contextmanager
def explain_aws_errors(action: str) -> Iterator[None]:
    """Raise OperationError, with the fix, if an AWS call in the block fails.

    Args:
        action: Starts the message and names the work of the block: `Reading the parameters`.
    """
    try:
        yield
    except NoCredentialsError as error:
        raise OperationError(f"{action} failed: there are no AWS credentials. Set AWS_PROFILE or sign in.") from error
    except NoRegionError as error:
        raise OperationError(f"{action} failed: no AWS region is set. Add --region or set AWS_REGION.") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        if code in _REFUSED:
            reason = f"your credentials may not call {error.operation_name}. See docs/operations.md, Permissions."
        elif code in _EXPIRED:
            reason = "AWS does not accept your credentials. Sign in to AWS."
        else:
            reason = f"{code}: {error.response.get('Error', {}).get('Message', '')} ({error.operation_name})"
        raise OperationError(f"{action} failed: {reason}") from error
    except BotoCoreError as error:
        raise OperationError(f"{action} failed: AWS sent no answer ({error}).") from error
