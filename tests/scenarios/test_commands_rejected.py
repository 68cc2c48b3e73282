"""Input that is unusual but clear is accepted, and a rejection of AWS reaches the user with its cause."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ir_router.errors import RefusedError
from ir_router.security_ir import gateway
from tests.support.commands import case, case_with_channel, type_command
from tests.support.world import World


@pytest.mark.parametrize(
    ("typed", "status"),
    [("in-progress", "Detection and Analysis"), ("resolved.", "Post-incident Activities"), ("RESOLVED!", None)],
)
def test_given_a_status_with_a_hyphen_or_a_full_stop_when_it_is_unambiguous_then_it_is_set(
    world: World, typed: str, status: str | None
) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, f"update-status {typed}")

    assert case(world, case_id)["caseStatus"] == (status or "Post-incident Activities")


def test_given_a_title_with_odd_spaces_or_a_reversing_character_when_it_is_set_then_it_reads_as_meant(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    (answer,) = type_command(
        world, jane, case_id, "update-title Key\u00a0of the\u2003server invoice\u202efdp.exe\u202c done"
    )

    assert case(world, case_id)["title"] == "Key of the server invoicefdp.exe done"
    assert 'New title: "Key of the server invoicefdp.exe done"' in answer


def refusing_titles(monkeypatch: pytest.MonkeyPatch, error: RefusedError, first: Callable[[], object]) -> None:
    """Let AWS reject a change of the title, after `first` has happened."""

    def refuse(_case_id: str, **_: object) -> None:
        first()
        raise error

    monkeypatch.setattr(gateway, "update_case", refuse)


def test_given_a_field_that_aws_rejects_when_it_is_set_then_the_user_reads_which(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, jane = case_with_channel(world)
    reason = "title: Member has characters or a form that AWS does not accept"
    refusing_titles(monkeypatch, RefusedError("AWS", "UpdateCase", "ValidationException", reason), lambda: None)
    (answer,) = type_command(world, jane, case_id, "update-title New title")

    assert answer == f"❌ AWS rejected the input: {reason}"


def test_given_a_case_that_is_closed_meanwhile_when_it_is_changed_then_the_user_reads_that_it_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, jane = case_with_channel(world)
    conflict = RefusedError("AWS", "UpdateCase", "ConflictException")
    refusing_titles(monkeypatch, conflict, lambda: world.security_ir.close_case_as(case_id))
    (answer,) = type_command(world, jane, case_id, "update-title New title")

    assert answer.startswith("❌ Case is closed and cannot be changed or reopened")


def test_given_a_close_that_aws_rejects_when_confirmed_then_no_comment_states_that_the_case_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, jane = case_with_channel(world)

    def refuse(_case_id: str) -> None:
        raise RefusedError("AWS", "CloseCase", "AccessDeniedException")

    monkeypatch.setattr(gateway, "close_case", refuse)
    type_command(world, jane, case_id, "close")
    shown = [one for one in world.workspace.ephemerals(jane.id) if "close_confirm" in str(one.get("blocks"))]
    jane.press(world.channel_of(case_id), shown[-1]["ts"], "close_confirm")
    world.settle()

    assert case(world, case_id)["caseStatus"] != "Closed"
    assert "closed this case" not in str(world.comments(case_id))
