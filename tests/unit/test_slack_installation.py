"""The installation of a request, the ids of the app, and the codes by which a retry is decided."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.commands import visitors
from ir_router.errors import RefusedError
from ir_router.slack import credentials, envelopes, error_codes, installation
from ir_router.slack.envelopes import Origin


class SlackOf:
    """Slack whose answers are given by method; `asked` are the calls."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def read(self, method: str, **_: Any) -> dict[str, Any]:
        self.asked.append(method)
        if method not in self.answers:
            raise RefusedError("Slack", method, "invalid_auth")
        return self.answers[method]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    installation.forget()
    moment = [1_000.0]
    monkeypatch.setattr(clock, "now", lambda: moment[0])
    monkeypatch.setattr(credentials, "workspace_id", lambda: "T1")
    yield moment
    installation.forget()


def ids(origin: Origin) -> tuple[set[str], str, bool]:
    return set(origin.ids), origin.enterprise_id, origin.is_certain


@pytest.mark.parametrize(
    ("payload", "named", "organisation"),
    [
        ({"authorizations": [{"team_id": "T1", "enterprise_id": "E1"}], "team_id": "T9", "context_team_id": "T8"},
         {"T1", "E1"}, ""),
        ({"authorizations": [{"team_id": None, "enterprise_id": "E1"}, "x"], "team_id": "T9", "context_team_id": "T8",
          "enterprise_id": "E9", "context_enterprise_id": "E8"}, {"E1", "T8", "T9", "E9"}, "E8"),
        ({"authorizations": "x", "team_id": "T9", "context_enterprise_id": 7}, {"T9"}, ""),
        ({"team_id": "", "enterprise_id": ["E"]}, set(), ""),
    ],
)  # fmt: skip
def test_given_an_event_when_read_then_its_authorizations_name_the_installation(
    payload: dict[str, Any], named: set[str], organisation: str
) -> None:
    assert ids(envelopes.of_event(payload)) == (named, organisation, True)


def test_given_a_command_when_read_then_its_ids_are_those_of_the_user() -> None:
    assert ids(envelopes.of_command({"team_id": "T2", "enterprise_id": "E1"})) == ({"T2", "E1"}, "E1", False)
    assert ids(envelopes.of_command({"team_id": "T2"})) == ({"T2"}, "", False)


@pytest.mark.parametrize(
    ("payload", "named", "organisation", "certain"),
    [
        ({"team": {"id": "T2", "enterprise_id": "E2"}, "enterprise": {"id": "E1"}, "user": {"team_id": "T4"}},
         {"T2", "E1"}, "E1", False),
        ({"team": {"id": "T2", "enterprise_id": "E2"}, "view": {"team_id": "T3"}}, {"T2", "E2"}, "E2", False),
        ({"team": None, "view": {"team_id": "T3"}, "user": {"team_id": "T4"}}, {"T3"}, "", False),
        ({"team": None, "view": None, "user": {"team_id": "T4"}}, {"T4"}, "", False),
        ({"team": {"id": "T2"}, "enterprise": {"id": "E1"}, "view": {"app_installed_team_id": "T5"}},
         {"T5", "E1"}, "E1", True),
        ({"team": {"id": "T2"}, "view": {"app_installed_team_id": ""}}, {"T2"}, "", False),
        ({"team": {"id": "T2"}, "view": {"app_installed_team_id": 7}}, {"T2"}, "", False),
        ({"team": {"id": ["T2"]}, "enterprise": {"id": {"E1": 1}}}, set(), "", False),
    ],
)  # fmt: skip
def test_given_a_press_or_a_form_when_read_then_the_form_names_its_installation(
    payload: dict[str, Any], named: set[str], organisation: str, certain: bool
) -> None:
    assert ids(envelopes.of_interaction(payload)) == (named, organisation, certain)


def test_given_the_apps_token_when_its_ids_are_read_then_slack_is_asked_once_in_ten_minutes(now: list[float]) -> None:
    slack: Any = SlackOf(auth_test={"team_id": "T5", "enterprise_id": "E5"})
    for at in (1_000.0, 1_599.9):
        now[0] = at
        assert installation.own(slack) == installation.Installation("T5", "E5")
    assert slack.asked == ["auth.test"]
    now[0] = 1_600.0
    installation.own(slack)
    assert slack.asked == ["auth.test"] * 2


@pytest.mark.parametrize(
    ("configured", "answers", "team", "organisation"),
    [
        ("T1", {}, "T1", ""),
        ("E1", {}, "E1", "E1"),
        ("T1", {"auth_test": {}}, "T1", ""),
        ("T1", {"auth_test": {"team_id": None, "enterprise_id": None}}, "T1", ""),
    ],
)
def test_given_no_ids_from_slack_when_read_then_the_configured_id_is_known(
    monkeypatch: pytest.MonkeyPatch, configured: str, answers: dict[str, Any], team: str, organisation: str
) -> None:
    monkeypatch.setattr(credentials, "workspace_id", lambda: configured)
    assert installation.own(SlackOf(**answers)) == installation.Installation(team, organisation)


def test_given_a_refused_token_when_it_works_again_then_the_ids_are_read_at_once() -> None:
    installation.own(SlackOf())
    assert installation.own(SlackOf(auth_test={"team_id": "T5"})).team_id == "T5"


def test_given_a_workspace_when_a_method_needs_one_then_slack_is_asked_only_for_an_organisation(
    monkeypatch: pytest.MonkeyPatch, now: list[float]
) -> None:
    slack: Any = SlackOf(auth_teams_list={"teams": [{"id": "T7"}, {"id": "T8"}]}, auth_test={"team_id": "T5"})
    assert (installation.team_id(slack), slack.asked) == ("T1", [])

    monkeypatch.setattr(credentials, "workspace_id", lambda: "E1")
    for at in (1_000.0, 1_599.9, 1_600.0):
        now[0] = at
        assert installation.team_id(slack) == "T7"
    assert slack.asked == ["auth.teams.list"] * 2

    installation.forget()
    slack.answers["auth.teams.list"] = {"teams": None}
    assert installation.team_id(slack) == "T5"


@pytest.mark.parametrize(
    ("team", "organisation", "colleague", "asked"),
    [
        ("T1", None, True, 0),
        ("T9", "T1", True, 0),
        ("T5", None, True, 1),
        ("T9", "E5", True, 1),
        ("E5", None, True, 1),
        ("T9", "E9", False, 1),
        ("T9", "", False, 1),
        ("", "", False, 1),
        (None, None, False, 1),
    ],
)
def test_given_a_user_when_asked_then_a_colleague_shares_workspace_or_organisation(
    team: str | None, organisation: str | None, colleague: bool, asked: int
) -> None:
    slack: Any = SlackOf(auth_test={"team_id": "T5", "enterprise_id": "E5"})
    assert installation.is_colleague(slack, team, organisation) is colleague
    assert len(slack.asked) == asked
    alone: Any = SlackOf(auth_test={"team_id": "T5"})
    installation.forget()
    assert installation.is_colleague(alone, team, "") is (team in ("T1", "T5"))


def test_given_requests_of_another_installation_when_refused_then_each_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    for team in ("T8", "T9", "T8"):
        installation.log_refused(Origin(frozenset({team, "E9"}), "E9", is_certain=True))
    assert [vars(record)["of"] for record in caplog.records] == [("E9", "T8"), ("E9", "T9")]
    installation.forget()
    installation.log_refused(Origin(frozenset({"T8", "E9"}), "", is_certain=True))
    assert len(caplog.records) == 3


@pytest.mark.parametrize(
    ("case_id", "organisation", "accepted"),
    [("111", "", True), (None, "E5", True), (None, "E9", False), (None, "", False)],
)
def test_given_a_request_of_another_workspace_when_judged_then_a_case_or_the_organisation_admits_it(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    case_id: str | None,
    organisation: str,
    accepted: bool,
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(visitors, "case_of", lambda channel: case_id if channel == "C1" else "another")
    command: Any = SimpleNamespace(
        channel_id="C1", slack=SlackOf(auth_test={"team_id": "T5", "enterprise_id": "E5"}), answer=[].append
    )
    origin = Origin(frozenset({"T9", organisation} - {""}), organisation, is_certain=False)

    assert visitors.is_accepted(command, origin) is accepted
    assert len(caplog.records) == (0 if accepted else 1)


def test_given_a_command_of_another_installation_when_refused_then_the_user_reads_where_to_ask() -> None:
    answers: list[Any] = []
    command: Any = SimpleNamespace(answer=answers.append)
    visitors.refuse(command)
    assert [answer.text for answer in answers] == [
        "❌ ir-router is not set up for this workspace\nContact your administrator for access"
    ]


# Slack's codes by subject: https://docs.slack.dev/reference/methods/chat.postMessage and its neighbours.
@pytest.mark.parametrize(
    ("about", "codes"),
    [
        ("app", ("invalid_auth token_revoked token_expired account_inactive not_authed missing_scope no_permission "
                "not_allowed_token_type app_not_installed team_access_not_granted access_denied "
                "enterprise_is_restricted org_login_required ekm_access_denied two_factor_setup_required "
                "missing_argument restricted_action user_is_bot file_uploads_disabled "
                "file_uploads_except_images_disabled too_many_convos_for_team storage_limit_reached is_bot "
                "accesslimited method_deprecated deprecated_endpoint too_many_convos_for_app_on_team")),
        ("person", ("users_not_found user_not_found user_not_visible user_disabled user_is_restricted "
                   "user_is_ultra_restricted ura_max_channels cant_invite user_team_not_in_channel "
                   "org_user_not_in_team invitee_cant_see_channel external_user_limit_reached "
                   "no_external_invite_permission")),
        ("channel", ("is_archived is_inactive not_in_channel channel_not_found restricted_action_read_only_channel "
                    "restricted_action_thread_only_channel restricted_action_non_threadable_channel "
                    "restricted_action_thread_locked posting_to_channel_denied channel_is_limited_access "
                    "channel_limit_exceeded too_many_members is_frozen name_taken invalid_channel")),
        ("message", "message_not_found edit_window_closed cant_update_message cant_delete_message thread_not_found"),
        ("form", ("expired_trigger_id exchanged_trigger_id invalid_trigger_id trigger_expired trigger_exchanged "
                 "invalid_trigger not_found view_not_found hash_conflict")),
    ],
)  # fmt: skip
def test_given_every_code_when_classified_then_it_is_about_its_subject(about: str, codes: str) -> None:
    assert {code for code, meaning in error_codes.MEANINGS.items() if meaning.about == about} == set(codes.split())


def test_given_the_groups_of_codes_when_read_then_each_has_the_codes_that_slack_documents() -> None:
    assert {
        "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org",
        "file_update_failed",
    } == error_codes.UNCERTAIN  # fmt: skip
    transient = {"ratelimited", "rate_limited", "message_limit_exceeded", "external_channel_migrating"}
    assert transient == error_codes.RATE_LIMITED
    assert {"user_not_found", "users_not_found", "user_not_visible", "channel_not_found"} == error_codes.UNKNOWN
    assert {"channel_not_found", "not_in_channel", "is_archived", "is_inactive"} == error_codes.UNAVAILABLE
    assert {
        "invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed"
    } == error_codes.TOKEN_ERRORS  # fmt: skip


@pytest.mark.parametrize(
    ("code", "detail", "expired"),
    [
        ("expired_trigger_id", "", True),
        ("trigger_exchanged", "x", True),
        ("invalid_arguments", "invalid `trigger_id`", True),
        ("invalid_arguments", "invalid view", False),
        ("internal_error", "trigger_id", False),
    ],
)
def test_given_a_form_that_slack_did_not_open_when_read_then_an_expired_trigger_is_recognised(
    code: str, detail: str, expired: bool
) -> None:
    assert error_codes.is_expired_trigger(code, detail) is expired
