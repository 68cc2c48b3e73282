"""The effects that a request for a permission to contain announces."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.workflow import wording_decisions

USER, ROLE = "attaches the deny policy and disables the keys", "everything that uses the role stop"


@pytest.mark.parametrize(
    ("kinds", "effect"),
    [(["user"], USER), (["role"], ROLE), (["role", "role"], ROLE), (["user", "role"], USER), (["role", "user"], USER)],
)
def test_given_principals_when_a_permission_is_requested_then_keys_are_named_unless_all_are_roles(
    kinds: list[str], effect: str
) -> None:
    parts: Any = [
        {
            "principal": {
                "kind": kind,
                "name": f"p{number}",
                "arn": f"arn:aws:iam::1:{kind}/p{number}",
                "account": "1",
            },
            "named_keys": [],
        }
        for number, kind in enumerate(kinds)
    ]

    text = wording_decisions._contain_does({"principals": parts})  # type: ignore[typeddict-item]

    assert effect in text
    assert len([one for one in (USER, ROLE) if one in text]) == 1
