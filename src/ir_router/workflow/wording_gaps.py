"""The texts about a containment that is incomplete: because someone undid it, or restored in part. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FIND_WHO_UNDID_IT = (
    "Someone undid the containment. Find the caller in CloudTrail (DetachUserPolicy, DetachRolePolicy, "
    "UpdateAccessKey, CreateAccessKey) and contain the caller too."
)
PENDING = "The decision about the incident is pending."
UNTIL_RELEASE = "The incident has ended. The containment stays until you release it."
ACT_BY_HAND = "Someone undid the containment, and ir-router could not re-apply all of it. You must act by hand now."


def contained_again(who: str, undone: Mapping[str, Any], *, verified: bool) -> str:
    """Return one line about a containment that was undone and re-applied.

    Args:
        who: The principal's kind and name.
        undone: The missing parts: `deny_policy`, `active_keys` and those of them that are `new_keys`. `was_refused`:
            IAM refused the deny policy until now. `were_unknown`: IAM denied the list of the keys until now.
        verified: Whether IAM shows the complete containment.
    """
    if undone.get("were_unknown") and not undone["deny_policy"] and verified:
        noun, verb = ("keys", "are") if len(undone["active_keys"]) > 1 else ("key", "is")
        shown = ", ".join(undone["active_keys"])
        return f"{who} completely contained: IAM lists the access keys now, and {noun} {shown} {verb} disabled."
    if undone["was_refused"] and verified:
        return f"{who} completely contained: IAM has now accepted the deny policy."
    enabled = [key for key in undone["active_keys"] if key not in undone["new_keys"]]
    parts = ["the deny policy was no longer attached"] if undone["deny_policy"] else []
    parts += [f"{_keys(enabled)} active again"] if enabled else []
    parts += [f"{_keys(undone['new_keys'])} new"] if undone["new_keys"] else []
    state = "contained again" if verified else "only PARTLY contained"
    return f"{who} {state}: {' and '.join(parts)}."


def _keys(shown: Sequence[str]) -> str:
    return f"key {shown[0]} was" if len(shown) == 1 else f"keys {', '.join(shown)} were"


def stays_disabled(held: Mapping[str, str]) -> str:
    """Return one clause about the keys that a restoration leaves disabled; empty without any.

    Args:
        held: The keys with the reasons, from `third_parties.held`.
    """
    return ", ".join(f"key {key} stays disabled, because {why} since the containment" for key, why in held.items())
