"""Each metric with an alarm or widget is published, and each published metric has one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ir_router

SOURCE = Path(ir_router.__file__).parent
TERRAFORM = Path(__file__).parents[2] / "terraform"


def measured() -> Iterator[str]:
    """Return the names of the metrics that functions publish, each a literal."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "measure":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{file.name}: a name that is computed cannot be compared"
                yield str(name.value)


def alarmed() -> set[str]:
    """Return ir-router's metrics that have an alarm."""
    text = (TERRAFORM / "alarms.tf").read_text("utf-8")
    return set(re.findall(r'namespace\s*= local\.metrics_namespace\s*metric\s*= "(\w+)"', text))


def shown() -> set[str]:
    """Return ir-router's metrics on the dashboard."""
    text = (TERRAFORM / "dashboard.tf").read_text("utf-8")
    return set(re.findall(r"local\.own_metric\.(\w+)", text))


def listed() -> set[str]:
    """Return the metrics in the documented table."""
    text = (TERRAFORM / "alarms.tf").read_text("utf-8")
    return set(re.findall(r"^#   (\w+) +(?:Count|Seconds) ", text, re.MULTILINE))


def test_given_an_alarm_or_widget_when_it_watches_our_metric_then_a_function_measures_it():
    assert alarmed()
    assert shown()
    assert (alarmed() | shown()) - set(measured()) == set()


def test_given_a_metric_when_measured_then_it_is_listed_and_an_alarm_or_dashboard_watches_it():
    assert listed() == set(measured())
    assert set(measured()) - alarmed() - shown() == set()
