"""Containments after a decision: their missing parts, the texts about a refusal, and the scheduled verification."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import clock
from ir_router.errors import UncertainError
from ir_router.ledger import approvals, containments
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.observability import logger
from ir_router.workflow import (
    attempts,
    changes,
    enforcement,
    invocation,
    later_verifications,
    left_behind,
    reapplication,
    sessions,
    verify_containment,
)
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.phase import Phase
from ir_router.workflow.sessions import AccountClosedError
from tests.support.answers import client_error
from tests.support.texts import facts

NOW = 1_768_480_300.0
DENY = "arn:aws:iam::aws:policy/AWSDenyAll"
INCIDENT = facts.INCIDENT["execution"]["id"]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: DENY)


class Held:
    """A lock whose row is changed as it is saved."""

    def __init__(self, **row: Any) -> None:
        recorded = {"keys": {"r": "Active"}, "policies": [DENY, "p"], "deny_attached": True, "earlier_attached": False}
        self.row = {"incident": "i", "recorded": recorded, "named_keys": ["n", "d"], **row}
        self.saved: list[dict[str, Any]] = []

    def save(self, **values: Any) -> None:
        self.saved.append(values)


UNLISTED: Any = {
    "what": changes.LISTED, "target": "", "verified": False, "principal": "arn:p", "error": "AccessDenied",
    "reason": "no", "retry": "soon",
}  # fmt: skip
ACTIVE = {"r": "Active", "n": "Active", "d": "Active", "other": "Active"}


@pytest.mark.parametrize(
    ("row", "state", "others", "deny_policy", "active"),
    [
        ({}, State(ACTIVE, denied=False), True, True, ["n", "r"]),
        ({}, State(ACTIVE, denied=False), False, True, ["n"]),
        ({}, State({"n": "Inactive", "r": "Expired"}, denied=False), True, True, []),
        ({}, State({"r": "Active"}, denied=True), True, False, ["r"]),
        ({}, State({"r": "Inactive"}, denied=True), True, False, []),
        ({}, State({}, denied=False, earlier=True), True, True, []),
        ({"scope": "key"}, State(ACTIVE, denied=False), True, False, ["n"]),
        ({"disabled_keys": ["z", "n"]}, State(ACTIVE, denied=True), True, False, ["n", "r"]),
        ({"missing_at_end": {"incident": "earlier"}}, State({"n": "Active"}, denied=True), True, False, ["n"]),
    ],
)
def test_given_a_containment_at_its_end_when_read_then_its_missing_parts_are_stored_before_the_repair(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], state: State, others: bool, deny_policy: bool,
    active: list[str],
) -> None:  # fmt: skip
    lock: Any = Held(**row)
    monkeypatch.setattr(enforcement, "settings", lambda: SimpleNamespace(contain_other_keys=others))
    monkeypatch.setattr(changes, "read_as_permitted", lambda _principal: (state, None))

    missing = enforcement._missing(lock, facts.MALLORY, ["d"])

    stored = lock.row["recorded"]
    assert missing == {"incident": "i", "deny_policy": deny_policy, "active_keys": active}
    assert lock.saved == (
        [
            {
                "missing_at_end": missing,
                "disabled_keys": ["n", "r", "z"] if "disabled_keys" in row else None,
                "recorded": {**stored, "policies": ["p"], "deny_attached": False} if deny_policy else stored,
            }
        ]
        if deny_policy or active
        else []
    )


def test_given_missing_parts_that_are_stored_when_retried_then_iam_is_not_read_and_unlisted_keys_fail_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"incident": "i", "deny_policy": True, "active_keys": ["n"]}
    monkeypatch.setattr(changes, "read_as_permitted", lambda _principal: (State({}, denied=True), UNLISTED))
    lock: Any = Held(missing_at_end=known)
    assert (enforcement._missing(lock, facts.MALLORY, []), lock.saved) == (known, [])
    lock = Held()
    with pytest.raises(ChangeFailedError) as failure:
        enforcement._missing(lock, facts.MALLORY, [])
    assert failure.value.actions == [UNLISTED]
    lock = Held(keys_unknown=True)
    assert enforcement._missing(lock, facts.MALLORY, []) == {**known, "deny_policy": False, "active_keys": []}


@pytest.mark.parametrize(("error", "is_raised"), [("LimitExceeded", False), ("", True)])
def test_given_a_policy_that_iam_refuses_at_the_end_when_kept_then_the_refusal_is_the_result(
    monkeypatch: pytest.MonkeyPatch, error: str, is_raised: bool
) -> None:
    refused = facts.taken(changes.DENY, "", verified=False, error=error, reason="10 policies", retry="never")
    failure = ChangeFailedError([refused, facts.taken()])
    measured: list[str] = []
    mentioned: list[Any] = []

    def make(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(enforcement, "_missing", lambda *_: {"deny_policy": True, "active_keys": []})
    monkeypatch.setattr(enforcement, "_mention_approvers", lambda *given: mentioned.append(given))
    monkeypatch.setattr(enforcement, "measure", measured.append)
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 0.0)
    monkeypatch.setattr(changes, "make", make)
    lock: Any = Held()
    if is_raised:
        with pytest.raises(ChangeFailedError):
            enforcement.keep_in_place(lock, facts.MALLORY, "the deny policy")
        return

    found = enforcement.keep_in_place(lock, facts.MALLORY, "the deny policy")

    assert found == enforcement.Enforcement([refused, facts.taken()], found.note, denied=False)
    assert (measured, mentioned) == (["ContainmentFailed"], [])
    sentences = (
        "deny policy NOT attached to user mallory: IAM rejected it (LimitExceeded, 10 policies). ",
        "Console sessions and temporary credentials still work. Attach the deny policy by hand now. ",
        "IAM allows 10 attached policies, so you may have to detach another one first",
    )
    assert found.note == "".join(sentences)
    assert enforcement.not_attached(facts.MALLORY, refused, "One.", "Two.") == f"{sentences[0]}One. Two. " + "".join(
        sentences[1:]
    )
    bare = facts.taken(changes.DENY, "", verified=False, error="E")
    assert enforcement.not_attached(facts.ROLE, bare) == (
        "deny policy NOT attached to role deploy: IAM rejected it (E). "
        + sentences[1].removesuffix(". ")
    )  # fmt: skip
    listed = "The deny policy stops them while it is attached. Disable them by hand now"
    assert enforcement.without_keys(facts.MALLORY, UNLISTED) == (
        f"access keys of user mallory NOT disabled: IAM does not list them (AccessDenied, no). {listed}"
    )
    boundary: Any = {"error": "AccessDenied", "reason": "no permissions boundary allows it"}
    remedy = "The permissions boundary of ir-router's workflow role forbids this change. Act with another role"
    for text in (
        enforcement.not_attached(facts.BOB, boundary),
        enforcement.without_keys(facts.BOB, boundary),
    ):
        assert text.endswith(f" by hand now. {remedy}")
    unknown: Any = {"error": "NoSuchEntity"}
    assert enforcement.without_keys(facts.BOB, unknown) == (
        f"access keys of user bob NOT disabled: IAM does not list them (NoSuchEntity). {listed}. "
        "IAM does not know the principal or the key"
    )


class Verified:
    """The principals that a run verifies, and their outcomes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str], ended: tuple[str, ...] = ()) -> None:
        self.calls: list[Any] = []
        self.errors: dict[str, Exception] = {}
        self.told: list[Any] = []
        self.seconds = [900.0]
        monkeypatch.setattr(verify_containment, "_open_containments", lambda: iter(found))
        monkeypatch.setattr(verify_containment, "_ended", lambda: list(ended))
        monkeypatch.setattr(verify_containment, "_verify", self._verify)
        monkeypatch.setattr(verify_containment, "_verify_ended", self._verify)
        monkeypatch.setattr(verify_containment, "measure", lambda name: self.told.append(name))
        monkeypatch.setattr(logger, "error", lambda text, extra: self.told.append((text, extra)))

    def _verify(self, *given: Any) -> None:
        self.calls.append(given[:-1])
        assert given[-1] is self
        if given[0] in self.errors:
            raise self.errors[given[0]]

    def get_remaining_time_in_millis(self) -> float:
        return 1000 * (self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0])


@pytest.mark.parametrize(("now", "first"), [(0.0, 0), (59.9, 0), (60.0, 2), (120.0, 4), (180.0, 1)])
def test_given_open_containments_when_verified_then_each_minute_begins_with_another_and_the_ended_ones_follow(
    monkeypatch: pytest.MonkeyPatch, now: float, first: int
) -> None:
    found = [(f"e{number}", f"a{number}") for number in range(5)]
    monkeypatch.setattr(clock, "now", lambda: now)
    run = Verified(monkeypatch, *found, ended=("x", "y"))

    assert verify_containment.run_scheduled({}, run) == {"verified": 7, "failed": 0}

    turned = [(arn, execution) for execution, arn in [*found[first:], *found[:first]]]
    assert run.calls == [*turned, ("x",), ("y",)]


@pytest.mark.parametrize(
    ("seconds", "verified"), [([24.0], 1), ([25.0], 3), ([25.0, 24.999], 2), ([30.0, 26.0, 1.0], 3)]
)
def test_given_a_run_that_is_short_of_time_when_verifying_then_one_is_verified_and_the_others_wait(
    monkeypatch: pytest.MonkeyPatch, seconds: list[float], verified: int
) -> None:
    run = Verified(monkeypatch, ("e", "a"), ("e", "b"), ended=("c",))
    run.seconds = seconds

    assert verify_containment.run_scheduled({}, run) == {"verified": verified, "failed": 0}
    assert len(run.calls) == verified


def test_given_principals_that_cannot_be_verified_when_the_run_continues_then_only_true_failures_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("busy", "closed", "router", "service", "network", "fine")
    run = Verified(monkeypatch, *(("e", name) for name in names))
    monkeypatch.setattr(clock, "now", lambda: 0.0)
    run.seconds = [1.0]  # it counts only after the first success
    run.errors = {
        "busy": ContainmentBusyError("x"),
        "closed": AccountClosedError("x"),
        "router": UncertainError("IAM", "GetUser", "timeout"),
        "service": client_error("Throttling"),
        "network": EndpointConnectionError(endpoint_url="x"),
    }

    assert verify_containment.run_scheduled({}, run) == {"verified": 1, "failed": 3}

    kinds = {"router": "UncertainError", "service": "ClientError", "network": "EndpointConnectionError"}
    assert run.told == [
        told
        for name, kind in kinds.items()
        for told in (
            "ContainmentFailed",
            ("containment.verification_failed", {"principal": name, "error": kind}),
        )
    ]
    run.errors = {"busy": KeyError("ours")}
    with pytest.raises(KeyError):
        verify_containment.run_scheduled({}, run)


def test_given_requests_when_the_open_containments_are_listed_then_only_pending_remediations_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        {"kind": "remediate", "state": approvals.PENDING, "execution": "e1", "of": ["a", "b"]},
        {"kind": "contain", "state": approvals.PENDING, "execution": "e2", "of": ["c"]},
        {"kind": "remediate", "state": approvals.DECIDED, "execution": "e3", "of": ["d"]},
        {"kind": "remediate", "state": approvals.PENDING, "execution": 4, "of": ["e"]},
    ]
    monkeypatch.setattr(approvals, "open_approvals", lambda: rows)
    monkeypatch.setattr(approvals, "principals_of", lambda row: row["of"])
    monkeypatch.setattr(later_verifications, "due", lambda: iter([{"SK": "f"}, {"SK": "g"}]))
    mode = SimpleNamespace(containment_mode="enforce")
    monkeypatch.setattr(verify_containment, "settings", lambda: mode)

    assert list(verify_containment._open_containments()) == [("e1", "a"), ("e1", "b"), ("4", "e")]
    assert verify_containment._ended() == ["f", "g"]
    for mode.containment_mode in ("dry_run", "off"):
        assert verify_containment._ended() == []


class Steps:
    """The steps of verifying a principal whose row is `row`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **row: Any) -> None:
        self.row, self.done = row, []  # type: tuple[dict[str, Any], list[Any]]
        self.phase, self.error = Phase.AWAITED, None  # type: tuple[Phase, Exception | None]

        @contextmanager
        def locked(arn: str, until: float) -> Iterator[Any]:
            self.done.append(("lock", arn, until))
            yield SimpleNamespace(row=self.row)

        def reapply(lock: Any) -> None:
            self.done.append("reapply")
            lock.row.update(self.row.pop("then", {}))
            if self.error:
                raise self.error

        step = self.done.append
        monkeypatch.setattr(containments, "locked", locked)
        monkeypatch.setattr(containments, "get", lambda _arn: self.row.get("seen", self.row))
        monkeypatch.setattr(invocation, "lock_until", lambda context: f"until {context}")
        monkeypatch.setattr(reapplication, "reapply", reapply)
        monkeypatch.setattr(verify_containment, "phase_of", lambda _row: self.phase)
        monkeypatch.setattr(attempts, "report", lambda arn: step(("attempts", arn)))
        monkeypatch.setattr(left_behind, "report", lambda *given: step(("left", *given)))
        monkeypatch.setattr(later_verifications, "end", lambda arn: step(("end", arn)))
        monkeypatch.setattr(later_verifications, "verified", lambda arn, intact: step(("verified", arn, intact)))


LOCKED = ("lock", "a", "until c")


@pytest.mark.parametrize(
    ("row", "phase", "done", "awaited"),
    [
        ({}, Phase.AWAITED, [LOCKED, "reapply", ("attempts", "a"), ("left", "a", "e", "c")], True),
        ({}, Phase.DECIDED, [LOCKED], False),
        ({"incident": "other"}, Phase.AWAITED, [], False),
        ({"seen": {}}, Phase.AWAITED, [], False),
        ({"seen": None}, Phase.AWAITED, [], False),
        ({"seen": {"incident": "e"}, "incident": "other"}, Phase.AWAITED, [LOCKED], False),
    ],
)
def test_given_a_principal_when_verified_then_it_is_reapplied_and_reported_while_its_decision_is_pending(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], phase: Phase, done: list[Any], awaited: bool
) -> None:
    steps = Steps(monkeypatch, **{"incident": "e", **row})
    steps.phase = phase

    assert verify_containment._verify("a", "e", "c") is awaited
    assert steps.done == done


@pytest.mark.parametrize(
    ("row", "error", "done"),
    [
        ({}, None, [("end", "a")]),
        ({"incident": "e", "phase": containments.APPROVED}, None, ["reapply", ("verified", "a", True)]),
        ({"incident": "e", "phase": containments.KEPT, "times_undone": 2}, None, ["reapply", ("verified", "a", True)]),
        ({"incident": "e", "phase": containments.KEPT, "then": {"times_undone": 1}}, None,
         ["reapply", ("verified", "a", False)]),
        ({"incident": "e", "phase": containments.OPEN}, None, [("verified", "a", True)]),
        ({"incident": "e", "phase": containments.APPROVED}, AccountClosedError("x"),
         ["reapply", ("verified", "a", True)]),
        ({"incident": "e", "phase": containments.APPROVED}, UncertainError("IAM", "x", "y"), ["reapply"]),
    ],
)  # fmt: skip
def test_given_an_incident_that_ended_when_verified_then_its_next_verification_is_scheduled(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], error: Exception | None, done: list[Any]
) -> None:
    steps = Steps(monkeypatch, **row)
    steps.error = error
    if error:
        with pytest.raises(type(error)):
            verify_containment._verify_ended("a", "c")
    else:
        verify_containment._verify_ended("a", "c")

    assert steps.done == [LOCKED, *done]


@pytest.mark.parametrize(
    ("contained_at", "awaited", "again"),
    [(-119.0, [False, True], True), (-120.0, [True, True], False), (0.0, [False, False], False), (None, [True], True)],
)
def test_given_the_first_two_minutes_when_verified_then_the_state_machine_verifies_once_more(
    monkeypatch: pytest.MonkeyPatch, contained_at: float | None, awaited: list[bool], again: bool
) -> None:
    given = list(awaited)
    calls: list[Any] = []

    def verify(*arguments: Any) -> bool:
        calls.append(arguments)
        return given.pop(0)

    monkeypatch.setattr(verify_containment, "_verify", verify)
    parts = [facts.CONTAINED, facts.part(facts.BOB)][: len(awaited)]
    at = clock.utc_now().fromtimestamp(NOW + contained_at, clock.utc_now().tzinfo) if contained_at is not None else None
    execution = {**facts.INCIDENT["execution"], "started_at": clock.utc_now().isoformat()}
    containment = facts.result(*parts, contained_at=at.isoformat() if at else None)
    task = {"incident": facts.event(execution=execution), "containment": containment}

    assert verify_containment.run_task(task, "c") == {"again": again}
    assert calls == [(one["principal"]["arn"], INCIDENT, "c") for one in parts]
    monkeypatch.setattr(verify_containment, "_verify", lambda *_: (_ for _ in ()).throw(AccountClosedError("x")))
    assert verify_containment.run_task(task, "c") == {"again": False}
