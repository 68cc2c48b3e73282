"""Test that all modules and pages use the same statuses, severities and tags."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.loaders

from ir_router.cases import status
from ir_router.cases.followed_fields import FOLLOWED, SEVERITY
from ir_router.commands import forms
from ir_router.workflow.detections import SEVERITIES

ROOT = Path(__file__).parents[2]
SHAPES = botocore.loaders.Loader().load_service_model("security-ir", "service-2")["shapes"]


def test_given_botocores_model_when_read_then_its_statuses_are_ours() -> None:
    assert list(status.STATUSES) == SHAPES["CaseStatus"]["enum"]
    assert list(status.SETTABLE) == SHAPES["SelfManagedCaseStatus"]["enum"]


def test_given_every_status_when_used_then_it_has_words_moves_and_a_line_in_the_page() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name in status.STATUSES:
        assert status.parse(name) == name
        assert status.specified(name) in status.SPECIFIED, name
        assert f"`{name}`" in page, f"{name} is missing in docs/commands.md"
        ends = name in ("Ready to Close", "Closed")
        assert bool(status.reachable(name)) is not ends, name
    assert all(move in status.SETTABLE for name in status.STATUSES for move in status.reachable(name))
    for word in status.SPECIFIED:
        assert status.parse(word) in status.STATUSES, word
        assert f"`{word}`" in page, f"{word} is missing in docs/commands.md"


def test_given_the_severities_when_compared_then_form_and_workflow_tag_a_case_alike() -> None:
    assert {name.capitalize() for name in SEVERITIES} == set(forms.SEVERITIES)


def test_given_the_tags_of_followed_fields_when_the_code_is_read_then_nobody_else_spells_them() -> None:
    tags = {field.tag for field in FOLLOWED} - {None}
    assert SEVERITY.tag in tags
    sources = (ROOT / "src" / "ir_router").rglob("*.py")
    spelled = [
        f"{file.name}: {tag}"
        for file in sources
        for tag in tags
        if re.search(rf'tags=\{{"{tag}"|tags\.get\("{tag}"', file.read_text("utf-8"))
    ]
    assert spelled == []
