"""Calls of contained callers and groups of alerts: exact limits of time, and the fields that make events alike."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.cases.after_containment import APPLIED_SECONDS
from ir_router.ledger import containments, groups
from ir_router.workflow import alert_only, attempts, detections, severity
from tests.support.texts import facts

AT = 1768480259.0  # the time of `facts.INCIDENT`


def contained(**changes: Any) -> Any:
    row = {"incident": "i", "phase": containments.OPEN, "contained_at": AT - 100, "named_keys": ["AKIA9"]}
    return {name: value for name, value in (row | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({}, "succeeded"),
        ({"contained_at": AT}, "unrelated"),
        ({"contained_at": AT - APPLIED_SECONDS}, "unrelated"),
        ({"contained_at": AT - APPLIED_SECONDS - 1}, "succeeded"),
        ({"contained_at": None}, "unrelated"),
        ({"incident": None}, "unrelated"),
        ({"phase": containments.FAILED}, "unrelated"),
        ({"phase": containments.KEPT}, "succeeded"),
        ({"phase": containments.APPROVED}, "succeeded"),
        ({"scope": "key"}, "unrelated"),
        ({"scope": "key", "named_keys": ["AKIA1"]}, "succeeded"),
    ],
    ids=repr,
)
def test_given_a_call_of_a_contained_caller_when_it_succeeds_then_only_a_late_one_counts(
    row: dict[str, Any], kind: str
) -> None:
    assert attempts.kind_of(facts.event(), contained(**row)) == kind
    assert attempts.kind_of(facts.event(error_code="AccessDenied"), contained(**row)) == "unrelated"
    assert attempts.kind_of(facts.event(event_time=None), contained(**row)) == "unrelated"
    assert attempts.kind_of(facts.event(), None) == "unrelated"


@pytest.mark.parametrize(("after", "kind"), [(-1, "unrelated"), (0, "denied"), (1, "denied"), (100, "denied")])
def test_given_a_denied_call_when_it_is_as_late_as_the_containment_then_it_is_counted(after: int, kind: str) -> None:
    denied = facts.event(detections=["denied_call"], error_code="AccessDenied")

    assert attempts.kind_of(denied, contained(contained_at=AT - after)) == kind
    assert attempts.kind_of(denied, contained(contained_at=AT - after, scope="key")) == "unrelated"


def detection(name: str, **changes: Any) -> detections.Detection:
    values: dict[str, Any] = {
        "title": "T",
        "severity": "MEDIUM",
        "whom": "nobody",
        "grouped": "all",
        "matches": bool,
    } | changes
    return detections.Detection(name, **values)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "none": detection("none", grouped="none"),
        "reads": detection("reads", grouped="reads"),
        "all": detection("all"),
        "address": detection("address", grouped="address", at_least=5),
    }
    monkeypatch.setattr(detections, "by_ids", lambda ids: [known[one] for one in ids if one in known])


CALLER = facts.BOB["arn"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"detections": ["all"]}, ("all", CALLER)),
        ({"detections": ["unknown", "all", "none"]}, ("all", CALLER)),
        ({"detections": ["none", "all"]}, None),
        ({"detections": ["unknown"]}, None),
        ({"detections": ["reads"]}, None),
        ({"detections": ["reads"], "read_only": True}, ("reads", CALLER)),
        ({"detections": ["address"]}, ("address", facts.ACCOUNT, "198.51.100.7")),
        ({"detections": ["address"], "source_ip": None}, ("address", facts.ACCOUNT, "")),
        ({"detections": ["all"], "quiet": "sample"}, ("sample", facts.ACCOUNT)),
        ({"detections": ["all"], "quiet": "closed"}, None),
    ],
)
def test_given_an_event_when_its_group_is_named_then_the_gravest_detection_decides(
    changes: dict[str, Any], group: tuple[str, ...] | None
) -> None:
    assert alert_only.group_of(facts.event(**changes)) == (groups.name_of(*group) if group else None)


@pytest.mark.usefixtures("table")
def test_given_an_event_when_its_first_alert_is_due_then_the_gravest_detection_gives_the_number() -> None:
    assert alert_only.events_needed(facts.event(detections=["address", "all"])) == 5
    assert alert_only.events_needed(facts.event(detections=["all", "address"])) == 1
    assert alert_only.events_needed(facts.event(detections=[])) == 1
    assert alert_only.events_needed(facts.event(detections=["address"], quiet="sample")) == 1


@pytest.mark.usefixtures("table")
def test_given_callers_without_an_arn_when_grouped_then_each_field_makes_another_group() -> None:
    def caller(address: str | None = "198.51.100.7", **changes: Any) -> str | None:
        actor = {"kind": "unknown", "name": "n", "arn": "", "account": "1", "caller_arn": "", **changes}
        return alert_only.group_of(facts.event(detections=["all"], actor=actor, source_ip=address))

    each = [
        caller(),
        caller(kind="service"),
        caller(name="m"),
        caller(account="2"),
        caller("198.51.100.8"),
        caller(None),
        caller(arn="arn:a"),
        caller(caller_arn="arn:b"),
        caller(kind="account", name="1"),
        caller("198.51.100.8", kind="account", name="1"),
        caller(kind="account", name="1 (principal AIDA)"),
    ]
    assert len(set(each)) == len(each)
    assert caller(arn="arn:a", caller_arn="arn:b") == caller(None, arn="arn:a", name="m")
    assert caller("198.51.100.8", kind="account", name="p") == caller(None, kind="account", name="p")


def test_given_a_caller_when_a_summary_names_it_then_its_name_its_arn_or_a_word_is_shown() -> None:
    actor: Any = {"kind": "unknown", "name": "bob", "arn": "", "account": "1", "caller_arn": "arn:b"}

    assert alert_only.caller_name(facts.event(actor=actor)) == "bob"
    assert alert_only.caller_name(facts.event(actor={**actor, "name": ""})) == "arn:b"
    assert alert_only.caller_name(facts.event(actor={**actor, "name": "", "caller_arn": ""})) == "unknown"


SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


@pytest.mark.parametrize("given", ["NONE", *SEVERITIES])
def test_given_a_change_to_a_contained_principal_when_assessed_then_it_contains_at_high_or_above(given: Any) -> None:
    found = severity.of_tampering(severity.Assessment(given, "log", "Policy detached", ("d",)))

    assert found == severity.Assessment(
        "CRITICAL" if given == "CRITICAL" else "HIGH",
        "contain",
        "Change to a contained principal: Policy detached",
        ("d",),
    )


@pytest.mark.parametrize("other", ["NONE", *SEVERITIES])
def test_given_a_deny_policy_that_others_detached_when_assessed_then_only_a_graver_detection_counts(other: Any) -> None:
    every = severity.Assessment("HIGH", "contain", "Detached", ("deny", "other"))
    without = severity.Assessment(other, "contain", "Other", ("other",))

    found = severity.lifted_by_others(every, without)

    if other in ("HIGH", "CRITICAL"):
        assert found == severity.Assessment(other, "contain", "Other", ("deny", "other"))
    else:
        assert (found.severity, found.action, found.detections) == ("MEDIUM", "alert", ("deny", "other"))
        assert found.title == "AWSDenyAll was detached from a principal that ir-router did not contain"


@pytest.mark.parametrize("given", SEVERITIES)
@pytest.mark.parametrize("kind", ["user", "root", "account"])
def test_given_a_subject_that_cannot_be_contained_when_assessed_then_the_event_is_alerted(
    given: Any, kind: str
) -> None:
    one = detection("d", severity=given, whom="caller")
    subject: Any = {"kind": kind, "name": "n", "arn": "a", "account": "1"}
    contains = given in ("HIGH", "CRITICAL")

    found = severity.assess([one], subject)

    expected = ("LOW", "log") if given == "LOW" else (given, "alert")
    if contains and kind == "root":
        expected = ("CRITICAL", "alert")
    elif contains and not (kind == "account" and given == "CRITICAL"):
        expected = (given, "contain")
    assert (found.severity, found.action) == expected
    assert severity.whom([detection("n"), one]) == ("caller" if contains else None)


def test_given_detections_when_the_band_is_read_then_the_first_counts_unless_the_event_only_informs() -> None:
    found = [detection("h", severity="HIGH"), detection("l", severity="LOW")]

    assert (severity.band(found, None), severity.band(found, "closed"), severity.band([], "sample")) == (
        "HIGH",
        "LOW",
        "NONE",
    )
    for quiet, title in (("sample", "SAMPLE finding: T"), ("closed", "Closed by AWS: T")):
        assessed = severity.assess(found, facts.MALLORY, quiet)  # type: ignore[arg-type]
        assert (assessed.severity, assessed.action, assessed.title, assessed.detections) == (
            "LOW",
            "alert",
            title,
            ("h", "l"),
        )
