"""Lines of the verification about the security channel and the approvers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ir_router.cases.models import Person
from ir_router.errors import RefusedError
from ir_router.ledger import security_channel
from ir_router.ops import approver_checks
from ir_router.settings import settings
from tests.support.answers import SlackAnswers

MEMBERS = ["U-a@x", "U-b@x", "U-c@x"]


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def line(checks: Any) -> tuple[str, str, str]:
    (found,) = checks
    return found.name, found.state, found.detail


class Members(SlackAnswers):
    def pages(self, method: str, member: str, **arguments: Any) -> Any:
        return self.read(method, member=member, **arguments)


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        ({"channel": {"name": "sec", "is_member": True}}, "ok", "#sec"),
        ({"channel": {"name": "sec"}}, "failed", "the app is not in #sec"),
        ({"channel": {"name": "sec", "is_archived": True, "is_member": True}}, "failed", "#sec is archived"),
        (
            RefusedError("Slack", "conversations.info", "channel_not_found"),
            "failed",
            "the app cannot see C1: Slack returned channel_not_found",
        ),
        (
            RefusedError("Slack", "conversations.info", "missing_scope", "needs channels:read"),
            "failed",
            "the app cannot see C1: Slack returned missing_scope: needs channels:read",
        ),
    ],
)
@pytest.mark.parametrize("is_own", [True, False])
def test_given_the_security_channel_when_verified_then_the_app_must_be_in_it(
    monkeypatch: pytest.MonkeyPatch, answer: Any, state: str, detail: str, is_own: bool
) -> None:
    monkeypatch.setenv("IR_SECURITY_CHANNEL_ID", "" if is_own else "C1")
    monkeypatch.setattr(security_channel, "known_id", lambda: "C1")
    slack: Any = SlackAnswers(answer)
    found = list(approver_checks._security_channel(slack))
    assert line(found) == ("security channel", state, detail)
    assert bool(found[0].fix) is (state != "ok")
    assert ("replaces it" in found[0].fix) is (is_own and state == "failed" and "missing_scope" not in detail)
    assert slack.asked == [("conversations.info", {"channel": "C1"})]


def test_given_no_channel_yet_when_verified_then_the_line_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(security_channel, "known_id", lambda: "")
    slack: Any = None
    name, state, detail = line(approver_checks._security_channel(slack))
    assert (name, state) == ("security channel", "waiting")
    assert "makes a private one within 15 minutes" in detail


@pytest.mark.parametrize(
    ("chosen", "team", "mode", "known", "state", "detail"),
    [
        ('["a@x", "b@x"]', [], "enforce", {"a@x", "b@x"}, "ok", "all 2 of slack_approvers found"),
        (
            '["a@x", "b@x"]',
            [],
            "enforce",
            {"b@x"},
            "failed",
            "1 of 2 of slack_approvers can decide; these cannot: a@x (a guest)",
        ),
        (
            '["a@x", "b@x"]',
            [],
            "dry_run",
            {"b@x"},
            "warning",
            "1 of 2 of slack_approvers can decide; these cannot: a@x (a guest)",
        ),
        (
            "",
            ["a@x", "b@x"],
            "enforce",
            {"b@x"},
            "warning",
            "1 of 2 of the membership's response team can decide; these cannot: a@x (a guest)",
        ),
        ('["a@x"]', ["c@x"], "enforce", set(), "failed", "no user of slack_approvers can decide: a@x (a guest)"),
        ("", ["c@x"], "enforce", {"c@x"}, "ok", "all 1 of the membership's response team found"),
        ("", [], "enforce", set(), "failed", "the membership's response team is empty, so no user can decide"),
        ("", [], "dry_run", set(), "warning", "the membership's response team is empty, so no user can decide"),
        (
            '["a@x", "d@x"]',
            [],
            "enforce",
            {"a@x", "d@x"},
            "failed",
            "not in the security channel, so requests without a case do not reach them: d@x",
        ),
        (
            "",
            ["a@x", "d@x"],
            "enforce",
            {"a@x", "d@x"},
            "warning",
            "not in the security channel, so requests without a case do not reach them: d@x",
        ),
        (
            "",
            ["d@x"],
            "enforce",
            {"d@x"},
            "failed",
            "not in the security channel, so requests without a case do not reach them: d@x",
        ),
    ],
)
def test_given_approvers_when_verified_then_each_must_be_able_to_decide_and_be_in_the_security_channel(
    monkeypatch: pytest.MonkeyPatch, chosen: str, team: list[str], mode: str, known: set[str], state: str, detail: str
) -> None:
    monkeypatch.setenv("IR_APPROVERS", chosen)
    monkeypatch.setenv("IR_CONTAINMENT_MODE", mode)
    monkeypatch.setattr(security_channel, "known_id", lambda: "C1")
    monkeypatch.setattr(
        approver_checks, "_looked_up", lambda _slack, who: ([f"U-{who}"], "" if who in known else "a guest")
    )
    slack: Any = Members(MEMBERS)
    found = approver_checks._approvers(slack, [Person(email=email) for email in team])
    assert line(found) == ("approvers", state, detail)


def test_given_many_approvers_who_cannot_decide_when_verified_then_the_line_names_ten_and_counts_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(security_channel, "known_id", lambda: "")
    monkeypatch.setattr(approver_checks, "_looked_up", lambda _slack, _who: ([], "a guest"))
    slack: Any = None
    _name, _state, detail = line(approver_checks._approvers(slack, [Person(email=f"{n}@x") for n in range(12)]))
    assert detail.endswith("9@x (a guest) and 2 more")


@pytest.mark.parametrize(
    ("who", "answer", "call", "found"),
    [
        ("a@x", {"user": {"id": "U1"}}, ("users.lookupByEmail", {"email": "a@x"}), (["U1"], "")),
        (
            "a@x",
            {"user": {"id": "U1", "deleted": True}},
            ("users.lookupByEmail", {"email": "a@x"}),
            (["U1"], "deactivated"),
        ),
        ("U1", {"user": {"id": "U1", "is_bot": True}}, ("users.info", {"user": "U1"}), (["U1"], "not a user")),
        ("U1", {"user": {"id": "U1"}}, ("users.info", {"user": "U1"}), (["U1"], "")),
        ("U1", {"user": {"id": "U1", "is_restricted": True}}, ("users.info", {"user": "U1"}), (["U1"], "a guest")),
        (
            "U1",
            {"user": {"id": "U1", "is_stranger": True}},
            ("users.info", {"user": "U1"}),
            (["U1"], "of another organisation"),
        ),
        ("U1", {}, ("users.info", {"user": "U1"}), ([""], "not a user")),
        ("S1", {"users": ["U1"]}, ("usergroups.users.list", {"usergroup": "S1"}), (["U1"], "")),
        ("S1", {"users": []}, ("usergroups.users.list", {"usergroup": "S1"}), ([], "no members")),
        (
            "U1",
            RefusedError("Slack", "users.info", "user_not_found"),
            ("users.info", {"user": "U1"}),
            ([], "not in this workspace"),
        ),
    ],
)
def test_given_an_approver_when_looked_up_then_the_reason_is_given_if_they_cannot_decide(
    who: str, answer: Any, call: Any, found: Any
) -> None:
    slack: Any = SlackAnswers(answer)
    assert approver_checks._looked_up(slack, who) == found
    assert slack.asked == [call]
