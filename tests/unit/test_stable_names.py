"""Names that are derived from other names.

They stay the same in each version: a row, an execution or a message that an earlier version made is found only by the
same name. Most of them are also limited in length.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ir_router import paging
from ir_router.cases import changes
from ir_router.ledger import alerts, allowlisted_hours, approvals, audit, creators, groups, joined_events, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.settings import settings
from ir_router.slack.content import reader
from ir_router.workflow import creator_request, intake
from tests.support.world import World

NAMES: dict[str, tuple[Callable[[], object], object]] = {
    "approval": (lambda: approvals.id_of("arn:e", "contain"), "13a08eb3f06b010b8b95"),
    "creator": (lambda: creators.id_of("user", "arn:u"), "f7b3348862d6"),
    "group": (lambda: groups.name_of("arn:e"), "5d4be819f9f1c6cf7cec9ea6"),
    "group of several values": (lambda: groups.name_of("a", "b"), groups.name_of("a|b")),
    "audit mark": (lambda: audit._once_key("arn:e/x"), keys.audit_once("59633780cee63c05acc36a9604bb9008")),
    "covered execution": (lambda: joined_events._covered("arn:e"), keys.deduplication("COVERED#5d4be819f9f1c6cf7cec")),
    "case digest": (lambda: changes.digest({"title": "é"}), "17fc9dbaed22ce2d07e9a2bb"),
    "hour of the allowlist": (lambda: allowlisted_hours.digest(["b", "a"]), "08bb6928ca5517152e4b8118"),
    "message fingerprint": (lambda: reader._hash(["a", 1]), "2657442bb4a48d62f780ea60395ef2d2"),
    "execution of an event": (lambda: intake._execution_name({"id": "e-1"}), "event-b94f523196aaacd8bdb9ef0d8cf2e1d8"),
    "execution of a creator": (
        lambda: creator_request._name({"execution": "arn:e", "execution_name": "n" * 60}, "f7b3348862d6"),
        f"{'n' * 50}-creator-a1ccbc37ce189170",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_given_a_derived_name_when_made_then_it_is_that_of_the_earlier_versions(name: str) -> None:
    make, expected = NAMES[name]

    assert make() == expected


def test_given_an_alert_and_a_page_when_stored_then_their_rows_have_the_names_of_the_earlier_versions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_PAGE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:pages")
    settings.cache_clear()
    monkeypatch.setattr(paging, "send", lambda _parts: None)
    assert alerts.note(Alert("arn:e/alert", "HIGH", "s", "t")) == "69ce8065f86bac985624123e"
    assert alerts.get("69ce8065f86bac985624123e") is not None

    paging.page("arn:e/alert", "h", "t")
    assert table.get(keys.deduplication("PAGE#69ce8065f86b")) is not None
