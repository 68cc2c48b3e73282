"""Each detection matches its events, as EventBridge would, and leaves ordinary events alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from ir_router.ledger import configuration
from ir_router.workflow import detections, findings, reading, severity
from ir_router.workflow.incident import Principal
from tests.support import detections_table
from tests.support.detection_events import EVENTS
from tests.support.detection_events.makers import ACCOUNT, ACTOR, OWN_KEY, PROCESS, call, guardduty, health, sequence


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the deployment a KMS key, which the ledger names."""
    monkeypatch.setattr(configuration, "kms_key_arns", lambda: [OWN_KEY])


def test_given_the_table_when_compared_then_every_detection_has_true_and_false_events() -> None:
    assert set(EVENTS) == {entry["id"] for entry in detections.entries()}
    assert all(true and false for true, false in EVENTS.values())


@pytest.mark.parametrize("name", EVENTS)
def test_given_its_events_when_evaluated_then_a_detection_matches_only_those_that_it_means(name: str) -> None:
    (entry,) = [entry for entry in detections.entries() if entry["id"] == name]
    rule = EventPattern(None, entry["pattern"])
    meant, others = EVENTS[name]

    for event in meant:
        assert name in {found.id for found in detections.matching(event)}, event
        # moto reads no objects in lists, and no line breaks in wildcards. EventBridge reads both.
        if name != "guardduty_attack_sequence_identity":
            assert rule.matches_event(json.loads(json.dumps(event).replace("\\n", ""))), event
        assert reading.read(event, whom=severity.whom(detections.matching(event)))["event_id"]
    for event in others:
        assert name not in {found.id for found in detections.matching(event)}, event


def test_given_the_patterns_when_measured_then_eventbridge_accepts_them() -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html: 2,048 characters for a pattern."""
    for entry in detections.entries():
        assert len(json.dumps(entry["pattern"], separators=(",", ":"))) <= 2048, entry["id"]


def test_given_the_page_when_compared_then_its_table_is_that_of_the_file() -> None:
    page = detections_table.PAGE.read_text("utf-8")

    assert page == detections_table.page_with_table(page), "run python -m tests.support.detections_table"


# The contained principal


@pytest.mark.parametrize("whom", [None, "everybody"])
def test_given_an_entry_that_does_not_say_whom_when_read_then_it_is_refused(whom: str | None) -> None:
    entry = {key: value for key, value in detections.entries()[0].items() if key != "whom"}

    with pytest.raises(ValueError, match="whom must be one of"):
        detections.detection(entry | ({"whom": whom} if whom else {}))


def test_given_a_medium_entry_that_would_contain_when_read_then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="never contain"):
        detections.detection(detections.entries()[0] | {"severity": "MEDIUM"})


def subject(event: Any, whom: Any) -> Principal:
    return reading.read(event, whom=whom)["subject"]


@pytest.mark.parametrize(
    ("whom", "request_parameters", "expected"),
    [
        ("target_user", {"userName": "bob"}, ("user", "bob")),
        ("target_user", {"roleName": "app"}, ("role", "app")),
        ("target_user", {}, ("user", "mallory")),
        ("key_owner", {"userName": "bob", "accessKeyId": "AKIAX"}, ("user", "bob")),
        ("caller", {"userName": "bob"}, ("user", "mallory")),
        (None, {"userName": "bob"}, ("user", "mallory")),
    ],
)
def test_given_whom_a_detection_contains_when_read_then_the_subject_is_that_principal(
    whom: Any, request_parameters: dict[str, str], expected: tuple[str, str]
) -> None:
    found = subject(call("UpdateAccessKey", **request_parameters), whom)

    assert (found["kind"], found["name"]) == expected


def test_given_a_high_detection_of_nobody_when_assessed_then_it_only_alerts() -> None:
    event = call("DisableRule", "events", name="security-incident-poll")
    found = detections.matching(event)

    assessment = severity.assess(found, subject(event, severity.whom(found)))

    assert (assessment.severity, assessment.action) == ("HIGH", "alert")


# Findings


@pytest.mark.parametrize("mark", [{"title": "[SAMPLE] x"}, {"service": {"additionalInfo": {"sample": True}}},
                                  {"service": {"additionalInfo": {"value": '{"sample":true}'}}}])  # fmt: skip
def test_given_a_sample_when_assessed_then_it_is_a_low_alert(mark: dict[str, Any]) -> None:
    event = guardduty(8, **mark)
    facts = reading.read(event)

    assessment = severity.assess(detections.matching(event), facts["subject"], facts.get("quiet"))

    assert (assessment.severity, assessment.action) == ("LOW", "alert")
    assert assessment.title.startswith("SAMPLE")


@pytest.mark.parametrize(
    ("entity", "kind", "name", "key"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "unknown", "", "AKIAIOSFODNN7EXAMPLE"),
        ("ASIAIOSFODNN7EXAMPLE", "unknown", "", None),
        ("bob", "unknown", "bob", None),
        (f"arn:aws:iam::{ACCOUNT}:user/team/bob", "user", "bob", None),
        (f"arn:aws:iam::{ACCOUNT}:role/app", "role", "app", None),
        (f"arn:aws:iam::{ACCOUNT}:root", "root", "root", None),
        (ACCOUNT, "account", ACCOUNT, None),
        ("arn:aws:s3:::bucket", "unknown", "", None),
        ("a name with spaces", "unknown", "", None),
        ("", "unknown", "", None),
    ],
)
def test_given_an_entity_of_aws_health_when_read_then_it_is_what_it_names(
    entity: str, kind: str, name: str, key: str | None
) -> None:
    facts = reading.read(health("AWS_RISK_CREDENTIALS_EXPOSED", entity))

    assert (facts["subject"]["kind"], facts["subject"]["name"], facts["access_key_id"]) == (kind, name, key)


def test_given_an_attack_sequence_when_read_then_each_actor_with_an_identity_is_an_entity() -> None:
    other = {"user": {"name": "app", "type": "AssumedRole", "uid": "AROAX:i-0123456789abcdef0"}}
    event = sequence("AttackSequence:IAM/X", ACTOR, PROCESS, other)

    assert findings.entities(event) == ["a-1", "AROAX:i-0123456789abcdef0"]
    first, second = (reading.read(event, entity=entity) for entity in findings.entities(event))
    assert (first["subject"]["name"], first["access_key_id"]) == ("bob", "AKIAX")
    assert (second["subject"]["kind"], second["subject"]["name"]) == ("role", "app")
    assert first["event_id"] != second["event_id"]
    assert any("i-0123456789abcdef0" in line for line in second["details"])
