"""A case's synchronisation whose claims are in a journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from ir_router.cases.models import Case
from tests.support.journal import Journal


def case_of(**changes: Any) -> Case:
    """Return a case."""
    values: dict[str, Any] = {"case_id": "1", "case_arn": "a", "case_status": "Acknowledged", "title": "t", **changes}
    return Case(**values)


@contextmanager
def nothing() -> Iterator[None]:
    """Return a context without an effect."""
    yield


def sync_of(journal: Journal, **changes: Any) -> Any:
    """Return a synchronisation with these values."""
    case = changes.pop("case", case_of())
    values = {"channel_id": "C1", "tags": {}, "comments": ["c"], "findings": ["f"], "severity": "HIGH", **changes}
    own = SimpleNamespace(
        **{"case": case, "case_id": "1", "are_comments_copied": True, "revisit_at": [], "rows": {}, **values},
        reading=SimpleNamespace(to_store=lambda: {"read_to": 5}),
        slack="slack",
        lease="lease",
        claim=None,
        is_done=None,
        ends_open_claim=nothing,
    )
    journal.replace(own, "claim", None)
    journal.replace(own, "is_done", False)
    return own


def syncing(journal: Journal, **changes: Any) -> Any:
    """Return a synchronisation whose claims, Slack calls, checks and revisits are in the journal."""
    own = sync_of(journal, **changes)
    own.row = lambda key: own.rows.get(key.sk)
    own.slack = SimpleNamespace(read=None, post=None)
    own.deadline = SimpleNamespace(check=None)
    own.revisit = None
    journal.replace(own, "revisit")
    journal.replace(own.deadline, "check")
    journal.replace(own.slack, "read")
    journal.replace(own.slack, "post")
    return own
