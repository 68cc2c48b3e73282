"""What ends a command; the message is for the person at the terminal and tells the mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})


class OperationError(Exception):
    """The command ends here; nothing more is to be explained than the message says."""


@contextmanager
def asking_aws(what: str) -> Iterator[None]:
    """Turn the failure of an AWS call into an OperationError that says what was being done: `what`."""
    try:
        yield
    except NoCredentialsError as error:
        raise OperationError(f"{what}: there are no AWS credentials. Set AWS_PROFILE, or sign in.") from error
    except NoRegionError as error:
        raise OperationError(f"{what}: no AWS region is set. Give --region, or set AWS_REGION.") from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "Unknown")
        if code in _REFUSED:
            mend = f"your credentials may not call {error.operation_name} (docs/operations.md, Rights)."
        elif code in _EXPIRED:
            mend = "AWS does not accept your credentials: sign in again."
        else:
            mend = f"{error.operation_name} answers {code}: {error.response.get('Error', {}).get('Message', '')}"
        raise OperationError(f"{what}: {mend}") from error
    except BotoCoreError as error:
        raise OperationError(f"{what}: AWS cannot be asked ({error}).") from error
