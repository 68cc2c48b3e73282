"""CloudTrail Lake's event data store, which moto lacks: it answers queries by the documented rules.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StartQuery.html and API_GetQueryResults.html: a query
is QUEUED, then RUNNING, and ends as FINISHED, FAILED, CANCELLED or TIMED_OUT. At most ten work at a time, a page has at
most 1,000 rows, and results are kept for seven days. A row is a list of maps, each with one column. The statement is
read as SQL reads it (`_Statement`), so that a value which ends its literal changes the query here too.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.trials.world.deployment import ACCOUNT
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.wire import Wire

Record = Mapping[str, Any]

STORE = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:eventdatastore/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
_, _, _, REGION, OWNER, _RESOURCE = STORE.split(":", 5)
_STORE_ID = _RESOURCE.partition("/")[2]
_MOST_RESULTS, _MOST_QUERIES, _LONGEST_STATEMENT = 1_000, 10, 10_000
_KEPT_SECONDS = 7 * 86_400
_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[A-Za-z0-9_.-]+|<=|>=|[(),=<>;]|\Z)")
_ENDS = frozenset({"FINISHED", "FAILED", "CANCELLED", "TIMED_OUT"})


@dataclass
class Query:
    """A query: its statement, the time of its start, and the rows that it will find."""

    statement: str
    at: float
    rows: list[Record] = field(default_factory=list)


class EventDataStore:
    """The event data store of the hub's account. It takes the trail's records of all accounts and Regions.

    Attributes:
        queries: The queries by id, in the order of their start.
        queued, running: Seconds that a query is in these states.
        ends_as: The last state of queries.
        refuse_with: The error code of each request; empty for none.
    """

    def __init__(self, wire: Wire, now: Callable[[], float], shown: Callable[[], Iterable[Record]]) -> None:
        """Start without queries. `shown` returns the records that the store has at the moment."""
        self._wire, self._now, self._shown = wire, now, shown
        self.queries: dict[str, Query] = {}
        self.queued, self.running, self.ends_as, self.refuse_with = 1.0, 2.0, "FINISHED", ""

    def attach(self, hooks: Any) -> None:
        """Answer queries from now on."""
        hooks.register("before-call.cloudtrail.StartQuery", self._answer)
        hooks.register("before-call.cloudtrail.GetQueryResults", self._answer)

    def state(self, query: Query) -> str:
        """Return the state of a query at the moment."""
        age = self._now() - query.at
        if age < self.queued:
            return "QUEUED"
        return "RUNNING" if age < self.queued + self.running else self.ends_as

    def _answer(self, model: Any, params: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> Any:
        with self._wire.call("cloudtrail", model.name):
            request = json.loads(params["body"])
            if self.refuse_with:
                return _error(self.refuse_with, "refused on demand")
            if context["client_region"] != REGION or request.get("EventDataStoreOwnerAccountId", OWNER) != OWNER:
                return _error("EventDataStoreNotFoundException", "The event data store was not found.")
            return self._start(request) if model.name == "StartQuery" else self._results(request)

    def _start(self, request: Mapping[str, Any]) -> Any:
        if sum(self.state(one) not in _ENDS for one in self.queries.values()) >= _MOST_QUERIES:
            return _error("MaxConcurrentQueriesException", "Too many queries are running.")
        statement = request.get("QueryStatement", "")
        if not 1 <= len(statement) <= _LONGEST_STATEMENT:
            return _error("InvalidParameterException", "The query statement has a wrong length.")
        try:
            matches = _Statement(statement).conditions()
        except SyntaxError:
            return _error("InvalidQueryStatementException", "The query statement is not valid.")
        rows = [one for one in self._shown() if all(matched(one) for matched in matches)]
        rows.sort(key=lambda one: str(one["eventTime"]), reverse=True)
        query_id = str(uuid.uuid4())
        self.queries[query_id] = Query(statement, self._now(), rows)
        return _success({"QueryId": query_id, "EventDataStoreOwnerAccountId": OWNER})

    def _results(self, request: Mapping[str, Any]) -> Any:
        query = self.queries.get(request["QueryId"])
        if query is None or self._now() - query.at > _KEPT_SECONDS:
            return _error("QueryIdNotFoundException", "The query does not exist.")
        size, token = int(request.get("MaxQueryResults", _MOST_RESULTS)), request.get("NextToken")
        if not 1 <= size <= _MOST_RESULTS:
            return _error("InvalidMaxResultsException", "MaxQueryResults must be between 1 and 1000.")
        if (state := self.state(query)) != "FINISHED":
            failed = {"ErrorMessage": "The query failed."} if state == "FAILED" else {}
            return _success({"QueryStatus": state, **failed})
        prefix, _, start = str(token or f"{request['QueryId']}/0").rpartition("/")
        if prefix != request["QueryId"] or not start.isdecimal():
            return _error("InvalidNextTokenException", "The token is not valid.")
        page = query.rows[int(start) : int(start) + size]
        left = int(start) + size < len(query.rows)
        counts = {"ResultsCount": len(page), "TotalResultsCount": len(query.rows), "BytesScanned": 1_024}
        found = {
            "QueryStatus": state,
            "QueryStatistics": counts,
            "QueryResultRows": [[{"eventjson": json.dumps(one)}] for one in page],
        }
        return _success(found | ({"NextToken": f"{prefix}/{int(start) + size}"} if left else {}))


class _Statement:
    """A SELECT statement, of which only the parts that the functions use are known. Raises SyntaxError for others."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))

    def conditions(self) -> list[Callable[[Record], bool]]:
        """Return the conditions, all of which a record must satisfy."""
        self._expect("select", "eventjson", "from", _STORE_ID, "where")
        found = [self._condition()]
        while self._peek() == "and":
            self._next()
            found.append(self._condition())
        self._expect("order", "by", "eventtime", "desc")
        if self._peek():
            raise SyntaxError(self._peek())
        return found

    def _condition(self) -> Callable[[Record], bool]:
        name, key = self._next(), None
        if name == "element_at":
            self._expect("(")
            name = self._next()
            self._expect(",")
            key = _text(self._next(lower=False))
            self._expect(")")
        operator, value = self._next(), _text(self._next(lower=False))
        if operator not in ("=", "<=", ">=") or not re.fullmatch(r"[a-z.]+", name):
            raise SyntaxError(name)

        def matches(record: Record) -> bool:
            held = _value(record, name)
            held = (held or {}).get(key) if key is not None else held
            if held is None:
                return False
            return bool({"=": held == value, "<=": held <= value, ">=": held >= value}[operator])

        return matches

    def _peek(self) -> str:
        return self._tokens[0].lower()

    def _next(self, *, lower: bool = True) -> str:
        token = self._tokens.pop(0)
        return token.lower() if lower else token

    def _expect(self, *words: str) -> None:
        for word in words:
            if (token := self._next()) != word:
                raise SyntaxError(token)


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while True:
        found = _TOKEN.match(text, place)
        if found is None:
            raise SyntaxError(text[place:])
        yield found.group(1)
        if not found.group(1):
            return
        place = found.end()


def _text(token: str) -> str:
    if not token.startswith("'"):
        raise SyntaxError(token)
    return token[1:-1].replace("''", "'")


def _value(record: Record, column: str) -> Any:
    """Return the value of a column, such as `useridentity.accesskeyid`. SQL does not distinguish upper case."""
    value: Any = record
    for part in column.split("."):
        value = {name.lower(): one for name, one in (value or {}).items()}.get(part)
    if column == "eventtime":
        return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return value


def _success(answer: Mapping[str, Any]) -> tuple[HttpAnswer, dict[str, Any]]:
    return HttpAnswer(200), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}


def _error(code: str, message: str) -> tuple[HttpAnswer, dict[str, Any]]:
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return HttpAnswer(400), error
