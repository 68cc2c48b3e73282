"""Recognise errors that mean that the ledger is unavailable.

Examples are a disabled encryption key, a deleted table, throttling and an outage of DynamoDB. A containment goes on
without the ledger then (`workflow/without_ledger.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws
from ir_router.errors import IrRouterError

_OPERATIONS = frozenset(
    {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}
)
# DynamoDB rejects the request itself, so it would also reject it later.
_INVALID = frozenset({"ItemCollectionSizeLimitExceededException", "ValidationException"})


class LedgerUnavailableError(IrRouterError):
    """The ledger cannot be read or written at the moment. The message has DynamoDB's reason."""


def is_unavailable(error: BotoCoreError | ClientError) -> bool:
    """Return whether the error means that the ledger is unavailable."""
    if isinstance(error, ClientError):
        return error.operation_name in _OPERATIONS and error.response["Error"]["Code"] not in _INVALID
    # Connection errors name the address of the request.
    address = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    return bool(address) and address.startswith(aws.client("dynamodb").meta.endpoint_url)


@contextmanager
def reported() -> Iterator[None]:
    """Raise LedgerUnavailableError instead of the errors that mean this."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if not is_unavailable(error):
            raise
        raise LedgerUnavailableError(f"The ledger is unavailable: {error}") from error
