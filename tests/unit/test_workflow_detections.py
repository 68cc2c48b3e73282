"""The detection table, evaluated as EventBridge does."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.events.models import EventPattern

from ir_router.workflow import detections, patterns, severity
from ir_router.workflow.patterns import PatternError

_TEXT = files("ir_router.workflow").joinpath("detections.json").read_text("utf-8")
TABLE: list[dict[str, Any]] = json.loads(_TEXT.replace("${name_prefix}", "security-incident"))["detections"]

values = st.sampled_from(
    [
        "com.example",
        "aws.iam", "aws.guardduty", "aws.health", "AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail",
        "GuardDuty Finding", "iam.amazonaws.com", "CreateAccessKey", "ListUsers", "GetCallerIdentity", "AccessDenied",
        "AccessDeniedException", "Client.UnauthorizedOperation", "ThrottlingException", "Root", "IAMUser", "AWSService",
        "AKIAEXAMPLE", "ASIAEXAMPLE", "AwsServiceEvent", "AwsApiCall", "AccessKey", "RISK",
        "AWS_RISK_CREDENTIALS_EXPOSED", 0, 3.9, 4, 6.5, 7, 8.9,
    ]
)  # fmt: skip


def events() -> st.SearchStrategy[dict[str, Any]]:
    """Return events of the shapes that the table's patterns match, with and without each field."""
    identity = st.fixed_dictionaries({}, optional={"type": values, "accessKeyId": values, "invokedBy": values})
    detail = st.fixed_dictionaries(
        {},
        optional={
            "eventSource": values,
            "eventName": values,
            "errorCode": values,
            "eventType": values,
            "userIdentity": identity,
            "severity": values,
            "resource": st.fixed_dictionaries({}, optional={"resourceType": values}),
            "service": values,
            "eventTypeCode": values,
        },
    )
    return st.fixed_dictionaries({"detail": detail}, optional={"source": values, "detail-type": values})


def mutated(entry: dict[str, Any], event: dict[str, Any], rnd: Any) -> dict[str, Any]:
    """Return the event with some fields set to values that the entry's pattern matches."""

    def fit(pattern: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
        result = dict(target)
        for name, wanted in pattern.items():
            if isinstance(wanted, dict):
                result[name] = fit(wanted, dict(result.get(name, {})) if isinstance(result.get(name), dict) else {})
            elif rnd.random() < 0.85:
                option = rnd.choice(wanted)
                if not isinstance(option, dict):
                    result[name] = option
                elif "prefix" in option:
                    result[name] = option["prefix"] + "X"
                elif "suffix" in option:
                    result[name] = "Client." + option["suffix"]
                elif option == {"exists": False}:
                    result.pop(name, None)
        return result

    return fit(entry["pattern"], event)


@given(event=events(), number=st.integers(0, len(TABLE) - 1), rnd=st.randoms(use_true_random=False))
def test_given_any_event_when_evaluated_then_every_detection_agrees_with_another_matcher(
    event: dict[str, Any], number: int, rnd: Any
) -> None:
    event = mutated(TABLE[number], event, rnd)
    ours = {detection.id for detection in detections.table() if detection.matches(event)}
    theirs = {
        entry["id"]
        for entry in TABLE
        if EventPattern(None, entry["pattern"]).matches_event(event)  # type: ignore[arg-type]
    }
    # moto compares numbers only with numbers, as EventBridge does. A GuardDuty finding has no text in `severity`.
    assert ours == theirs


def test_given_the_table_when_read_then_every_entry_is_complete() -> None:
    for entry in TABLE:
        assert set(entry) - {"at_least", "refine", "tampering"} == {
            "id", "title", "severity", "whom", "grouped", "global_service", "read_only_calls", "techniques", "source",
            "benign", "pattern",
        }  # fmt: skip
    assert len({entry["id"] for entry in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"a": [{"exists": False}]}, {}, True),
        ({"a": {"b": [{"exists": False}]}}, {}, True),
        ({"a": {"b": [{"exists": False}]}}, {"a": {"b": 1}}, False),
        ({"a": [{"exists": True}]}, {"a": None}, True),
        ({"a": [1]}, {"a": True}, False),
        ({"a": ["x"]}, {"a": ["y", "x"]}, True),
        ({"a": ["x"]}, {"a": []}, False),
        ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
        ({"a": [{"anything-but": ["x"]}]}, {"a": "y"}, True),
        ({"a": [{"anything-but": ["x"]}]}, {}, False),
        ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
        ({"a": [{"anything-but": {"suffix": ":x"}}]}, {"a": "a:x"}, False),
        ({"a": [{"anything-but": {"suffix": ":x"}}]}, {"a": "a:y"}, True),
        ({"a": [{"anything-but": {"suffix": ":x"}}]}, {"a": None}, True),
        ({"a": [{"anything-but": {"suffix": ":x"}}]}, {}, False),
        ({"a": [{"anything-but": {"suffix": ":x"}}]}, {"a": {"b": 1}}, False),
        ({"a": [{"anything-but": {"wildcard": "x*y"}}]}, {"a": "xay"}, False),
        ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, {"a": "yz"}, False),
        ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, {"a": "zx"}, True),
        ({"a": [{"numeric": [">=", 4, "<", 7]}]}, {"a": 4}, True),
        ({"a": [{"numeric": [">=", 4, "<", 7]}]}, {"a": 7}, False),
        ({"a": [{"numeric": ["=", 4]}]}, {"a": "4"}, False),
        ({"a": [None]}, {"a": None}, True),
        ({"a": [None]}, {}, False),
    ],
)
def test_given_a_pattern_when_matched_then_it_follows_eventbridge(
    pattern: dict[str, Any], event: dict[str, Any], expected: bool
) -> None:
    assert patterns.compiled(pattern)(event) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        {"a": "x"},
        {"a": []},
        {"a": [{"cidr": "10.0.0.0/8"}]},
        {"a": [{"prefix": "x", "suffix": "y"}]},
        {"a": [{"anything-but": {"exists": True}}]},
        {"a": [{"anything-but": {"prefix": "x", "suffix": "y"}}]},
        {"a": [{"anything-but": {"prefix": ["x", 1]}}]},
        {"a": [{"anything-but": {}}]},
        {"a": [{"numeric": [">"]}]},
        {"a": [{"numeric": ["~", 1]}]},
        {"a": [{"exists": "no"}]},
    ],
)
def test_given_a_pattern_that_is_not_understood_when_compiled_then_it_is_refused(pattern: dict[str, Any]) -> None:
    with pytest.raises(PatternError):
        patterns.compiled(pattern)


def test_given_no_detection_when_assessed_then_it_is_only_logged() -> None:
    assessment = severity.assess([], {"kind": "user", "name": "a", "arn": "", "account": ""})

    assert (assessment.severity, assessment.action) == ("NONE", "log")


def test_given_a_grave_finding_about_root_when_assessed_then_it_is_critical_and_alerted() -> None:
    grave = detections.by_ids(["guardduty_credentials_high"])

    assessment = severity.assess(grave, {"kind": "root", "name": "root", "arn": "", "account": ""})

    assert (assessment.severity, assessment.action) == ("CRITICAL", "alert")
