"""The commands with which an operator contains a principal by hand. Pure, except for the deny policy's name."""

from __future__ import annotations

import shlex

from ir_router.workflow import sessions
from ir_router.workflow.incident import Principal


def containment(principal: Principal, key: str | None = None) -> str:
    """Return a sentence with the commands that contain the principal, for an administrator of its account.

    If the principal is unknown, the key, if there is one, leads to it.
    """
    if principal["kind"] == "unknown" and key is None:
        return "Find the user or role in IAM and contain it by hand now."
    if principal["kind"] == "unknown":
        return (
            f"Find the key's owner (aws iam get-access-key-last-used --access-key-id {key}) and contain it by hand now."
        )
    kind, name = principal["kind"], shlex.quote(principal["name"])
    policy = sessions.deny_policy_arn()
    commands = [f"aws iam attach-{kind}-policy --{kind}-name {name} --policy-arn {policy}"]
    if kind == "user":
        commands.append(f"aws iam list-access-keys --user-name {name}")
        commands.append(f"aws iam update-access-key --user-name {name} --status Inactive --access-key-id KEY")
    return f"Contain it by hand now, as an administrator of its account: {'; '.join(commands)}."
