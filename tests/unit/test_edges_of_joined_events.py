"""Events after the first one: they join a request, or continue a finding that was denied."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import approvals, containments, groups, joined_events, keys, table
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError
from ir_router.workflow import (
    actor_incidents,
    continuing,
    event_not_believed,
    invocation,
    joining,
    not_contained,
    origin,
    owners,
    reading,
    wording,
    wording_decisions,
    wording_links,
)
from tests.support.steps import NOW, Held, Steps
from tests.support.texts import facts

EXECUTION = facts.INCIDENT["execution"]["id"]
ARN = facts.MALLORY["arn"]
CLOSED = RefusedError("AWS", "CreateCaseComment", "ConflictException")
UNSURE = UncertainError("AWS", "CreateCaseComment", "timeout")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.mark.parametrize(
    ("added", "why", "more", "refused"),
    [
        (False, "", {}, None),
        (True, "", {}, None),
        (True, "IAM refused.", {}, True),
        (True, "IAM refused.", {"keys_unknown": True}, None),
    ],
)
def test_given_an_event_of_an_open_incident_when_it_joins_then_owners_come_first_and_the_request_is_refreshed(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, added: bool, why: str, more: dict[str, Any], refused: bool | None
) -> None:
    approval_id = approvals.id_of("i", "remediate")
    monkeypatch.setattr(approvals, "get", lambda wanted: {"case_id": "7"} if wanted == approval_id else None)
    monkeypatch.setattr(joined_events, "note", steps.step("note"))
    monkeypatch.setattr(joined_events, "remember", steps.step("remember"))
    lock: Any = Held(
        steps, incident="i", case_id="6", joined_by="x", joined_owners=["b"], joined_creators={"c": 1, "d": 2}
    )
    result: Any = {"why": why, **more}
    offers: Any = {"c": 9, "e": 3}

    joining.join(lock, facts.event(), result, ["a", "b"], offers, added=added)

    event = {"execution": EXECUTION, "what": wording.what_happened(facts.event())}
    row = {
        "contained_at": NOW, "phase": containments.OPEN, "deny_refused": refused,
        "keys_unknown": more.get("keys_unknown"), "case_id": "7", "joined_by": EXECUTION,
    }  # fmt: skip
    noted = [("note", approval_id, event, {"principal": ARN, "with_row": ("with row", row)}), ("saved",)]
    assert steps.done == [
        ("save", {"joined_owners": ["a", "b"], "joined_creators": {"c": 1, "d": 2, "e": 3}}),
        *(noted if added else [("note", approval_id, event)]),
        ("remember", approval_id, EXECUTION),
        ("refresh", approval_id),
        ("publish", "ApprovalRequested", {"approval_id": approval_id, "joined": True}),
    ]
    case = "7" if added else "6"
    assert result == {
        "why": why, **more, "added": added, "joined_execution": "i", "case_id": case, "approval_id": approval_id
    }  # fmt: skip


@pytest.mark.parametrize("case_id", ["7", None])
def test_given_a_request_for_permission_when_an_event_joins_then_its_principals_keys_and_owners_are_noted(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, case_id: str | None
) -> None:
    containment = facts.result(
        facts.part({**facts.MALLORY, "id": "AIDA1"}, actions=[facts.taken()]), facts.part(facts.BOB)
    )
    monkeypatch.setattr(
        owners, "restored", lambda given, execution: {"owners": ["o"] if execution == EXECUTION else given}
    )
    monkeypatch.setattr(joined_events, "note", steps.step("note"))
    monkeypatch.setattr(actor_incidents, "give_up", steps.step("give up"))
    monkeypatch.setattr(not_contained, "_show", steps.step("show"))
    incident = facts.event()

    not_contained._join(incident, containment, {"approval_id": 5}, case_id)

    what = wording.what_happened(incident)

    def noted(arn: str, ids: set[str], disabled: set[str]) -> Any:
        more = {"joined_ids": ids, "joined_keys": disabled, "joined_owners": {"o"}}
        return ("note", "5", {"execution": f"{EXECUTION}#{arn}", "what": what}, {"principal": arn, "more": more})

    details = {**wording.record(incident), **wording.record_containment(containment, case_id)}
    text = wording.containment(incident, containment, None)
    expected = [
        noted(ARN, {f"{ARN} AIDA1"}, {f"{ARN} AKIA2"}),
        noted(facts.BOB["arn"], set(), set()),
        ("give up", incident),
        ("audit", "permission_joined", wording.AUDIT_ACTOR, {**details, "approval_id": "5", "barred": ["o"]},
         {"once": f"{EXECUTION}/permission_joined"}),
        *([("comment", "7", f"joined-{EXECUTION}", text)] if case_id else []),
        ("show", "5"),
        ("publish", "ApprovalRequested", {"approval_id": "5", "joined": True}),
    ]  # fmt: skip
    assert steps.done == expected
    steps.done.clear()
    steps.errors["comment"] = CLOSED
    not_contained._join(incident, containment, {"approval_id": 5}, case_id)
    assert steps.done == expected
    steps.errors["comment"] = UNSURE
    if case_id:
        with pytest.raises(UncertainError):
            not_contained._join(incident, containment, {"approval_id": 5}, case_id)


@pytest.mark.parametrize(("shown_after", "amended"), [(0, 0), (1, 1), (2, 2), (9, 3)])
def test_given_principals_that_join_at_the_same_moment_when_shown_then_the_texts_are_written_three_times_at_most(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, shown_after: int, amended: int
) -> None:
    wanted = {"who": "both", "listed": ["a", "b"]}
    monkeypatch.setattr(not_contained, "texts", lambda _row: wanted)
    monkeypatch.setattr(approvals, "amend", steps.step("amend"))
    monkeypatch.setattr(
        approvals, "get", lambda _id: {"who": "both", **(wanted if len(steps.done) >= shown_after else {"listed": []})}
    )

    not_contained._show("a")

    assert steps.done == [("amend", "a", wanted)] * amended
    monkeypatch.setattr(approvals, "get", lambda _id: None)
    not_contained._show("a")
    assert len(steps.done) == amended + 3


FINDING = {"detail-type": "GuardDuty Finding", "detail": {"service": {"count": 3}}}
DENIED_AT = 1_768_480_258.0


@pytest.mark.parametrize(
    ("event", "asked", "case"),
    [
        (FINDING, {"decided_at": DENIED_AT}, "7"),
        (FINDING, {"decided_at": DENIED_AT, "case_id": None}, None),
        (FINDING, {"decided_at": DENIED_AT + 1}, ""),
        (FINDING, {"decided_at": DENIED_AT, "receipt": "approve"}, ""),
        ({**FINDING, "detail-type": "Other"}, {"decided_at": DENIED_AT}, ""),
        (FINDING, None, ""),
    ],
)
def test_given_a_denied_finding_when_it_continues_then_one_alert_and_one_comment_report_it(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, event: dict[str, Any], asked: Any, case: str | None
) -> None:
    row = {"receipt": "deny", "who": "user mallory", "analyst": {"name": "Jane"}, "case_id": "7", **(asked or {})}
    monkeypatch.setattr(
        joined_events, "request_of", lambda execution: row if asked is not None and execution == "e0" else None
    )
    monkeypatch.setattr(table, "put", steps.step("put"))
    incident = facts.event()

    continuing.report(incident, event, "n", {"execution": "e0"})

    if case == "":
        assert steps.done == []
        return
    text = wording.lines(
        "The finding about user mallory continues after its denial: GuardDuty now counts 3 occurrences.",
        f"Jane denied it at {wording_decisions.at(DENIED_AT)}, so ir-router did not contain it again. Check whether "
        "the denial is still right. If it is not, contain the principal by hand.",
        "",
        *wording.facts(incident),
        wording.case_line(row["case_id"]),
        *wording.ids(incident),
    )
    subject = "CHECK the denial: user mallory, its finding continues"
    named = wording_links.named_in(incident)
    alert = Alert("1/continued", "HIGH", subject, text, case_id=row["case_id"], execution=EXECUTION, principals=named)
    claim = {"execution": EXECUTION, "expires_at": int(NOW) + 14 * 86_400}
    condition = "attribute_not_exists(PK) OR execution = :execution"
    expected = [
        ("put", keys.detection("n#continued"), claim, condition, {"execution": EXECUTION}),
        ("alert_everywhere", alert),
        *([("comment", "7", "continued-e-1", text)] if case else []),
    ]
    assert steps.done == expected
    steps.errors["comment"] = CLOSED
    continuing.report(incident, event, "n", {"execution": "e0"})
    steps.errors["put"] = ConditionFailedError({})
    steps.done.clear()
    continuing.report(incident, event, "n", {"execution": "e0"})
    assert steps.done == expected[:1]
    continuing.report(facts.event(event_time=None), event, "n", {"execution": "e0"})
    assert len(steps.done) == 1


@pytest.mark.parametrize("opener", [EXECUTION, "other"])
def test_given_an_event_about_another_account_when_it_is_not_believed_then_one_alert_an_hour_names_both_accounts(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, opener: str
) -> None:
    read = {name: value for name, value in facts.event(account="9" * 30).items() if name != "execution"}
    monkeypatch.setattr(invocation, "own_account", lambda _context: ("aws", "1"))
    monkeypatch.setattr(
        reading, "read", lambda event, partition: read if (event, partition) == ("event", "aws") else {}
    )
    monkeypatch.setattr(origin, "of", lambda event, account: f"sender {event} {account}")
    monkeypatch.setattr(groups, "enter", steps.step("enter", {"execution": opener}))
    execution = facts.INCIDENT["execution"]

    answer = event_not_believed.run_task({"event": "event", "execution": execution}, None)

    incident = {**read, "execution": execution}
    source, about = "sender event 1", f"{'9' * 20}... (10 characters more)"
    text = wording.lines(
        f"An event of account {source} names account {about} in its detail. ir-router contained nothing, because an "
        "event can cause a containment only in its own account.",
        f"The event may be forged. Check in CloudTrail of account {source} who sent it. If it is genuine, respond to "
        "it by hand.",
        f"For one hour, ir-router sends no alerts about further such events of account {source}. The audit "
        "records each.",
        "",
        *wording.facts(incident),  # type: ignore[arg-type]
        *wording.ids(incident),  # type: ignore[arg-type]
    )
    subject = f"CHECK account {source}: ir-router does not believe its event about account {about}"
    alert = Alert("1/not_believed", "HIGH", subject, text, execution=EXECUTION)
    record = {**wording.record(incident), "origin": source}  # type: ignore[arg-type]
    is_first = opener == EXECUTION
    assert answer == {"alerted": is_first}
    assert steps.done == [
        ("audit", "event_not_believed", wording.AUDIT_ACTOR, record, {"once": f"{EXECUTION}/not_believed"}),
        ("enter", groups.name_of("event not believed", source), EXECUTION),
        *([("alert_everywhere", alert)] if is_first else []),
    ]
