"""Why IAM rejected a change, and whether a retry helps."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router.workflow import changes, rejections

USER = "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform: iam:AttachUserPolicy on resource"


def refused(code: str | None, message: str | None = None) -> ClientError:
    error = {name: value for name, value in (("Code", code), ("Message", message)) if value is not None}
    response: Any = {"Error": error} if error else {}
    return ClientError(response, "AttachUserPolicy")


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        ("ConcurrentModification", "soon"),
        ("EntityTemporarilyUnmodifiable", "soon"),
        ("Throttling", "soon"),
        ("ThrottlingException", "soon"),
        ("LimitExceeded", "never"),
        ("PolicyNotAttachable", "never"),
        ("UnmodifiableEntity", "never"),
        ("ServiceFailure", "later"),
        (None, "later"),
    ],
)
def test_given_a_code_when_read_then_only_a_final_one_shows_its_message(code: str | None, retry: str) -> None:
    read = rejections.read(refused(code, "Cannot  exceed\nquota " + "x" * 600))

    shown = ("Cannot exceed quota " + "x" * 600)[:500] if retry == "never" else ""
    assert read == {"error": code or "Unknown", "reason": shown, "retry": retry}
    assert rejections.read(refused(code))["reason"] == ""


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
@pytest.mark.parametrize(
    ("ending", "why", "retry"),
    [
        ("", "", "soon"),
        (" because no identity-based policy allows the iam:AttachUserPolicy action",
         ": no identity-based policy allows it", "soon"),
        (" because no permissions boundary allows the action", ": no permissions boundary allows it", "never"),
        (" because no service control policy allows the action", ": no service control policy allows it", "never"),
        (" with an explicit deny in a service control policy: arn:aws:organizations::1:policy/p",
         ": explicit deny in a service control policy (arn:aws:organizations::1:policy/p)", "never"),
        (" with an explicit deny in a resource control policy",
         ": explicit deny in a resource control policy", "never"),
        (" with an explicit deny in a session policy", ": explicit deny in a session policy", "never"),
        (" with an explicit deny. Encoded authorization failure message: 4GIOHlTkI", ": explicit deny", "never"),
        (" with an explicit deny in an identity-based policy", ": explicit deny in an identity-based policy", "never"),
        (" with an explicit deny in a VPC endpoint policy", ": explicit deny in a VPC endpoint policy", "never"),
    ],
)  # fmt: skip
def test_given_a_denied_call_when_read_then_the_policy_is_named_and_only_a_new_permission_is_awaited(
    code: str, ending: str, why: str, retry: str
) -> None:
    read = rejections.read(refused(code, f"{USER}: user bob{ending}"))

    assert read == {"error": code, "reason": f"iam:AttachUserPolicy is not allowed{why}", "retry": retry}


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        ("AccessDenied", "explicit deny in a service control policy", "A policy of your AWS organisation forbids"),
        ("AccessDenied", "explicit deny in a resource control policy", "A policy of your AWS organisation forbids"),
        ("AccessDenied", "no permissions boundary allows it", "The permissions boundary of ir-router's workflow role"),
        ("LimitExceeded", "", "IAM allows 10 attached policies"),
        ("NoSuchEntity", "", "IAM does not know the principal or the key"),
        ("AccessDenied", "explicit deny in a session policy", ""),
    ],
)
def test_given_a_rejection_when_an_operator_reads_it_then_the_next_step_is_stated(
    error: str, reason: str, advice: str
) -> None:
    remedy = rejections.remedy(error, reason)

    assert remedy.startswith(advice)
    assert bool(remedy) is bool(advice)
    assert rejections.describe(error, reason) == (f"{error}, {reason}" if reason else error)


DENY_ARN = "arn:aws:iam::123456789012:policy/deny"
DENY = {
    "Statement": [
        {"Effect": "Allow", "Action": "a", "Resource": "b"},
        {"Effect": "Deny", "Action": "*", "Resource": "*"},
    ]
}


def test_given_refused_changes_of_two_principals_when_reported_then_each_is_named_and_each_remedy_once() -> None:
    def action(arn: str, error: str, reason: str, *, verified: bool = False) -> Any:
        return {
            "what": "attached the deny policy",
            "target": "",
            "principal": arn,
            "verified": verified,
            "error": error,
            "reason": reason,
            "retry": "never",
        }

    organisation = "AccessDenied: explicit deny in a service control policy"
    error = changes.failed(
        [
            action("arn:a", "AccessDenied", organisation),
            action("arn:b", "AccessDenied", organisation),
            action("arn:b", "LimitExceeded", "Cannot exceed quota"),
            action("arn:c", "AccessDenied", "no permissions boundary allows it", verified=True),
        ]
    )

    assert isinstance(error, changes.ChangeRefusedError)
    text = str(error)
    assert [text.count(one) for one in ("arn:a: NOT", "arn:b: NOT", "arn:c: done")] == [1, 1, 1]
    assert text.count("A policy of your AWS organisation forbids this change") == 1
    assert text.count("IAM allows 10 attached policies") == 1
    assert "permissions boundary of ir-router's" not in text
