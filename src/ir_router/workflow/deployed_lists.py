"""The allowlist and the protected principals of the deployment (variables of Terraform).

These lists can be longer than the environment of a function (4 KB), so Terraform writes them into a row of the ledger
(terraform/containment.tf). The environment has their digest: a change of the lists starts new processes, and each
process reads the row once.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from ir_router.ledger import keys, table
from ir_router.observability import logger
from ir_router.settings import settings, strings


class Lists(NamedTuple):
    """CIDR blocks, patterns of ARNs that are allowed, and ARNs of principals that are never contained."""

    allowed_cidrs: tuple[str, ...]
    allowed_principals: tuple[str, ...]
    protected_principals: tuple[str, ...]


def current() -> Lists:
    """Return the lists of this deployment.

    Without a digest, for example in a back-test, they come from the environment variables.

    Raises:
        ClientError, BotoCoreError: The ledger cannot be read.
        NotConfiguredError: A list is invalid.
    """
    digest = settings().lists_digest
    if digest is None:
        return Lists(settings().allowed_cidrs, settings().allowed_principals, settings().protected_principals)
    found = _stored(digest)
    if found is None:
        # IAM still refuses changes of protected principals, so a containment must not fail here.
        logger.error("settings.lists_missing: the ledger has no row with the lists. Run make deploy.")
        _stored.cache_clear()
        return Lists((), (), ())
    return found


@cache
def _stored(_digest: str) -> Lists | None:
    row = table.get(keys.configuration("lists"))
    return None if row is None else Lists(*(strings(row, name) for name in Lists._fields))
