"""The notice of a case that the workflow opened, without the ids that other messages of the channel have. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ir_router.cases.models import Case

# The workflow sets this tag when it opens a case.
OPENED_BY_WORKFLOW = "execution"
# The lines that end the description (`workflow/wording.py`). They fill half of a phone's screen.
_LAST_LINES = ("IAM: ", "Workflow: ", "Event: ", "Execution: ")


def for_notice(case: Case, tags: Mapping[str, str]) -> Case:
    """Return the case with the description for its notice. The description on the case stays complete."""
    text, gap, last = case.description.rpartition("\n\n")
    if OPENED_BY_WORKFLOW not in tags or not gap or not all(line.startswith(_LAST_LINES) for line in last.splitlines()):
        return case
    return case.model_copy(update={"description": text})
