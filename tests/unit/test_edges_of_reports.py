"""Secondary facts of reports: a failure that another case has reported, and the state of a function."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.deadline import Deadline
from ir_router.ledger import claims, keys, security_channel, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.ops import resources
from ir_router.ops.checks import ok
from ir_router.sync import failure_alerts, posting
from ir_router.sync.failures import Failure
from tests.support.answers import ClientAnswers

NOW = 1_768_500_000.0
FAILURE = Failure("sync-1", "Out of sync.", "Wait.", retried=True, error_id="sync-error-1", transient=True)


@pytest.mark.parametrize("first", [True, False])
def test_given_a_failure_of_several_cases_when_reported_then_one_is_posted_and_the_others_are_settled(
    monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    claim = claims.Claim(keys.note("1", "alerted-sync-1"), 1, must_look=False, row={})
    done: list[Any] = []

    def put(_key: Any, row: dict[str, Any], _condition: str, **values: Any) -> None:
        assert (row["until"], row["expires_at"], values["own"]) == (NOW + 3_600, NOW + 86_400, "1/sync-1")
        if not first:
            raise ConditionFailedError({})

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(security_channel, "known_id", lambda: "C9")
    monkeypatch.setattr(claims, "take", lambda key, settle_after: claim if key == claim.key else None)
    monkeypatch.setattr(claims, "confirm", lambda taken, **values: done.append((taken, values)))
    monkeypatch.setattr(posting, "post", lambda _slack, channel, taken, message: done.append((channel, message.text)))
    monkeypatch.setattr(table, "put", put)

    failure_alerts.post("1", "C1", FAILURE, Deadline(soft=NOW + 30, hard=NOW + 50))

    if first:
        ((channel, text),) = done
        assert channel == "C9"
        assert "is out of sync with its Slack channel" in text
    else:
        assert done == [(claim, {"grouped": True})]


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        ({"State": "Inactive", "Runtime": "python3.13"}, "inactive, python3.13"),
        ({"Runtime": "python3.13"}, "active, python3.13"),
    ],
)
def test_given_a_function_when_verified_then_the_line_has_its_state_and_runtime(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], detail: str
) -> None:
    client = ClientAnswers(get_function_configuration=found)
    monkeypatch.setattr(aws, "client", lambda _name: client)

    assert list(resources._function("sync", {}, {})) == [ok("function sync", detail)]
