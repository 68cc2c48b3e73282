"""The mode of containment in an account, and the owners that an event names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ir_router.workflow import accounts, modes, owners, sessions
from tests.support.texts import facts


@pytest.mark.parametrize(
    ("hub", "tag", "account", "mode"),
    [
        ("enforce", "enforce", "2", ("enforce", "")),
        ("enforce", "dry_run", "2", ("dry_run", " in shop (2)")),
        ("enforce", "off", "2", ("off", " in shop (2)")),
        ("enforce", "", "2", ("dry_run", " in shop (2)")),
        ("enforce", "other", "2", ("dry_run", " in shop (2)")),
        ("dry_run", "enforce", "2", ("dry_run", " in the account of ir-router")),
        ("dry_run", "off", "2", ("off", " in shop (2)")),
        ("off", "dry_run", "2", ("off", " in the account of ir-router")),
        ("dry_run", "", "2", ("dry_run", "")),
        ("enforce", "off", "1", ("enforce", "")),
        ("enforce", "off", "", ("enforce", "")),
    ],
)
def test_given_the_modes_of_hub_and_account_when_compared_then_the_more_careful_one_counts(
    monkeypatch: pytest.MonkeyPatch, hub: str, tag: str, account: str, mode: tuple[str, str]
) -> None:
    monkeypatch.setattr(modes, "settings", lambda: SimpleNamespace(containment_mode=hub))
    monkeypatch.setattr(sessions, "own_account", lambda: "1")
    monkeypatch.setattr(sessions, "mode_of", lambda _account: tag)
    monkeypatch.setattr(accounts, "of", lambda account: accounts.Account(f"shop ({account})", "ACTIVE"))

    assert modes.of(account) == mode


@pytest.mark.parametrize(
    ("path", "session", "found"),
    [
        ("role/aws-reserved/sso.amazonaws.com/R", "jane@example.com", ["a@example.com", "jane@example.com"]),
        ("role/aws-reserved/sso.amazonaws.com/R", "jane", ["a@example.com"]),
        ("role/R", "jane@example.com", ["a@example.com"]),
    ],
)
def test_given_the_owners_of_an_event_when_listed_then_only_aws_can_name_one_by_a_session(
    path: str, session: str, found: list[str]
) -> None:
    actor = {"arn": f"arn:aws:iam::1:{path}", "caller_arn": f"arn:aws:sts::1:assumed-role/R/{session}"}

    assert owners.addresses(facts.event(actor=actor), {"x": "a@example.com", "y": "", "z": "a@example.com"}) == found
