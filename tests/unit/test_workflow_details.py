"""The lines about an event: trust policies, and the limits of the lists."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.workflow import details

OWN, OTHER = "123456789012", "999988887777"


def trusting(*principals: Any, effect: str = "Allow") -> dict[str, Any]:
    statements = [{"Effect": effect, "Principal": principal} for principal in principals]
    return {"assumeRolePolicyDocument": {"Statement": statements}}


@pytest.mark.parametrize(
    ("principals", "line"),
    [
        ([{"AWS": f"arn:aws:iam::{OWN}:root"}], None),
        ([{"AWS": OWN}], None),
        ([{"Service": "lambda.amazonaws.com"}], None),
        ([{"AWS": f"arn:aws:iam::{OTHER}:root"}], f"Trusts, outside this account: arn:aws:iam::{OTHER}:root"),
        ([{"AWS": [OWN, OTHER]}], f"Trusts, outside this account: {OTHER}"),
        (["*"], "Trusts, outside this account: every principal of every account"),
        ([{"Federated": "cognito-identity.amazonaws.com"}], "Trusts, outside this account: cognito-identity."),
    ],
)
def test_given_a_trust_policy_when_read_then_only_principals_outside_the_account_make_a_line(
    principals: list[Any], line: str | None
) -> None:
    found = list(details._trust(trusting(*principals), OWN))

    assert len(found) == (0 if line is None else 1)
    assert line is None or found[0].startswith(line)
    assert list(details._trust(trusting(*principals, effect="Deny"), OWN)) == []


def test_given_more_values_than_are_shown_when_read_then_eight_are_and_the_others_are_counted() -> None:
    accounts = [f"{number:012}" for number in range(100, 109)]
    (line,) = details._trust(trusting({"AWS": accounts}), OWN)

    assert [account for account in accounts if account in line] == accounts[:8]
    assert details._request({f"name{number}": number for number in range(1, 9)}).count(",") == 7
    more = details._request({f"name{number}": number for number in range(1, 11)})
    assert more.endswith("name8 8, and 2 more")
