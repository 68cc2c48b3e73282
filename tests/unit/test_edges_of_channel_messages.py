"""The messages about activity, alerts, creators of keys and reports: counts, limits, links and missing parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.cases.activity import Activity, Scope
from ir_router.cases.trail_calls import TrailCall
from ir_router.settings import settings
from ir_router.sync import activity_message, alert_message, creator_offers, report_message

AT = 1_768_500_000.0
USER = "arn:aws:iam::123456789012:user/alice"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:machine:run-1"


def call(number: int = 0, **changes: Any) -> TrailCall:
    values: dict[str, Any] = {
        "event_id": f"e{number}",
        "at": AT + number,
        "region": "eu-west-1",
        "service": "iam",
        "name": "ListUsers",
        "error": "",
        "address": "192.0.2.1",
        "agent": "aws-cli",
        "key": "AKIA1",
        "caller": USER,
        "of": USER,
        **changes,
    }
    return TrailCall(**values)


def activity(*calls: TrailCall, contained: float = AT + 1_000, **scope: Any) -> Activity:
    known: dict[str, Any] = {"since": AT - 60, "read_at": AT + 2_000, "regions": ["eu-west-1", "us-east-1"], "keys": []}
    return Activity(calls, Scope(contained_at={USER: contained}, **{**known, **scope}))


def text_of(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"]["text"] for block in blocks if block["type"] == "section")


def small_print(blocks: list[dict[str, Any]]) -> str:
    return str(blocks[-1]["elements"][0]["text"])


def test_given_no_calls_when_shown_then_the_message_has_no_table_and_names_no_attachments() -> None:
    message = activity_message.message(activity(limited=["a part"]), "a.csv")

    assert message.text == "🔎 CloudTrail shows no calls of the contained credentials."
    assert text_of(message.blocks) == f"*{message.text.removesuffix('.')}*\nNot complete: a part."
    assert small_print(message.blocks).startswith("Read <!date^")
    assert "attachments" not in small_print(message.blocks)
    assert small_print(message.blocks).endswith(" · `/security-ir activity` reads the newest calls")


def test_given_an_unfinished_reading_when_shown_then_it_continues_and_has_no_attachments_yet() -> None:
    part = activity_message.message(activity(call(), complete=False), "a.csv")
    complete = activity_message.message(activity(call(), call(1)), "a.csv and a.html")

    assert "made 1 call so far (the reading continues), <!date^1768500000^" in part.text
    assert "attachments" not in small_print(part.blocks)
    assert "made 2 calls, <!date^1768500000^" in complete.text
    assert " to <!date^1768500001^" in complete.text
    assert small_print(complete.blocks).startswith(
        "Every call: attachments a.csv and a.html of the case · Read <!date^"
    )
    assert "<!date^1768502000^" in small_print(complete.blocks)
    assert " from CloudTrail in eu-west-1, us-east-1, since <!date^1768499940^" in small_print(complete.blocks)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (["AccessDenied", "Throttled"], "no call succeeded; 2 calls denied or failed"),
        (["AccessDenied"], "no call succeeded; 1 call denied or failed"),
        ([""], "⚠️ 1 call SUCCEEDED, the last one iam Call0 at "),
        (["", "", "Throttled"], "⚠️ 2 calls SUCCEEDED, the last one iam Call1 at "),
    ],
)
def test_given_calls_after_the_containment_when_shown_then_results_are_counted(
    errors: list[str], expected: str
) -> None:
    calls = [call(number, error=error, name=f"Call{number}") for number, error in enumerate(errors)]

    (line,) = activity_message._after(activity(*calls, contained=AT - 10))

    assert line.startswith(f"*After the containment*  {expected}")
    assert line.endswith("; 1 call denied or failed") is (errors.count("") == 2 or errors == ["AccessDenied"])


def test_given_calls_before_the_containment_when_shown_then_none_succeeded_after_it() -> None:
    assert activity_message._after(activity(call())) == ["*After the containment*  no call succeeded"]
    assert activity_message.message(activity(call()), "f").text.endswith(". After the containment  no call succeeded")
    (late,) = activity_message._after(activity(call(), contained=AT - 10))
    assert "iam ListUsers at <!date^1768500000^" in late
    assert late.endswith("|2026-01-15 18:00:00 UTC>")


def test_given_lasting_effects_and_read_secrets_when_shown_then_they_are_counted_and_can_be_undone() -> None:
    found: Any = SimpleNamespace(
        lasting=[SimpleNamespace(name="user eve", undo="aws iam delete-user")], read=["a", "b"]
    )

    assert activity_message._lasting(found) == [
        "*The containment does not undo* (1)",
        "• user eve\n    _To undo:_ aws iam delete-user",
    ]
    assert activity_message._read(found) == ["*Read* (2): replace these secrets", "• a", "• b"]


@pytest.mark.parametrize(("number", "more"), [(10, ""), (12, "\n• and 2 more services")])
def test_given_many_services_when_shown_then_ten_are_and_the_others_are_counted(number: int, more: str) -> None:
    calls = [call(one, service=f"service{one:02}") for one in range(number)]

    (block,) = activity_message._table(activity(*calls))

    text = str(block["text"]["text"])  # type: ignore[index]
    shown = "\n".join(f"• service{one:02}, eu-west-1: 1 succeeded" for one in range(10))
    assert text == f"*Calls*\n{shown}{more}\n*From*  192.0.2.1 ({number})"


@pytest.mark.parametrize(("number", "more"), [(5, ""), (6, " and 1 more")])
def test_given_many_addresses_when_shown_then_the_most_frequent_five_are(number: int, more: str) -> None:
    calls = [call(10 * one + again, address=f"192.0.2.{one}") for one in range(number) for again in range(9 - one)]

    (block,) = activity_message._table(activity(*calls))

    named = ", ".join(f"192.0.2.{one} ({9 - one})" for one in range(5))
    assert str(block["text"]["text"]).endswith(f"*From*  {named}{more}")  # type: ignore[index]


def alert(**changes: Any) -> dict[str, Any]:
    return {"subject": "FAILED: user alice", "severity": "HIGH", "text": "FAILED: user alice.\nA line.", **changes}


@pytest.mark.parametrize(
    ("subject", "severity", "emoji"),
    [
        ("DONE: contained", "CRITICAL", "✅"),
        ("NO ACTION: allowlisted", "HIGH", "✅"),
        ("NOT DONE: contained", "CRITICAL", "🚨"),
        ("FAILED: contained", "HIGH", "⚠️"),
    ],
)
def test_given_an_alert_when_posted_then_its_emoji_is_of_the_action_and_then_of_the_severity(
    subject: str, severity: str, emoji: str
) -> None:
    message = alert_message.message("a1", alert(subject=subject, severity=severity, principals=[USER]), "")

    assert message.text == f"{emoji} {subject}"


def test_given_an_alert_of_a_case_when_posted_then_it_links_case_channel_workflow_and_finding() -> None:
    text = "FAILED: user alice.\n\nUser alice is active.\nConsole: https://f.example/?a=1&b=2\nEvent: e\nIAM: x"
    row = alert(text=text, case_id="1234567890", execution=EXECUTION, principals=[USER])

    message = alert_message.message("a1", row, "C1")
    without_channel = alert_message.message("a1", row, "")

    alice = "<https://console.aws.amazon.com/iam/home#/users/details/alice|user alice>"
    assert text_of(message.blocks) == f"*⚠️ FAILED: {alice}*\nUser alice is active."
    parts = small_print(message.blocks).split(" · ")
    assert parts[0] == "HIGH"
    assert f"region={settings().region}" in parts[1]
    assert parts[1].endswith("|Case 1234567890>")
    assert parts[2] == "<#C1>"
    assert parts[3].endswith(f"/{EXECUTION}|Workflow>")
    assert parts[4:] == ["<https://f.example/?a=1&amp;b=2|Finding>"]
    assert small_print(without_channel.blocks).split(" · ") == [*parts[:2], *parts[3:]]
    assert all(block["type"] != "actions" for block in message.blocks)


def test_given_an_alert_without_a_case_when_posted_then_its_button_opens_one() -> None:
    message = alert_message.message("a1", alert(), "C1")

    assert message.blocks[-2] == {
        "type": "actions",
        "block_id": "alert",
        "elements": [
            {
                "type": "button",
                "action_id": "alert_open_case",
                "text": {"type": "plain_text", "text": "Open a case ..."},
                "value": "a1",
            }
        ],
    }
    assert small_print(message.blocks) == "HIGH"


@pytest.mark.parametrize(("length", "shown"), [(0, False), (1, True), (2_500, True), (2_501, False)])
def test_given_a_command_for_the_allowlist_when_posted_then_it_is_shown_only_complete(
    length: int, *, shown: bool
) -> None:
    text = text_of(alert_message.message("a1", alert(allow="x" * length), "").blocks)

    assert text.endswith(f"add the caller to the allowlist:\n```{'x' * length}```") is shown
    assert ("allowlist" in text) is shown


@pytest.mark.parametrize(
    "url", ["http://f.example", "https://f.example/a b", "https://f.example/|x", "https://ü.example"]
)
def test_given_a_line_that_is_no_url_when_posted_then_no_link_is_made(url: str) -> None:
    assert alert_message._finding(f"Console: {url}") == []
    assert alert_message._finding(f"Console: https://{'a' * 492}") == [f"https://{'a' * 492}"]
    assert alert_message._finding(f"Console: https://{'a' * 493}") == []
    assert alert_message._finding("Console: https://a.example\nConsole: https://b.example") == ["https://a.example"]


def offer(name: str, **changes: Any) -> dict[str, Any]:
    return {"note": f"{name}  made the key", "who": name, "does": f"contains {name}", "facts": {}, **changes}


def request(**changes: Any) -> dict[str, Any]:
    return {"approval_id": "abc", "kind": "remediate", "state": "pending", **changes}


def test_given_creators_when_shown_then_a_denial_keeps_only_those_that_an_analyst_requested() -> None:
    asked = {"analyst": {"name": "Jane", "via": "cli"}, "requested_at": AT}
    row = request(creators={"c1": offer("bob"), "c2": offer("eve")}, creator_c2=asked)

    open_lines = creator_offers.lines(row)
    denied_lines = creator_offers.lines({**row, "decision": "deny"})
    (done,) = creator_offers.lines({**row, "decision": "deny", "creator_result_c2": "eve <contained>"})

    assert open_lines[0] == "*Creator*  bob made the key"
    assert denied_lines == open_lines[1:]
    head = "*Creator*  Jane (name given on the command line) requested the containment of eve, <!date^1768500000^"
    assert open_lines[1].startswith(head)
    assert open_lines[1].endswith("|2026-01-15 18:00:00 UTC>: ir-router has not reported the result yet.")
    assert done.endswith("UTC>: eve &lt;contained&gt;")


@pytest.mark.parametrize(("number", "buttons"), [(5, 5), (6, 5)])
def test_given_many_creators_when_shown_then_the_first_five_have_buttons(number: int, buttons: int) -> None:
    row = request(creators={f"c{one}": offer(f"name {one}") for one in range(number)})

    found = creator_offers.buttons(row)

    assert found[0] == {
        "type": "button",
        "action_id": "creator_contain_c0",
        "text": {"type": "plain_text", "text": "Contain name 0 too ..."},
        "value": "abc/c0",
    }
    assert [one["value"] for one in found] == [f"abc/c{one}" for one in range(buttons)]
    assert creator_offers.parse_button_value("abc/c0/x") == ("abc", "c0/x")


def test_given_an_offer_when_its_form_is_opened_then_note_and_effect_are_shown() -> None:
    form = creator_offers.form("origin", offer("bob"))  # type: ignore[arg-type]

    assert form["blocks"][0]["text"]["text"] == "bob made the key\n*Contain*  contains bob"
    assert (form["type"], form["callback_id"], form["private_metadata"]) == ("modal", "creator_contain", "origin")
    assert [form[name]["text"] for name in ("title", "submit", "close")] == ["Contain the creator", "Contain", "Cancel"]


def report(**changes: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"version": 2, "requested_by": "", "durations": [], "decisions": [], "follow_ups": []}
    return {**empty, "timeline": [], "evidence": [1], "audit": {"records": [1, 2]}, **changes}


def test_given_a_report_when_posted_then_it_counts_its_parts_and_names_the_check() -> None:
    message = report_message.message(report(), {"hash": "h1"}, "Files here")

    assert message.text == "📄 Report 2 about this case is complete. 0 open follow-ups."
    assert text_of(message.blocks) == "*📄 Report 2 about this case is complete*\nFiles here"
    assert small_print(message.blocks) == (
        "0 events, 1 file, 2 audit records · `ir-router report verify FILE --record h1` checks the file"
    )


def test_given_a_requested_report_when_posted_then_times_decisions_and_follow_ups_are_listed() -> None:
    names = ("contain", "ask", "decide", "close", "close", "close")
    decisions = [
        {"decision": "approve", "by": "Jane", "information": {"headline": "user alice"}},
        {"decision": None, "by": "", "information": {}},
        {"decision": "release", "by": "Bob", "information": {"headline": "user bob"}},
    ]
    full = report(
        requested_by="Jane <x>",
        durations=[{"time_to": name, "seconds": 60} for name in names],
        decisions=decisions,
        follow_ups=["rotate"],
    )

    message = report_message.message(full, {"hash": "h1"}, "here")

    assert message.text.startswith(
        "📄 Report 2 about this case is complete, requested by Jane &lt;x&gt;. 1 open follow-up."
    )
    lines = text_of(message.blocks).splitlines()
    assert lines[2].startswith("*Times*  event to containment ")
    assert [lines[2].count(name) for name in ("containment to request", "request to decision", "closing")] == [1, 1, 2]
    assert lines[3:] == [
        "*Decisions* (3)",
        "• Approved by Jane: user alice",
        "• Not decided:",
        "• Released by Bob: user bob",
        "*Open follow-ups* (1)",
        "• rotate",
    ]


def test_given_calls_without_an_address_when_shown_then_no_line_has_addresses() -> None:
    (block,) = activity_message._table(activity(call(1, address="")))

    assert "From" not in str(block["text"]["text"])  # type: ignore[index]
