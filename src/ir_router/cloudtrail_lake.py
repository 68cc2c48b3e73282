"""CloudTrail Lake: the optional event data store of `cloudtrail_lake_event_data_store`.

Unlike the event history, a store can have data events, all Regions, all accounts of the organisation, and years. A
lookup is a query: StartQuery returns its id, and GetQueryResults its status and then the pages of its result, for seven
days. Rules: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/query-limitations.html and
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetQueryResults.html. The column `eventjson` has the
complete record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router import aws, json_text
from ir_router.cloudtrail import PAGE_SIZE, TOKEN_INVALID, Attribute, Page, translated
from ir_router.errors import RefusedError
from ir_router.observability import logger

# In the place of a Region: a store has the events of all Regions.
PLACE = "CloudTrail Lake"
# AWS forgets a query after seven days.
LOST = frozenset({TOKEN_INVALID, "QueryIdNotFoundException"})
_AT_WORK = frozenset({"QUEUED", "RUNNING"})
_ID_LENGTH = 36
_COLUMN = "eventjson"
# Strangers choose names, and a query has no parameters. Without quotes, a value cannot end its literal in any dialect.
_PLAIN = re.compile(r"[A-Za-z0-9+=,.@_/:-]+")
_CONDITIONS: Mapping[Attribute, str] = {
    "AccessKeyId": "useridentity.accesskeyid = '{}'",
    "Username": "useridentity.type = 'IAMUser' AND useridentity.username = '{}'",
    # As the history: those who opened a session of the role.
    "ResourceName": "eventsource = 'sts.amazonaws.com' AND element_at(requestparameters, 'roleArn') = '{}'",
}


def can_ask(value: str) -> bool:
    """Return whether a query can contain this value."""
    return _PLAIN.fullmatch(value) is not None


class EventDataStore:
    """The event data store, for the events of one account.

    Attributes:
        pause: Seconds between two requests.
        page_size: The largest number of calls in a page, which is one row of the ledger.
    """

    pause = 1.0
    page_size = PAGE_SIZE

    def __init__(self, arn: str, account: str) -> None:
        """`arn` is that of the store, `account` the account of the events."""
        _, _, _, self._region, self._owner, resource = arn.split(":", 5)
        self._store, self._account = resource.partition("/")[2], account

    def look_up(
        self, _region: str, attribute: Attribute, value: str, start: float, end: float, token: str | None
    ) -> Page:
        """Start the query, or return its next page. A query that AWS works on gives an empty page with the same token.

        Args:
            attribute: The attribute.
            value: Its value, for which `can_ask` is true.
            start: Time of the oldest events, in seconds since the epoch.
            end: Time of the newest events.
            token: The token of the page before. None: start a query.

        Raises:
            RefusedError: AWS rejected the request, or the query ended without a result. The code is in LOST if AWS does
                not know the token.
            RetryLaterError: AWS throttled the request, or works on too many queries.
            UncertainError: There was no answer. A query may have been started, which changes nothing.
        """
        if token is None:
            return Page([], self._start(self._statement(attribute, value, start, end)), at_work=True)
        query, next_token = token[:_ID_LENGTH], token[_ID_LENGTH:]
        with translated("GetQueryResults"):
            answer = aws.client_of_region("cloudtrail", self._region).get_query_results(
                QueryId=query,
                MaxQueryResults=PAGE_SIZE,
                EventDataStoreOwnerAccountId=self._owner,
                **({"NextToken": next_token} if next_token else {}),
            )
        status = answer["QueryStatus"]
        if status in _AT_WORK:
            return Page([], token, at_work=True)
        if status != "FINISHED":
            raise RefusedError(PLACE, "the query", status)
        following = answer.get("NextToken")
        return Page(_records(answer.get("QueryResultRows", [])), query + following if following else None)

    def _start(self, statement: str) -> str:
        with translated("StartQuery"):
            answer = aws.client_of_region("cloudtrail", self._region).start_query(
                QueryStatement=statement, EventDataStoreOwnerAccountId=self._owner
            )
        return answer["QueryId"]

    def _statement(self, attribute: Attribute, value: str, start: float, end: float) -> str:
        if not can_ask(value) or not can_ask(self._account):
            raise ValueError("a query cannot contain this value")
        return (
            f"SELECT {_COLUMN} FROM {self._store} WHERE recipientaccountid = '{self._account}'"  # noqa: S608 - as above
            f" AND eventtime >= '{_time(start)}' AND eventtime <= '{_time(end)}'"
            f" AND {_CONDITIONS[attribute].format(value)} ORDER BY eventtime DESC"
        )


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _records(rows: Iterable[Iterable[Mapping[str, str]]]) -> list[Mapping[str, Any]]:
    """Return the records. A row is a list of maps, each with one column."""
    found: list[Mapping[str, Any]] = []
    for row in rows:
        columns = {name.lower(): value for column in row for name, value in column.items()}
        try:
            record = json_text.parsed(columns.get(_COLUMN) or "")
        except ValueError:
            record = None
        if isinstance(record, dict):
            found.append(record)
        else:
            logger.warning("cloudtrail.record_unreadable: a row of CloudTrail Lake does not count")
    return found
