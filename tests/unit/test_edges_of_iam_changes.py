"""Changes in IAM: their order, retries and verification, and the error that lists the missing ones."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import by_hand, changes, enforcement, iam, scopes, sessions
from ir_router.workflow.changes import Change, ChangeFailedError, ChangeRefusedError, State
from tests.support.texts import facts

MALLORY, ROLE = facts.MALLORY, facts.ROLE


def error(code: str, status: int = 400, operation: str = "UpdateAccessKey") -> ClientError:
    metadata: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(metadata, operation)


class Iam:
    """A user in IAM. `rejections` has the errors of the next calls, `late` the reads that show the state before."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[str] = []
        self.rejections: dict[str, list[ClientError]] = {}
        self.keys = {"AKIA1": "Active", "AKIA2": "Active"}
        self.policies = ["p"]
        self.late = 0
        self.reads: list[str] = []
        self.unlisted: ClientError | None = None

    def call(self, name: str, effect: Callable[[], None]) -> None:
        self.calls.append(name)
        if waiting := self.rejections.get(name):
            raise waiting.pop(0)
        effect()

    def deny(self, _principal: Any) -> None:
        self.call("deny", lambda: self.policies.append(sessions.deny_policy_arn()))

    def set_key_status(self, _principal: Any, key: str, status: str) -> None:
        self.call(f"{key} {status}", lambda: self.keys.update({key: status}))

    def access_keys(self, _principal: Any) -> dict[str, str]:
        self.reads.append("keys")
        if self.unlisted:
            raise self.unlisted
        if self.late:
            self.late -= 1
            return dict.fromkeys(self.keys, "Active")
        return dict(self.keys)

    def attached_policies(self, _principal: Any) -> list[str]:
        self.reads.append("policies")
        return list(self.policies)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iam:
    user = Iam()
    for name in ("deny", "set_key_status", "access_keys", "attached_policies"):
        monkeypatch.setattr(iam, name, getattr(user, name))
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: "arn:deny")
    monkeypatch.setattr(sessions, "earlier_deny_policy_arn", lambda _account: "arn:earlier")
    monkeypatch.setattr(clock, "now", lambda: user.now)
    monkeypatch.setattr(clock, "sleep", user.sleep)
    return user


def disable(*keys: str) -> list[Change]:
    return [changes.disable(MALLORY, key) for key in keys]


def test_given_a_user_when_contained_then_policy_and_keys_are_changed_in_order_and_verified(found: Iam) -> None:
    actions = changes.make(MALLORY, [changes.deny(MALLORY), *disable("AKIA2", "AKIA1")], until=0)

    assert [one for one in found.calls if one != "deny"] == ["AKIA2 Inactive", "AKIA1 Inactive"]
    assert [(one["what"], one["target"], one["verified"], one["principal"]) for one in actions] == [
        ("deny policy attached", "", True, MALLORY["arn"]),
        ("key {target} disabled", "AKIA2", True, MALLORY["arn"]),
        ("key {target} disabled", "AKIA1", True, MALLORY["arn"]),
    ]
    assert all("error" not in one for one in actions)
    assert found.now == 1000.0
    found.reads.clear()
    changes.make(MALLORY, [changes.deny(MALLORY)], until=0)
    assert found.reads == ["policies"]


@pytest.mark.parametrize(("late", "verified", "waited"), [(0, True, 0), (1, True, 1), (7, True, 7), (8, False, 7)])
def test_given_iam_that_shows_a_change_late_when_read_back_then_eight_reads_have_a_second_between_them(
    found: Iam, late: int, verified: bool, waited: int
) -> None:
    found.late = late
    if verified:
        assert changes.make(MALLORY, disable("AKIA1"), until=0)[0]["verified"]
    else:
        with pytest.raises(ChangeFailedError) as failure:
            changes.make(MALLORY, disable("AKIA1"), until=0)
        assert failure.value.actions[0]["verified"] is False
        assert "error" not in failure.value.actions[0]
    assert found.now == 1000 + waited


@pytest.mark.parametrize(("until", "tries"), [(1001.0, 1), (1001.5, 2), (1002.0, 2), (1003.1, 4)])
def test_given_iam_that_is_busy_when_changed_then_the_change_is_retried_each_second_until_the_end(
    found: Iam, until: float, tries: int
) -> None:
    found.rejections["AKIA1 Inactive"] = [error("Throttling") for _ in range(9)]

    with pytest.raises(ChangeFailedError) as failure:
        changes.make(MALLORY, disable("AKIA1", "AKIA2"), until=until)

    assert found.calls.count("AKIA1 Inactive") == tries
    assert found.calls.count("AKIA2 Inactive") == 1
    first, second = failure.value.actions
    assert (first["verified"], first["error"], first["retry"], second["verified"]) == (
        False,
        "Throttling",
        "soon",
        True,
    )
    assert not isinstance(failure.value, ChangeRefusedError)


def test_given_two_rejected_changes_when_retried_then_each_has_its_newest_reason_and_both_are_logged(
    monkeypatch: pytest.MonkeyPatch, found: Iam
) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(logger, "error", lambda text, extra: logged.append((text, extra)))
    found.rejections = {
        "deny": [error("Throttling"), error("LimitExceeded")],
        "AKIA1 Inactive": [error("Throttling")],
        "AKIA2 Inactive": [error("ConcurrentModification"), error("Throttling"), error("ServiceFailure")],
    }

    with pytest.raises(ChangeFailedError) as failure:
        changes.make(MALLORY, [changes.deny(MALLORY), *disable("AKIA1", "AKIA2")], until=1004.5)

    assert failure.value.actions == [
        {"what": changes.DENY, "target": "", "verified": False, "principal": MALLORY["arn"], "error": "LimitExceeded",
         "reason": "m", "retry": "never"},
        {"what": changes.DISABLED, "target": "AKIA1", "verified": True, "principal": MALLORY["arn"]},
        {"what": changes.DISABLED, "target": "AKIA2", "verified": False, "principal": MALLORY["arn"],
         "error": "ServiceFailure", "reason": "", "retry": "later"},
    ]  # fmt: skip
    text = "iam.change_rejected"
    assert logged == [
        (text, {"change": changes.DENY, "code": "LimitExceeded", "reason": "m"}),
        (text, {"change": changes.DISABLED, "code": "ServiceFailure", "reason": ""}),
    ]
    assert (found.now, sorted(found.calls)) == (1002, sorted([*["deny"] * 2, *["AKIA1 Inactive"] * 2,
                                                              *["AKIA2 Inactive"] * 3]))  # fmt: skip
    found.unlisted = error("AccessDenied", 403, "ListAccessKeys")
    found.rejections = {"AKIA2 Inactive": [error("Throttling")]}
    with pytest.raises(ChangeFailedError) as unseen:
        changes.make(MALLORY, disable("AKIA2"), until=2000)
    (action,) = unseen.value.actions
    assert (action["verified"], action["error"], action["reason"], action["retry"], found.now) == (
        False, "AccessDenied", "iam:ListAccessKeys is not allowed", "soon", 1003
    )  # fmt: skip
    found.rejections = {"AKIA2 Inactive": [error("LimitExceeded")]}
    found.keys["AKIA2"] = "Active"
    with pytest.raises(ChangeFailedError) as rejected:
        changes.make(MALLORY, disable("AKIA2"), until=0)
    assert rejected.value.actions[0]["error"] == "LimitExceeded"


@pytest.mark.parametrize("code", ["LimitExceeded", "ValidationError"])
def test_given_a_rejection_that_lasts_when_changed_then_it_is_not_retried(found: Iam, code: str) -> None:
    found.rejections["AKIA1 Inactive"] = [error(code)]

    with pytest.raises(ChangeFailedError) as failure:
        changes.make(MALLORY, disable("AKIA1"), until=2000)

    assert (found.calls, found.now) == (["AKIA1 Inactive"], 1000)
    assert isinstance(failure.value, ChangeRefusedError) is (code == "LimitExceeded")


def test_given_a_rejection_that_ends_when_changed_then_nothing_is_missing(found: Iam) -> None:
    found.rejections["deny"] = [error("ConcurrentModification")]
    actions = changes.make(MALLORY, [changes.deny(MALLORY), *disable("AKIA1")], until=1100)
    assert [one["verified"] for one in actions] == [True, True]
    assert found.calls.count("AKIA1 Inactive") == 1

    found.keys["AKIA1"], found.rejections["AKIA1 Inactive"] = "Inactive", [error("LimitExceeded")]
    (already,) = changes.make(MALLORY, disable("AKIA1"), until=0)
    assert already == {
        "what": changes.DISABLED,
        "target": "AKIA1",
        "verified": True,
        "principal": MALLORY["arn"],
    }


@pytest.mark.parametrize(("status", "raised"), [(499, ChangeFailedError), (500, ClientError), (503, ClientError)])
def test_given_an_error_of_iam_when_changed_then_from_500_on_the_effect_is_unknown(
    found: Iam, status: int, raised: type[Exception]
) -> None:
    found.rejections["AKIA1 Inactive"] = [error("Any", status)]

    with pytest.raises(raised):
        changes.make(MALLORY, disable("AKIA1"), until=0)


def test_given_keys_that_iam_does_not_list_when_changed_then_only_the_policy_is_verified(found: Iam) -> None:
    found.unlisted = error("AccessDenied", 403, "ListAccessKeys")

    with pytest.raises(ChangeFailedError) as failure:
        changes.make(MALLORY, [changes.deny(MALLORY), *disable("AKIA1")], until=0)

    policy, key = failure.value.actions
    assert (policy["verified"], key["verified"], key["error"], key["retry"]) == (True, False, "AccessDenied", "soon")
    state, unlisted = changes.read_as_permitted(MALLORY)
    assert state == State({}, denied=True, policies=["p"])
    assert unlisted is not None
    assert (unlisted["what"], unlisted["target"], unlisted["verified"]) == ("access keys disabled", "", False)
    assert unlisted["principal"] == MALLORY["arn"]
    for other in (error("Throttling", 400, "ListAccessKeys"), error("AccessDenied", 403, "GetUser")):
        found.unlisted = other
        with pytest.raises(ClientError):
            changes.read_as_permitted(MALLORY)


def test_given_a_principal_when_read_then_both_deny_policies_are_no_other_policies(found: Iam) -> None:
    found.policies = ["q", "arn:earlier", "p", "q"]
    assert changes.read(MALLORY) == State(found.keys, denied=False, policies=["p", "q"], earlier=True)
    found.policies = ["arn:deny"]
    assert changes.read(MALLORY) == State(found.keys, denied=True, policies=[], earlier=False)


@pytest.mark.parametrize(
    ("current", "earlier", "state", "shown"),
    [
        (True, False, (False, True), True),
        (True, False, (True, False), False),
        (False, True, (True, False), True),
        (False, True, (False, True), False),
        (True, True, (False, False), True),
        (True, True, (True, False), False),
        (True, True, (False, True), False),
    ],
)
def test_given_a_deny_policy_when_lifted_then_only_the_wanted_ones_are_detached(
    monkeypatch: pytest.MonkeyPatch, current: bool, earlier: bool, state: tuple[bool, bool], shown: bool
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(iam, "lift_deny", lambda _principal: calls.append("current"))
    monkeypatch.setattr(iam, "lift_earlier_deny", lambda _principal: calls.append("earlier"))
    change = changes.lift_deny(MALLORY, current=current, earlier=earlier)

    change.make()

    assert calls == ["earlier"] * earlier + ["current"] * current
    assert change.shown(State({}, state[0], earlier=state[1])) is shown
    assert (change.what, change.target) == ("deny policy detached", "")


@pytest.mark.parametrize(
    ("status", "disabled", "enabled", "deleted"),
    [("Active", False, True, False), ("Inactive", True, False, False), ("Expired", True, False, False),
     (None, True, True, True)],
)  # fmt: skip
def test_given_a_key_when_its_state_is_read_then_a_missing_one_counts_as_changed(
    status: str | None, disabled: bool, enabled: bool, deleted: bool
) -> None:
    state = State({"AKIA1": status} if status else {"AKIA2": "Active"}, denied=False)

    found = [change(MALLORY, "AKIA1").shown(state) for change in (changes.disable, changes.enable, changes.delete)]

    assert found == [disabled, enabled, deleted]


def test_given_changes_of_two_principals_when_some_are_missing_then_the_error_lists_each_with_its_reason() -> None:
    rejected: Any = {**facts.taken(verified=False, error="Throttling"), "principal": "arn:a"}
    done: list[Any] = [{**facts.taken(target="AKIA3"), "principal": "arn:a"}, {**facts.DENIED, "principal": "arn:b"}]
    failure = changes.failed([rejected, *done, facts.taken(target="AKIA4", verified=False)])

    assert str(failure) == (
        "arn:a: NOT done or not verified: key AKIA2 disabled (Throttling) - done: key AKIA3 disabled | "
        "arn:b: done: deny policy attached | NOT done or not verified: key AKIA4 disabled"
    )
    assert len(failure.actions) == 4
    never = facts.taken(verified=False, error="LimitExceeded", retry="never")
    assert isinstance(changes.failed([never, facts.taken()]), ChangeRefusedError)
    assert not isinstance(changes.failed([never, facts.taken(verified=False)]), ChangeRefusedError)
    assert changes.disabled(facts.part(actions=[never, facts.taken(), facts.DENIED, facts.taken(target="B")])) == [
        "AKIA2",
        "B",
    ]


def test_given_a_lock_when_its_time_for_retries_is_read_then_settling_and_reading_back_have_theirs() -> None:
    settle = settings().settle_seconds
    lock: Any = SimpleNamespace(row={"lock_until": 1100})

    assert changes.retry_until(lock) == changes.time_for_retries(1100.0) == 1075 - settle


@pytest.mark.parametrize(
    ("actions", "refused"),
    [
        ([{"what": changes.DENY, "verified": False, "error": "x", "retry": "never"}], True),
        ([{"what": changes.DENY, "verified": False, "error": "x", "retry": "soon"}], True),
        ([{"what": changes.DENY, "verified": False, "error": "x", "retry": "later"}], False),
        ([{"what": changes.DENY, "verified": False}], False),
        ([{"what": changes.DENY, "verified": True, "error": "x"}], False),
        ([{"what": changes.DENY, "verified": False, "error": "x"}, {"what": "k", "verified": False}], False),
        ([{"what": changes.DENY, "verified": False, "error": "x"}, {"what": "k", "verified": True}], True),
        ([{"what": changes.DISABLED, "verified": False, "error": "x"}], False),
    ],
)
def test_given_a_failed_containment_when_only_the_policy_was_refused_then_the_rest_can_be_decided(
    actions: list[Any], refused: bool
) -> None:
    given = [{"target": "AKIA1", **one} for one in actions]

    found = enforcement.refusal_of_policy(ChangeFailedError(given))  # type: ignore[arg-type]

    assert found == (given[0] if refused else None)


def test_given_keys_when_their_owner_is_not_contained_then_only_the_named_ones_are_covered() -> None:
    row = {"named_keys": ["b", "a"]}
    assert scopes.covered_keys(row, ["c"]) == {"a", "b", "c"}
    assert scopes.covered_keys(row | {"scope": "key"}, ["c"]) == {"a", "b"}
    statuses = {"d": "Active", "c": "Active", "b": "Active", "e": "Inactive", "f": "Expired"}
    assert scopes.still_active(statuses, ["b"]) == ["c", "d"]


@pytest.mark.usefixtures("found")
def test_given_a_principal_out_of_reach_when_described_then_the_commands_contain_it() -> None:
    start = "Contain it by hand now, as an administrator of its account: "
    odd: Any = {**MALLORY, "name": "a b"}

    assert by_hand.containment(odd, "AKIA1") == (
        f"{start}aws iam attach-user-policy --user-name 'a b' --policy-arn arn:deny; "
        "aws iam list-access-keys --user-name 'a b'; "
        "aws iam update-access-key --user-name 'a b' --status Inactive --access-key-id KEY."
    )
    assert by_hand.containment(ROLE) == (f"{start}aws iam attach-role-policy --role-name deploy --policy-arn arn:deny.")
    assert by_hand.containment(facts.UNKNOWN) == "Find the user or role in IAM and contain it by hand now."
    assert by_hand.containment(facts.UNKNOWN, "AKIA1").startswith(
        "Find the key's owner (aws iam get-access-key-last-used --access-key-id AKIA1) and"
    )
