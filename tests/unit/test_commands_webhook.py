"""The pure functions that the webhook calls: parser, form validation. They never fail."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ir_router import clock
from ir_router.commands import create_form, forms, parser
from ir_router.commands.parser import Invocation

NOW = 1_767_000_000


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: float(NOW))


@pytest.mark.parametrize(
    ("typed", "invocation"),
    [
        ("", Invocation("", "")),
        ("   \n ", Invocation("", "")),
        ("status", Invocation("status", "")),
        ("  STATUS  ", Invocation("status", "")),
        ("Update-Status Resolved", Invocation("update-status", "Resolved")),
        ("update_status Resolved", Invocation("update-status", "Resolved")),
        ("update status Resolved", Invocation("update-status", "Resolved")),
        ("Add Watcher <@U1> <@U2>", Invocation("add-watcher", "<@U1> <@U2>")),
        ("update\u2013status Resolved", Invocation("update-status", "Resolved")),
        ("/security-ir update-status Resolved", Invocation("update-status", "Resolved")),
        ("/security-ir", Invocation("", "")),
        ("status update", Invocation("status", "update")),
        ("update everything", Invocation("update", "everything")),
        ('update-status "In Progress"', Invocation("update-status", "In Progress")),
        ("update-status “In Progress”", Invocation("update-status", "In Progress")),
        ("update-status „In Progress“", Invocation("update-status", "In Progress")),
        ("update-status 'In Progress'", Invocation("update-status", "In Progress")),
        ("update-status ‘In Progress’", Invocation("update-status", "In Progress")),
        ('update-title "A" and "B"', Invocation("update-title", '"A" and "B"')),
        ('update-title 5" disk, 3"', Invocation("update-title", '5" disk, 3"')),
        ('update-title "', Invocation("update-title", '"')),
        ('update-title ""', Invocation("update-title", "")),
        ("update-description first\n\n  second  line", Invocation("update-description", "first\n\n  second  line")),
        ("update-description\nfirst\nsecond", Invocation("update-description", "first\nsecond")),
        ('update-description "  kept  "', Invocation("update-description", "  kept  ")),
    ],
)
def test_given_typed_text_when_parsed_then_name_and_argument_are_what_was_meant(
    typed: str, invocation: Invocation
) -> None:
    assert parser.parse(typed) == invocation


@given(st.text())
def test_given_any_text_when_parsed_then_nothing_of_the_argument_but_quotes_and_outer_space_is_lost(text: str) -> None:
    name, argument = parser.parse(text)
    assert argument in text
    assert name == "".join(name.split())


def submission(**fields: object) -> dict[str, object]:
    """Return Slack's payload of a filled-in form, with default values for missing fields."""
    elements: dict[str, object] = {
        "title": {"type": "plain_text_input", "value": "Suspicious login"},
        "description": {"type": "plain_text_input", "value": "Seen at 12:00"},
        "type": {"type": "static_select", "selected_option": {"value": "Security Incident"}},
        "severity": {"type": "static_select", "selected_option": {"value": "High"}},
        "start": {"type": "datetimepicker", "selected_date_time": NOW - 3600},
        "accounts": {"type": "plain_text_input", "value": "123456789012, 000123123123"},
        "watchers": {"type": "multi_users_select", "selected_users": ["U1", "U2"]},
    } | fields
    values = {block: {block: element} for block, element in elements.items()}
    return {"type": "view_submission", "view": {"callback_id": "create_case", "state": {"values": values}}}


def test_given_a_well_filled_form_when_checked_then_nothing_is_wrong_and_the_values_are_read() -> None:
    assert forms.errors(submission()) == {}
    assert forms.read_case(submission()) == forms.CaseForm(
        title="Suspicious login",
        description="Seen at 12:00",
        kind="Security Incident",
        severity="High",
        start=NOW - 3600,
        accounts=("123456789012", "000123123123"),
        watchers=("U1", "U2"),
    )


def text(value: str) -> dict[str, object]:
    return {"type": "plain_text_input", "value": value}


@pytest.mark.parametrize(
    ("block", "element", "message"),
    [
        ("title", text("  "), "Give the case a title."),
        ("title", text("x" * 301), "The title has 301 characters; AWS Security Incident Response allows at most 300."),
        ("description", text(""), "Give the case a description."),
        ("type", {"selected_option": None}, "Choose a case type."),
        ("type", {"selected_option": {"value": "Party"}}, "Choose a case type."),
        ("severity", {"selected_option": {"value": "Cosmic"}}, "Choose a severity."),
        ("start", {"selected_date_time": None}, "Enter when the incident began. An estimate is enough."),
        ("start", {"selected_date_time": NOW + 301}, "This time is in the future. It is now 2025-12-29 09:20 UTC."),
        ("accounts", text("12345"), "12345 is not an account id. Enter 12 digits, including leading zeros."),
        (
            "accounts",
            text("١٢٣٤٥٦٧٨٩٠١٢"),
            "١٢٣٤٥٦٧٨٩٠١٢ is not an account id. Enter 12 digits, including leading zeros.",
        ),
        ("accounts", text(" ".join(["123456789012"] * 201)), "A case can have at most 200 accounts."),
        ("watchers", {"selected_users": [f"U{n}" for n in range(31)]}, "A case can have at most 30 watchers."),
    ],
)
def test_given_a_mistake_in_a_field_when_checked_then_the_error_is_under_that_field_alone(
    block: str, element: object, message: str
) -> None:
    assert forms.errors(submission(**{block: element})) == {block: message}


def test_given_a_start_a_moment_ahead_of_our_clock_when_checked_then_it_is_taken() -> None:
    assert forms.errors(submission(start={"selected_date_time": NOW + 299})) == {}


def test_given_a_form_as_it_was_opened_when_title_and_description_are_filled_in_then_nothing_is_wrong() -> None:
    opened = create_form.view(forms.CaseForm(start=NOW), {})
    initial = {
        block["block_id"]: {"selected_option": block["element"]["initial_option"]}
        for block in opened["blocks"]
        if "initial_option" in block["element"]
    }
    assert set(initial) == {"type", "severity"}
    assert forms.errors(submission(**initial)) == {}


def test_given_a_form_of_another_module_when_checked_then_it_passes() -> None:
    assert forms.errors({"view": {"callback_id": "approval_reason", "state": {"values": {}}}}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    element=JSON, block=st.sampled_from(["title", "description", "type", "severity", "start", "accounts", "watchers"])
)
@example(element={"selected_date_time": 10**30}, block="start")
@example(element={"selected_date_time": -(10**30)}, block="start")
def test_given_anything_in_a_field_when_checked_then_it_is_a_message_or_nothing(element: object, block: str) -> None:
    assert set(forms.errors(submission(**{block: element}))) <= {block}


@given(JSON)
def test_given_any_view_when_checked_then_nothing_fails(view: object) -> None:
    assert forms.errors({"view": view}) == {}
    forms.errors({"view": {"callback_id": "create_case", "state": view}})
