"""The fake event data store against botocore's model: its requests, answers and errors have AWS's shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from ir_router.cloudtrail_lake import EventDataStore
from ir_sandbox import cloud_trail
from tests.trials.world import ACCOUNT
from tests.trials.world.lake import REGION, STORE
from tests.trials.world.lake import EventDataStore as Fake
from tests.trials.world.wire import Wire

MODEL: Any = botocore.session.get_session().get_service_model("cloudtrail")
KEY = "AKIA0000000000000001"


class Lake:
    """A fake with 1,200 records of a key, and a clock."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        identity = cloud_trail.user_identity(ACCOUNT, "eve", KEY)
        moment = datetime.fromtimestamp(self.now - 60, UTC)
        self.records = [cloud_trail.record("ListUsers", moment, identity) for _ in range(1_200)]
        self.fake = Fake(Wire(), lambda: self.now, lambda: self.records)

    def call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """Return the answer to a request, both checked against the model."""
        model = MODEL.operation_model(operation)
        assert not ParamValidator().validate(request, model.input_shape).has_errors()
        _, answer = self.fake._answer(model, {"body": json.dumps(request)}, {"client_region": REGION})
        found = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        if "Error" in found:
            assert found["Error"]["Code"] in {shape.name for shape in model.error_shapes}
            return found
        report = ParamValidator().validate(found, model.output_shape)
        assert not report.has_errors(), report.generate_report()
        assert {*found} <= {*model.output_shape.members}
        return found

    def start(self, where: str = f"useridentity.accesskeyid = '{KEY}'") -> str:
        statement = f"SELECT eventjson FROM {STORE.rpartition('/')[2]} WHERE {where} ORDER BY eventtime DESC"
        return str(self.call("StartQuery", QueryStatement=statement)["QueryId"])


@pytest.fixture
def lake() -> Lake:
    return Lake()


def test_given_a_query_when_time_passes_then_its_states_and_pages_follow(lake: Lake) -> None:
    query = lake.start()
    states = []
    for _ in range(5):
        states.append(lake.call("GetQueryResults", QueryId=query)["QueryStatus"])
        lake.now += 1
    assert states == ["QUEUED", "RUNNING", "RUNNING", "FINISHED", "FINISHED"]
    assert set(states) <= set(MODEL.shape_for("QueryStatus").enum)
    first = lake.call("GetQueryResults", QueryId=query)
    assert len(first["QueryResultRows"]) == 1_000
    second = lake.call("GetQueryResults", QueryId=query, NextToken=first["NextToken"])
    assert len(second["QueryResultRows"]) == 200
    assert "NextToken" not in second
    assert json.loads(second["QueryResultRows"][0][0]["eventjson"])["eventName"] == "ListUsers"
    lake.now += 8 * 86_400
    assert lake.call("GetQueryResults", QueryId=query)["Error"]["Code"] == "QueryIdNotFoundException"


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED", "TIMED_OUT"])
def test_given_a_query_that_fails_when_read_then_there_are_no_rows(lake: Lake, end: str) -> None:
    query, lake.fake.ends_as = lake.start(), end
    lake.now += 10
    answer = lake.call("GetQueryResults", QueryId=query)
    assert answer["QueryStatus"] == end
    assert "QueryResultRows" not in answer


def test_given_wrong_requests_when_sent_then_each_gets_a_documented_error(lake: Lake) -> None:
    query = lake.start()
    lake.now += 10
    assert lake.call("StartQuery", QueryStatement="DELETE FROM x")["Error"]["Code"] == "InvalidQueryStatementException"
    assert lake.call("GetQueryResults", QueryId=query, NextToken="none")["Error"]["Code"] == "InvalidNextTokenException"
    for _ in range(10):
        lake.start()
    answer = lake.call("StartQuery", QueryStatement="SELECT")
    assert answer["Error"]["Code"] == "MaxConcurrentQueriesException"


def test_given_a_value_that_ends_its_literal_when_queried_then_the_fake_reads_it_as_sql_does(lake: Lake) -> None:
    identity = cloud_trail.user_identity(ACCOUNT, "eve", KEY)
    query = lake.start(f"useridentity.accesskeyid = '{identity['accessKeyId']}' AND useridentity.username = 'o''neil'")
    lake.now += 10
    assert lake.call("GetQueryResults", QueryId=query)["QueryResultRows"] == []
    escaped = f"SELECT eventjson FROM {STORE.rpartition('/')[2]} WHERE useridentity.username = 'x' OR '1'='1'"
    assert lake.call("StartQuery", QueryStatement=escaped)["Error"]["Code"] == "InvalidQueryStatementException"


@pytest.mark.parametrize("attribute", ["AccessKeyId", "Username", "ResourceName"])
def test_given_each_attribute_when_asked_then_the_statement_is_valid_and_short(lake: Lake, attribute: Any) -> None:
    value = "a" * 2_048  # the longest ARN
    statement = EventDataStore(STORE, ACCOUNT)._statement(attribute, value, 0.0, lake.now)
    assert "QueryId" in lake.call("StartQuery", QueryStatement=statement)
