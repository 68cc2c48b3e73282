"""Texts and requests are those of `tests/unit/texts`, to the letter.

Texts that people read, the content and pages of a report, and the requests and results of the ledger, the operations,
the commands, their buttons and the shared modules.
"""

from __future__ import annotations

import pytest

from ir_router.settings import settings
from tests.support.texts import FOLDER, PAGES, page


@pytest.mark.parametrize("name", PAGES)
def test_given_fixed_facts_when_the_texts_are_made_then_they_are_those_of_the_page(name: str) -> None:
    settings.cache_clear()
    assert page(name) == (FOLDER / f"{name}.txt").read_text("utf-8"), (
        "To accept the texts, run PYTHONPATH=src .venv/bin/python -m tests.support.texts and review "
        f"the difference of {name}.txt."
    )
