"""Findings of GuardDuty and events of AWS Health: who acted, from where, and the details that an analyst reads."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import InvalidInputError
from ir_router.workflow import findings, principals

ACCOUNT = "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT}"


def finding(credentials: dict[str, Any] | None = None, **detail: Any) -> dict[str, Any]:
    resource = {"accessKeyDetails": credentials or {}}
    return {"accountId": ACCOUNT, "id": "f-1", "type": "T", "region": "eu-west-1", "resource": resource} | detail


def facts(detail: dict[str, Any], chosen: str | None = None, partition: str = "aws", **event: Any) -> Any:
    return findings.guardduty({"account": "999999999999", **event, "detail": detail}, detail, partition, chosen)


@pytest.mark.parametrize(
    ("user_type", "name", "kind", "shown", "arn"),
    [
        ("IAMUser", "bob", "user", "bob", f"{ARN}:user/bob"),
        ("IAMUser", "", "unknown", "", ""),
        ("FederatedUser", "bob", "unknown", "", ""),  # the caller chose the name
        ("AssumedRole", "app", "role", "app", f"{ARN}:role/app"),
        ("Role", "app", "role", "app", f"{ARN}:role/app"),
        ("Role", "", "unknown", "", ""),
        ("Root", "anything", "root", "root", f"{ARN}:root"),
        ("AWSService", "ec2.amazonaws.com", "service", "ec2.amazonaws.com", ""),
        ("AWSAccount", "210987654321", "account", "210987654321", ""),
        ("Directory", "bob", "unknown", "", ""),
        ("", "bob", "unknown", "", ""),
    ],
)
def test_given_an_identity_of_a_finding_when_read_then_only_a_certain_one_is_a_principal(
    user_type: str, name: str, kind: str, shown: str, arn: str
) -> None:
    read = facts(finding({"userType": user_type, "userName": name, "accessKeyId": "ASIA1", "principalId": "AROA1:"}))

    who = {"kind": kind, "name": shown, "arn": arn, "account": ACCOUNT}
    assert read["subject"] == who
    assert read["actor"] == {**who, "caller_arn": arn, "access_key_id": "ASIA1", "identity_type": user_type}
    assert read["access_key_id"] is None
    assert (read["vpc_endpoint_id"], read["user_agent"], read["error_code"]) == (None, None, None)


@pytest.mark.parametrize(
    ("user_type", "line"),
    [
        ("FederatedUser", 'Federated session (the caller chose this name): "bob"'),
        ("Directory", 'Caller in the finding: Directory "bob"'),
        ("", 'Caller in the finding: unknown type "bob"'),
    ],
)
def test_given_a_caller_that_is_no_certain_principal_when_read_then_the_details_name_it(
    user_type: str, line: str
) -> None:
    assert line in facts(finding({"userType": user_type, "userName": "bob"}))["details"]


def test_given_a_session_of_a_role_when_read_then_its_arn_names_the_session() -> None:
    role = {"userType": "AssumedRole", "userName": "app", "principalId": "AROA1:i-0123"}

    read = facts(finding(role), partition="aws-cn")

    assert read["actor"]["caller_arn"] == f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/app/i-0123"
    assert read["actor"]["access_key_id"] is None
    assert facts(finding({**role, "userName": ""}))["actor"]["caller_arn"] == ""
    assert facts(finding({**role, "userType": "IAMUser"}))["actor"]["caller_arn"] == f"{ARN}:user/app"


def test_given_a_finding_about_a_user_when_read_then_iams_id_stays_with_the_name() -> None:
    user = {"userType": "FederatedUser", "userName": "bob", "principalId": "AIDACKCEVSQ6C2EXAMPLE:session"}
    read = facts(finding(user))

    assert read["subject"] == {**principals.user("bob", ACCOUNT), "id": "AIDACKCEVSQ6C2EXAMPLE"}


def test_given_a_finding_when_read_then_its_facts_are_those_of_the_detail_and_else_of_the_event() -> None:
    full = facts(
        finding({"accessKeyId": "AKIA1"}, service={"eventLastSeen": "2026-01-15T18:05:00Z"}),
        time="2026-01-15T19:00:00Z",
        region="us-east-1",
    )
    bare = facts({"id": "f-2"}, time="2026-01-15T19:00:00Z", region="us-east-1")

    assert {name: full[name] for name in ("event_id", "event_name", "event_time", "region", "account")} == {
        "event_id": "f-1", "event_name": "T", "event_time": "2026-01-15T18:05:00Z", "region": "eu-west-1",
        "account": ACCOUNT,
    }  # fmt: skip
    assert (full["access_key_id"], full["finding"], full["read_only"], "quiet" in full) == ("AKIA1", True, False, False)
    assert {name: bare[name] for name in ("event_name", "event_time", "region", "account")} == {
        "event_name": "GuardDuty finding of unknown type", "event_time": "2026-01-15T19:00:00Z",
        "region": "us-east-1", "account": "999999999999",
    }  # fmt: skip
    assert bare["subject"]["account"] == "999999999999"
    with pytest.raises(InvalidInputError, match="has no id"):
        facts({})


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ({"action": {"actionType": "X", "a": {"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}}}}, "198.51.100.7"),
        ({"action": {"a": {"remoteIpDetails": {}}, "b": {"remoteIpDetails": {"ipAddressV6": "2001:db8::1"}}}},
         "2001:db8::1"),
        ({"action": {"a": {"remoteIpDetails": {"ipAddressV4": "", "ipAddressV6": "2001:db8::1"}}}}, "2001:db8::1"),
        ({"detection": {"sequence": {"endpoints": [{"id": "x"}, {"ip": "198.51.100.8"}, {"ip": "no"}]}}},
         "198.51.100.8"),
        ({}, None),
    ],
)  # fmt: skip
def test_given_a_finding_when_read_then_the_callers_address_is_found_in_every_kind_of_action(
    service: dict[str, Any], address: str | None
) -> None:
    assert facts(finding(service=service))["source_ip"] == address


@pytest.mark.parametrize(
    ("detail", "sample"),
    [
        ({"title": "[SAMPLE] A title"}, True),
        ({"title": "A [SAMPLE]"}, False),
        ({"service": {"additionalInfo": {"sample": True}}}, True),
        ({"service": {"additionalInfo": {"sample": "true"}}}, False),
        ({"service": {"additionalInfo": {"value": '{"sample":true}'}}}, True),
        ({"service": {"additionalInfo": {"value": '{"sample":false}'}}}, False),
        ({"service": {"additionalInfo": {"value": "[1]"}}}, False),
        ({"service": {"additionalInfo": {"value": "{broken"}}}, False),
        ({"service": {"additionalInfo": {"value": "[" * 100_000}}}, False),
    ],
)
def test_given_a_finding_when_read_then_a_sample_is_recognised(detail: dict[str, Any], sample: bool) -> None:
    assert facts(finding(**detail)).get("quiet") == ("sample" if sample else None)


def test_given_a_finding_when_its_details_are_listed_then_resources_occurrences_and_console_are_there() -> None:
    resource = {
        "accessKeyDetails": {"accessKeyId": "ASIA1", "userType": "IAMUser", "userName": "bob"},
        "s3BucketDetails": [{"name": f"b-{number}"} for number in range(9)],
        "instanceDetails": {"instanceId": "i-1"},
    }
    detail = finding(title="A title", service={"count": 2}, id="a/b") | {"resource": resource}
    fewer = {**resource, "s3BucketDetails": [{"name": ""}, {"name": "only"}]}

    assert facts(detail)["details"] == [
        "Finding: A title",
        "Session key: ASIA1",
        "Buckets: b-0, b-1, b-2, b-3, b-4, b-5, b-6, b-7",
        "Affected instance: i-1",
        "Occurrences so far: 2",
        "Console: https://eu-west-1.console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?macros=current&fId=a/b",
    ]
    assert "Buckets: only" in facts({**detail, "resource": fewer})["details"]
    assert facts(finding({"accessKeyId": "AKIA1"}, service={"count": 1}, region="x y"))["details"] == []
    for partition, host in (("aws-cn", "amazonaws.cn"), ("aws-us-gov", "amazonaws-us-gov.com")):
        assert f"eu-west-1.console.{host}/" in facts(finding(), partition=partition)["details"][-1]


def actor(number: int, **user: Any) -> dict[str, Any]:
    return {"id": f"a-{number}", "user": {"name": f"user-{number}", "type": "IAMUser", **user}}


def sequence(*actors: dict[str, Any], **more: Any) -> dict[str, Any]:
    return finding(service={"detection": {"sequence": {"actors": list(actors), "description": "It began.", **more}}})


def test_given_an_attack_sequence_when_read_then_each_actor_has_its_own_facts() -> None:
    second = actor(2, credentialUid="AKIA2", account={"uid": "210987654321"})
    session = {"user": {"uid": "AROA3:s", "name": "app", "type": "AssumedRole"}, "session": {"uid": "ASIA3"}}
    detail = sequence(actor(1), {"id": "process"}, second, session, actor(1), {"user": {"name": "named"}})
    event = {"detail": detail}

    assert findings.entities(event) == ["a-1", "a-2", "AROA3:s", "named"]
    first, other = facts(detail), facts(detail, "a-2")
    assert (first["event_id"], first["subject"]["name"], first["subject"]["account"]) == ("f-1#a-1", "user-1", ACCOUNT)
    assert (other["event_id"], other["access_key_id"], other["subject"]["account"]) == (
        "f-1#a-2", "AKIA2", "210987654321"
    )  # fmt: skip
    assert other["account"] == ACCOUNT
    role = facts(detail, "AROA3:s")["actor"]
    assert (role["access_key_id"], role["caller_arn"]) == ("ASIA3", f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s")
    assert facts(detail, "unknown")["event_id"] == "f-1#a-1"
    assert first["details"][0] == "Actors: 5. ir-router handles each of them in an execution of its own."


def test_given_a_key_that_is_all_a_sequence_shows_of_a_principal_when_read_then_it_is_an_entity() -> None:
    """ARNs end with the key's id. Resources of other kinds, of services and without content are none."""
    resources = [
        {"name": "AKIA7", "resourceType": "ACCESS_KEY"},
        {"uid": "arn:aws:iam::1:access-key/ASIA8", "resourceType": "ACCESS_KEY", "data": {}},
        {"uid": "x", "resourceType": "ACCESS_KEY"},
        {"uid": "AKIA9", "resourceType": "S3_BUCKET", "data": {"accessKey": {"userName": "bob"}}},
        {"uid": "AKIA9", "resourceType": "ACCESS_KEY", "data": {"accessKey": {"userType": "AWSService"}}},
        {"uid": "AKIA6", "resourceType": "ACCESS_KEY"},
        {"uid": "x", "resourceType": "ACCESS_KEY", "data": {"accessKey": {"userType": ["IAMUser"], "userName": {}}}},
    ]
    detail = sequence({"user": {"credentialUid": "AKIA6"}}, resources=resources)

    assert findings.entities({"detail": detail}) == ["AKIA6", "AKIA7", "arn:aws:iam::1:access-key/ASIA8"]
    assert facts(detail, "AKIA7")["access_key_id"] == "AKIA7"
    assert facts(detail, "arn:aws:iam::1:access-key/ASIA8")["actor"]["access_key_id"] == "ASIA8"


def test_given_the_signals_of_a_sequence_when_listed_then_eight_are_named_with_their_time() -> None:
    signals = [
        {"name": "s-0", "firstSeenAt": "2026-01-15T18:05:00Z", "createdAt": "2026-01-15T19:00:00Z"},
        {"type": "FINDING", "createdAt": "2026-01-15T19:00:00Z"},
        *({"name": f"s-{number}"} for number in range(2, 10)),
    ]
    named = "s-0 at 2026-01-15T18:05:00Z; FINDING at 2026-01-15T19:00:00Z; s-2; s-3; s-4; s-5; s-6; s-7"

    assert facts(sequence(actor(1), signals=signals))["details"][:2] == [
        "Attack sequence: It began.", f"Signals: {named}; 2 more"
    ]  # fmt: skip
    assert facts(sequence(actor(1), signals=signals[:8]))["details"][1] == f"Signals: {named}"
    assert facts(sequence(actor(1), description=""))["details"][0] == "Attack sequence"


def health(chosen: str | None = None, **detail: Any) -> Any:
    detail = {"eventTypeCode": "AWS_RISK", "eventArn": "arn:e", **detail}
    event = {"account": ACCOUNT, "region": "us-east-1", "time": "2026-01-15T18:05:00Z", "id": "e-1", "detail": detail}
    return findings.health(event, detail, "aws", chosen)


@pytest.mark.parametrize(
    ("entity", "kind", "name", "account"),
    [
        (f"{ARN}:user/team/bob", "user", "bob", ACCOUNT),
        (f"{ARN}:role/app", "role", "app", ACCOUNT),
        ("arn:aws:iam::210987654321:root", "root", "root", "210987654321"),
        ("arn:aws:s3:::bucket", "unknown", "", ACCOUNT),
        ("210987654321", "account", "210987654321", "210987654321"),
        ("AKIAEXAMPLE", "unknown", "", ACCOUNT),
        ("ASIAEXAMPLE", "unknown", "", ACCOUNT),
        ("bob", "unknown", "bob", ACCOUNT),  # only IAM shows whether this is a user or a role
        ("UNKNOWN", "unknown", "", ACCOUNT),
        ("AWS_ACCOUNT", "account", ACCOUNT, ACCOUNT),
        ("root", "root", "root", ACCOUNT),
        ("<root_account>", "root", "root", ACCOUNT),
        ("rooted", "unknown", "rooted", ACCOUNT),
        ("AIDACKCEVSQ6C2EXAMPLE", "unknown", "AIDACKCEVSQ6C2EXAMPLE", ACCOUNT),
        ("AROACKCEVSQ6C2EXAMPLE:i-0123", "unknown", "AROACKCEVSQ6C2EXAMPLE", ACCOUNT),
        ("arn:aws:sts::210987654321:assumed-role/app/s", "role", "app", "210987654321"),
        ("arn:aws:sts::210987654321:federated-user/bob", "unknown", "", "210987654321"),
        ("arn:aws:sts::210987654321:assumed-role/app", "unknown", "", ACCOUNT),
        ("b" * 65, "unknown", "", ACCOUNT),
        ("bob smith", "unknown", "", ACCOUNT),
        ("", "unknown", "", ACCOUNT),
    ],
)
def test_given_an_entity_of_aws_health_when_read_then_it_is_a_principal_only_by_name_or_arn(
    entity: str, kind: str, name: str, account: str
) -> None:
    read = health(affectedEntities=[{"entityValue": entity}])

    assert (read["subject"]["kind"], read["subject"]["name"], read["subject"]["account"]) == (kind, name, account)
    assert read["access_key_id"] == (entity if entity == "AKIAEXAMPLE" else None)
    assert read["event_id"] == f"arn:e#{entity or 'none'}"


def test_given_an_event_of_aws_health_when_read_then_chosen_entity_message_and_end_are_there() -> None:
    listed = [{"entityValue": "AKIA1"}, {"entityValue": "AKIA2"}]
    described = [{"language": "x"}, {"latestDescription": "A key\nis public."}, {"latestDescription": "no"}]
    read = health("AKIA2", affectedEntities=listed, eventDescription=described, affectedAccount="210987654321")

    assert (read["access_key_id"], read["account"], "quiet" in read) == ("AKIA2", "210987654321", False)
    assert (read["source_ip"], read["vpc_endpoint_id"], read["user_agent"], read["error_code"]) == (None,) * 4
    assert read["details"] == ["Message from AWS: A key is public.", "Affected: AKIA2"]
    assert (read["event_name"], read["event_time"], read["region"]) == ("AWS_RISK", "2026-01-15T18:05:00Z", "us-east-1")
    ended = health(statusCode="closed", eventTypeCode=None)
    assert (ended["quiet"], ended["event_name"]) == ("closed", "AWS Health event of unknown type")
    assert ended["details"] == ["Affected: the event names no key, user or account"]
    assert health(eventArn=None)["event_id"] == "e-1#none"
    with pytest.raises(InvalidInputError, match="no eventArn"):
        findings.health({}, {}, "aws", None)


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (f"{ARN}:user/bob", "user", "bob"),
        (f"{ARN}:role/a/b/app", "role", "app"),
        ("arn:aws-us-gov:iam::123456789012:root", "root", "root"),
        (f"{ARN}:group/admins", None, None),
        (f"{ARN}:user/", None, None),
        (f"x{ARN}:user/bob", None, None),
        ("arn:aws:sts::123456789012:assumed-role/app/s", None, None),
    ],
)
def test_given_an_arn_when_read_then_a_user_a_role_or_root_is_named(
    arn: str, kind: str | None, name: str | None
) -> None:
    read = principals.from_arn(arn)

    assert read == ({"kind": kind, "name": name, "arn": arn, "account": ACCOUNT} if kind else None)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_given_the_arn_of_a_session_when_read_then_it_is_the_role_of_that_partition(partition: str) -> None:
    named = principals.session_of_arn(f"arn:{partition}:sts::{ACCOUNT}:assumed-role/app/jane@example.com")

    assert named == (principals.role("app", ACCOUNT, partition), "jane@example.com")
    assert principals.session_of_arn(f"x arn:{partition}:sts::{ACCOUNT}:assumed-role/app/s") is None
    assert principals.session_of_arn(f"arn:{partition}:iam::{ACCOUNT}:role/app") is None


def test_given_values_of_other_types_when_read_then_they_count_as_absent() -> None:
    assert [principals.string(value) for value in ("a", 1, None)] == ["a", "", ""]
    assert [principals.mapping(value) for value in ({"a": 1}, [1], None)] == [{"a": 1}, {}, {}]
    assert principals.items([{"a": 1}, "x", None]) == [{"a": 1}]
    assert principals.items("x") == []
    assert [principals.long_term(key) for key in ("AKIA1", "ASIA1", "")] == ["AKIA1", None, None]


def test_given_a_caller_when_its_principal_is_read_then_credentials_are_left_out_and_the_id_stays() -> None:
    caller: Any = {
        **principals.user("bob", ACCOUNT), "caller_arn": "x", "access_key_id": "AKIA1", "identity_type": "IAMUser"
    }  # fmt: skip
    other: Any = {**caller, "id": "AIDACKCEVSQ6C2EXAMPLE", "access_key_id": None}

    assert principals.principal_of(caller) == principals.user("bob", ACCOUNT)
    assert principals.principal_of(other) == {**principals.user("bob", ACCOUNT), "id": "AIDACKCEVSQ6C2EXAMPLE"}
    assert [principals.own_key(one) for one in (caller, other)] == ["AKIA1", None]
    assert principals.same_name(caller, other)
    assert not principals.same_name(caller, principals.role("bob", ACCOUNT))
    assert not principals.same_name(caller, principals.user("eve", ACCOUNT))


def test_given_no_partition_when_built_then_arns_are_of_the_commercial_one() -> None:
    built = [principals.user("a", ACCOUNT), principals.role("a", ACCOUNT), principals.root(ACCOUNT)]

    assert [one["arn"] for one in built] == [f"{ARN}:user/a", f"{ARN}:role/a", f"{ARN}:root"]
    assert principals.unknown_principal() == {"kind": "unknown", "name": "", "arn": "", "account": ""}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("AIDACKCEVSQ6C2EXAMPLE", {"id": "AIDACKCEVSQ6C2EXAMPLE"}),
        ("AIDACKCEVSQ6C2EXAMPLE:session", {"id": "AIDACKCEVSQ6C2EXAMPLE"}),
        ("AIDA12345678901", {}),
        ("AROACKCEVSQ6C2EXAMPLE", {}),
        (7, {}),
    ],
)
def test_given_a_principals_id_when_read_then_only_a_users_counts(given: object, expected: dict[str, str]) -> None:
    assert principals.user_id({"principalId": given}) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-15T18:05:00+02:00", "2026-01-15T16:05:00Z"),
        ("2026-01-15T18:05:00", "2026-01-15T18:05:00Z"),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_given_a_time_of_an_event_when_read_then_it_is_utc_or_none(moment: str | None, expected: str | None) -> None:
    assert principals.iso(moment) == expected
