"""Facts that are read from events: sign-ins, sessions, addresses of attack sequences, and changed principals."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import InvalidInputError
from ir_router.ledger import approvals
from ir_router.ledger import creators as offers
from ir_router.workflow import attack_sequences, creators, details, findings, notices, reading, refinements
from ir_router.workflow.principals import unknown_principal
from tests.support.texts import facts

ACCOUNT = facts.ACCOUNT


def lines(detail: dict[str, Any], **actor: Any) -> list[str]:
    who = {**facts.BOB, "caller_arn": facts.BOB["arn"], "access_key_id": None, "identity_type": "IAMUser", **actor}
    return details.of_call(detail, who)  # type: ignore[arg-type]


ROOT = {**facts.ROOT, "caller_arn": facts.ROOT["arn"]}
ROLE = {**facts.ROLE, "identity_type": "AssumedRole"}
SESSION = "arn:aws:sts::1:assumed-role/deploy/"


@pytest.mark.parametrize(
    ("detail", "actor", "expected"),
    [
        ({"userIdentity": {"sessionContext": {"assumedRoot": "true"}}}, ROOT,
         ["Credentials: an assumed root session (AssumeRoot)"]),
        ({"userIdentity": {"sessionContext": {"assumedRoot": True}}}, {**ROOT, "access_key_id": "AKIA1"},
         ["Credentials: an assumed root session (AssumeRoot)"]),
        ({}, {**ROOT, "access_key_id": "AKIA1"}, ["Credentials: a long-term access key of root"]),
        ({}, {**ROOT, "access_key_id": "ASIA1"}, ["Credentials: a temporary session of root"]),
        ({}, ROOT, []),
        ({}, {**ROLE, "caller_arn": f"{SESSION}jane"}, ['Session (the caller chose this name): "jane"']),
        ({}, {**ROLE, "caller_arn": f"{SESSION}i-0123abcd"},
         ["Instance: i-0123abcd. The credentials are those of the instance's role"]),
        ({}, {**ROLE, "name": "AWSReservedSSO_A", "caller_arn": f"{SESSION}jane"},
         ["Person: jane (IAM Identity Center)"]),
        ({}, {"identity_type": "FederatedUser", "caller_arn": "arn:aws:sts::1:federated-user/jane"},
         ['Federated session (the caller chose this name): "jane"']),
        ({"userIdentity": {"identityProvider": "arn:idp"}}, {"kind": "unknown", "identity_type": "SAMLUser"},
         ["Caller: SAMLUser of arn:idp"]),
        ({}, {"kind": "unknown", "identity_type": "Directory"}, ["Caller: Directory"]),
        ({}, {"kind": "unknown", "identity_type": ""}, []),
        ({"userIdentity": {"sessionContext": {"sourceIdentity": "jane"}}}, {},
         ['Source identity (chosen when the first role was assumed): "jane"']),
        ({"userIdentity": {"inScopeOf": {"credentialsIssuedTo": "arn:i"}, "invokedBy": "x.amazonaws.com"}}, {},
         ["Credentials issued to: arn:i", "Through: x.amazonaws.com, which made the call for this caller"]),
        ({"sessionCredentialFromConsole": "true", "vpcEndpointId": "vpce-1"}, {},
         ["The caller used the AWS Management Console", "VPC endpoint: vpce-1"]),
        ({"sessionCredentialFromConsole": "false"}, {}, []),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"},
          "additionalEventData": {"MFAUsed": "Yes"}}, {}, ["Sign-in: succeeded; MFA was used"]),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"},
          "additionalEventData": {"MFAUsed": "No"}}, {}, ["Sign-in: succeeded; MFA was NOT used"]),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"}}, {},
         ["Sign-in: succeeded; the event does not show whether MFA was used"]),
        ({"eventName": "ConsoleLogin", "errorMessage": "Failed authentication"}, {},
         ["Sign-in: failed (Failed authentication)"]),
        ({"eventName": "ConsoleLogin"}, {}, ["Sign-in: failed"]),
        ({"eventName": "PasswordRecoveryRequested", "eventSource": "signin.amazonaws.com",
          "responseElements": {"PasswordRecoveryRequested": "Success"}}, {}, ["PasswordRecoveryRequested: Success"]),
        ({"eventName": "PasswordRecoveryRequested", "eventSource": "signin.amazonaws.com"}, {}, []),
        ({"eventName": "Other", "eventSource": "x.amazonaws.com", "responseElements": {"Other": "Success"}}, {}, []),
        ({"eventName": "CreateAccessKey", "requestParameters": {"userName": "bob"}}, {}, []),
        ({"requestParameters": {"userName": "bob", "newPassword": "x", "userData": "x", "empty": "", "n": 0}}, {},
         ["Request: userName bob"]),
        ({"requestParameters": {f"p{one}": one for one in range(1, 10)}}, {},
         [f"Request: {', '.join(f'p{one} {one}' for one in range(1, 9))}, and 1 more"]),
    ],
)  # fmt: skip
def test_given_a_call_when_read_then_credentials_session_and_result_are_stated(
    detail: dict[str, Any], actor: dict[str, Any], expected: list[str]
) -> None:
    assert lines(detail, **actor) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example/x", "https[:]//evil[.]example/x"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("lambda.amazonaws.com", "lambda.amazonaws.com"),
        ("evilamazonaws.com", "evilamazonaws[.]com"),
        ("jane@example.com", "jane@example.com"),
        ("jane.smith", "jane.smith"),
        ("a.com.b", "a.com.b"),
        ("a.com-x", "a.com-x"),
    ],
)
def test_given_a_text_that_a_caller_chose_when_shown_then_its_links_are_broken(text: str, shown: str) -> None:
    assert details.harmless(text) == shown


def test_given_a_value_when_shortened_then_it_is_one_line_of_150_characters() -> None:
    assert details.short("x" * 150) == "x" * 150
    assert details.short("x" * 151) == f"{'x' * 150}... (1 characters more)"
    assert (details.short({"a": 1}), details.short(" a\n b ")) == ('{"a": 1}', "a b")
    assert details.origin("192.0.2.1") == "from 192.0.2.1"
    assert details.origin("cloudformation.amazonaws.com") == "through CloudFormation (cloudformation.amazonaws.com)"
    assert details.origin("ec2.amazonaws.com.cn") == "through ec2 (ec2.amazonaws.com.cn)"
    assert details.parsed_document("%7B%22a%22%3A1%7D") == {"a": 1}
    assert details.parsed_document('{"a": "%7B"}') == {"a": "%7B"}
    assert (
        details.parsed_document("[" * 100_000) == details.parsed_document("no") == details.parsed_document("[1]") == {}
    )


ENDPOINTS = [
    {"id": "e1", "ip": "192.0.2.1"},
    {"id": "e2", "ip": "192.0.2.2", "domain": "x"},
    {"id": "e3", "domain": "evil.example"},
    {"id": "e4"},
    {"id": "e5", "ip": "192.0.2.1"},
]
EVERY = ["192.0.2.1", "192.0.2.2", "evil[.]example", "an unknown address"]


@pytest.mark.parametrize(
    ("signals", "found"),
    [
        ([], EVERY),
        ([{"actorIds": ["a"], "endpointIds": ["e2"]}], ["192.0.2.2"]),
        ([{"actorIds": ["a"], "endpointIds": ["e5", "e1"]}], ["192.0.2.1"]),
        ([{"actorIds": ["a"], "endpointIds": ["e2"]}, {"endpointIds": ["e3"]}], ["192.0.2.2", "evil[.]example"]),
        ([{"actorIds": ["a"], "endpointIds": ["e2"]}, {"actorIds": ["b"], "endpointIds": ["e3"]}], ["192.0.2.2"]),
        ([{"actorIds": ["a"], "endpointIds": ["e2"]}, {"actorIds": ["a"]}], EVERY),
        ([{"actorIds": ["b"], "endpointIds": ["e2"]}], EVERY),
        ([{"endpointIds": ["e2"]}], EVERY),
        ([{"actorIds": ["a"], "endpointIds": ["e2", "e9"]}], ["192.0.2.2", "an unknown address"]),
        ([{"actorIds": ["a", 7], "endpointIds": ["e4", None]}], ["an unknown address"]),
        ([{"resourceUids": ["a"], "endpointIds": ["e2"]}], EVERY),
    ],
)
def test_given_an_attack_sequence_when_its_addresses_are_read_then_signals_connect_them_with_the_actor(
    signals: list[Any], found: list[str]
) -> None:
    sequence = {"endpoints": ENDPOINTS, "signals": signals}

    assert attack_sequences.addresses(sequence, {"id": "a"}) == found
    as_resources = [
        {("resourceUids" if name == "actorIds" else name): value for name, value in one.items()}
        for one in signals
        if "resourceUids" not in one
    ]
    key = {"id": "a", "resource": True}
    assert attack_sequences.addresses({**sequence, "signals": as_resources}, key) in (found, EVERY)


@pytest.mark.parametrize(
    ("actor", "key", "is_same"),
    [
        ({"credentialUid": "AKIA1"}, {}, True),
        ({"credentialUid": "AKIA2"}, {}, False),
        ({"uid": "AIDA1:s"}, {"principalId": "AIDA1"}, True),
        ({"uid": "AIDA1", "name": "bob", "type": "IAMUser"},
         {"principalId": "AIDA2", "userName": "bob", "userType": "IAMUser"}, False),
        ({"name": "bob", "type": "IAMUser"}, {"userName": "bob", "userType": "IAMUser"}, True),
        ({"name": "bob", "type": "Role"}, {"userName": "bob", "userType": "AssumedRole"}, True),
        ({"name": "bob", "type": "Role"}, {"userName": "bob", "userType": "IAMUser"}, False),
        ({"name": "", "type": "IAMUser"}, {"userName": "", "userType": "IAMUser"}, False),
        ({"uid": "AIDA1", "name": "bob", "type": "IAMUser"}, {"userName": "bob", "userType": "IAMUser"}, True),
    ],
)  # fmt: skip
def test_given_a_key_of_a_sequence_when_it_belongs_to_an_actor_then_there_is_one_entity(
    actor: dict[str, Any], key: dict[str, Any], is_same: bool
) -> None:
    resource = {"uid": "AKIA1", "resourceType": "ACCESS_KEY", "accountId": "9", "data": {"accessKey": key}}
    sequence = {"actors": [{"id": "a", "user": actor}], "resources": [resource]}

    found = attack_sequences.actors({"service": {"detection": {"sequence": sequence}}})

    assert [attack_sequences.id_of(one) for one in found] == (["a"] if is_same else ["a", "AKIA1"])
    assert is_same or found[1]["user"]["account"] == {"uid": "9"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        (["IMPAIRED"], None),
        (["", None], None),
        (["RESOLVED", "PENDING", "IMPAIRED", "PENDING"], "PENDING, RESOLVED"),
    ],
)
def test_given_an_entity_of_aws_health_when_its_status_is_another_than_impaired_then_it_is_shown(
    statuses: list[Any], line: str | None
) -> None:
    listed = [{"entityValue": "AKIA1", "status": one} for one in statuses]
    detail = {"eventArn": "e", "affectedEntities": [*listed, {"entityValue": "AKIA2", "status": "UNKNOWN"}]}

    found = findings.health({"detail": detail}, detail, "aws", "AKIA1")["details"]

    assert found[1:] == ([f"Status of the affected entity in AWS Health: {line}"] if line else [])


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:sts::1:assumed-role/deploy/s", "deploy"),
        ("arn:aws:sts::1:assumed-role/deploy", "deploy"),
        ("arn:aws:sts::1:assumed-role//s", ""),
        ("arn:aws:sts::1:assumed-role", ""),
        ("arn:aws:sts::1:federated-user/deploy", ""),
    ],
)
def test_given_a_session_without_an_issuer_when_read_then_its_arn_names_the_role(arn: str, name: str) -> None:
    actor = reading._actor({"type": "AssumedRole", "arn": arn}, "1", "aws")

    assert (actor["kind"], actor["name"], actor["caller_arn"]) == ("role" if name else "unknown", name, arn)


def test_given_an_update_of_a_user_when_its_target_is_read_then_the_new_name_counts_unless_it_is_the_caller() -> None:
    def target(event_name: str, caller: str) -> tuple[str, str | None]:
        identity = {"type": "IAMUser", "userName": caller, "accountId": ACCOUNT, "accessKeyId": "AKIA7"}
        request = {"userName": "bob", "newUserName": "rob"}
        detail = {"eventName": event_name, "userIdentity": identity, "requestParameters": request}
        found, key = reading.target({"account": ACCOUNT, "detail": detail})
        return found["name"], key

    assert target("UpdateUser", "eve") == ("rob", None)
    assert target("UpdateLoginProfile", "eve") == ("bob", None)
    assert target("UpdateUser", "bob") == ("bob", "AKIA7")
    event: dict[str, Any] = {"account": ACCOUNT, "detail": {"eventSource": "s3.amazonaws.com"}}
    assert reading.target(event) == (unknown_principal(ACCOUNT), None)


@pytest.mark.parametrize(
    ("name", "request_", "is_own"),
    [
        ("TagRole", {"tags": [{"key": "x"}, {"key": "IR-Router-mode"}]}, True),
        ("TagRole", {"tags": [{"key": "x-ir-router-mode"}]}, False),
        ("UntagRole", {"tagKeys": ["ir-router-regions"]}, True),
        ("UntagRole", {"tagKeys": "ir-router-regions"}, True),
        ("UntagRole", {"tags": [{"key": "ir-router-mode"}]}, False),
        ("DeleteRole", {}, True),
    ],
)
def test_given_a_call_about_tags_when_read_then_only_those_of_ir_router_count(
    name: str, request_: dict[str, Any], is_own: bool
) -> None:
    assert refinements.concerns_own_tag({"detail": {"eventName": name, "requestParameters": request_}}) is is_own


REQUESTED = {"execution": "e", "case_id": "1", "creators": {"c": {"facts": {"event_id": "x"}}, "d": {"note": "n"}}}


@pytest.mark.parametrize(
    ("detail", "is_valid"),
    [({"approval_id": "a", "creator": "c"}, True), ({"approval_id": "b", "creator": "c"}, False),
     ({"approval_id": "a", "creator": "d"}, False), ({"approval_id": "", "creator": "c"}, False), ({}, False)],
)  # fmt: skip
def test_given_the_start_of_a_creators_containment_when_read_then_only_a_request_in_the_ledger_makes_it_valid(
    monkeypatch: pytest.MonkeyPatch, detail: dict[str, str], is_valid: bool
) -> None:
    row = {**REQUESTED, "creator_c": {"analyst": {"name": "Jane", "via": "slack"}},
           "creator_d": {"analyst": {"name": "Jane", "via": "slack"}}}  # fmt: skip
    monkeypatch.setattr(approvals, "get", lambda approval_id: row if approval_id == "a" else None)
    event = {"detail-type": creators.DETAIL_TYPE, "detail": detail}

    if is_valid:
        read: Any = creators.read(event)
        request = {"execution": "e", "creator": "c", "by": "Jane", "via": "slack", "case_id": "1"}
        assert read == ({"event_id": "x"}, request)
        start = creators.start_of("a", "c")
        assert (start["source"], start["detail"], creators.is_start(start)) == ("ir-router", detail, True)
    else:
        with pytest.raises(InvalidInputError, match="No analyst requested"):
            creators.read(event)
    assert not creators.is_start({"detail-type": "x"})


def test_given_the_outcome_for_a_creator_when_reported_then_each_request_and_the_case_show_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Any] = []

    def note_result(*given: Any) -> list[str]:
        done.append(given)
        return ["a", "b"]

    monkeypatch.setattr(offers, "note_result", note_result)
    monkeypatch.setattr(notices, "publish", lambda *given: done.append(given))
    monkeypatch.setattr(notices, "comment", lambda *given: done.append(given))
    request: Any = {"execution": "e", "creator": "c", "by": "Jane", "via": "cli", "case_id": "1"}

    creators.report(facts.event(), "final", "text")
    assert done == []
    creators.report(facts.event(requested={**request, "case_id": None}), "final", "text")
    first, done[:] = done[:], []
    creators.report(facts.event(requested=request), "final", "text")

    execution = facts.INCIDENT["execution"]["id"]
    assert first == [
        ("e", "c", "text"),
        ("ApprovalRequested", {"approval_id": "a", "creator": "c"}),
        ("ApprovalRequested", {"approval_id": "b", "creator": "c"}),
    ]
    comment = "Creator of the key, containment requested by Jane: text"
    assert done == [*first, ("1", f"creator-{execution}-final", comment)]
