"""The poll, the daily e-mail, and the lines of a case."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.timeline import Moment
from ir_router.commands import create_form, timeline
from ir_router.commands.forms import CaseForm
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys, table
from ir_router.sync import poll
from ir_router.workflow import notices, open_case, witness_audit
from ir_router.workflow.outcomes import OUTCOMES
from tests.support.texts import facts

MARK = keys.deduplication("AUDIT-WITNESS")


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (RefusedError("AWS", "ListCases", "AccessDenied"), "AccessDenied"),
        (RetryLaterError("AWS", "ListCases", "Throttling", 1), "Throttling"),
        (UncertainError("AWS", "ListCases", "ReadTimeoutError"), "ReadTimeoutError"),
    ],
    ids=repr,
)
def test_given_a_list_that_breaks_off_when_polled_then_the_next_poll_continues_there(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, cause: str
) -> None:
    answers: list[Any] = [(["row"], "page-2"), failure]
    asked: list[str | None] = []

    def page(token: str | None) -> Any:
        asked.append(token)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(poll, "_page", page)
    found: Any = poll._listing("page-1")
    assert (found.rows, found.cursor, asked) == (["row"], "page-2", ["page-1", "page-2"])
    assert found.problem is not None
    assert found.problem.cause == cause

    answers[:] = [([1], f"page-{number}") for number in range(20)]
    asked.clear()
    found = poll._listing(None)
    assert (len(found.rows), found.cursor, found.problem) == (10, "page-9", None)
    answers[:] = [([1], "page-2"), ([2], None)]
    found = poll._listing(None)
    assert (found.rows, answers) == ([1, 2], [])


@pytest.mark.parametrize(
    ("head", "sent", "is_sent"),
    [
        (None, None, False),
        ({"chain_hash": "h2"}, None, True),
        ({"chain_hash": "h2"}, {"day": "2026-01-14", "hash": "h1"}, True),
        ({"chain_hash": "h2"}, {"day": "2026-01-15", "hash": "h1"}, False),
        ({"chain_hash": "h2"}, {"day": "2026-01-14", "hash": "h2"}, False),
    ],
)
def test_given_the_newest_hash_of_the_audit_when_a_day_begins_then_it_is_sent_once(
    monkeypatch: pytest.MonkeyPatch, head: Any, sent: Any, is_sent: bool
) -> None:
    rows = {keys.audit_head(): head and {**head, "month": "2026-01", "sequence": 7}, MARK: sent}
    written: list[Any] = []
    alerts: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: 1_768_480_259.0)
    monkeypatch.setattr(table, "get", rows.get)
    monkeypatch.setattr(table, "put", lambda key, row: written.append((key, row)))
    monkeypatch.setattr(notices, "mail", alerts.append)

    assert witness_audit.run_task({}, None) == {"sent": "h2" if is_sent else None, "exported": []}

    if not is_sent:
        assert written == alerts == []
        return
    assert written == [(MARK, {"day": "2026-01-15", "hash": "h2", "expires_at": 1_768_480_259 + 34_560_000})]
    (alert,) = alerts
    subject = "KEEP this e-mail: audit of ir-router on 2026-01-15"
    assert (alert.id, alert.severity, alert.subject) == ("audit-2026-01-7", "LOW", subject)
    assert alert.text.splitlines()[2:4] == ["h2", "(2026-01, record 7)"]


def test_given_an_outcome_without_a_case_when_the_case_is_opened_then_the_reason_is_returned() -> None:
    for outcome, consequences in OUTCOMES.items():
        if consequences.case == "none":
            answer: Any = open_case.run_task(
                {"incident": facts.INCIDENT, "containment": facts.result(outcome=outcome)}, None
            )
            assert (answer["case_id"], answer["failed"]) == (None, False)
            assert f"no case for {outcome}" in answer.values()


def test_given_more_events_than_are_shown_when_summed_up_then_the_newest_ten_and_the_number_of_others() -> None:
    events = [Moment(datetime(2026, 1, 15, 12, minute, tzinfo=UTC), f"event {minute}", "Jane") for minute in range(12)]
    assert timeline._event_lines(events) == [
        "• … 2 earlier",
        *(f"• 12:{minute:02} - event {minute} (Jane)" for minute in range(2, 12)),
    ]
    two_days = [events[0], Moment(datetime(2026, 1, 16, tzinfo=UTC), "x" * 200)]
    first, second = timeline._event_lines(two_days)
    assert first == "• 2026-01-15 12:00 - event 0 (Jane)"
    assert second.startswith("• 2026-01-16 00:00 - xxx")
    assert len(second) == len("• 2026-01-16 00:00 - ") + 150
    assert timeline._event_lines([]) == ["• None recorded"]
    assert len(timeline._event_lines(events[:10])) == 10


def test_given_a_form_that_is_opened_again_when_shown_then_it_has_the_values_that_were_typed() -> None:
    form = CaseForm("t", "d", "Investigation", "High", 7, ("1" * 12, "2" * 12), ("U1",))
    view = create_form.view(form, {"channel_id": "C1"})
    elements = {block["block_id"]: block["element"] for block in view["blocks"] if "element" in block}
    assert elements["accounts"]["initial_value"] == f"{'1' * 12} {'2' * 12}"
    assert (elements["title"]["initial_value"], elements["description"]["initial_value"]) == ("t", "d")
    assert elements["type"]["initial_option"]["value"] == "Investigation"
    assert elements["severity"]["initial_option"]["value"] == "High"
    assert (elements["start"]["initial_date_time"], elements["watchers"]["initial_users"]) == (7, ["U1"])
