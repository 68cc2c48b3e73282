"""Steps of a case's synchronisation: their order, the error that is raised at the end, the notice and its fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import clock
from ir_router.cases import followed_fields
from ir_router.deadline import Deadline
from ir_router.errors import (
    LeaseLostError,
    OutOfTimeError,
    RetryLaterError,
)
from ir_router.ledger import keys
from ir_router.ledger.claims import ClaimLostError
from ir_router.slack import messages
from ir_router.sync import (
    case_to_slack,
    channel,
    comments,
    fields,
    members,
    posting,
    system_comments,
    workflow_case,
)
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.channel import ChannelUnavailableError
from tests.support.answers import client_error
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, sync_of

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


STEPS = [
    ("_announce", "case_to_slack"),
    ("set_topic", "fields"),
    ("synchronise", "members"),
    ("announce_changes", "fields"),
    ("resume_open_claims", "comments"),
    ("synchronise", "comments"),
    ("synchronise", "findings"),
    ("synchronise", "attachments"),
    ("resume_slack_files", "attachments"),
    ("synchronise", "approvals"),
    ("synchronise", "awaited"),
    ("synchronise", "catch_up"),
    ("synchronise", "life_cycle"),
    ("synchronise", "activity"),
    ("synchronise", "report"),
    ("synchronise", "bookmarks"),
    ("synchronise", "archiving"),
]


def reconciling(monkeypatch: pytest.MonkeyPatch, journal: Journal, errors: dict[int, Exception]) -> None:
    """Replace all steps. The steps with these numbers raise the errors."""
    journal.replace(channel, "ensure", {"name": "case-1"})
    journal.replace(case_to_slack, "_notice")
    for number, (function, name) in enumerate(STEPS):
        module: Any = case_to_slack if name == "case_to_slack" else getattr(case_to_slack, name)

        def step(*given: Any, called: tuple[str, str] = (function, name), number: int = number) -> None:
            journal.calls.append((*called, *given))
            if number in errors:
                raise errors[number]

        monkeypatch.setattr(module, function, step)


LATER, HELD, LOST_CLAIM = RetryLaterError("S", "m", "x", 1), ClaimHeldError(5.0), ClaimLostError("x")
LASTING = refused("lasting")


@pytest.mark.parametrize(
    ("errors", "raised", "last"),
    [
        ({}, None, 17),
        ({0: LATER, 1: HELD, 2: LOST_CLAIM, 5: LASTING}, LASTING, 17),
        ({0: LATER, 16: HELD}, LATER, 17),
        ({0: HELD, 16: LATER}, HELD, 17),
        ({0: LOST_CLAIM, 16: LATER}, LOST_CLAIM, 17),
        ({1: client_error("x"), 2: LASTING}, None, 17),
        ({1: BotoCoreError(), 2: LATER}, None, 17),
        ({3: OutOfTimeError("x")}, None, 4),
        ({3: LeaseLostError("x")}, None, 4),
        ({3: ValueError("odd")}, None, 4),
    ],
)
def test_given_failing_steps_when_reconciled_then_the_others_run_in_order_and_a_lasting_error_is_raised(
    monkeypatch: pytest.MonkeyPatch,
    journal: Journal,
    errors: dict[int, Exception],
    raised: Exception | None,
    last: int,
) -> None:
    own = sync_of(journal)
    reconciling(monkeypatch, journal, errors)

    if errors:
        with pytest.raises(type(raised or next(iter(errors.values())))) as error:
            case_to_slack._reconcile(own)
        assert error.value is (raised or next(iter(errors.values())))
    else:
        case_to_slack._reconcile(own)
    given = {0: (own, "case-1"), 1: (own, {"name": "case-1"})}
    steps = [(*step, *given.get(number, (own,))) for number, step in enumerate(STEPS)]
    assert journal.calls == [("ensure", own), ("_notice", own), *steps[:last]]


def test_given_a_channel_without_a_name_when_reconciled_then_it_is_announced_without_one(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    own = sync_of(journal)
    reconciling(monkeypatch, journal, {})
    journal.replace(channel, "ensure", {})

    case_to_slack._reconcile(own)

    assert journal.calls[2] == ("_announce", "case_to_slack", own, "")


@pytest.mark.parametrize("closed", [True, False])
def test_given_an_unavailable_channel_when_reconciled_then_comments_of_an_open_case_are_still_settled(
    journal: Journal, closed: bool
) -> None:
    own = sync_of(journal, case=case_of(case_status="Closed" if closed else "Acknowledged"))
    journal.replace(channel, "ensure", ChannelUnavailableError("archived"))
    journal.replace(comments, "resume_open_claims")

    if closed:
        case_to_slack._reconcile(own)
    else:
        with pytest.raises(ChannelUnavailableError):
            case_to_slack._reconcile(own)
    assert journal.calls == [("ensure", own), *([] if closed else [("resume_open_claims", own)])]


@pytest.mark.parametrize("known", [True, False])
def test_given_a_new_channel_when_noticed_then_the_notice_shows_the_claimed_fields(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, known: bool
) -> None:
    own = sync_of(journal, tags={"severity": "LOW"})
    shown = {**followed_fields.values(own.case, own.tags), "slackChannelCaseTitle": "frozen"}
    key = keys.note("1", "notice")
    claim = SimpleNamespace(row={"fields": shown})
    journal.replace(own, "claim", None if known else claim)
    own.rows[key.sk] = {"fields": shown}
    monkeypatch.setattr(case_to_slack, "settings", lambda: SimpleNamespace(region="eu-west-1"))
    monkeypatch.setattr(workflow_case, "for_notice", lambda case, tags: case if tags is own.tags else None)
    journal.replace(posting, "post")
    journal.replace(fields, "remember")

    case_to_slack._notice(own)

    notice = messages.notice(case_of(title="frozen"), "LOW", "eu-west-1")
    assert journal.calls == [
        ("claim", key, {"fields": followed_fields.values(own.case, own.tags)}),
        *([] if known else [("post", "slack", "C1", claim, notice)]),
        ("remember", own, shown),
    ]


@pytest.mark.parametrize(("closed", "done"), [(False, False), (True, False), (False, True)])
def test_given_a_channel_when_announced_then_one_comment_on_an_open_case_names_it(
    journal: Journal, closed: bool, done: bool
) -> None:
    own = sync_of(journal, case=case_of(case_status="Closed" if closed else "Acknowledged"))
    journal.replace(own, "is_done", done)
    journal.replace(system_comments, "write")

    case_to_slack._announce(own, "case-1")

    asked = [] if closed else [("is_done", system_comments.key_of("1", "channel"))]
    text = "Slack channel #case-1 was created for this case. Messages and files are copied in both directions."
    assert journal.calls == [*asked, *([] if closed or done else [("write", "1", "channel", text)])]


def test_given_a_case_when_its_reading_is_made_then_it_has_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "response_team", lambda: ["team"])
    own: Any = SimpleNamespace(case="case", comments=["c"], tags={"t": "1"}, findings=["f"])

    found: Any = case_to_slack._reading(own)

    assert (found.case, found.team, found.comments) == ("case", ["team"], ["c"])
    assert (found.tags, found.findings) == ({"t": "1"}, ["f"])


def test_given_a_created_date_when_missing_then_the_case_is_as_old_as_this_moment(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(case_to_slack, "settings", lambda: SimpleNamespace(initial_import="none"))

    assert case_to_slack._is_ours(sync_of(journal), {"first_poll_at": NOW}) is True
    assert case_to_slack._is_ours(sync_of(journal), {"first_poll_at": NOW + 1}) is False
