"""Groups of alerts: who holds one, who sends the first alert, and the alert with the count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import audit, groups, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import TransactionFailedError
from ir_router.workflow import (
    alert_groups,
    alert_only,
    attempts,
    check_allowlist,
    detections,
    notices,
    report_failure,
    wording,
    wording_alerts,
    wording_ledger,
    wording_links,
    wording_subjects,
)
from ir_router.workflow.alert_groups import Group
from tests.support.answers import AnswersInTurn, client_error
from tests.support.texts import facts

NOW = 10_000.0
EXECUTION = facts.INCIDENT["execution"]["id"]


@pytest.fixture(autouse=True)
def _groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    alert_groups.forget()


@pytest.mark.parametrize(
    ("row", "found", "kept", "takes_over"),
    [
        ({"execution": "own", "until": NOW + 1}, None, True, False),
        ({"execution": "own", "until": NOW}, None, False, True),
        ({"execution": "x", "until": NOW + 1}, True, True, False),
        ({"execution": "x", "until": NOW + 1}, False, False, False),
        (None, False, False, False),
    ],
)
def test_given_a_group_when_entered_then_an_open_one_is_kept_and_another_is_opened(
    monkeypatch: pytest.MonkeyPatch, row: Any, found: bool | None, kept: bool, takes_over: bool
) -> None:
    opened: list[Any] = []
    rows = [row, {"execution": "new", "until": NOW + 9}]

    def find(group: str) -> Group:
        assert group == "g"
        return Group(row, is_open=bool(found)) if not opened else Group(rows[1], is_open=True)

    monkeypatch.setattr(groups, "last", lambda group: rows[len(opened)] if group == "g" else None)
    monkeypatch.setattr(alert_groups, "find", find)
    monkeypatch.setattr(groups, "opening", lambda *given, **more: (*given, more))
    monkeypatch.setattr(table, "transact", opened.append)

    assert alert_groups.enter("g", "own") == (row if kept else rows[1])
    assert opened == ([] if kept else [("g", "own", row, {"takes_over": takes_over})])
    monkeypatch.setattr(groups, "last", lambda _group: None)
    monkeypatch.setattr(alert_groups, "find", lambda _group: Group(None))
    with pytest.raises(UncertainError) as busy:
        alert_groups.enter("g", "own")
    assert str(busy.value) == str(UncertainError("DynamoDB", "entering a group", "other executions changed it"))
    assert len(opened) == 6 + (not kept)


@pytest.mark.parametrize(
    ("holder", "states", "sends", "instead"),
    [
        ("own", {}, True, []),
        ("x", {"x": "RUNNING"}, False, []),
        ("x", {"x": "SUCCEEDED"}, False, []),
        ("x", {"x": "FAILED"}, True, ["x"]),
        ("x", {"x": None}, True, ["x"]),
        ("x", {"x": "FAILED", "taken": True}, False, ["x"]),
    ],
)
def test_given_several_executions_when_the_first_alert_is_due_then_one_that_may_still_send_it_does(
    monkeypatch: pytest.MonkeyPatch, holder: str, states: dict[str, Any], sends: bool, instead: list[str]
) -> None:
    name = groups.name_of("alerted", "c")
    entered: list[Any] = []

    def enter(group: str, execution: str, *, instead_of: str | None = None) -> dict[str, str]:
        entered.append((group, execution, instead_of))
        if instead_of is None:
            return {"execution": holder}
        return {"execution": "y" if states.get("taken") else execution}

    monkeypatch.setattr(groups, "enter", enter)
    monkeypatch.setattr(alert_groups, "status", lambda execution: states.get(execution))

    assert alert_groups.alerts("c", "own") is sends
    assert entered == [(name, "own", None), *((name, "own", one) for one in instead)]
    alert_groups.forget()
    monkeypatch.setattr(groups, "find", lambda group: {"execution": holder} if group == name else None)
    assert alert_groups.has_alerted("c") is (states.get(holder) in ("RUNNING", "SUCCEEDED"))
    assert alert_groups.has_alerted("other") is False


def test_given_an_execution_when_its_status_is_asked_then_one_that_does_not_exist_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing, denied = (client_error(code, "DescribeExecution") for code in ("ExecutionDoesNotExist", "AccessDenied"))
    client = AnswersInTurn({"status": "FAILED"}, missing, denied)
    monkeypatch.setattr(aws, "client", lambda name: client if name == "stepfunctions" else None)

    assert [alert_groups.status("e"), alert_groups.status("e")] == ["FAILED", None]
    with pytest.raises(type(denied)):
        alert_groups.status("e")
    assert client.asked == [{"executionArn": "e", "includedData": "METADATA_ONLY"}] * 3


def test_given_many_openers_when_their_states_are_kept_then_a_thousand_at_most_and_only_for_their_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    found: list[Any] = ["RUNNING", "FAILED", "FAILED", None]
    monkeypatch.setattr(alert_groups, "status", lambda _execution: found.pop(0))
    assert [alert_groups._state("e"), alert_groups._state("e"), alert_groups._state("f")] == [
        "RUNNING", "RUNNING", "FAILED"
    ]  # fmt: skip
    assert [alert_groups._state("f"), alert_groups._state("f"), found] == ["FAILED", None, []]
    alert_groups.forget()
    monkeypatch.setattr(alert_groups, "status", asked.append)
    for number in range(1_000):
        alert_groups.note_start(f"e{number}", refused=False)
    assert [alert_groups._state("e0"), alert_groups._state("e999"), asked] == ["RUNNING", "RUNNING", []]
    alert_groups.note_start("more", refused=False)
    assert [alert_groups._state("e0"), alert_groups._state("more"), asked] == [None, "RUNNING", ["e0"]]
    row = {"execution": "r", "until": NOW + 3_600}
    alert_groups.note_start("r", refused=True)
    assert alert_groups._refused == {"r": NOW + 60}
    monkeypatch.setattr(clock, "now", lambda: NOW + 59)
    assert alert_groups._starts(row) is False
    monkeypatch.setattr(clock, "now", lambda: NOW + 60)
    assert alert_groups._starts(row | {"until": NOW + 3_601}) is False
    monkeypatch.setattr(clock, "now", lambda: NOW + 60.5)
    assert alert_groups._starts(row | {"until": NOW + 3_601}) is True
    alert_groups.forget()
    assert (alert_groups._states, alert_groups._refused) == ({}, {})


class Sent:
    """The alerts, records and comments of an event, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self.error: Exception | None = None
        monkeypatch.setattr(notices, "alert_everywhere", self.done.append)
        monkeypatch.setattr(notices, "alert_without_key", self.done.append)
        monkeypatch.setattr(notices, "page_without_ledger", lambda *given: self.done.append(("page", *given)))
        monkeypatch.setattr(notices, "comment", self._comment)
        monkeypatch.setattr(audit, "append", lambda *given, once: self.done.append((*given, once)))
        monkeypatch.setattr(check_allowlist, "command_to_allow", lambda _incident: "allow it")
        monkeypatch.setattr(wording_alerts, "alert_only", lambda _incident, **more: f"alert {sorted(more.items())}")
        monkeypatch.setattr(
            wording_alerts, "alert_count", lambda _incident, *given, **more: f"count {given} {sorted(more.items())}"
        )

    def _comment(self, *given: Any) -> None:
        self.done.append(("comment", *given))
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("severity", "group", "part", "needed", "alerted", "counted"),
    [
        ("HIGH", None, None, 1, True, 1),
        ("CRITICAL", "g", (True, 1), 1, True, 1),
        ("HIGH", "g", (True, 4), 1, True, 4),
        ("HIGH", "g", (False, 2), 1, False, 2),
        ("HIGH", "g", (False, 3), 3, True, 3),
        ("HIGH", "g", (True, 2), 3, False, 2),
        ("HIGH", "g", (False, 4), 3, False, 4),
    ],
)
def test_given_an_event_when_alerted_then_the_alert_and_the_record_are_complete_and_counted_ones_send_none(
    monkeypatch: pytest.MonkeyPatch, severity: str, group: str | None, part: Any, needed: int, alerted: bool,
    counted: int,
) -> None:  # fmt: skip
    sent = Sent(monkeypatch)
    incident = facts.event(severity=severity)
    asked: list[Any] = []

    def alerts(*given: Any) -> bool:
        asked.append(given)
        return counted == needed

    monkeypatch.setattr(alert_only, "group_of", lambda _incident: group)
    monkeypatch.setattr(alert_only, "events_needed", lambda _incident: needed)
    monkeypatch.setattr(attempts, "handle", lambda *_: False)
    monkeypatch.setattr(alert_only, "_take_part", lambda *_: alert_only._Part("c", *part))
    monkeypatch.setattr(alert_groups, "alerts", alerts)

    answer = alert_only.run_task({"incident": incident}, "c")

    assert answer == {"alerted": alerted, "group_opened": bool(group and part[0])}
    assert asked == ([("c", EXECUTION)] if needed > 1 and counted >= needed else [])
    alert = Alert(
        "1/alert",
        severity,
        wording_subjects.to_check(incident),
        f"alert [('count', {counted}), ('grouped', {bool(group)})]",
        execution=EXECUTION,
        principals=wording_links.named_in(incident),
        allow="allow it",
        mention=severity == "CRITICAL",
    )
    record = ("alerted", wording.AUDIT_ACTOR, wording.record(incident), f"{EXECUTION}/alert_only")
    assert sent.done == ([alert, record] if alerted else [])


@pytest.mark.parametrize(
    ("group", "row", "opened"),
    [("g", {"execution": EXECUTION}, True), ("g", {"execution": "x"}, False), ("g", None, False), (None, {}, False)],
)
def test_given_a_call_of_a_contained_caller_when_alerted_then_it_is_only_counted_and_its_group_stays_open(
    monkeypatch: pytest.MonkeyPatch, group: str | None, row: Any, opened: bool
) -> None:
    monkeypatch.setattr(alert_only, "group_of", lambda _incident: group)
    monkeypatch.setattr(attempts, "handle", lambda incident, context: (incident, context) == (facts.event(), "c"))
    monkeypatch.setattr(groups, "find", lambda name: row if name == "g" else None)

    answer = alert_only.run_task({"incident": facts.event()}, "c")

    assert answer == {"alerted": False, "group_opened": opened}


@pytest.mark.parametrize("severity", ["CRITICAL", "HIGH"])
def test_given_no_ledger_when_alerted_then_the_topic_without_a_key_gets_the_event_and_a_critical_one_pages(
    monkeypatch: pytest.MonkeyPatch, severity: Any
) -> None:
    sent = Sent(monkeypatch)
    incident = facts.event(severity=severity)
    monkeypatch.setattr(wording_ledger, "alerted", lambda _incident, cause: f"because {cause}")
    monkeypatch.setattr(report_failure, "error_of", lambda failure: ("error", f"of {failure}"))

    assert alert_only.without_ledger({"incident": incident, "failure": "f"}, None) == {
        "done": True,
        "step": "Alert Only Without Ledger",
    }
    headline = wording_subjects.to_check(incident)
    alert = Alert("1/ledger", severity, wording_subjects.without_ledger(incident), "because of f")
    assert sent.done == [alert, *[("page", "1/alert", headline, headline)] * (severity == "CRITICAL")]


@pytest.mark.parametrize(
    ("row", "needed", "counted", "is_sent"),
    [
        ({"events": 1, "taken_over": False}, 1, 2, True),
        ({"events": 0, "taken_over": False}, 1, 1, False),
        ({"events": 2, "taken_over": True, "callers": {"zoe", "bob"}}, 1, 2, True),
        ({"events": 2, "taken_over": False, "case_id": "7"}, 2, 3, True),
        ({"events": 2, "taken_over": False, "case_id": ""}, 3, 3, False),
        ({"events": 3, "taken_over": False, "case_id": ""}, 3, 4, True),
        ({}, 1, 1, False),
    ],
)
def test_given_a_group_that_ends_when_counted_then_one_alert_has_the_number_and_the_case_gets_it(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], needed: int, counted: int, is_sent: bool
) -> None:
    sent = Sent(monkeypatch)
    incident = facts.event()
    case = row.get("case_id")
    monkeypatch.setattr(groups, "reported", lambda execution: row if execution == EXECUTION else {})
    monkeypatch.setattr(alert_only, "events_needed", lambda _incident: needed)

    assert alert_only.count({"incident": incident}, None) == {"count": counted}

    if not is_sent:
        assert sent.done == []
        return
    callers = ["bob", *(["zoe"] if "callers" in row else [])]
    text = f"count ({counted}, {callers}) [('needed', {needed}), ('taken_over', {row['taken_over']})]"
    if "case_id" in row:
        text += (
            "\n\nThe principal was not contained when these events arrived. The alert about the first event applies to "
            f"all of them.{chr(10) if case else ''}{wording.case_line(case)}"
        )
    alert = Alert(
        "1/count",
        "HIGH",
        wording_subjects.counted(incident, counted),
        text,
        case_id=case,
        execution=EXECUTION,
        principals=wording_links.named_in(incident),
        allow="" if case else "allow it",
    )
    details = {**wording.record(incident), "count": counted}
    record = ("alerted_count", wording.AUDIT_ACTOR, details, f"{EXECUTION}/alert_count")
    assert sent.done == [alert, record, *([("comment", "7", f"count-{EXECUTION}", text)] if case else [])]
    sent.error = RefusedError("AWS", "CreateCaseComment", "ConflictException")
    assert alert_only.count({"incident": incident}, None) == {"count": counted}
    sent.error = UncertainError("AWS", "CreateCaseComment", "timeout")
    if case:
        with pytest.raises(UncertainError):
            alert_only.count({"incident": incident}, None)


@pytest.mark.parametrize(
    ("rows", "failures", "part"),
    [
        ([{"execution": EXECUTION}], 0, (EXECUTION, True, 1)),
        ([{"execution": EXECUTION, "counted_in": "c"}], 0, ("c", True, 5)),
        ([{"execution": "x"}], 0, ("x", False, 6)),
        ([{"execution": "x"}, {"execution": EXECUTION}], 1, (EXECUTION, True, 1)),
        ([{"execution": "x"}] * 4, 3, ("x", False, 6)),
        ([{"execution": "x"}] * 4, 4, None),
    ],
)
def test_given_an_event_when_it_takes_part_in_its_group_then_a_number_that_was_reported_meanwhile_opens_the_next(
    monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, str]], failures: int, part: Any
) -> None:
    given, counted = list(rows), []

    def count(*arguments: Any) -> None:
        counted.append(arguments)
        if len(counted) <= failures:
            raise TransactionFailedError(["None", "ConditionalCheckFailed"])

    monkeypatch.setattr(alert_groups, "enter", lambda group, execution: given.pop(0) if group == "g" else execution)
    monkeypatch.setattr(groups, "count", count)
    monkeypatch.setattr(groups, "counted", lambda _counter: {"events": 5})
    if part is None:
        with pytest.raises(UncertainError) as busy:
            alert_only._take_part("g", facts.event())
        expected = UncertainError("DynamoDB", "counting an event", "other executions changed its group")
        assert (str(busy.value), given) == (str(expected), [])
        return

    assert alert_only._take_part("g", facts.event()) == alert_only._Part(*part)
    own = {"execution": EXECUTION}
    assert counted == [(row.get("counted_in", row["execution"]), EXECUTION, "bob") for row in rows if row != own]


def test_given_events_when_grouped_then_the_detection_decides_by_what_and_how_many_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[Any] = []
    monkeypatch.setattr(detections, "by_ids", lambda _ids: found)

    def group(by: str, **changes: Any) -> str | None:
        found[:] = [SimpleNamespace(id="d", grouped=by, at_least=3), SimpleNamespace(id="e", grouped="none")]
        return alert_only.group_of(facts.event(**changes))

    by_caller = groups.name_of("d", facts.BOB["arn"])
    account = facts.ACCOUNT
    assert [group("none"), group("reads"), group("reads", read_only=True)] == [None, None, by_caller]
    assert group("caller") == by_caller
    assert group("address") == groups.name_of("d", account, "198.51.100.7")
    assert group("address", source_ip=None) == groups.name_of("d", account, "")
    assert group("caller", quiet="sample") == groups.name_of("sample", account)
    assert group("caller", quiet="other") is None
    assert [alert_only.events_needed(facts.event()), alert_only.events_needed(facts.event(quiet="sample"))] == [3, 1]
    found.clear()
    assert [alert_only.group_of(facts.event()), alert_only.events_needed(facts.event())] == [None, 1]
    assert [alert_only._number(None, own=True), alert_only._number({"events": 2}, own=False)] == [1, 2]

    def caller(**actor: Any) -> tuple[str, str]:
        of = {"kind": "account", "arn": "", "caller_arn": "", "name": "", "account": "1", **actor}
        return alert_only._caller(facts.event(actor=of)), alert_only.caller_name(facts.event(actor=of))

    assert caller(arn="arn:a", caller_arn="arn:c", name="n") == ("arn:a", "n")
    assert caller(caller_arn="arn:c") == ("arn:c", "arn:c")
    assert caller() == ("account  1 ", "unknown")
    assert caller(name="1") == ("account 1 1 198.51.100.7", "1")
    assert caller(name="AIDA1") == ("account AIDA1 1 ", "AIDA1")
    assert caller(name="AIDA1", kind="unknown") == ("unknown AIDA1 1 198.51.100.7", "AIDA1")
    assert alert_only._caller(facts.event(source_ip=None, actor={**facts.UNKNOWN, "arn": "", "caller_arn": ""})) == (
        "unknown   "
    )
