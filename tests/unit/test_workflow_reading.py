"""Reading events: actor, action and subject, in every shape of CloudTrail, GuardDuty and AWS Health."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_router.errors import InvalidInputError
from ir_router.workflow import allowlist, detections, principals, protection, reading, severity, wording
from ir_router.workflow.allowlist import Entry

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i-0123"


def event(**detail: Any) -> dict[str, Any]:
    identity = {
        "type": "IAMUser",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/team/mallory",
        "accountId": ACCOUNT,
        "userName": "mallory",
        "accessKeyId": "AKIAMALLORY",
    }
    record = {
        "userIdentity": identity,
        "eventID": "e-1",
        "eventName": "CreateAccessKey",
        "eventSource": "iam.amazonaws.com",
        "eventTime": "2026-01-15T18:05:00Z",
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
        "sourceIPAddress": "198.51.100.7",
        "requestParameters": {"userName": "bob"},
        "responseElements": {"accessKey": {"accessKeyId": "AKIANEW", "userName": "bob"}},
        **detail,
    }
    return {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT, "detail": record}


def identity(**fields: Any) -> dict[str, Any]:
    return {"accountId": ACCOUNT, **fields}


@pytest.mark.parametrize(
    ("who", "kind", "name"),
    [
        (identity(type="IAMUser", userName="bob"), "user", "bob"),
        (identity(type="IAMUser", arn=f"arn:aws:iam::{ACCOUNT}:user/team/bob"), "user", "bob"),
        (identity(type="Root", arn=f"arn:aws:iam::{ACCOUNT}:root"), "root", "root"),
        (
            identity(
                type="AssumedRole",
                arn=SESSION,
                sessionContext={"sessionIssuer": {"type": "Role", "arn": ROLE, "userName": "app"}},
            ),
            "role",
            "app",
        ),
        (identity(type="AssumedRole", arn=SESSION), "role", "app"),
        (identity(type="AssumedRole", arn="nonsense"), "unknown", ""),
        (
            identity(
                type="FederatedUser",
                sessionContext={
                    "sessionIssuer": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "userName": "bob"}
                },
            ),
            "user",
            "bob",
        ),
        (identity(type="AWSService", invokedBy="cloudtrail.amazonaws.com"), "service", "cloudtrail.amazonaws.com"),
        (identity(type="AWSAccount", accountId="210987654321"), "account", "210987654321"),
        (identity(type="SAMLUser", userName="someone"), "unknown", "someone"),
        ({}, "unknown", ""),
        (None, "unknown", ""),
    ],
)
def test_given_an_identity_when_read_then_the_actor_is_who_can_be_contained(who: Any, kind: str, name: str) -> None:
    actor = reading.read(event(userIdentity=who))["actor"]

    assert (actor["kind"], actor["name"]) == (kind, name)


USER_ID = "AIDACKCEVSQ6C2EXAMPLE"
_ISSUER = {"type": "IAMUser", "principalId": USER_ID, "arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "userName": "bob"}


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (identity(type="IAMUser", userName="bob", principalId=USER_ID), USER_ID),
        (identity(type="IAMUser", userName="bob", principalId="AIDA"), None),
        (identity(type="IAMUser", userName="bob"), None),
        (identity(type="FederatedUser", principalId="x", sessionContext={"sessionIssuer": _ISSUER}), USER_ID),
        (identity(type="AssumedRole", arn=SESSION, principalId="AROACKCEVSQ6C2EXAMPLE:i-0123"), None),
        (identity(type="Root", principalId=ACCOUNT), None),
    ],
)
def test_given_a_users_id_when_read_then_it_stays_with_the_user_that_acts_for_itself(
    who: Any, expected: str | None
) -> None:
    itself = {"userName": "bob"} if who["type"] in ("IAMUser", "FederatedUser") else None
    answer = {"accessKey": {"accessKeyId": "AKIANEW", **(itself or {})}}
    facts = reading.read(event(userIdentity=who, requestParameters=itself, responseElements=answer))

    assert facts["actor"].get("id") == expected
    assert facts["subject"].get("id") == expected


def test_given_a_key_for_another_user_when_read_then_the_actors_id_is_not_theirs() -> None:
    who = identity(type="IAMUser", userName="mallory", principalId=USER_ID)

    assert "id" not in reading.read(event(userIdentity=who))["subject"]


@pytest.mark.parametrize(
    ("user_type", "given_id", "expected"),
    [
        ("IAMUser", USER_ID, USER_ID),
        ("FederatedUser", f"{USER_ID}:session", USER_ID),
        ("IAMUser", "AIDA", None),
        ("AssumedRole", "AROACKCEVSQ6C2EXAMPLE:session", None),
    ],
)
def test_given_a_findings_principal_id_when_read_then_that_of_a_user_is_kept(
    user_type: str, given_id: str, expected: str | None
) -> None:
    details = {"accessKeyId": "ASIA1", "principalId": given_id, "userName": "bob", "userType": user_type}
    detail = {"accountId": ACCOUNT, "id": "f-1", "type": "T", "resource": {"accessKeyDetails": details}}

    assert (
        reading.read({"detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": detail})["subject"].get(
            "id"
        )
        == expected
    )


def test_given_a_key_for_another_user_when_read_then_the_owner_is_the_subject_and_the_new_key_is_named() -> None:
    facts = reading.read(event())

    assert (facts["subject"]["name"], facts["access_key_id"]) == ("bob", "AKIANEW")
    assert facts["actor"]["name"] == "mallory"


def test_given_a_key_without_a_user_name_when_read_then_the_caller_is_the_owner() -> None:
    facts = reading.read(event(requestParameters=None, responseElements={"accessKey": {"accessKeyId": "AKIANEW"}}))

    assert facts["subject"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/mallory"


def test_given_another_partition_when_read_then_arns_are_of_it() -> None:
    assert reading.read(event(), partition="aws-cn")["subject"]["arn"].startswith("arn:aws-cn:iam::")


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-01-15T18:05:00Z", "2026-01-15T18:05:00Z"),
        ("2026-01-15T18:05:00+02:00", "2026-01-15T16:05:00Z"),
        ("2026-01-15T18:05:00", "2026-01-15T18:05:00Z"),
        ("yesterday", None),
        (None, None),
    ],
)
def test_given_a_time_when_read_then_it_is_utc_or_none(given_time: str | None, expected: str | None) -> None:
    assert principals.iso(given_time) == expected


def test_given_keys_that_aws_health_names_twice_when_read_then_each_is_there_once() -> None:
    entities = [{"entityValue": key} for key in ("A", "B", "A", "")] + [None]
    health = {"detail-type": "AWS Health Event", "source": "aws.health", "detail": {"affectedEntities": entities}}

    assert reading.entities(health) == ["A", "B"]
    assert reading.entities({**health, "detail": {}, "resources": ["A", None, "C"]}) == ["A", "C"]
    assert reading.entities({**health, "detail": {}, "resources": None}) == []


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Root", "AssumedRole", "IAMUser"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [before] if before else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += paths(inner, (*before, name))
    return found


def samples() -> list[dict[str, Any]]:
    session = {"sessionIssuer": {"type": "Role", "arn": ROLE, "userName": "app", "accountId": ACCOUNT}}
    role = identity(type="AssumedRole", arn=SESSION, sessionContext=session)
    finding = {
        "id": "f-1",
        "type": "UnauthorizedAccess:IAMUser/X",
        "severity": 8,
        "accountId": ACCOUNT,
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": {"userName": "bob", "userType": "IAMUser"}},
        "service": {"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "203.0.113.1"}}}},
    }
    health = {
        "eventArn": "arn:aws:health:::event/1",
        "service": "RISK",
        "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
        "affectedEntities": [{"entityValue": "AKIA"}],
    }
    return [
        event(),
        event(userIdentity=role),
        {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": finding},
        {"source": "aws.health", "detail-type": "AWS Health Event", "detail": health},
    ]


@given(sample=st.sampled_from(samples()), place=st.integers(0, 60), value=anything)
def test_given_any_field_spoiled_when_read_then_it_is_understood_or_refused_and_nothing_else_happens(
    sample: dict[str, Any], place: int, value: Any
) -> None:
    spoiled = copy.deepcopy(sample)
    places = paths(spoiled)
    *way, last = places[place % len(places)]
    target = spoiled
    for name in way:
        target = target[name]
    target[last] = value

    detections.matching(spoiled)
    reading.entities(spoiled)
    try:
        facts = reading.read(spoiled)
    except InvalidInputError:
        return
    allowlist.find(
        facts["actor"],
        [*filter(None, [facts["source_ip"]])],
        [Entry("ip", "10.0.0.0/8", ""), Entry("principal", ROLE, "")],
        0,
    )
    severity.assess(detections.matching(spoiled), facts["subject"])
    protection.refusal(facts["subject"], ACCOUNT, [f"arn:aws:iam::{ACCOUNT}:role/*"])
    assert wording.what_happened(facts)  # type: ignore[arg-type]  # an incident has more


@given(value=anything)
def test_given_no_detail_when_read_then_it_is_refused_with_a_reason(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"event|detail"):
        reading.read(value)
