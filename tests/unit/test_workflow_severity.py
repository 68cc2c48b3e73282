"""Severity, action and title of detections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.workflow import severity
from ir_router.workflow.severity import Assessment


def detection(grade: str, whom: str | None = None) -> Any:
    return SimpleNamespace(
        id=f"d-{grade}", severity=grade, title=f"title {grade}", whom=whom, contains=whom is not None
    )


HIGH, MEDIUM, LOW = detection("HIGH", "caller"), detection("MEDIUM"), detection("LOW")


@pytest.mark.parametrize(
    ("found", "kind", "quiet", "grade", "action", "title"),
    [
        ([], "user", None, "NONE", "log", "No detection matches"),
        ([HIGH, LOW], "user", None, "HIGH", "contain", "title HIGH"),
        ([MEDIUM, HIGH], "role", None, "MEDIUM", "contain", "title MEDIUM"),
        ([MEDIUM], "user", None, "MEDIUM", "alert", "title MEDIUM"),
        ([LOW], "user", None, "LOW", "log", "title LOW"),
        ([HIGH], "root", None, "CRITICAL", "alert", "title HIGH"),
        ([MEDIUM], "root", None, "MEDIUM", "alert", "title MEDIUM"),
        ([detection("CRITICAL", "caller")], "account", None, "CRITICAL", "alert", "title CRITICAL"),
        ([detection("CRITICAL", "caller")], "user", None, "CRITICAL", "contain", "title CRITICAL"),
        ([HIGH], "account", None, "HIGH", "contain", "title HIGH"),
        ([HIGH], "user", "sample", "LOW", "alert", "SAMPLE finding: title HIGH"),
        ([HIGH], "root", "closed", "LOW", "alert", "Closed by AWS: title HIGH"),
    ],
)
def test_given_detections_when_assessed_then_severity_action_and_title_follow(
    found: list[Any], kind: str, quiet: Any, grade: str, action: str, title: str
) -> None:
    subject: Any = {"kind": kind}
    assessment = severity.assess(found, subject, quiet)
    assert (assessment.severity, assessment.action, assessment.title) == (grade, action, title)
    assert assessment.detections == tuple(one.id for one in found)
    assert severity.band(found, quiet) == ("NONE" if not found else "LOW" if quiet else found[0].severity)


def test_given_a_change_to_a_contained_principal_when_assessed_then_it_is_high_or_above() -> None:
    grades: Any = (("LOW", "HIGH"), ("HIGH", "HIGH"), ("CRITICAL", "CRITICAL"), ("NONE", "HIGH"))
    for grade, after in grades:
        assert severity.of_tampering(Assessment(grade, "log", "t", ("d",))) == Assessment(
            after, "contain", "Change to a contained principal: t", ("d",)
        )
    assert severity.whom([LOW, HIGH, detection("HIGH", "key_owner")]) == "caller"
    assert severity.whom([LOW]) is None
