"""Single steps of commands, of the workflow and of the synchronisation: limits, order and secondary facts."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.cases.models import Attachment
from ir_router.commands import changing, close, forms, modals
from ir_router.commands import comment as comment_command
from ir_router.commands.command import Answer, Command
from ir_router.deadline import Deadline
from ir_router.errors import InvalidInputError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import configuration, keys
from ir_router.ledger import creators as offers
from ir_router.slack import gateway, parameters, response_url
from ir_router.slack.gateway import Slack
from ir_router.sync import attachments, file_from_slack
from ir_router.workflow import creators, final_alert_and_audit_log, refinements
from tests.support.texts import facts

CASE = "1234567890"


class Fake:
    """Slack's gateway, of which each call gives the next answer or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def read(self, method: str, **arguments: Any) -> Any:
        self.asked.append((method, arguments))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    post = read


def command(slack: Any = None, **changes: Any) -> Command:
    fields: dict[str, Any] = {
        "id": "t1",
        "name": "comment",
        "argument": "x",
        "user_id": "U1",
        "user_name": "jane",
        "channel_id": "C1",
        "response_url": "https://hooks.slack.com/1",
        "trigger_id": "t1",
        "deadline": Deadline(soft=clock.now() + 60, hard=clock.now() + 70),
        "slack": slack or Fake(),
        "names": SimpleNamespace(real_name=str, channel=str, group=str),
        "case_id": CASE,
    }
    return Command(**(fields | changes))


# Answers of commands

BLOCK = {"type": "divider"}


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (Answer("a <b>"), {"response_type": "ephemeral", "text": "a &lt;b&gt;", "mrkdwn": False}),
        (
            Answer("a", [BLOCK], replaces=True),
            {
                "response_type": "ephemeral",
                "text": "a",
                "mrkdwn": False,
                "replace_original": True,
                "blocks": [BLOCK],
            },
        ),
        (Answer("", removes=True), {"delete_original": True}),
    ],
)
@pytest.mark.parametrize(
    "failure", [None, RefusedError("Slack", "response_url", "HTTP 404"), UncertainError("Slack", "response_url", "x")]
)
def test_given_an_answer_when_its_address_fails_then_it_comes_as_an_ephemeral_message_unless_it_only_removes(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, body: dict[str, Any], failure: Exception | None
) -> None:
    sent: list[tuple[str, Any]] = []

    def post(url: str, content: Any) -> None:
        sent.append((url, content))
        if failure:
            raise failure

    monkeypatch.setattr(response_url, "post", post)
    slack = Fake()

    command(slack).answer(answer)

    assert sent == [("https://hooks.slack.com/1", body)]
    whispered = {"channel": "C1", "user": "U1", "text": body.get("text")} | (
        {"blocks": [BLOCK]} if answer.blocks else {}
    )
    expected = [("chat.postEphemeral", whispered)] if failure and not answer.removes else []
    assert slack.asked == expected

    unheard = Fake(RefusedError("Slack", "chat.postEphemeral", "user_not_in_channel"))
    command(unheard).answer(answer)  # logged, and not raised


def test_given_a_comment_of_the_longest_length_when_one_more_character_is_typed_then_it_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class ReachedError(Exception):
        pass

    def reached(_command: Command) -> None:
        raise ReachedError

    monkeypatch.setattr(changing, "open_case_to_change", reached)
    with pytest.raises(ReachedError):
        comment_command.execute_command(command(argument="x" * 11_400))
    with pytest.raises(InvalidInputError, match=r"The comment has 11,401 characters; .* allows at most 11,400"):
        comment_command.execute_command(command(argument="x" * 11_401))


def test_given_as_many_values_as_a_case_accepts_when_the_form_is_checked_then_only_one_more_is_an_error() -> None:
    form = forms.CaseForm(
        "t" * 300, "d" * 8_000, "Investigation", "", int(clock.now()), ("1" * 12,) * 200, ("U1",) * 30
    )
    assert forms.case_errors(form) == {}
    larger = forms.CaseForm("t" * 301, "d" * 8_001, "Other", "Odd", None, ("1" * 12,) * 201, ("U1",) * 31)
    assert set(forms.case_errors(larger)) == {
        *["title", "description", "type", "severity", "start", "accounts", "watchers"]
    }
    for wrong in ("1" * 11, "1" * 13, "12345678901x", "１" * 12):
        assert forms.case_errors(forms.CaseForm(accounts=(wrong,)))["accounts"].startswith(f"{wrong[:40]} is not an")


def test_given_a_form_when_it_opens_late_then_the_user_reads_how_to_open_it_and_other_refusals_are_raised() -> None:
    slack = Fake({"view": {"id": "V1"}})
    assert modals.open_form(command(slack), {"a": 1}, "Press Deny again") == "V1"
    assert slack.asked == [("views.open", {"trigger_id": "t1", "view": {"a": 1}})]
    expired = RefusedError("Slack", "views.open", "expired_trigger_id")
    with pytest.raises(InvalidInputError, match=r"^Slack did not open the form in time\. Press Deny again\.$"):
        modals.open_form(command(Fake(expired)), {}, "Press Deny again")
    repeated: Any = SimpleNamespace(attempt=2)
    with pytest.raises(InvalidInputError, match=r"^If no form is open, Slack received it too late\. Press"):
        modals.open_form(command(Fake(expired), claim=repeated), {}, "Press Deny again")
    with pytest.raises(RefusedError, match="invalid_arguments"):
        modals.open_form(command(Fake(RefusedError("Slack", "views.open", "invalid_arguments"))), {}, "x")


def test_given_an_open_form_when_it_is_refused_then_it_shows_why_and_a_closed_one_is_no_error() -> None:
    slack = Fake()
    modals.show_refusal(command(slack), "V1", {"type": "plain_text", "text": "Deny"}, "why")
    ((method, arguments),) = slack.asked
    assert (method, arguments["view_id"]) == ("views.update", "V1")
    assert arguments["view"] == {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Deny"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "why", "emoji": False}}],
    }
    for failure in (
        RefusedError("Slack", "views.update", "not_found"),
        RetryLaterError("Slack", "views.update", "ratelimited", 1),
        UncertainError("Slack", "views.update", "timeout"),
    ):
        modals.show_refusal(command(Fake(failure)), "V1", {}, "why")


def test_given_the_confirmation_when_shown_then_its_buttons_name_the_command() -> None:
    case: Any = SimpleNamespace(case_id=CASE)
    text, actions = close.confirmation_blocks(command(), case, "Close?")
    assert text["text"]["text"] == "Close?"
    assert actions["type"] == "actions"
    assert [(one["action_id"], one["text"]["text"], one["value"], one.get("style")) for one in actions["elements"]] == [
        ("close_confirm", "Close case", "t1", "danger"),
        ("close_keep", "Keep it open", "t1", None),
    ]


# Slack and SSM


def test_given_a_client_of_slack_when_made_then_it_repeats_nothing_by_itself() -> None:
    gateway.forget_clients()
    client = gateway._client("token", "http://localhost:1/api/")
    assert (client.retry_handlers, client.timeout, client.base_url) == ([], 10, "http://localhost:1/api/")
    gateway.forget_clients()


def test_given_pages_when_read_then_each_has_the_cursor_before_it() -> None:
    slack: Any = Fake(
        {"members": [{"id": 1}], "response_metadata": {"next_cursor": "c2"}},
        {"response_metadata": {"next_cursor": "c3"}},
        {"members": [{"id": 3}], "response_metadata": None},
    )
    assert [one["id"] for one in Slack.pages(slack, "users.list", "members", team="T1")] == [1, 3]
    assert slack.asked == [
        ("users.list", {"limit": 200, "team": "T1"}),
        ("users.list", {"limit": 200, "team": "T1", "cursor": "c2"}),
        ("users.list", {"limit": 200, "team": "T1", "cursor": "c3"}),
    ]


def test_given_a_parameter_when_read_then_it_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def get_parameter(**arguments: Any) -> Any:
        asked.append(arguments)
        return {"Parameter": {"Value": "v", "Version": 1}}

    monkeypatch.setattr(aws, "client", {"ssm": SimpleNamespace(get_parameter=get_parameter)}.__getitem__)
    parameters.read("/a", "slack_bot_token")
    assert asked == [{"Name": "/a", "WithDecryption": True}]


# Files


@pytest.mark.parametrize(("age", "later"), [(0, 60), (119, 60), (121, 60.5), (7_200, 3_600), (9_000, 3_600)])
def test_given_a_scan_that_takes_long_when_looked_at_then_the_next_look_is_half_its_age_later(
    monkeypatch: pytest.MonkeyPatch, age: float, later: float
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_700_000_000.0)
    monkeypatch.setattr(attachments, "_row_of_slack_file", lambda *_: None)
    attachment = Attachment.model_validate(
        {
            "attachmentId": "a",
            "fileName": "f",
            "attachmentStatus": "Pending",
            "creator": "x",
            "createdDate": 1_700_000_000 - age,
        }
    )
    visits: list[float] = []
    sync: Any = SimpleNamespace(
        case=SimpleNamespace(case_attachments=[attachment]),
        case_id=CASE,
        is_done=lambda key: key == keys.attachment(CASE, "other"),
        revisit=visits.append,
    )
    attachments.synchronise(sync)
    assert visits == [1_700_000_000 + later]


def test_given_a_file_that_is_too_large_when_reported_then_both_texts_state_its_size() -> None:
    error = file_from_slack._too_large(157_286_400)
    assert str(error) == "it has 150 MB, and a case accepts at most 100 MB per file. Split it, or post a link."
    assert error.short == "150 MB, more than a case accepts"


# The workflow


def document(*statements: Any) -> Any:
    return {"detail": {"requestParameters": {"policyDocument": {"Statement": list(statements)}}}}


@pytest.mark.parametrize(
    ("statement", "grants"),
    [
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, True),
        ({"Effect": "Allow", "Action": ["s3:GetObject", "IAM:*"], "Resource": ["x", "*"]}, True),
        ({"Effect": "Allow", "Action": "*:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "Action": ["iam:GetUser", 7], "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "Resource": "arn:x"}, False),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Resource": "*"}, False),
    ],
)
def test_given_a_policy_document_when_read_then_only_one_that_allows_everything_is_an_administrators(
    statement: Any, grants: bool
) -> None:
    assert refinements.grants_everything(document({"Effect": "Deny"}, statement)) is grants
    assert refinements.grants_everything(document(statement, {"Effect": "Deny"})) is grants
    single = {"detail": {"requestParameters": {"policyDocument": {"Statement": statement}}}}
    assert refinements.grants_everything(single) is grants
    assert refinements.BY_NAME["administrator_document"] is refinements.grants_everything


@pytest.mark.parametrize(
    ("own", "named", "is_own"),
    [
        ("arn:aws:kms:us-east-1:1:key/k", "k", True),
        ("arn:aws:kms:us-east-1:1:key/k", "arn:aws:kms:us-east-1:1:key/k", True),
        ("arn:aws:kms:us-east-1:1:key/k", "other", False),
        ("arn:aws:kms:us-east-1:1:key/k", "", False),
        (None, "", False),
    ],
)
def test_given_a_key_that_a_request_names_when_read_then_it_is_the_deployments_or_not(
    monkeypatch: pytest.MonkeyPatch, own: str | None, named: str, is_own: bool
) -> None:
    monkeypatch.setattr(configuration, "kms_key_arn", lambda: own)
    assert refinements.concerns_own_key({"detail": {"requestParameters": {"keyId": named}}}) is is_own


def test_given_creators_of_a_key_when_offered_then_only_those_that_an_analyst_can_request_now() -> None:
    row = {
        "kind": "remediate",
        "creators": {"a": {"facts": {}}, "b": {"note": "n"}, "c": {"facts": {}}},
        "creator_result_c": "done",
        "creator_a": {"analyst": {"name": "Jane"}},
    }
    assert set(offers.offered(row)) == {"a"}
    assert set(offers.offered(row | {"decision": "approve"})) == {"a"}
    assert offers.offered(row | {"decision": "deny"}) == {}
    assert offers.offered(row | {"decision": "approve", "kind": "contain"}) == {}
    assert set(offers.offered(row | {"kind": "contain"})) == {"a"}
    assert offers.requested(row, "a") == {"analyst": {"name": "Jane"}}
    assert offers.requested(row, "b") is None
    assert (offers.result(row, "c"), offers.result(row, "a"), offers.of({"creators": None})) == ("done", "", {})
    assert len(offers.id_of("user", "arn")) == 12
    assert offers.id_of("user", "arn") != offers.id_of("role", "arn")


SESSION = "role deploy (arn:aws:sts::111122223333:assumed-role/deploy/s)"
LAST = {
    "user": "If you do not trust this user, disable its access keys and delete its login profile now.",
    "role": "If you do not trust this session, revoke the sessions of the role now (IAM console: Revoke sessions).",
    "root": "Sign in as root, delete its access keys, change its password and check its MFA devices.",
}


@pytest.mark.parametrize(
    ("actor", "refused", "text"),
    [
        (
            facts.INCIDENT["actor"],
            None,
            (
                "NOT contained: user bob, who created the key. The creator's access key AKIA1 and all other "
                f"credentials still work. {LAST['user']}"
            ),
        ),
        (
            facts.INCIDENT["actor"] | {"access_key_id": None},
            "It is protected.",
            "NOT contained: user bob, who created the key. The creator's credentials still work. It is protected.",
        ),
        (
            facts.SESSION,
            None,
            f"NOT contained: {SESSION}, who created the key. The creator's credentials still work. {LAST['role']}",
        ),
        (
            facts.ROOT | {"caller_arn": facts.ROOT["arn"], "access_key_id": None},
            "It is root.",
            "NOT contained: root of account 111122223333, who created the key. The creator's credentials still work. "
            + LAST["root"],
        ),
        (
            facts.UNKNOWN | {"caller_arn": "arn:x", "access_key_id": None},
            None,
            "NOT contained: arn:x, who created the key. The creator's credentials still work. Check now who this is.",
        ),
    ],
)
def test_given_the_creator_of_a_key_when_not_contained_then_the_note_names_it_and_the_step(
    actor: Any, refused: str | None, text: str
) -> None:
    assert creators.note(facts.event(actor=actor), refused) == text


def test_given_a_creator_when_offered_then_the_new_incident_is_about_it_and_names_the_key() -> None:
    incident = facts.event(details=["Finding: x"])
    found = creators._facts(incident)
    assert (found["subject"]["arn"], found["access_key_id"]) == (facts.BOB["arn"], "AKIA1")
    assert found["details"] == ["Created key: AKIA2 of user mallory", "Finding: x"]
    assert found["event_id"] == "e-1"
    assert "severity" not in found
    assert creators._does(facts.BOB) == (
        "contains user bob: attaches the deny policy and disables its access keys. ir-router then sends a separate "
        "approval request about user bob."
    )
    assert creators._does(facts.ROLE) == (
        "contains role deploy: attaches the deny policy, so that all its sessions and everything that uses the role "
        "stop. ir-router then sends a separate approval request about role deploy. For a role that AWS services "
        "assume, it requests a permission first."
    )
    start = creators.start_of("a1", "c1")
    assert start == {
        "source": "ir-router",
        "detail-type": "Creator Containment Requested",
        "detail": {"approval_id": "a1", "creator": "c1"},
    }
    assert creators.is_start(start)
    assert not creators.is_start([start])
    assert creators.creates_key_of_another(incident)
    others: list[dict[str, Any]] = [{"event_name": "UpdateAccessKey"}, {"access_key_id": None}, {"requested": {}}]
    for changes in others:
        assert not creators.creates_key_of_another(facts.event(**changes))
    assert not creators.creates_key_of_another(facts.event(subject=facts.BOB))


def finished(**changes: Any) -> dict[str, Any]:
    """Return the state at the end of an execution that did every step."""
    done = {"done": True, "step": "x"}
    return {
        "case": {"answer": {"failed": False}},
        "response": {"alert": done, "audit": done, "verified": done, "decision": {"decision": "approve"}},
        **changes,
    }


def not_done(step: str) -> dict[str, Any]:
    return {"done": False, "step": step}


@pytest.mark.parametrize(
    ("changes", "parts", "missing"),
    [
        ({}, [facts.CONTAINED], []),
        ({"case": {"answer": {"failed": True}}}, [facts.CONTAINED], ["Open Case"]),
        (
            {
                "response": {
                    "alert": not_done("Send Alert"),
                    "audit": not_done("Write Audit Log"),
                    "verified": not_done("Verify Containment"),
                },
                "paged": {"answer": not_done("Page")},
            },
            [facts.CONTAINED],
            ["Send Alert", "Write Audit Log", "Verify Containment", "Page"],
        ),
        (
            {"response": {"decision": {"decision": "not_asked"}}},
            [facts.PARTLY],
            ["deny policy of role deploy", "Wait for Analyst"],
        ),
        (
            {
                "response": {"decision": {"decision": "deny", "receipt_failed": True}},
                "permission": {"answer": {"decision": "approve", "receipt_failed": True}},
            },
            [facts.CONTAINED],
            ["Record Decision", "Record Decision"],
        ),
    ],
)
def test_given_steps_that_were_not_done_when_the_incident_ends_then_each_is_named(
    changes: dict[str, Any], parts: list[Any], missing: list[str]
) -> None:
    state = finished(**changes)
    assert final_alert_and_audit_log._missing(state, facts.result(*parts), None) == missing


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    gateway.forget_clients()
