"""Forms that outlive a deployment, the sub-commands that change a case, and a retry that has its answer already."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.commands import approval_buttons, catalogue, create_form, modals, release
from ir_router.commands.forms import CaseForm
from ir_router.sync import approval_message
from tests.support.journal import Journal
from tests.support.made_commands import command


def test_given_the_form_of_a_case_when_opened_then_its_fields_have_the_ids_that_open_forms_submit() -> None:
    blocks = create_form.view(CaseForm(), {})["blocks"]

    ids = ["title", "description", "type", "severity", "start", "accounts", "watchers"]
    assert [(one["block_id"], one["element"]["action_id"]) for one in blocks] == [(name, name) for name in ids]


def test_given_the_sub_commands_when_listed_then_those_that_change_a_case_need_the_permission() -> None:
    changing = {one.name for one in catalogue.SUB_COMMANDS.values() if one.changes}

    assert changing == {
        "add-watcher",
        "close",
        "comment",
        "escalate",
        "remove-watcher",
        "report",
        "update-description",
        "update-status",
        "update-title",
    }


@pytest.mark.parametrize(
    ("acted", "opened"), [((True, True), False), ((True, False), True), ((False, True), True), ((False, False), True)]
)
def test_given_a_retry_of_a_release_when_the_user_acted_on_all_requests_then_no_form_opens(
    monkeypatch: pytest.MonkeyPatch, acted: tuple[bool, bool], *, opened: bool
) -> None:
    journal = Journal(monkeypatch)
    journal.replace(approval_buttons, "has_acted_since", *acted)
    journal.replace(approval_message, "release_form", {"title": "t"})
    journal.replace(modals, "open_form", "V1")
    journal.replace(approval_buttons, "require_approver")
    rows: list[dict[str, Any]] = [{"approval_id": "a1"}, {"approval_id": "a2"}]

    release._open(command(), rows, "again")

    assert [one[0] for one in journal.calls if one[0] != "has_acted_since"] == (
        ["release_form", "open_form", "require_approver"] if opened else []
    )
