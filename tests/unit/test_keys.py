"""The keys of the ledger's rows. Deployed tables have these rows, so a changed key would lose them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ir_router.ledger import keys

KEYS: list[tuple[Callable[..., keys.Key], tuple[Any, ...], str, str]] = [
    (keys.case, ("42",), "CASE#42", "META"),
    (keys.poller, (), "CASE#poller", "META"),
    (keys.watched, (), "CASE#poller", "WATCH"),
    (keys.known_approvers, (), "CASE#poller", "APPROVERS"),
    (keys.comment, ("42", "comment_id", 3), "CASE#42", "COMMENT#comment_id#3"),
    (keys.attachment, ("42", "attachment_id"), "CASE#42", "FILE#attachment_id"),
    (keys.member, ("42", "email"), "CASE#42", "MEMBER#email"),
    (keys.note, ("42", "name"), "CASE#42", "NOTE#name"),
    (keys.slack_change, ("42", "command"), "CASE#42", "NOTE#slack-change-command"),
    (keys.slack_message, ("42", "reference"), "CASE#42", "SLACK#reference"),
    (keys.channel, ("channel_id",), "CHANNEL#channel_id", "CASE"),
    (keys.shared_file, ("file_id",), "CHANNEL#file_id", "FILE"),
    (keys.command, ("trigger_id",), "COMMAND#trigger_id", "META"),
    (keys.approval, ("id",), "APPROVAL#id", "META"),
    (keys.token, ("id",), "TOKEN#id", "META"),
    (keys.token_index, ("hash",), "TOKEN#hash", "META"),
    (keys.detection, ("name",), "DETECTION#name", "META"),
    (keys.containment, ("principal",), "CONTAINMENT#principal", "META"),
    (keys.done, ("incident", "principal"), "CONTAINMENT#principal", "DONE#incident"),
    (keys.contained_name, ("AIDA1",), "CONTAINMENT#id#AIDA1", "META"),
    (keys.execution_owners, ("execution",), "CONTAINMENT#owners", "execution"),
    (keys.recently_contained, (), "CONTAINMENT#recently", "META"),
    (keys.disabled_key, ("key",), "CONTAINMENT#disabled-keys", "key"),
    (keys.held_keys, ("principal",), "CONTAINMENT#principal", "HELD"),
    (keys.verification, ("principal",), "CONTAINMENT#verifications", "principal"),
    (keys.missing_case, ("execution",), "CONTAINMENT#missing-cases", "execution"),
    (keys.allowlist, ("principal", "value"), "ALLOWLIST#PRINCIPAL", "value"),
    (keys.audit_record, ("2026-11", 3), "AUDIT#2026-11", "000000000003"),
    (keys.audit_head, (), "AUDIT#head", "META"),
    (keys.audit_closing, ("2026-11",), "AUDIT#closing", "2026-11"),
    (keys.audit_record, ("2026-11", 3, 7), "AUDIT#2026-11#07", "000000000003"),
    (keys.audit_head, (7,), "AUDIT#head#07", "META"),
    (keys.audit_closing, ("2026-11", 7), "AUDIT#closing#07", "2026-11"),
    (keys.audit_tied, (), "AUDIT#tied", "META"),
    (keys.audit_once, ("digest",), "AUDIT#once#digest", "META"),
    (keys.deduplication, ("name",), "DEDUP#name", "META"),
    (keys.configuration, ("name",), "CONFIG#name", "META"),
]


@pytest.mark.parametrize(("function", "names", "pk", "sk"), KEYS)
def test_given_the_names_of_a_row_when_its_key_is_made_then_it_is_the_stored_one(
    function: Callable[..., keys.Key], names: tuple[Any, ...], pk: str, sk: str
) -> None:
    key = function(*names)

    assert (key.pk, key.sk) == (pk, sk)


def test_given_all_rows_when_their_keys_are_compared_then_each_has_its_own() -> None:
    assert len({(pk, sk) for *_, pk, sk in KEYS}) == len(KEYS)
