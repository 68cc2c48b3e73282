"""Single steps of the workflow: policies, keys, creators and steps that were not done."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import configuration
from ir_router.ledger import creators as offers
from ir_router.workflow import creators, final_alert_and_audit_log, refinements
from tests.support.texts import facts


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
    monkeypatch.setattr(configuration, "kms_key_arns", lambda: [own])
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
        "assume, it requests permission first."
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
