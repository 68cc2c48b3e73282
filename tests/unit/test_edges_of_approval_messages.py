"""The messages and forms of an approval request: releases, ends, principals, links and limits."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.settings import settings
from ir_router.sync import approval_message

AT = 1_768_500_000
SHOWN_AT = f"<!date^{AT}^{{date_short_pretty}} {{time}}|2026-01-15 18:00:00 UTC>"
ALICE, BOB = (f"arn:aws:iam::123456789012:user/team/{name}" for name in ("alice", "bob"))
ADMIN = "arn:aws:iam::123456789012:role/admin"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:machine:run-1"


def row(**changes: Any) -> dict[str, Any]:
    return {
        "approval_id": "abc",
        "state": "pending",
        "kind": "remediate",
        "headline": "user alice contained",
        "decide_by": AT,
        "what": "CreateAccessKey for user alice",
        "done": ["key disabled"],
        "approve_does": "permanently deletes the key.",
        "deny_does": "restores the user.",
        "severity": "HIGH",
        "title": "Access key created",
        "event_id": "e-1",
        "principals": [ALICE],
        **changes,
    }


def ended(**changes: Any) -> dict[str, Any]:
    analyst = {"name": "Jane Smith", "via": "slack", "slack_user_id": "U1"}
    decided = {
        "state": "delivered",
        "decision": "approve",
        "decided_at": AT,
        "received_at": AT,
        "analyst": analyst,
        "result": "key deleted",
    }
    return row(**{**decided, **changes})


def sections(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"]["text"] for block in blocks if block["type"] == "section")


def small_print(blocks: list[dict[str, Any]]) -> str:
    return str(blocks[-1]["elements"][0]["text"])


def labels(blocks: list[dict[str, Any]]) -> list[str]:
    return [one["text"]["text"] for block in blocks if block["type"] == "actions" for one in block["elements"]]


def chosen(form: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["text"]["text"], one["value"]) for one in form["blocks"][1]["element"]["options"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "expired"}, True),
        ({"state": "expired", "kind": "contain"}, True),
        ({"state": "pending", "result": "done"}, False),
        ({"state": "decided", "decision": "approve", "result": "done"}, False),
        ({"state": "delivered", "decision": "approve", "result": "done"}, True),
        ({"state": "delivered", "decision": "approve"}, False),
        ({"state": "delivered", "decision": "approve", "result": ""}, False),
        ({"state": "delivered", "kind": "contain", "decision": "approve", "result": "done"}, False),
        ({"state": "delivered", "kind": "contain", "decision": "deny", "result": "done"}, True),
        ({"state": "expired", "kind": "contain", "decision": "approve"}, False),
    ],
)
def test_given_each_state_when_asked_for_an_outcome_then_only_an_end_with_a_result_has_one(
    changes: dict[str, Any], *, expected: bool
) -> None:
    assert approval_message.has_outcome(row(**changes)) is expected


def test_given_an_end_when_its_outcome_is_posted_then_it_has_the_decision_the_link_and_the_principal() -> None:
    with_link = approval_message.outcome(ended(result="user alice stays"), "https://slack.example/p1")
    without = approval_message.outcome(ended(), "")

    head = f"Approved by Jane Smith, {SHOWN_AT} - "
    alice = "<https://console.aws.amazon.com/iam/home#/users/details/alice|user alice>"
    assert with_link.text == f"{head}user alice stays. <https://slack.example/p1|Open the request>"
    assert sections(with_link.blocks) == f"{head}{alice} stays. <https://slack.example/p1|Open the request>"
    assert without.text == f"{head}key deleted."
    assert approval_message.outcome(ended(result="key deleted."), "").text == without.text
    assert sections(without.blocks) == without.text


def test_given_a_decision_when_named_then_two_people_and_break_glass_are_named() -> None:
    first = {"name": "Bob", "via": "cli"}
    two = ended(analyst={"name": "Jane", "via": "slack", "first": first})
    alone = ended(analyst={"name": "Jane", "via": "slack", "break_glass": True}, decision="deny")

    assert approval_message.decided_by(two) == "Approved by Bob (name given on the command line) and Jane"
    assert approval_message.decided_by(alone) == "Denied by Jane (break-glass, without a second person)"
    assert approval_message.decided_by(ended(state="decided")) == ""


def test_given_a_line_with_a_link_or_a_command_when_shown_then_no_further_link_is_put_into_it() -> None:
    for line in ("```release user alice```", "<https://a.example|user alice>"):
        assert approval_message._linked(line, row()) == line
    assert approval_message._linked("user alice", row()).startswith("<https://console.aws.amazon.com/iam/")


def test_given_named_principals_when_linked_then_those_of_the_request_and_the_texts_have_urls() -> None:
    assert approval_message.urls(row(named=[ADMIN])) == {
        "role admin": "https://console.aws.amazon.com/iam/home#/roles/details/admin",
        "user alice": "https://console.aws.amazon.com/iam/home#/users/details/alice",
    }


def test_given_a_silent_assignee_when_the_others_are_notified_then_they_read_who_when_and_until() -> None:
    silent = row(assignee={"name": "Jane", "via": "slack", "slack_user_id": "U1", "at": AT - 3_600})

    message = approval_message.overdue(silent, "https://slack.example/p1")

    assert message.text.startswith("No decision yet: user alice contained. ")
    before = f"<!date^{AT - 3600}^"
    taken, _, rest = message.text.partition(" took this request at ")
    assert "Jane" in taken
    assert rest.startswith(before)
    assert ". Check with " in rest
    assert f", or approve or deny by {SHOWN_AT}. <https://slack.example/p1|Open the request>" in rest
    assert approval_message.overdue(silent, "").text.endswith(" Its buttons are earlier in this channel.")


def test_given_several_contained_principals_when_released_then_all_or_each_can_be_chosen() -> None:
    several = ended(principals=[ALICE, BOB, ADMIN], released={BOB})
    one = ended(approval_id="def")

    form = approval_message.release_form("origin", [several, one], "false alarm")

    assert chosen(form) == [
        ("All 2 principals of this incident", "abc/"),
        ("user/team/alice", "abc/0"),
        ("role/admin", "abc/2"),
        ("user/team/alice", "def/0"),
    ]
    choice = form["blocks"][1]
    assert {name: value for name, value in choice.items() if name != "element"} == {
        "type": "input",
        "block_id": "principal",
        "label": {"type": "plain_text", "text": "Principal"},
    }
    element = choice["element"]
    assert (element["type"], element["action_id"]) == ("static_select", "principal")
    assert element["initial_option"] == element["options"][0]
    assert form["blocks"][0]["text"]["text"] == (
        "Releasing restores the state before the containment: keys that were active, and no deny policy. Deleted keys "
        "stay deleted."
    )
    assert (form["callback_id"], form["private_metadata"]) == ("release_confirm", "origin")
    assert (form["title"]["text"], form["submit"]["text"]) == ("Release", "Release")


def test_given_more_principals_than_a_menu_holds_when_released_then_the_first_hundred_are_offered() -> None:
    arns = [f"arn:aws:iam::123456789012:user/{'x' * 80}{number}" for number in range(101)]

    offered = chosen(approval_message.release_form("origin", [ended(principals=arns)], ""))

    assert len(offered) == 100
    assert offered[0] == ("All 101 principals of this incident", "abc/")
    assert all(len(text) <= 75 for text, _ in offered)


@pytest.mark.parametrize(("reason", "kept"), [("x" * 1_000, "x" * 1_000), ("x" * 1_001, "x" * 1_000)])
def test_given_a_typed_reason_when_a_release_is_confirmed_then_the_field_has_it_up_to_its_length(
    reason: str, kept: str
) -> None:
    field = approval_message.release_form("origin", [ended()], reason)["blocks"][2]["element"]
    empty = approval_message.release_form("origin", [ended()], "")["blocks"][2]["element"]

    assert field["initial_value"] == kept
    assert "initial_value" not in empty


def test_given_a_request_about_a_user_when_a_form_is_opened_then_the_user_is_a_link() -> None:
    for form in (approval_message.approve_form("o", row()), approval_message.reason_form("o", row())):
        assert "/iam/home#/users/details/alice|user alice> contained*" in sections(form["blocks"])


def test_given_a_partly_released_incident_when_shown_then_both_parts_and_the_command_are_named() -> None:
    partly = ended(principals=[ALICE, BOB], released={BOB}, released_by="Jane Smith (U123ABC)", released_at=AT)

    shown = approval_message.message(partly)

    text = sections(shown.blocks)
    assert "*Released*  bob, by Jane Smith\n" in text
    assert "*Release*  with the button, or on the command line:\n```aws lambda invoke " in text
    assert "abc" in text.partition("```")[2]
    assert labels(shown.blocks) == ["Release: restore access ..."]
    assert shown.text.startswith(f"Approved by Jane Smith, {SHOWN_AT} - key deleted")


def test_given_nothing_released_yet_when_shown_then_no_line_names_a_release_by_a_user() -> None:
    text = sections(approval_message.message(ended(principals=[ALICE])).blocks)

    assert "*Released*" not in text
    assert "*Release*  with the button" in text


@pytest.mark.parametrize(
    ("people", "starts"), [(1, "with the button"), (2, "Two people must release, with the button")]
)
def test_given_a_number_of_people_when_a_release_is_possible_then_two_are_announced(people: int, starts: str) -> None:
    assert f"*Release*  {starts}, or" in sections(approval_message.message(ended(required={"release": people})).blocks)


def test_given_a_complete_release_when_shown_then_the_head_names_the_release_and_the_decision_before() -> None:
    release = {"released": {ALICE}, "released_by": "Bob (W0ABC)", "released_at": AT}

    after_approval = approval_message.message(ended(**release, who="user alice")).text
    without_who = approval_message.message(ended(**release)).text
    after_expiry = approval_message.message(row(state="expired", **release)).text

    head = f"Released by Bob, {SHOWN_AT} - user alice"
    assert after_approval.startswith(f"{head}. Before: Approved by Jane Smith. ")
    assert without_who.startswith(f"{head} contained. Before: Approved")
    assert after_expiry.startswith(f"{head} contained. Before: No valid decision. ")


def test_given_an_open_request_with_a_released_principal_when_shown_then_the_head_still_asks() -> None:
    shown = approval_message.message(row(released={ALICE}, released_by="Bob", released_at=AT))

    assert shown.text.startswith("🔐 Approval needed by ")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([], "user alice was NOT contained. Contain it by hand now"),
        (["one"], "user alice was NOT contained. Contain it by hand now"),
        (["one", "two"], "user alice were NOT contained. Contain them by hand now"),
    ],
)
def test_given_an_expired_permission_when_shown_then_it_names_the_principals_as_not_contained(
    listed: list[str], expected: str
) -> None:
    expired = row(state="expired", kind="contain", who="user alice", why="no answer", listed=listed)

    assert approval_message.message(expired).text.startswith(f"No valid decision: no answer - {expected}")


def test_given_an_execution_and_a_finding_when_shown_then_the_small_print_links_both() -> None:
    linked = row(case_id="1234567890", execution=EXECUTION, finding="https://finding.example/?a=1&b=2")

    parts = small_print(approval_message.message(linked).blocks).split(" · ")

    where = f"https://console.aws.amazon.com/security-ir/home?region={settings().region}#/cases/1234567890"
    run = f"https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{EXECUTION}"
    assert parts == [
        "HIGH: Access key created",
        f"<{where}|case 1234567890>",
        f"<{run}|workflow>",
        "<https://finding.example/?a=1&amp;b=2|finding>",
        "event e-1",
        "approval abc",
    ]
    assert small_print(approval_message.message(row()).blocks) == (
        "HIGH: Access key created · event e-1 · approval abc"
    )


@pytest.mark.parametrize(
    ("does", "label"),
    [
        ("permanently deletes the key.", "delete key"),
        ("permanently deletes keys A and B.", "delete keys"),
        ("permanently deletes 12 keys.", "delete keys"),
        ("leaves the deny policy in place.", "keep contained"),
    ],
)
def test_given_an_effect_of_an_approval_when_shown_then_the_button_names_it(does: str, label: str) -> None:
    assert labels(approval_message.message(row(approve_does=does)).blocks)[0] == f"Approve: {label} ..."


@pytest.mark.parametrize(
    ("seconds", "text"), [(119, "119 s"), (119.6, "120 s"), (120, "2 min"), (121, "2 min"), (150.1, "3 min")]
)
def test_given_a_duration_when_shown_then_minutes_begin_at_two(seconds: float, text: str) -> None:
    assert f"{text} after the event" in sections(approval_message.message(row(seconds_from_event=seconds)).blocks)


def test_given_a_long_text_when_cut_then_it_names_where_the_complete_text_is() -> None:
    line = approval_message._line("x" * 401)

    assert len(line) <= 400
    assert "in the audit)" in line or line.endswith("in the audit")


def test_given_an_end_without_a_containment_when_shown_then_its_steps_are_labelled_with_both_times() -> None:
    at = {"created_at": AT}
    denied = ended(decision="deny", **at)
    undecided = ended(decision="deny", result="", **at)
    released = ended(released={ALICE}, released_by="Bob", released_at=AT, **at)
    kept = ended(**at)

    shown = [sections(approval_message.message(one).blocks) for one in (denied, undecided, released, kept)]

    assert f"\n*Contained* {SHOWN_AT}, restored {SHOWN_AT}:  key disabled" in shown[0]
    assert f"\n*Contained* {SHOWN_AT}, released {SHOWN_AT}:  key disabled" in shown[2]
    assert [text.count("\n*Done*  key disabled") for text in shown] == [0, 1, 0, 1]
    without = approval_message.message(ended(decision="deny")).blocks
    assert f"\n*Contained*, restored {SHOWN_AT}:  key disabled" in sections(without)


def test_given_only_owners_as_approvers_when_shown_then_the_last_ones_are_named_while_it_is_open() -> None:
    line = "*Barred*  every approver owns credentials of this incident; the last may decide: U1, U2"

    assert line in sections(approval_message.message(row(last_approvers=["U1", "U2"])).blocks)
    assert "Barred" not in sections(approval_message.message(ended(last_approvers=["U1"], owners=[])).blocks)
    assert "*What*  CreateAccessKey for <https://console" in sections(approval_message.message(row()).blocks)
