"""Lists and texts that are cut: at the limit everything is shown, and beyond it the others are counted."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.cases import activity, structured_fields
from ir_router.ledger import configuration
from ir_router.ops import approver_checks, protected
from ir_router.report import building
from ir_router.sync import activity_message, report_message
from ir_router.workflow import allowlist, break_glass, findings, roles, trimming, wording_many
from ir_router.workflow.allowlist import Entry


def named(number: int) -> list[str]:
    return [f"n{one:03}x" for one in range(number)]


def together(names: list[str]) -> str:
    return allowlist._together([Entry("ip", name, "reason") for name in names]).value


def leftovers(names: list[str]) -> str:
    found: Any = SimpleNamespace(lasting=[SimpleNamespace(name=name, undo="undo") for name in names])
    return "\n".join(activity_message._lasting(found))


def secrets(names: list[str]) -> str:
    found: Any = SimpleNamespace(read=names)
    return "\n".join(activity_message._read(found))


# For each list: how it is made, its limit, and the text about two more.
LISTS: dict[str, tuple[Callable[[list[str]], str], int, str]] = {
    "approvers of verify": (approver_checks._named, approver_checks._MOST_NAMED, " and 2 more"),
    "principals that an entry protects": (protected._principals, protected._SHOWN_ARNS, " and 2 more"),
    "principals of a case": (
        lambda names: "".join(wording_many.listed(names)),
        wording_many._MOST_LISTED,
        " and 2 more",
    ),
    "services of a role": (roles._shown, roles._SHOWN, " and 2 more"),
    "addresses of a finding": (
        lambda names: "".join(findings._address_lines(names)),
        findings._SIGNALS,
        " and 2 more",
    ),
    "kept addresses of a finding": (
        lambda names: ", ".join(findings._bounded(names)),
        findings._MOST_ADDRESSES,
        "2 further addresses",
    ),
    "entries that allow an event": (together, allowlist._SHOWN, " and 2 more"),
    "lasting effects in Slack": (leftovers, activity_message._MOST_LASTING, "and 2 more in the case's comment"),
    "secrets in Slack": (secrets, activity_message._MOST_READ, "and 2 more in the case's comment"),
    "lines of a comment": (
        lambda names: "\n".join(activity._listed("T", names)),
        activity._MOST_LINES,
        "- and 2 more",
    ),
    "lines of a report's message": (
        lambda names: "\n".join(report_message._listed("T", names)),
        report_message._MOST_LINES,
        "and 2 more in the report",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_given_a_long_list_when_shown_then_it_is_cut_at_its_limit_and_the_others_are_counted(name: str) -> None:
    shown, limit, more = LISTS[name]

    complete, cut = shown(named(limit)), shown(named(limit + 2))

    assert [one for one in named(limit) if one in complete] == named(limit)
    assert ("more" in complete, "further" in complete) == (False, False)
    assert [one for one in named(limit + 2) if one in cut] == named(limit)
    assert cut.endswith(more)


def test_given_two_names_too_many_when_principals_are_named_then_two_are_and_the_others_are_counted() -> None:
    assert wording_many.names(named(3)) == "n000x and n001x and n002x"
    assert wording_many.names(named(4)) == "n000x, n001x and 2 more principals"


def test_given_many_protected_entries_when_verified_then_the_first_are_shown_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = protected._SHOWN_ENTRIES
    for number in (limit, limit + 2):
        entries: dict[str, list[str]] = {name: [] for name in named(number)}
        monkeypatch.setattr(configuration, "protected_entries", lambda entries=entries: entries)
        (line,) = protected.checks()
        unmatched, _, detail = line.detail.partition(". ")
        assert [name for name in named(number) if name in unmatched] == named(limit)
        assert [name for name in named(number) if name in detail] == named(limit)
        assert detail.endswith("2 more entries") is (number > limit)


def test_given_long_texts_when_cut_then_they_have_their_limit() -> None:
    longest, agent = building._TEXT_LENGTH, structured_fields.USER_AGENT_LENGTH
    assert building._cut("t" * longest) == "t" * longest
    assert building._cut("t" * (longest + 1)) == f"{'t' * longest}… ({longest + 1:,} characters in all)"
    found = structured_fields.threat_actor("192.0.2.1", "a" * (agent + 1)) or {}
    assert found["userAgent"] == "a" * agent
    limit = break_glass._REASON_LENGTH
    assert break_glass._reason({"break_glass": f" {'r' * (limit + 1)}"}) == "r" * limit
    lines = activity._listed("T", ["l" * (activity._LINE_LENGTH + 1)])
    assert lines[-1] == f"- {'l' * activity._LINE_LENGTH}"


def test_given_long_values_when_trimmed_then_texts_and_lists_are_cut_and_the_rest_stays() -> None:
    most = trimming._MOST_ITEMS
    value = {"a": "x" * 11, "b": "x" * 10, "c": list(range(most + 1)), "d": [{"e": "y" * 12}], "f": 1}

    assert trimming._cut(value, 10) == {
        "a": f"{'x' * 10}... (1 characters more)",
        "b": "x" * 10,
        "c": list(range(most)),
        "d": [{"e": f"{'y' * 10}... (2 characters more)"}],
        "f": 1,
    }
