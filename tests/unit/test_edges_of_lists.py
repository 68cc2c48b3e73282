"""The lists of open requests and cases: who sees which, their order, their links, and the count of those left out."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import CaseRow
from ir_router.commands import approval_buttons, approvals, home, people
from ir_router.commands import list as cases
from ir_router.errors import RefusedError
from ir_router.ledger import approvals as requests
from ir_router.ledger import table
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.sync import approval_places
from tests.support.answers import SlackAnswers
from tests.support.made_commands import command

NOW = 1_768_500_000.0


def allow(monkeypatch: pytest.MonkeyPatch, *, approver: bool, editor: bool = False) -> None:
    decision = SimpleNamespace(allowed=approver)
    monkeypatch.setattr(approval_buttons, "approver_decision", lambda _command: (None, decision))
    monkeypatch.setattr(people, "decide", lambda _command, watchers: SimpleNamespace(allowed=editor and not watchers))


def request(number: int, **changes: Any) -> dict[str, Any]:
    return {"headline": f"user <{number}>", "decide_by": NOW + number, "state": "pending", **changes}


def with_requests(monkeypatch: pytest.MonkeyPatch, *rows: dict[str, Any]) -> None:
    monkeypatch.setattr(requests, "open_approvals", lambda: list(rows))
    monkeypatch.setattr(approval_places, "posted", lambda row: row.get("places", [("C1", "1.1")]))


def linked(number: int) -> dict[str, Any]:
    return {"permalink": f"https://slack.example/{number}"}


def test_given_open_requests_when_listed_then_the_earliest_deadline_is_first_with_link_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, approver=True)
    decided = request(1, state="decided", decision="deny", places=[])
    with_requests(monkeypatch, request(2), decided)

    head, lines = approvals.open_requests(command(SlackAnswers(linked(1))), {"C1"})

    assert head == "2 open approval requests"
    assert lines[0] == "• user &lt;1&gt;, decided (deny), not in effect yet"
    assert lines[1].startswith("• <https://slack.example/1|user &lt;2&gt;>, decide by <!date^1768500002^")
    assert lines[1].endswith("2026-01-15 18:00:02 UTC>, in <#C1>")


def test_given_a_user_when_listed_then_the_requests_of_the_users_channels_are_shown_and_linked_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, approver=False)
    both = request(1, places=[("C1", "1.1"), ("C2", "2.2")])
    with_requests(monkeypatch, both, request(2), request(3, places=[]))
    slack = SlackAnswers(linked(1))

    head, lines = approvals.open_requests(command(slack), {"C2"})

    assert (head, len(lines)) == ("1 open approval request", 1)
    assert lines[0].endswith(", in <#C2>")
    assert slack.asked == [("chat.getPermalink", {"channel": "C2", "message_ts": "2.2"})]


def test_given_a_channel_without_the_user_when_listed_then_the_line_names_the_invitation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, approver=True)
    with_requests(monkeypatch, request(1, places=[("C1", "1.1"), ("C2", "2.2")]))
    gone = RefusedError("Slack", "chat.getPermalink", "message_not_found")

    _, (line,) = approvals.open_requests(command(SlackAnswers(gone, linked(2))), set())
    _, (without,) = approvals.open_requests(command(SlackAnswers(gone, gone)), set())

    assert line.endswith(", in <#C2> (you are not in this channel; ask a member to invite you)")
    assert line.startswith("• <https://slack.example/2|")
    assert without.startswith("• user &lt;1&gt;, decide by <!date^")
    assert without.endswith(" UTC>")


@pytest.mark.parametrize(("number", "more"), [(20, []), (22, ["... and 2 more"])])
def test_given_many_requests_when_listed_then_twenty_are_shown_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch, number: int, more: list[str]
) -> None:
    allow(monkeypatch, approver=True)
    with_requests(monkeypatch, *(request(one, places=[]) for one in range(number)))

    head, lines = approvals.open_requests(command(), set())

    assert head == f"{number} open approval requests"
    assert lines[20:] == more
    assert lines[19].startswith("• user &lt;19&gt;")


@pytest.mark.parametrize(("approver", "end"), [(True, "."), (False, " in your channels.")])
def test_given_no_requests_or_cases_when_listed_then_the_answer_names_what_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, end: str, *, approver: bool
) -> None:
    allow(monkeypatch, approver=approver)
    with_requests(monkeypatch)
    with_cases(monkeypatch, [])

    assert approvals.open_requests(command(), set()) == (f"There are no open approval requests{end}", [])
    assert cases.open_cases(command(), set()) == (f"There are no open cases{end}", [])


def row(number: int, **changes: Any) -> CaseRow:
    at = datetime.fromtimestamp(NOW + number, UTC)
    known: dict[str, Any] = {"case_id": f"{number:010}", "title": f"t{number}", "case_status": "Submitted"}
    return CaseRow(**{**known, "created_date": at, **changes})


def with_cases(monkeypatch: pytest.MonkeyPatch, *pages: list[CaseRow], cut: bool = False, **channels: Any) -> list[Any]:
    asked: list[Any] = []
    known = [{"index_sk": name.removeprefix("c"), "channel_id": channel} for name, channel in channels.items()]

    def listed(token: str | None = None) -> tuple[list[CaseRow], str | None]:
        asked.append(token)
        number = int(token or 0)
        more = cut or number + 1 < len(pages)
        return pages[min(number, len(pages) - 1)], str(number + 1) if more else None

    monkeypatch.setattr(security_ir, "list_cases", listed)
    monkeypatch.setattr(table, "query_index", lambda _name: iter(known))
    return asked


def test_given_cases_on_several_pages_when_listed_then_the_newest_open_one_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, approver=True)
    first, last = row(1), row(3, title=None, case_status=None)
    asked = with_cases(
        monkeypatch, [first, row(2, case_status="Closed")], [last, row(0, created_date=None)], c0000000001="C1"
    )

    head, lines = cases.open_cases(command(), set())

    assert (head, asked) == ("3 open cases", [None, "1"])
    where = f"https://console.aws.amazon.com/security-ir/home?region={settings().region}#/cases/"
    assert lines[0].startswith(f"• <{where}0000000003|0000000003> Untitled case: ")
    assert lines[0].endswith(" (no channel yet)")
    assert lines[1].startswith(f"• <{where}0000000001|0000000001> t1: ")
    assert lines[1].endswith(" <#C1>")
    assert "|0000000000> t0" in lines[2]


def test_given_an_endless_list_when_listed_then_ten_pages_are_read_and_the_head_is_open_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, approver=False, editor=True)
    asked = with_cases(monkeypatch, [row(1)], [], cut=True)

    assert cases.open_cases(command(), set())[0] == "1 or more open cases"
    assert len(asked) == 10


@pytest.mark.parametrize(("number", "more"), [(20, []), (22, ["... and 2 more"])])
def test_given_a_user_when_cases_are_listed_then_those_of_the_users_channels_are_counted(
    monkeypatch: pytest.MonkeyPatch, number: int, more: list[str]
) -> None:
    allow(monkeypatch, approver=False)
    channels: dict[str, Any] = {f"c{one:010}": "C1" if one < number else "C2" for one in range(25)}
    with_cases(monkeypatch, [row(one) for one in range(26)], **channels)

    head, lines = cases.open_cases(command(), {"C1"})

    assert head == f"{number} open cases"
    assert lines[20:] == more


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (str(int(NOW) - 9), True),
        (str(int(NOW) - 10), False),
        (str(int(NOW) + 9), True),
        (str(int(NOW) + 10), False),
        (int(NOW), False),
        ("", False),
        (None, False),
        (f"0{int(NOW)}", False),
        (f"{int(NOW)}.0", False),
    ],
)
def test_given_the_time_of_a_tab_when_opened_again_then_it_is_fresh_for_seconds(
    monkeypatch: pytest.MonkeyPatch, published: object, *, expected: bool
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)

    assert home._is_fresh(published) is expected
