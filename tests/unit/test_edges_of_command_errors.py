"""Commands that end without their effect: the reason that the user reads, and the effects that do not happen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import Case, Person
from ir_router.commands import (
    activity,
    alert_button,
    changing,
    close,
    create,
    escalate,
    feedback,
    report,
    sync,
    update_description,
    update_status,
    update_title,
    watchers,
)
from ir_router.commands import rendering as shown
from ir_router.commands.command import Answer
from ir_router.commands.forms import CaseForm
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import activity as stored
from ir_router.ledger import alerts, reports, table
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import hints
from tests.support.made_commands import CASE, command

NOW = 50_000.0


def case(**changes: Any) -> Case:
    known: dict[str, Any] = {"case_id": CASE, "case_arn": "arn", "title": "a", "case_status": "Submitted"}
    return Case(**{**known, "description": "a", "resolver_type": "Self", **changes})


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The effects of the commands on the case, in order."""
    found: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(security_ir, "update_case", lambda _id, **fields: found.append(fields))
    monkeypatch.setattr(changing, "write_comment", lambda _command, text: found.append(text))
    monkeypatch.setattr(changing, "notify_synchronisation", lambda *_args: found.append("hint"))
    monkeypatch.setattr(changing, "record_user", lambda _command, *what, **_more: found.append(what))
    return found


def with_case(monkeypatch: pytest.MonkeyPatch, found: Case) -> None:
    monkeypatch.setattr(security_ir, "get_case", lambda _case_id: found)
    for name in ("case_to_change", "open_case_to_change"):
        monkeypatch.setattr(changing, name, lambda _command, **_how: found)


def test_given_a_closed_case_when_activity_is_requested_then_no_reading_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with_case(monkeypatch, case(case_status="Closed"))
    monkeypatch.setattr(stored, "request", lambda *_args: pytest.fail("requested"))

    answer = activity.execute_command(command())

    assert answer.text == "This case is closed, so ir-router reads no further activity for it."


def test_given_a_rejected_hint_when_a_command_needs_it_then_the_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with_case(monkeypatch, case())
    published: list[hints.Hint] = []
    requested: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)

    def request(*given: object) -> bool:
        requested.append(given)
        return True

    def publish(some: list[hints.Hint]) -> int:
        published.extend(some)
        return 1

    monkeypatch.setattr(stored, "request", request)
    monkeypatch.setattr(reports, "request", lambda *args: requested.append(args))
    monkeypatch.setattr(hints, "publish", publish)

    for module in (activity, report, sync):
        with pytest.raises(RefusedError) as refused:
            module.execute_command(command())
        error = refused.value
        assert (error.service, error.operation, error.code) == ("EventBridge", "PutEvents", "entry refused")

    assert requested == [(CASE, NOW), (CASE, NOW, "Jane (U1)")]
    assert [(hint.case_id, hint.detail_type, hint.compares_comments) for hint in published] == [
        (CASE, "CaseUpdated", False),
        (CASE, "CaseUpdated", False),
        (CASE, "CaseUpdated", True),
    ]


def test_given_a_missing_alert_or_text_when_a_button_is_pressed_then_the_user_reads_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerts, "get", lambda _name: None)
    monkeypatch.setattr(table, "get", lambda _key: None)

    with pytest.raises(InvalidInputError, match=r"^This alert is no longer stored\. .*type /security-ir create$"):
        alert_button._open(command(), "a1")
    with pytest.raises(InvalidInputError, match=r"^Your text is no longer stored\. .*type /security-ir create$"):
        create._open_again(command(), "t0")


@pytest.mark.parametrize(
    ("subject", "title"),
    [("FAILED: user alice", "user alice"), ("user alice", "user alice"), ("A: b: c", "b: c"), ("A: ", "A: ")],
)
def test_given_the_subject_of_an_alert_when_a_case_is_opened_then_the_title_has_no_action(
    subject: str, title: str
) -> None:
    assert alert_button._title(subject) == title


def test_given_an_incomplete_form_when_submitted_then_each_mistake_is_one_line_and_no_case_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(security_ir, "create_case", lambda **_fields: pytest.fail("opened"))
    form = CaseForm(title="a", description="b", kind="Investigation", severity="x")
    own = command()

    with pytest.raises(InvalidInputError, match=r"^Choose a severity\.\nEnter when the incident began\. .*$"):
        create._create(own, form)

    (block,) = own.fix_blocks
    assert [(one["action_id"], one["value"]) for one in block["elements"]] == [("create_again", "t1")]


@pytest.mark.parametrize(("remaining", "slept"), [(9.9, 0), (10.0, 10)])
def test_given_a_case_without_a_channel_when_opened_then_the_answer_waits_only_with_enough_time(
    monkeypatch: pytest.MonkeyPatch, remaining: float, slept: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(clock, "sleep", pauses.append)
    monkeypatch.setattr(table, "get", lambda _key: None)
    limited: Any = SimpleNamespace(remaining=lambda: remaining)

    assert create._channel(command(deadline=limited)) == ""
    assert pauses == [1] * slept


def test_given_a_case_that_is_closed_meanwhile_when_closing_is_confirmed_then_the_question_is_replaced(
    monkeypatch: pytest.MonkeyPatch, done: list[Any]
) -> None:
    closed = case(case_status="Closed")
    with_case(monkeypatch, closed)

    answer = close._close(command())

    assert answer == Answer(shown.already_closed(closed), replaces=True)
    assert done == []


@pytest.mark.parametrize("code", ["ServiceQuotaExceededException", "ValidationException"])
def test_given_a_rejected_escalation_when_the_case_is_not_with_aws_then_the_error_stays(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], code: str
) -> None:
    with_case(monkeypatch, case())

    def refuse(_case_id: str) -> None:
        raise RefusedError("AWS", "UpdateResolverType", code)

    monkeypatch.setattr(security_ir, "update_resolver_type", refuse)
    own = command()

    full = code == "ServiceQuotaExceededException"
    expected, text = (InvalidInputError, r"^Case not escalated: the quota") if full else (RefusedError, code)
    with pytest.raises(expected, match=text):
        escalate._escalate(own)
    assert own.changes
    assert done == []


def test_given_a_lost_answer_when_the_case_is_with_aws_then_the_escalation_is_complete(
    monkeypatch: pytest.MonkeyPatch, done: list[Any]
) -> None:
    with_case(monkeypatch, case())
    monkeypatch.setattr(security_ir, "get_case", lambda _id: case(resolver_type="AWS"))

    def refuse(_case_id: str) -> None:
        raise RefusedError("AWS", "UpdateResolverType", "ConflictException")

    monkeypatch.setattr(security_ir, "update_resolver_type", refuse)

    answer = escalate._escalate(command())

    assert (answer.text.partition(". ")[0], answer.replaces) == (f"✅ AWS now handles case {CASE}", True)
    assert done == ["Jane (U1) handed this case over to AWS from Slack.", "hint"]


@pytest.mark.parametrize(("length", "sent"), [(1_000, True), (1_001, False)])
def test_given_a_comment_for_aws_when_it_is_too_long_then_no_rating_is_sent(
    monkeypatch: pytest.MonkeyPatch, length: int, *, sent: bool
) -> None:
    ratings: list[Any] = []
    with_case(monkeypatch, case())
    monkeypatch.setattr(table, "get", lambda _key: {"ts": "1.1"})
    monkeypatch.setattr(security_ir, "send_feedback", lambda *rating: ratings.append(rating))
    origin = {"finding": "f1", "message_ts": "1.1", "rating": "feedback_not_useful"}
    comment = "x" * length

    if sent:
        assert feedback._send(command(), origin, comment).text == "✅ AWS has your rating: not useful."
    else:
        with pytest.raises(InvalidInputError, match=r"^Nothing was sent: AWS accepts at most 1,000 characters\.$"):
            feedback._send(command(), origin, comment)
    assert ratings == ([(CASE, "f1", "NOT_USEFUL", comment)] if sent else [])


def test_given_a_channel_without_a_case_when_a_finding_is_rated_then_the_user_reads_it() -> None:
    with pytest.raises(InvalidInputError, match=r"^This channel no longer belongs to a case, so nothing was sent\.$"):
        feedback._require_posted(command(case_id=""), {"finding": "f1", "message_ts": "1.1"})


def test_given_the_value_that_the_case_has_when_set_again_then_no_effect_happens(
    monkeypatch: pytest.MonkeyPatch, done: list[Any]
) -> None:
    with_case(monkeypatch, case(case_status="Detection and Analysis"))

    assert update_title.execute_command(command()).text == shown.unchanged("title", "a")
    assert update_description.execute_command(command()).text == shown.unchanged("description", "a")
    same = update_status.execute_command(command(argument="detection  and analysis"))
    assert same.text == shown.unchanged("status", "In Progress (Detection and Analysis)")
    assert done == []


@pytest.mark.parametrize(("code", "closed"), [("AccessDeniedException", False), ("ConflictException", True)])
def test_given_a_rejected_status_when_the_reason_is_not_the_move_then_the_error_stays(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], code: str, *, closed: bool
) -> None:
    with_case(monkeypatch, case(case_status="Closed" if closed else "Submitted"))

    def refuse(*_args: object) -> None:
        raise RefusedError("AWS", "UpdateCaseStatus", code)

    monkeypatch.setattr(security_ir, "update_status", refuse)

    with pytest.raises(RefusedError):
        update_status._move(command(), case(), "Detection and Analysis")
    assert len(done) == 1


def test_given_a_user_without_an_address_when_added_as_watcher_then_the_error_names_the_user() -> None:
    with pytest.raises(InvalidInputError, match=r"^A watcher needs .* none for name of U2ABC\n"):
        watchers.named(command(argument="<@U2ABC|bob>"))


def test_given_watchers_when_named_twice_then_each_is_kept_once_with_the_first_spelling() -> None:
    people = watchers.named(
        command(argument="A@example.com, a@example.com;<mailto:b@example.com|b@example.com>\nc@d.e1")
    )

    assert people == [Person(email="A@example.com"), Person(email="b@example.com"), Person(email="c@d.e1")]


@pytest.mark.parametrize(("length", "accepted"), [(5, False), (6, True), (254, True), (255, False)])
def test_given_an_address_when_checked_then_its_length_is_that_of_the_api(length: int, *, accepted: bool) -> None:
    assert watchers.is_address(f"{'a' * (length - 4)}@b.c") is accepted
