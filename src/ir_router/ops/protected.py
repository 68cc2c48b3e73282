"""Verify the protected principals: which users and roles each entry of the variable protects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ir_router.ledger import configuration
from ir_router.ops.checks import Check, ok, warning

_NAME = "protected principals"
_SHOWN_ENTRIES = 20
_SHOWN_ARNS = 3


def checks() -> Iterator[Check]:
    """Yield one line with the entries and the principals of each. An entry that matches no principal is a warning."""
    entries = configuration.protected_entries()
    if not entries:
        yield ok(_NAME, "none are set")
        return
    shown = [f"{_short(entry)}: {_principals(arns)}" for entry, arns in sorted(entries.items())]
    more = [f"{len(shown) - _SHOWN_ENTRIES} more entries"] if len(shown) > _SHOWN_ENTRIES else []
    detail = "; ".join(shown[:_SHOWN_ENTRIES] + more)
    unmatched = sorted(_short(entry) for entry, arns in entries.items() if not arns)
    if not unmatched:
        yield ok(_NAME, detail)
        return
    yield warning(
        _NAME,
        f"no user or role matches {', '.join(unmatched[:_SHOWN_ENTRIES])}. {detail}",
        "Correct protected_principals, or create the principal. Then run make deploy: an entry with * protects only "
        "the principals that exist at that time.",
    )


def _principals(arns: Sequence[str]) -> str:
    if not arns:
        return "no principal"
    named = ", ".join(_short(arn) for arn in arns[:_SHOWN_ARNS])
    return named if len(arns) <= _SHOWN_ARNS else f"{named} and {len(arns) - _SHOWN_ARNS} more"


def _short(arn: str) -> str:
    """Return the ARN without its account: `role/break-glass`."""
    return arn.rpartition(":")[2]
