"""The table of sub-commands, its modules and the documentation page agree."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from ir_router.commands import rendering
from ir_router.commands.catalogue import SUB_COMMANDS
from ir_router.commands.command import Command

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"


@pytest.mark.parametrize("name", SUB_COMMANDS)
def test_given_a_sub_command_when_its_module_is_looked_for_then_it_has_the_name_and_runs_a_command(name: str) -> None:
    module = importlib.import_module(f"ir_router.commands.{name.replace('-', '_')}")
    (parameter,) = inspect.signature(module.execute_command, eval_str=True).parameters.values()
    assert parameter.annotation is Command


def test_given_the_table_when_help_and_the_page_are_read_then_both_show_every_usage() -> None:
    page = DOCS.read_text(encoding="utf-8")
    for entry in SUB_COMMANDS.values():
        assert f"• {entry.usage} - {entry.purpose}" in rendering.help_text()
        assert f"`{entry.usage}`" in page
