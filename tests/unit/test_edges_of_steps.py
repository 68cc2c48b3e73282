"""Single steps: containments that stay in place, further entities, shared cases, and the entries of the table."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, groups
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.ledger.table import TransactionFailedError
from ir_router.workflow import (
    actor_incidents,
    alert_groups,
    alert_only,
    changes,
    detections,
    enforcement,
    extract_event_context,
    not_contained,
    notices,
    without_ledger,
)
from tests.support.answers import client_error
from tests.support.texts import facts

NOW = 10_000.0
GONE = {"deny_policy": True, "active_keys": ["AKIA2"]}


@pytest.mark.parametrize(
    ("row", "missing", "text"),
    [
        ({}, {}, "the deny policy was no longer attached and key AKIA2 was active again."),
        ({}, {"deny_policy": False}, "key AKIA2 was active again."),
        ({}, {"active_keys": []}, "the deny policy was no longer attached."),
        ({}, {"deny_policy": False, "active_keys": []}, None),
        ({"deny_refused": True}, {}, None),
        ({"keys_unknown": True}, {}, None),
    ],
)
def test_given_a_containment_that_someone_undid_when_it_is_kept_then_the_approvers_are_mentioned(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], missing: dict[str, Any], text: str | None
) -> None:
    mentioned: list[Any] = []
    monkeypatch.setattr(notices, "mention_approvers", lambda *given: mentioned.append(given))
    lock: Any = SimpleNamespace(row={"incident": "a:execution:e1", "principal": facts.MALLORY, **row})

    enforcement._mention_approvers(lock, {**GONE, **missing})

    start = "user mallory contained again: "
    assert [(given[0], given[1], given[2].split("\n")[0]) for given in mentioned] == (
        [(approvals.id_of("a:execution:e1", "remediate"), "e1/undone/mallory/end", f"{start}{text}")] if text else []
    )
    assert all("Find the caller in CloudTrail" in given[2] for given in mentioned)


@pytest.mark.parametrize(
    ("row", "missing", "deleted", "note"),
    [
        ({}, False, (), "the containment stays in place (verified) until you release it"),
        (
            {},
            True,
            ("k",),
            "the deny policy was no longer attached, so ir-router re-attached it; the containment stays",
        ),
        ({"scope": "key"}, False, (), "the key stays disabled (verified) until you release it"),
        ({"scope": "key"}, False, ("k",), ""),
    ],
)
def test_given_a_containment_when_it_is_kept_then_policy_keys_and_deletions_follow_in_this_order(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], missing: bool, deleted: tuple[str, ...], note: str
) -> None:
    made: list[Any] = []

    def make(_principal: Any, wanted: Any, *, until: float) -> list[Any]:
        made.append(([(one.what, one.target) for one in wanted], until))
        return [facts.taken()]

    found = {"deny_policy": missing, "active_keys": ["a", "b"]}
    monkeypatch.setattr(enforcement, "_missing", lambda *_: found)
    monkeypatch.setattr(enforcement, "_mention_approvers", lambda *given: made.append(given))
    monkeypatch.setattr(changes, "make", make)
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 7.0)
    lock: Any = SimpleNamespace(row=row)

    kept = enforcement.keep_in_place(lock, facts.MALLORY, "the containment", deleted)

    policy = [(changes.DENY, "")] if missing else []
    keys = [(changes.DISABLED, "a"), (changes.DISABLED, "b"), *(("key {target} deleted", key) for key in deleted)]
    assert made == [([*policy, *keys], 7.0), (lock, found)]
    assert (kept.actions, kept.denied) == ([facts.taken()], True)
    assert kept.note.startswith(note)
    assert bool(kept.note) is bool(note)


@pytest.mark.parametrize("code", ["", "ExecutionAlreadyExists", "AccessDenied"])
def test_given_an_event_of_several_entities_when_read_then_each_further_one_gets_an_execution(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    started: list[dict[str, Any]] = []

    def start(**given: Any) -> None:
        started.append(given)
        if code:
            raise client_error(code, "StartExecution")

    monkeypatch.setattr(aws, "client", lambda _name: SimpleNamespace(start_execution=start))
    entities = [{"entityValue": one} for one in ("a", "b", "c")]
    event = {"detail-type": "AWS Health Event", "detail": {"affectedEntities": entities}}
    execution: Any = {"id": "e", "name": "n" * 61, "state_machine": "arn:m"}

    if code == "AccessDenied":
        with pytest.raises(Exception, match="AccessDenied"):
            extract_event_context._start_for_further_entities(event, execution)
        return
    extract_event_context._start_for_further_entities(event, execution)

    names = [f"{'n' * 60}-{hashlib.sha256(f'e|{one}'.encode()).hexdigest()[:16]}" for one in ("b", "c")]
    assert [(one["stateMachineArn"], one["name"]) for one in started] == [("arn:m", name) for name in names]
    inputs = [json.loads(one["input"]) for one in started]
    assert [one.pop(extract_event_context._ENTITY_FIELD) for one in inputs] == ["b", "c"]
    assert inputs == [event, event]


ENTRY: dict[str, Any] = {
    "id": "d",
    "title": "T",
    "severity": "HIGH",
    "whom": "caller",
    "grouped": "none",
    "pattern": {"source": ["aws.iam"]},
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"severity": "NONE"}, "detection d: severity must be one of LOW, MEDIUM, HIGH, CRITICAL"),
        ({"grouped": "x"}, "detection d: grouped must be one of none, reads, all, address"),
        ({"severity": "MEDIUM"}, "detection d: `LOW` and `MEDIUM` never contain. They require `nobody`"),
        ({"severity": "LOW"}, "detection d: `LOW` and `MEDIUM` never contain. They require `nobody`"),
        ({"title": 7}, "detection d: id, title and pattern are required"),
        ({"id": 7}, "detection 7: id, title and pattern are required"),
        ({"pattern": None}, "detection d: id, title and pattern are required"),
    ],
)
def test_given_an_invalid_entry_of_the_table_when_read_then_it_and_the_reason_are_named(
    change: dict[str, Any], reason: str
) -> None:
    entry = {name: value for name, value in {**ENTRY, **change}.items() if value is not None}

    with pytest.raises(ValueError, match="detection") as failure:
        detections.detection(entry)

    assert str(failure.value) == reason


def test_given_an_entry_of_the_table_when_read_then_missing_fields_have_their_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = detections.detection(ENTRY)
    assert (one.at_least, one.tampering, one.sources, one.contains, one.is_direct) == (
        1, False, frozenset({"aws.iam"}), True, True
    )  # fmt: skip
    other = detections.detection({
        **ENTRY, "severity": "MEDIUM", "whom": "nobody", "at_least": "3", "tampering": True,
        "pattern": {"source": ["aws.iam", {"prefix": "x"}]},
    })  # fmt: skip
    assert (other.at_least, other.tampering, other.sources, other.contains, other.is_direct) == (
        3, True, frozenset(), False, True
    )  # fmt: skip
    assert [detections.is_direct(one, tampering=False) for one in detections.SEVERITIES] == [False, False, True, True]
    assert detections.rule_state({"read_only_calls": True}) == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    assert detections.rule_state({}) == "ENABLED"
    monkeypatch.setattr(detections, "settings", lambda: SimpleNamespace(name_prefix="ir"))
    assert detections.rule_name("a_b") == "ir-detect-a-b"
    assert detections.rule_name("x" * 54) == f"ir-detect-{'x' * 54}"
    assert detections.rule_name("x" * 55) == f"ir-{'x' * 55}"


def test_given_a_group_that_others_change_when_an_event_takes_part_then_it_gives_up_after_four_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execution = facts.INCIDENT["execution"]["id"]
    tries: list[Any] = []
    fails = [4]

    def count(*given: Any) -> None:
        tries.append(given)
        if len(tries) <= fails[0]:
            raise TransactionFailedError(["ConditionalCheckFailed"])

    monkeypatch.setattr(alert_groups, "enter", lambda *_: {"execution": "first"})
    monkeypatch.setattr(groups, "counter_of", lambda row: row["execution"])
    monkeypatch.setattr(groups, "counted", lambda _counter: {"events": 2})
    monkeypatch.setattr(groups, "count", count)

    with pytest.raises(UncertainError) as failure:
        alert_only._take_part("g", facts.event())
    assert "counting an event" in str(failure.value)
    assert tries == [("first", execution, "bob")] * 4
    fails[0] = 7
    assert alert_only._take_part("g", facts.event()) == alert_only._Part("first", first=False, counted=3)
    monkeypatch.setattr(alert_groups, "enter", lambda *_: {"execution": execution})
    assert alert_only._take_part("g", facts.event()) == alert_only._Part(execution, first=True, counted=1)
    monkeypatch.setattr(groups, "counter_of", lambda _row: "earlier")
    assert alert_only._take_part("g", facts.event()) == alert_only._Part("earlier", first=True, counted=2)


@pytest.mark.parametrize(
    ("verified", "measured"), [([True, True], []), ([True, False], ["ContainmentFailed"]), ([], [])]
)
def test_given_changes_without_the_ledger_when_one_is_missing_then_it_is_measured(
    monkeypatch: pytest.MonkeyPatch, verified: list[bool], measured: list[str]
) -> None:
    found: list[str] = []
    monkeypatch.setattr(without_ledger, "measure", found.append)
    monkeypatch.setattr(
        without_ledger, "_contain", lambda *_: facts.part(actions=[facts.taken(verified=one) for one in verified])
    )
    execution = {**facts.INCIDENT["execution"], "started_at": "2026-01-15T12:31:00Z"}

    answer = without_ledger.contain({"incident": facts.event(execution=execution), "before": {"principals": [1]}}, None)

    assert (answer["outcome"], found) == ("contained", measured)


class Groups:
    """The row of the actor's group, which other executions have entered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **row: Any) -> None:
        self.row = {"execution": "first", "until": NOW + 3600, **row}
        self.noted: list[Any] = []
        monkeypatch.setattr(clock, "now", lambda: NOW)
        monkeypatch.setattr(actor_incidents, "identity_of", lambda _actor: "bob")
        monkeypatch.setattr(groups, "enter", self.enter)
        monkeypatch.setattr(groups, "annotate", self.annotate)

    def enter(self, _group: str, execution: str, *, instead_of: str | None = None) -> dict[str, Any]:
        if instead_of is not None:
            self.row = {"execution": execution, "until": NOW + 3600}
        return self.row

    def annotate(self, _group: str, execution: str, change: str, *, arns: set[str]) -> dict[str, Any]:
        self.noted.append((execution, change, arns))
        return {"principals": set(self.row.get("principals", ())) | arns}


def test_given_the_first_event_of_an_actor_when_its_case_is_not_open_then_a_minute_is_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = facts.result(facts.part(outcome="refused"), outcome="refused")
    found = Groups(monkeypatch, until=NOW + 3600 - 59)
    with pytest.raises(ContainmentBusyError, match="has not opened its case yet"):
        not_contained.shared_case(facts.event(), refused)
    found.row["until"] = NOW + 3600 - 60
    assert not_contained.shared_case(facts.event(), refused) is None
    assert found.row["execution"] == facts.INCIDENT["execution"]["id"]


@pytest.mark.parametrize(
    ("known", "full", "noted"), [(8, False, True), (9, False, True), (10, True, True), (999, True, True),
                                 (1000, True, False)],
)  # fmt: skip
def test_given_many_principals_of_an_actor_when_they_share_a_case_then_ten_are_commented_and_a_thousand_kept(
    monkeypatch: pytest.MonkeyPatch, known: int, full: bool, noted: bool
) -> None:
    refused = facts.result(facts.part(outcome="refused"), outcome="refused")
    found = Groups(monkeypatch, case_id="1", principals={f"p{number}" for number in range(known)})

    answer = not_contained.shared_case(facts.event(), refused)

    assert answer == {"case_id": "1", "failed": False, "repetition": "none", "full": full}
    assert found.noted == ([("first", "ADD principals :arns", {facts.MALLORY["arn"]})] if noted else [])
