"""The curves of docs/performance.md show the numbers of its tables."""

from __future__ import annotations

import json
import re

from ir_operator.project import PROJECT_ROOT

_PAGE = (PROJECT_ROOT / "docs" / "performance.md").read_text("utf-8")


def _curve(title: str) -> list[float]:
    (chart,) = [block for block in re.findall(r"```mermaid\n(.*?)```", _PAGE, re.DOTALL) if title in block]
    values: list[float] = json.loads(chart.partition("line ")[2])
    assert max(values) <= float(chart.partition("-->")[2].split()[0])
    return values


def test_given_the_table_of_calls_when_compared_with_the_curve_then_the_idle_polls_agree() -> None:
    rows = re.findall(r"\| idle poll, \d+ open cases? \| (\d+) \| (\d+) \| \d+ \| (\d+) \|", _PAGE)
    assert [sum(map(int, row)) for row in rows] == _curve("Calls of an idle poll (")


def test_given_the_limit_of_an_idle_case_when_compared_with_the_curve_then_no_number_of_comments_exceeds_it() -> None:
    (most,) = re.findall(r"An idle poll of one case makes at most (\d+) Security IR calls", _PAGE)
    assert _curve("by comments") == [float(most)] * 4


def test_given_the_table_of_costs_when_compared_with_the_curve_then_the_totals_agree() -> None:
    (totals,) = re.findall(r"(?m)^\| total \| (.*) \|$", _PAGE)
    assert [float(one) for one in totals.split("|")] == _curve("US dollars a month")
