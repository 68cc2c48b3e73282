"""Which successful calls show that a containment does not hold. Pure."""

from __future__ import annotations

# IAM needs some seconds to apply the deny policy.
APPLIED_SECONDS = 15
# These need no permission, so they succeed in spite of a deny policy:
# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
ALWAYS_ALLOWED = frozenset({"GetCallerIdentity"})
