"""A pass over CloudTrail's history and over CloudTrail Lake at its limits: time, pages, attempts, sessions, queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import aws, clock, cloudtrail, cloudtrail_lake, trail_search
from ir_router.cases.trail_calls import Session
from ir_router.cloudtrail import EventHistory, Page
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import activity
from ir_router.trail_search import Lookup, Progress

NOW = 1_767_261_720.0
USER = "arn:aws:iam::111122223333:user/a"
ROLE = "arn:aws:iam::111122223333:role/r"
STORE = "arn:aws:cloudtrail:eu-west-1:999999999999:eventdatastore/store-id"


class Past:
    """A history that gives these answers in turn, or raises them."""

    pause = 0.5
    page_size = 50

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def look_up(self, *asked: Any) -> Page:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Page)
        return answer


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(clock, "now", lambda: NOW + sum(waited))
    monkeypatch.setattr(clock, "sleep", waited.append)
    return waited


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """The stored pages, each with its name and the ids of its calls."""
    stored: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(
        activity, "save_page", lambda case_id, name, calls: stored.append((name, [one["event_id"] for one in calls]))
    )
    return stored


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    def use(store: str | None) -> None:
        chosen = SimpleNamespace(region="eu-central-1", cloudtrail_lake_event_data_store=store, require=lambda _: STORE)
        monkeypatch.setattr(trail_search, "settings", lambda: chosen)

    use(None)
    return use


def record(name: str, **values: Any) -> dict[str, Any]:
    return {"eventID": name, "eventTime": "2026-01-01T10:00:00+00:00", "eventName": "ListUsers", **values}


def one_lookup(**values: Any) -> Progress:
    return Progress(end=NOW, since=NOW - 9, pending=[Lookup("eu", "AccessKeyId", "AKIA", USER)], **values)


def run(progress: Progress, history: Past, until: float = NOW + 99) -> tuple[bool, int]:
    saved: list[Progress] = []
    is_finished = trail_search.read("7", progress, until, lambda _: history, saved.append)
    return is_finished, len(saved)


@pytest.mark.parametrize(("until", "is_finished"), [(NOW - 1, False), (NOW, False), (NOW + 0.1, True)])
def test_given_the_end_of_a_slice_when_reading_then_no_further_page_is_read(
    waits: list[float], pages: Sequence[Any], *, until: float, is_finished: bool
) -> None:
    history = Past(Page([], None))
    assert run(one_lookup(), history, until) == (is_finished, int(is_finished))
    assert len(history.asked) == int(is_finished)


def test_given_pages_when_read_then_each_is_saved_under_its_own_name_and_the_newest_calls_are_read_again(
    waits: list[float], pages: list[tuple[str, list[str]]]
) -> None:
    progress = one_lookup(read_to={"111122223333/eu/AccessKeyId/AKIA": NOW + 1_195})
    history = Past(Page([record("a")], "t1"), Page([], "t2", at_work=True), Page([record("b")], None))
    assert run(progress, history) == (True, 3)

    assert [asked[3:] for asked in history.asked] == [(NOW - 5, NOW, token) for token in (None, "t1", "t2")]
    assert [ids for _, ids in pages] == [["a"], ["b"]]
    assert len({name for name, _ in pages}) == 2
    assert progress.read_to == {"111122223333/eu/AccessKeyId/AKIA": NOW}
    assert (progress.pending, progress.token, progress.page) == ([], None, 0)
    assert waits == [0.5, 0.5, 0.5]


def test_given_an_early_reading_when_the_next_pass_begins_then_it_never_reads_before_the_oldest_call(
    waits: list[float], pages: Sequence[Any]
) -> None:
    history = Past(Page([], None))
    run(one_lookup(read_to={"111122223333/eu/AccessKeyId/AKIA": NOW}), history)
    assert history.asked[0][3] == NOW - 9


@pytest.mark.parametrize(("page", "asked"), [(98, 2), (99, 1), (100, 1)])
def test_given_a_lookup_with_many_pages_when_read_then_the_hundredth_page_is_the_last_one(
    waits: list[float], pages: Sequence[Any], page: int, asked: int
) -> None:
    progress = one_lookup(page=page, token="t0")
    history = Past(*[Page([], f"t{number}") for number in range(1, 9)])
    assert run(progress, history)[0]
    assert len(history.asked) == asked
    text = "only the newest 5,000 calls of AKIA in eu were read"
    assert (progress.limited, progress.lost, progress.pending) == ([text], [text], [])


def test_given_a_source_that_is_still_at_work_when_read_then_its_answer_is_no_page(
    waits: list[float], pages: Sequence[Any]
) -> None:
    history = Past(Page([], "t1", at_work=True), Page([], "t2"), Page([], "t3"))
    progress = one_lookup(page=98, token="t0")
    assert run(progress, history) == (True, 3)
    assert history.answers == []


def test_given_an_account_that_is_throttled_when_read_then_three_attempts_are_made_with_longer_waits(
    waits: list[float], pages: Sequence[Any]
) -> None:
    def throttled() -> RetryLaterError:
        return RetryLaterError("CloudTrail", "LookupEvents", "Throttling", 2.0)

    assert run(one_lookup(), Past(throttled(), throttled(), Page([], None))) == (True, 1)
    assert waits == [2.0, 4.0, 0.5]
    history = Past(throttled(), throttled(), throttled(), Page([], None))
    with pytest.raises(RetryLaterError):
        run(one_lookup(), history)
    assert (waits[3:], len(history.answers)) == ([2.0, 4.0], 1)


@pytest.mark.parametrize("code", ["InvalidNextTokenException", "QueryIdNotFoundException"])
def test_given_a_token_that_expired_when_read_then_the_lookup_starts_with_its_first_page(
    waits: list[float], pages: Sequence[Any], code: str
) -> None:
    lost = RefusedError("CloudTrail", "LookupEvents", code)
    history = Past(lost, Page([], None))
    progress = one_lookup(token="t", page=5)
    assert run(progress, history) == (True, 1)
    assert [asked[5] for asked in history.asked] == ["t", None]
    with pytest.raises(RefusedError):
        run(one_lookup(), Past(lost))
    with pytest.raises(RefusedError):
        run(one_lookup(token="t"), Past(RefusedError("CloudTrail", "LookupEvents", "Other")))


def test_given_credentials_when_a_pass_begins_then_lake_comes_after_the_regions_and_an_odd_name_is_left_out(
    waits: list[float], lake: Callable[[str | None], None]
) -> None:
    lake(STORE)
    credentials = [
        {"arn": USER, "name": "a b", "kind": "user", "keys": ["AKIA", "AKIC"], "whole": True},
        {"arn": ROLE, "name": "r", "kind": "role", "keys": [], "whole": True},
        {"arn": f"{USER}2", "name": "c", "kind": "user", "keys": ["AKIB"], "whole": False},
    ]
    row = {"sessions": {"ASIA": ROLE}, "elsewhere": {"ASIA": "444455556666"}, "lost": ["old"], "read_to": {"x": 1.0}}
    progress = trail_search.begin(credentials, NOW, row)

    values = [("AccessKeyId", "AKIA"), ("AccessKeyId", "AKIC"), ("Username", "a b"), ("ResourceName", ROLE)]
    values += [("AccessKeyId", "AKIB"), ("AccessKeyId", "ASIA")]
    regions = ("eu-central-1", "us-east-1")
    expected = [(region, *value) for value in values for region in regions]
    expected += [("CloudTrail Lake", *value) for value in values if value[1] != "a b"]
    assert [one[:3] for one in progress.pending] == expected
    assert [one.account for one in progress.pending if one.value == "ASIA"] == ["444455556666"] * 3
    odd = "CloudTrail Lake was not searched for a b, which has unusual characters"
    assert (progress.since, progress.limited, progress.lost) == (NOW - 86_400, ["old", odd], ["old"])
    assert progress.read_to == {"x": 1.0}
    assert Progress.from_row(progress.to_row()) == progress

    only = trail_search.begin(credentials, NOW, row, only="444455556666")
    assert {one.value for one in only.pending} == {"ASIA"}
    assert {one.value for one in trail_search.begin(credentials, NOW, row, only="111122223333").pending} == {
        "AKIA", "AKIC", "a b", ROLE, "AKIB"
    }  # fmt: skip


def test_given_a_lookup_in_lake_that_has_begun_when_another_is_added_then_it_does_not_take_its_place(
    waits: list[float], lake: Callable[[str | None], None]
) -> None:
    lake(STORE)
    begun = Lookup(cloudtrail_lake.PLACE, "AccessKeyId", "AKIA", USER)
    progress = Progress(end=NOW, since=0.0, pending=[begun, begun._replace(value="AKIB")], token="t")
    trail_search._follow(progress, Session("ASIA", ""), begun)
    assert [(one.region, one.value) for one in progress.pending] == [
        ("CloudTrail Lake", "AKIA"),
        ("eu-central-1", "ASIA"),
        ("us-east-1", "ASIA"),
        ("CloudTrail Lake", "AKIB"),
        ("CloudTrail Lake", "ASIA"),
    ]
    assert (progress.sessions, progress.elsewhere) == ({"ASIA": USER}, {})
    trail_search._follow(progress, Session("ASIB", "444455556666"), begun)
    assert progress.elsewhere == {"ASIB": "444455556666"}


@pytest.mark.parametrize(
    ("lake_until", "store", "why"),
    [
        (None, STORE, ""),
        (NOW + 1, STORE, ""),
        (NOW, STORE, "it took too long"),
        (NOW + 1, None, "the setting was removed"),
    ],
)
def test_given_a_pass_in_lake_when_its_time_is_over_then_the_rest_is_left_out(
    waits: list[float], lake: Callable[[str | None], None], lake_until: float | None, store: str | None, why: str
) -> None:
    lake(store)
    progress = one_lookup(lake_until=lake_until)
    saved: list[Progress] = []
    assert trail_search._lake_ends(progress, saved.append) == why
    assert progress.lake_until == (lake_until or NOW + 600)
    assert len(saved) == int(lake_until is None)


def test_given_a_user_name_when_looked_up_then_calls_of_a_session_with_this_name_are_left_out(
    waits: list[float], pages: list[tuple[str, list[str]]], lake: Callable[[str | None], None]
) -> None:
    user, role = ({"userName": "a", "type": kind} for kind in ("IAMUser", "AssumedRole"))
    records = [record("u", userIdentity=user), record("r", userIdentity=role)]
    trail_search._store("7", one_lookup(), Lookup("eu", "Username", "a", USER), records)
    trail_search._store("7", one_lookup(), Lookup("eu", "ResourceName", ROLE, ROLE), records)
    assert [ids for _, ids in pages] == [["u"]]


def rejection(code: str, status: int, message: str = "") -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "any")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (rejection("ThrottlingException", 400), RetryLaterError, "ThrottlingException"),
        (rejection("Any", 429), RetryLaterError, "Any"),
        (rejection("Any", 430), RefusedError, "Any"),
        (rejection("Any", 499), RefusedError, "Any"),
        (rejection("Any", 500), UncertainError, "Any"),
        (
            rejection("AccessDenied", 403, "because no identity-based policy allows it"),
            RefusedError,
            "AccessDenied: no identity-based policy allows it",
        ),
        (rejection("Any", 403, "because no identity-based policy allows it"), RefusedError, r"\(Any\)"),
    ],
)
def test_given_an_error_of_cloudtrail_when_translated_then_code_and_status_decide(
    error: ClientError, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as found, cloudtrail.translated("LookupEvents"):
        raise error
    assert getattr(found.value, "seconds", 1.0) == 1.0


def test_given_a_page_of_the_history_when_read_then_times_attribute_and_token_are_passed_on() -> None:
    asked: list[dict[str, Any]] = []

    def lookup_events(**values: Any) -> dict[str, Any]:
        asked.append(values)
        return {"Events": [{"EventId": "e", "CloudTrailEvent": '{"eventName": "n"}'}], "NextToken": ""}

    client: Any = SimpleNamespace(lookup_events=lookup_events)
    page = EventHistory({"eu": client}.__getitem__).look_up("eu", "Username", "a", NOW - 5, NOW, "t")
    assert page == Page([{"eventID": "e", "awsRegion": "eu", "eventName": "n"}], None)
    assert asked == [
        {
            "LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "a"}],
            "StartTime": datetime.fromtimestamp(NOW - 5, UTC),
            "EndTime": datetime.fromtimestamp(NOW, UTC),
            "MaxResults": 50,
            "NextToken": "t",
        }
    ]


def test_given_a_query_of_lake_when_read_then_its_token_has_the_id_and_the_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query = "q" * 36
    answers: list[dict[str, Any]] = [
        {"QueryStatus": "QUEUED"},
        {"QueryStatus": "RUNNING"},
        {"QueryStatus": "FINISHED", "QueryResultRows": [[{"EventJSON": '{"a": 1}'}], [{"x": ""}]], "NextToken": "n"},
        {"QueryStatus": "FINISHED"},
        {"QueryStatus": "FAILED"},
    ]
    asked: list[dict[str, Any]] = []

    def start_query(**values: Any) -> dict[str, Any]:
        asked.append(values)
        return {"QueryId": query}

    def get_query_results(**values: Any) -> dict[str, Any]:
        asked.append(values)
        return answers.pop(0)

    client = SimpleNamespace(start_query=start_query, get_query_results=get_query_results)
    monkeypatch.setattr(
        aws, "client_of_region", lambda name, region: {("cloudtrail", "eu-west-1"): client}[name, region]
    )
    store = cloudtrail_lake.EventDataStore(STORE, "111122223333")
    token: str | None = None
    found = []
    for _ in range(5):
        page = store.look_up("any", "Username", "a", NOW - 5, NOW, token)
        found.append(page)
        token = page.token
    assert found == [
        Page([], query, at_work=True),
        Page([], query, at_work=True),
        Page([], query, at_work=True),
        Page([{"a": 1}], f"{query}n"),
        Page([], None),
    ]
    with pytest.raises(RefusedError, match="FAILED"):
        store.look_up("any", "Username", "a", NOW - 5, NOW, query)
    shared = {"QueryId": query, "MaxQueryResults": 50, "EventDataStoreOwnerAccountId": "999999999999"}
    assert asked[1:] == [shared, shared, shared, {**shared, "NextToken": "n"}, shared]
    assert asked[0]["QueryStatement"] == (
        "SELECT eventjson FROM store-id WHERE recipientaccountid = '111122223333' AND eventtime >= "
        "'2026-01-01 10:01:55' AND eventtime <= '2026-01-01 10:02:00' AND useridentity.type = 'IAMUser' AND "
        "useridentity.username = 'a' ORDER BY eventtime DESC"
    )
    for value, account in (("a'b", "1"), ("a", "1'2")):
        with pytest.raises(ValueError, match="cannot contain this value"):
            cloudtrail_lake.EventDataStore(STORE, account).look_up("any", "Username", value, 0.0, NOW, None)
