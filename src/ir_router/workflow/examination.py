"""Decide from the event and from IAM whether a principal is contained, and by which changes. Change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.settings import settings
from ir_router.workflow import (
    by_hand,
    changes,
    creators,
    iam,
    identity,
    modes,
    protection,
    roles,
    sessions,
    wording,
)
from ir_router.workflow.changes import State
from ir_router.workflow.incident import Incident, Principal, PrincipalResult
from ir_router.workflow.outcomes import ContainmentOutcome

# A role that was created a moment ago. The retries of the state take longer.
_ROLE_APPLIES_SECONDS = 10


def is_refused_by_event(incident: Incident, target: identity.Target, account: str) -> bool:
    """Return whether the event alone shows that ir-router must not contain the target. Arguments: see `examine`."""
    return _refusal_by_event(incident, target.principal, account) is not None


def _refusal_by_event(incident: Incident, principal: Principal, account: str) -> str | None:
    # The variable protected_principals is checked later, against the name in IAM and not the name in the event.
    return protection.refusal(principal, account, (), event_account=incident["account"])


def examine(
    incident: Incident, target: identity.Target, account: str, protected: Callable[[], Sequence[str]]
) -> tuple[Principal, PrincipalResult | None]:
    """Return the target as IAM shows it, and the result if ir-router does not contain it.

    Args:
        incident: The incident.
        target: The principal that the event concerns.
        account: The account in which the event can cause a containment.
        protected: Returns the ARNs of the protected principals.
    """
    principal = target.principal
    refused = _refusal_by_event(incident, principal, account)
    if refused and target.unreachable is None:
        return principal, result_of(principal, "refused", refused)
    try:
        found = identity.resolve(target)
        mode = modes.of(principal["account"])
    except sessions.AccountClosedError as error:
        return principal, result_of(principal, "closed", str(error))
    except sessions.NoRoleError as error:
        if (seconds_since(incident["execution"]["started_at"]) or 0.0) < _ROLE_APPLIES_SECONDS:
            raise  # the state is retried: IAM may not show a new role everywhere yet
        by_hand_now = by_hand.containment(principal, target.named_key)
        return principal, result_of(principal, "refused", f"{error} {by_hand_now}")
    if found is None:
        return principal, _not_found(incident, principal)
    refused = protection.refusal(found, account, protected())
    if refused:
        return found, result_of(found, "refused", refused)
    if mode.name == "off":
        return found, result_of(
            found, "off", f"ir-router changed nothing, because containment_mode is off{mode.whose}."
        )
    if mode.name != "enforce":
        return found, _dry_run(incident, found, target.named_key, mode.whose)
    return found, None


def _not_found(incident: Incident, principal: Principal) -> PrincipalResult:
    """Return the result for a name that no longer exists in IAM, or that belongs to another user now.

    A finding about a user or role can arrive after its renaming, so it needs a person.
    """
    who = wording.name_of(principal)
    if "id" not in principal and incident.get("finding"):
        why = (
            f"IAM no longer has the {who}: the {principal['kind']} was deleted or renamed. Find out whose credentials "
            "these are. If they still exist, contain their owner by hand."
        )
        return result_of(principal, "refused", why)
    if "id" not in principal:
        return result_of(principal, "gone", f"IAM no longer has the {who}.")
    why = (
        f"IAM no longer has the {who} (id {principal['id']}): the user was deleted or renamed. Search IAM for "
        f"the id (aws iam list-users --query \"Users[?UserId=='{principal['id']}']\"). If the user exists, contain "
        "it by hand."
    )
    return result_of(principal, "refused", why)


def only_key_of(incident: Incident, key: str | None, row: Mapping[str, Any]) -> bool:
    """Return whether only the key of the event is disabled. A principal that is contained completely stays so."""
    wanted = settings().containment_scope == "key" and creators.creates_key_of_another(incident) and key is not None
    return wanted and ("incident" not in row or row.get("scope") == "key")


def changes_for(principal: Principal, key: str | None, state: State, *, only_key: bool) -> list[changes.Change]:
    """Return the changes that contain a principal in this state."""
    wanted = [] if only_key else [changes.deny(principal)]
    # An expired key does not work, and a denial could not restore its status.
    if key and state.keys.get(key) in (iam.ACTIVE, iam.INACTIVE):
        wanted.append(changes.disable(principal, key))
    if settings().contain_other_keys and not only_key:
        others = sorted(name for name, status in state.keys.items() if name != key and status == iam.ACTIVE)
        wanted += [changes.disable(principal, other) for other in others]
    return wanted


def _dry_run(incident: Incident, principal: Principal, key: str | None, whose: str) -> PrincipalResult:
    state = changes.read(principal)
    only_key = only_key_of(incident, key, {})
    wanted = changes_for(principal, key, state, only_key=only_key)
    planned = [change.what.format(target=change.target) for change in wanted]
    result = f"With containment_mode enforce{whose}, the result would be: {', '.join(planned)}."
    if not only_key and (why := roles.why_ask(incident, principal)):
        result = f"With containment_mode enforce{whose}, ir-router would request an approval first. {why} {result}"
    return result_of(principal, "dry_run", result)


def name_of(principal: Principal) -> str:
    """Return IAM's unique id of the principal, or its ARN if the id is unknown."""
    return principal.get("id") or principal["arn"]


def seconds_since(moment: str | None) -> float | None:
    """Return the seconds since the moment (ISO 8601), rounded to a tenth, or None if the moment is unknown."""
    if moment is None:
        return None
    return round(clock.now() - datetime.fromisoformat(moment).timestamp(), 1)


def result_of(principal: Principal, outcome: ContainmentOutcome, why: str) -> PrincipalResult:
    """Return a result without changes."""
    return {
        "principal": principal,
        "outcome": outcome,
        "why": why,
        "actions": [],
        "named_keys": [],
        "recorded": {},
    }
