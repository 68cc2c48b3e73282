"""Changing a principal in IAM, each change read back.

A change that fails does not stop the others. What could not be done or verified raises ChangeFailedError at the end,
with everything that was tried: the state machine tries again, and people are told exactly what is done and what not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.observability import logger
from ir_router.workflow import iam
from ir_router.workflow.incident import ActionTaken, Principal

# IAM shows a change after some seconds: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
_READ_BACK_TRIES = 8
_READ_BACK_PAUSE_SECONDS = 1.0
DENY = "deny policy attached"
# IAM's refusals that trying again does not mend: 10 policies are attached already, or an organisation forbids it.
REFUSED_FOR_GOOD = frozenset({"LimitExceeded", "PolicyNotAttachable", "AccessDenied", "UnmodifiableEntity"})


class ChangeFailedError(IrRouterError):
    """Some changes were not made, or reading back does not show them; `actions` are all that were tried."""

    def __init__(self, actions: Sequence[ActionTaken]) -> None:
        """Name in the message what is undone and done of whom: Step Functions hands it on, and people act by it."""
        by_principal: dict[str, list[ActionTaken]] = {}
        for action in actions:
            by_principal.setdefault(action.get("principal", ""), []).append(action)
        super().__init__(" | ".join(_told_of(arn, of_them) for arn, of_them in by_principal.items()))
        self.actions = list(actions)


def _told_of(arn: str, actions: Sequence[ActionTaken]) -> str:
    undone = "; ".join(told(action) for action in actions if not action["verified"])
    done = "; ".join(told(action) for action in actions if action["verified"])
    parts = [f"not done or not verified: {undone}" if undone else "", f"done: {done}" if done else ""]
    return (f"{arn}: " if arn else "") + " - ".join(part for part in parts if part)


@dataclass(frozen=True)
class State:
    """A principal as IAM shows it: its keys with their status, and whether the deny policy is attached."""

    keys: Mapping[str, str]
    denied: bool


@dataclass(frozen=True)
class Change:
    """One change. `what` is told to people (`{target}` stands for the key); `shown` says whether a state shows it."""

    what: str
    target: str
    make: Callable[[], None]
    shown: Callable[[State], bool]


def read(principal: Principal) -> State:
    """The principal's state in IAM, now."""
    return State(iam.access_keys(principal), iam.is_denied(principal))


def told(action: ActionTaken) -> str:
    """The change in words, with the key's full id."""
    return action["what"].format(target=action["target"])


def deny(principal: Principal) -> Change:
    """Attach the deny policy."""
    return Change(DENY, "", lambda: iam.deny(principal), lambda state: state.denied)


def lift_deny(principal: Principal) -> Change:
    """Detach the deny policy."""
    return Change("deny policy detached", "", lambda: iam.lift_deny(principal), lambda state: not state.denied)


def disable(principal: Principal, key: str) -> Change:
    """Disable a key; one that is gone counts as disabled."""
    return Change(
        "key {target} disabled",
        key,
        lambda: iam.set_key_status(principal, key, iam.INACTIVE),
        lambda state: state.keys.get(key) != iam.ACTIVE,
    )


def enable(principal: Principal, key: str) -> Change:
    """Enable a key; one that somebody has deleted meanwhile cannot be, and is let be."""
    return Change(
        "key {target} enabled",
        key,
        lambda: iam.set_key_status(principal, key, iam.ACTIVE),
        lambda state: state.keys.get(key, iam.ACTIVE) == iam.ACTIVE,
    )


def delete(principal: Principal, key: str) -> Change:
    """Delete a key for good."""
    return Change(
        "key {target} deleted", key, lambda: iam.delete_key(principal, key), lambda state: key not in state.keys
    )


def make(principal: Principal, wanted: Sequence[Change]) -> list[ActionTaken]:
    """Make the changes in their order and read them back. Raises ChangeFailedError unless all are verified.

    An error that leaves a request under way (no answer) is raised as it is, and at once.
    """
    errors: dict[int, str] = {}
    for number, change in enumerate(wanted):
        try:
            change.make()
        except ClientError as error:
            if int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500:
                raise
            errors[number] = error.response["Error"]["Code"]
            logger.error("a change in IAM was refused", extra={"change": change.what, "code": errors[number]})
    actions = _read_back(principal, wanted, errors)
    if not all(action["verified"] for action in actions):
        raise ChangeFailedError(actions)
    return actions


def _read_back(principal: Principal, wanted: Sequence[Change], errors: Mapping[int, str]) -> list[ActionTaken]:
    for attempt in range(_READ_BACK_TRIES):
        state = read(principal)
        waiting = [number for number, change in enumerate(wanted) if number not in errors and not change.shown(state)]
        if not waiting:
            break
        if attempt + 1 < _READ_BACK_TRIES:
            clock.sleep(_READ_BACK_PAUSE_SECONDS)
    actions: list[ActionTaken] = []
    for number, change in enumerate(wanted):
        # What was refused may be so all the same (a key that somebody else disabled).
        action: ActionTaken = {
            "what": change.what,
            "target": change.target,
            "verified": change.shown(state),
            "principal": principal["arn"],
        }
        if number in errors and not action["verified"]:
            action["error"] = errors[number]
        actions.append(action)
    return actions
