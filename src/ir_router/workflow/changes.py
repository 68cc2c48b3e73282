"""Change a principal in IAM and verify each change by reading it back.

A failed change does not stop the others. At the end ChangeFailedError names every change, made or not: the state
machine retries, and the alert lists the completed and the missing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ir_router import clock, together
from ir_router.errors import IrRouterError
from ir_router.ledger.containments import Lock
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import iam, rejections, sessions
from ir_router.workflow.incident import ActionTaken, Principal
from ir_router.workflow.rejections import Rejection

# IAM shows a change after some seconds: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
_READ_BACK_TRIES = 8
_PAUSE_SECONDS = 1.0
DENY = "deny policy attached"
DISABLED = "key {target} disabled"
LISTED = "access keys disabled"
_LIST = "ListAccessKeys"
# The invocation's last seconds, for reading the changes of two principals back.
_RESERVE_SECONDS = 25.0


class ChangeFailedError(IrRouterError):
    """Some changes failed or could not be verified. `actions` are all attempted changes."""

    def __init__(self, actions: Sequence[ActionTaken]) -> None:
        """List the missing and the verified changes of each principal: Step Functions passes the text to the alert.

        The advice comes first, because Slack shows the beginning alone.
        """
        by_principal: dict[str, list[ActionTaken]] = {}
        for action in actions:
            by_principal.setdefault(action.get("principal", ""), []).append(action)
        summary = " | ".join(_summary_of(arn, of_them) for arn, of_them in by_principal.items())
        undone = [action for action in actions if not action["verified"]]
        remedies = dict.fromkeys(rejections.remedy(one.get("error", ""), one.get("reason", "")) for one in undone)
        super().__init__(" ".join(filter(None, [*remedies, summary])))
        self.actions = list(actions)


class ChangeRefusedError(ChangeFailedError):
    """IAM rejected every missing change in a way that a retry cannot help. The state machine does not retry it."""


def failed(actions: Sequence[ActionTaken]) -> ChangeFailedError:
    """Return the error for changes of which some are missing: ChangeRefusedError if no retry can help."""
    undone = [action for action in actions if not action["verified"]]
    final = all(action.get("retry") == "never" for action in undone)
    return (ChangeRefusedError if final else ChangeFailedError)(actions)


def _summary_of(arn: str, actions: Sequence[ActionTaken]) -> str:
    undone = "; ".join(_missing(action) for action in actions if not action["verified"])
    done = "; ".join(describe(action) for action in actions if action["verified"])
    parts = [f"NOT done or not verified: {undone}" if undone else "", f"done: {done}" if done else ""]
    return (f"{arn}: " if arn else "") + " - ".join(part for part in parts if part)


def _missing(action: ActionTaken) -> str:
    why = rejections.describe(action.get("error", ""), action.get("reason", ""))
    return f"{describe(action)} ({why})" if why else describe(action)


@dataclass(frozen=True)
class State:
    """A principal in IAM.

    `keys`: access key id -> status. `denied`: whether AWSDenyAll is attached. `earlier`: whether the deny policy of
    versions before 0.2.0 is attached. `policies`: the other attached policies.
    """

    keys: Mapping[str, str]
    denied: bool
    policies: Sequence[str] = ()
    earlier: bool = False


@dataclass(frozen=True)
class Change:
    """One change. `what` describes it (`{target}` is the key); `shown` checks whether a state has it."""

    what: str
    target: str
    make: Callable[[], None]
    shown: Callable[[State], bool]


def read(principal: Principal) -> State:
    """Read the principal's current state from IAM."""
    attached, keys = together.both(partial(iam.attached_policies, principal), partial(iam.access_keys, principal))
    return _state(principal, keys, attached)


def _state(principal: Principal, keys: Mapping[str, str], attached: Sequence[str]) -> State:
    current, earlier = sessions.deny_policy_arn(), sessions.earlier_deny_policy_arn(principal["account"])
    return State(keys, current in attached, sorted({*attached} - {current, earlier}), earlier in attached)


def read_as_permitted(principal: Principal) -> tuple[State, ActionTaken | None]:
    """Read the principal's current state, without its keys if IAM denies ir-router the list of them.

    Returns:
        The state, and the missing change if the keys are unknown (`LISTED`).
    """
    try:
        return read(principal), None
    except ClientError as error:
        rejection = rejections.read(error)
        if error.operation_name != _LIST or rejection["error"] not in rejections.DENIED:
            raise
    logger.warning("iam.keys_not_listed", extra={"code": rejection["error"], "reason": rejection["reason"]})
    action: ActionTaken = {"what": LISTED, "target": "", "verified": False, "principal": principal["arn"], **rejection}
    return _state(principal, {}, iam.attached_policies(principal)), action


def describe(action: ActionTaken) -> str:
    """Describe the change, with the key's full id."""
    return action["what"].format(target=action["target"])


def disabled(part: Mapping[str, Any]) -> list[str]:
    """Return the keys that a `PrincipalResult` shows as disabled, without any that were not verified."""
    return [str(taken["target"]) for taken in part["actions"] if taken["what"] == DISABLED and taken["verified"]]


def deny(principal: Principal) -> Change:
    """Return the change that attaches the deny policy."""
    return Change(DENY, "", lambda: iam.deny(principal), lambda state: state.denied)


def lift_deny(principal: Principal, *, current: bool, earlier: bool) -> Change:
    """Return the change that detaches AWSDenyAll (`current`), the deny policy of versions before 0.2.0, or both."""

    def lift() -> None:
        # A member's role of an earlier version can detach only the earlier policy.
        if earlier:
            iam.lift_earlier_deny(principal)
        if current:
            iam.lift_deny(principal)

    def is_lifted(state: State) -> bool:
        return not (current and state.denied) and not (earlier and state.earlier)

    return Change("deny policy detached", "", lift, is_lifted)


def disable(principal: Principal, key: str) -> Change:
    """Return the change that disables a key. A missing key counts as disabled."""
    return Change(
        DISABLED,
        key,
        lambda: iam.set_key_status(principal, key, iam.INACTIVE),
        lambda state: state.keys.get(key) != iam.ACTIVE,
    )


def enable(principal: Principal, key: str) -> Change:
    """Return the change that enables a key. A key that was deleted meanwhile counts as done."""
    return Change(
        "key {target} enabled",
        key,
        lambda: iam.set_key_status(principal, key, iam.ACTIVE),
        lambda state: state.keys.get(key, iam.ACTIVE) == iam.ACTIVE,
    )


def delete(principal: Principal, key: str) -> Change:
    """Return the change that permanently deletes a key."""
    return Change(
        "key {target} deleted", key, lambda: iam.delete_key(principal, key), lambda state: key not in state.keys
    )


def retry_until(lock: Lock) -> float:
    """Return until when the invocation that holds this lock may retry rejected changes, in seconds since the epoch."""
    return time_for_retries(float(lock.row["lock_until"]))


def time_for_retries(lock_until: float) -> float:
    """Return `retry_until` for a lock that would last until `lock_until`."""
    return lock_until - settings().settle_seconds - _RESERVE_SECONDS


def make(principal: Principal, wanted: Sequence[Change], *, until: float) -> list[ActionTaken]:
    """Make the changes and read them back.

    The deny policy is attached while the keys are disabled. All other changes are made in order.

    Args:
        principal: The principal to change.
        wanted: The changes.
        until: Until when to retry changes that IAM rejected for a moment: it is busy, or a new permission of the role
            does not apply everywhere yet (`retry_until`).

    Returns:
        The changes, all verified.

    Raises:
        ChangeFailedError: A change was rejected or could not be verified.
        ClientError, BotoCoreError: IAM did not respond, or failed with a server error, so the effect is unknown.
    """
    rejected = _try_all(wanted)
    while clock.now() + _PAUSE_SECONDS < until and (waiting := _worth_a_retry(principal, wanted, rejected)):
        clock.sleep(_PAUSE_SECONDS)
        for number in waiting:
            rejection = _try(wanted[number])
            if rejection is None:
                del rejected[number]
            else:
                rejected[number] = rejection
    for number, rejection in rejected.items():
        why = {"code": rejection["error"], "reason": rejection["reason"]}
        logger.error("iam.change_rejected", extra={"change": wanted[number].what, **why})
    actions = _read_back(principal, wanted, rejected)
    if not all(action["verified"] for action in actions):
        raise failed(actions)
    return actions


def _try_all(wanted: Sequence[Change]) -> dict[int, Rejection]:
    """Make all changes. Returns the rejected ones by number."""
    changes = list(enumerate(wanted))
    if wanted and wanted[0].what == DENY:
        denied, others = together.both(partial(_try, wanted[0]), partial(_try_in_order, changes[1:]))
        return {0: denied, **others} if denied else others
    return _try_in_order(changes)


def _try_in_order(changes: Sequence[tuple[int, Change]]) -> dict[int, Rejection]:
    return {number: rejection for number, change in changes if (rejection := _try(change))}


def _try(change: Change) -> Rejection | None:
    """Make a change. Returns why IAM rejected it, or None."""
    try:
        change.make()
    except ClientError as error:
        if int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500:
            raise
        return rejections.read(error)
    return None


def _worth_a_retry(principal: Principal, wanted: Sequence[Change], rejected: Mapping[int, Rejection]) -> list[int]:
    """Return the rejected changes that a retry may help and that IAM does not show already."""
    soon = [number for number, rejection in rejected.items() if rejection["retry"] == "soon"]
    if not soon:
        return []
    state, unlisted = _read_for(principal, wanted)
    return [number for number in soon if unlisted is not None or not wanted[number].shown(state)]


def _read_for(principal: Principal, wanted: Sequence[Change]) -> tuple[State, ActionTaken | None]:
    """Read the principal's policies, and its keys if one of the changes concerns a key."""
    if any(change.target for change in wanted):
        return read_as_permitted(principal)
    return _state(principal, {}, iam.attached_policies(principal)), None


def _read_back(principal: Principal, wanted: Sequence[Change], rejected: Mapping[int, Rejection]) -> list[ActionTaken]:
    for attempt in range(_READ_BACK_TRIES):
        state, unlisted = _read_for(principal, wanted)
        waiting = [number for number, change in enumerate(wanted) if number not in rejected and not change.shown(state)]
        if not waiting:
            break
        if attempt + 1 < _READ_BACK_TRIES:
            clock.sleep(_PAUSE_SECONDS)
    actions: list[ActionTaken] = []
    for number, change in enumerate(wanted):
        # A rejected change may still be in effect, for example for a key that an administrator disabled.
        action: ActionTaken = {
            "what": change.what,
            "target": change.target,
            "verified": change.shown(state) and not (unlisted is not None and change.target),
            "principal": principal["arn"],
        }
        if number in rejected and not action["verified"]:
            action["error"] = rejected[number]["error"]
            action["reason"] = rejected[number]["reason"]
            action["retry"] = rejected[number]["retry"]
        elif unlisted is not None and change.target:
            action |= {"error": unlisted["error"], "reason": unlisted["reason"], "retry": unlisted["retry"]}
        actions.append(action)
    return actions
