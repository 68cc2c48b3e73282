"""The request to contain the creator of a key: the chosen creator, earlier requests, and the started execution."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws
from ir_router.ledger import approvals
from ir_router.ledger import creators as offers
from ir_router.workflow import creator_request, creators, wording_decisions
from tests.support.answers import AnswersInTurn, client_error

ROW: dict[str, Any] = {"approval_id": "a", "execution": "arn:states:e0", "execution_name": "e0"}
JANE: Any = {"name": "Jane", "via": "slack"}
MACHINE = {"stateMachineArn": "arn:state_machine_arn", "name": creator_request._name(ROW, "c1")}
STARTED = {**MACHINE, "input": json.dumps({"start": ["a", "c1"]})}
ASKED = {"executionArn": f"arn:states:{MACHINE['name']}", "includedData": "METADATA_ONLY"}


class Offers:
    """The creators of a request; attributes state the earlier requests and results."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.known: dict[str, Any] = {
            "c1": {"arn": "arn:1", "facts": {}, "does": "contains bob", "note": "n"},
            "c2": {"arn": "arn:2", "note": "It is protected."},
        }
        self.client = AnswersInTurn(*answers)
        self.before: Any = None
        self.offered, self.is_first, self.became = ["c1"], True, ""
        monkeypatch.setattr(aws, "client", lambda name: self.client if name == "stepfunctions" else None)
        monkeypatch.setattr(creator_request, "settings", lambda: SimpleNamespace(require=lambda name: f"arn:{name}"))
        monkeypatch.setattr(creators, "start_of", lambda *given: {"start": given})
        monkeypatch.setattr(approvals, "get", lambda _id: None)
        monkeypatch.setattr(offers, "of", lambda _row: self.known)
        monkeypatch.setattr(offers, "requested_row", lambda _row, _creator: self.before)
        monkeypatch.setattr(offers, "offered", lambda _row: self.offered)
        monkeypatch.setattr(offers, "request", lambda _row, _creator, analyst: self.is_first and analyst is JANE)
        monkeypatch.setattr(offers, "result", lambda _row, _creator: self.became)
        monkeypatch.setattr(offers, "requested", lambda _row, _creator: {"analyst": JANE, "requested_at": 60})


BY = f"Already requested by {wording_decisions.decider(JANE)}, {wording_decisions.at(60.0)}"
LISTED = "Nothing was contained: `creator` must be one of the creators:"
MISSING, EXISTS, DENIED = (client_error(one) for one in ("ExecutionDoesNotExist", "ExecutionAlreadyExists", "Denied"))


@pytest.mark.parametrize(
    ("wanted", "answers", "given", "status", "message", "asked"),
    [
        ("c1", [{}], {}, "creator_requested", "ir-router now contains bob", [STARTED]),
        ("arn:1", [EXISTS], {}, "creator_requested", "ir-router now contains bob", [STARTED]),
        ("", [], {}, "unknown_creator", f"{LISTED} arn:1, arn:2.", []),
        ("x", [], {"known": {}}, "unknown_creator", f"{LISTED} none.", []),
        ("c2", [], {}, "creator_not_offered",
         "Nothing was contained: ir-router may not contain this creator. It is protected.", []),
        ("c1", [], {"offered": [], "decision": "deny"}, "creator_not_offered",
         "Nothing was contained, because this request was denied.", []),
        ("c1", [], {"offered": []}, "creator_not_offered",
         "Nothing was contained, because a newer request has this offer.", []),
        ("c1", [{}], {"is_first": False}, "creator_requested_before", f"{BY}.", [STARTED]),
        ("c1", [], {"before": ROW, "became": "contained"}, "creator_requested_before", f"{BY}: contained", []),
        ("c1", [EXISTS], {"before": ROW}, "creator_requested_before", f"{BY}.", [STARTED]),
        ("c1", [{}], {"before": {**ROW, "decision": "deny"}}, "creator_requested_before", f"{BY}.", [ASKED]),
        ("c1", [MISSING], {"before": {**ROW, "decision": "deny"}}, "creator_requested_before",
         f"{BY}, but it was never started, and this request was denied. Nothing was contained.", [ASKED]),
    ],
)  # fmt: skip
def test_given_a_creator_when_its_containment_is_requested_then_it_starts_once_and_the_answer_states_the_result(
    monkeypatch: pytest.MonkeyPatch, wanted: str, answers: list[Any], given: dict[str, Any], status: str, message: str,
    asked: list[Any],
) -> None:  # fmt: skip
    found = Offers(monkeypatch, *answers)
    vars(found).update(given)
    row = ROW | {name: value for name, value in given.items() if name == "decision"}

    assert creator_request.carry_out(row, wanted, JANE) == (status, message)
    assert found.client.asked == asked


@pytest.mark.parametrize("before", [None, {**ROW, "decision": "deny"}])
def test_given_step_functions_that_denies_a_call_when_a_creator_is_requested_then_the_error_is_raised(
    monkeypatch: pytest.MonkeyPatch, before: Any
) -> None:
    Offers(monkeypatch, DENIED).before = before

    with pytest.raises(type(DENIED), match="Denied"):
        creator_request.carry_out(ROW, "c1", JANE)
