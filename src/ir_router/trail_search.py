"""Read the calls of contained credentials from CloudTrail, in slices that survive a crash.

-sync reads the history of the deployment's own account (`sync/activity.py`), and -workflow those of members of the
organisation (`workflow/member_activity.py`). A pass is a list of lookups: each access key, the users, and the sessions
that they opened, in each Region. CloudTrail records the calls of a session in the account of its role. For each page
the ledger first stores the calls and then the position, so that a crash repeats one page, under the same name.

With `cloudtrail_lake_event_data_store`, the same values are also looked up in CloudTrail Lake, after the Regions. The
history has the management events even if Lake fails, and the result then names the missing part. The position has the
id of a query, so that a crash starts at most the newest query once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ir_router import clock, cloudtrail, cloudtrail_lake
from ir_router.cases import trail_calls
from ir_router.cases.changes import digest
from ir_router.cases.trail_calls import Session, TrailCall
from ir_router.cloudtrail import Attribute
from ir_router.errors import RefusedError, RetryLaterError
from ir_router.ledger import activity as stored
from ir_router.observability import logger
from ir_router.settings import settings

# The calls before the first suspicious one may belong to the attack too.
BEFORE_SECONDS = 86_400
# The history may show a call this late. Each pass reads the newest calls of the pass before another time.
LATE_SECONDS = 1_200
# Of one lookup: 5,000 calls.
MOST_PAGES = 100
MOST_SESSIONS = 25
# Of one pass, from its first query. Then the result appears without the rest of CloudTrail Lake.
LAKE_SECONDS = 600
_THROTTLED_TRIES = 3


class History(Protocol):
    """The history of one account in which a pass looks calls up.

    Attributes:
        pause: Seconds between two requests.
        page_size: The largest number of calls in a page.
    """

    pause: float
    page_size: int

    def look_up(
        self, region: str, attribute: Attribute, value: str, start: float, end: float, token: str | None
    ) -> cloudtrail.Page:
        """Return one page, newest calls first. Raises as `cloudtrail.EventHistory.look_up`."""


class Lookup(NamedTuple):
    """A lookup.

    Attributes:
        region: The Region or CloudTrail Lake.
        attribute: The attribute of the calls.
        value: Its value.
        of: The ARN of the contained principal.
        elsewhere: The account whose history has the calls, if it is not that of the contained principal.
    """

    region: str
    attribute: Attribute
    value: str
    of: str
    elsewhere: str = ""

    @property
    def account(self) -> str:
        """Return the account whose history has the calls."""
        return self.elsewhere or _account(self.of)

    @property
    def is_in_lake(self) -> bool:
        """Return whether CloudTrail Lake has the calls."""
        return self.region == cloudtrail_lake.PLACE

    @property
    def id(self) -> str:
        """Return the name by which the progress knows the lookup."""
        return f"{self.account}/{self.region}/{self.attribute}/{self.value}"


@dataclass
class Progress:
    """A pass.

    Attributes:
        end: When the pass began: it reads calls up to this time.
        since: Time of the oldest calls.
        pending: The lookups that are not finished, the first one with `token` and `page`.
        read_to: The `end` of the last pass that finished a lookup, by its id.
        sessions: Access keys of sessions, with the ARN of the contained principal that opened them.
        elsewhere: The accounts of sessions in another account than that of the contained principal, by access key.
        only: The only account whose history this pass reads; empty for all.
        limited: The missing parts.
        lost: Those that no later pass reads: lookups of which only the newest calls were read, and the sessions that
            were left out.
        lake_until: When the pass stops to read CloudTrail Lake.
    """

    end: float
    since: float
    pending: list[Lookup]
    token: str | None = None
    page: int = 0
    read_to: dict[str, float] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    only: str = ""
    limited: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    lake_until: float | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the pass as a value for the ledger."""
        row = {**vars(self), "pending": [list(one) for one in self.pending]}
        return {name: value for name, value in row.items() if value is not None}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Progress:
        """Return the pass from the ledger's value."""
        return cls(**{**row, "pending": [Lookup(*one) for one in row["pending"]]})


def regions() -> list[str]:
    """Return the Regions whose events ir-router detects: the home Region, and that of global services."""
    return list(dict.fromkeys([settings().region, cloudtrail.GLOBAL_EVENTS_REGION]))


def begin(
    credentials: Sequence[Mapping[str, Any]],
    since: float,
    row: Mapping[str, Any],
    *,
    only: str = "",
) -> Progress:
    """Return a new pass.

    Args:
        credentials: As in `ledger.activity.watch`.
        since: Time of the first suspicious call, in seconds since the epoch.
        row: `read_to`, `sessions`, `elsewhere` and `lost` of the earlier passes, as far as there are any.
        only: The only account whose history the pass reads; empty for all.
    """
    progress = Progress(
        end=clock.now(),
        since=since - BEFORE_SECONDS,
        pending=[],
        read_to=dict(row.get("read_to") or {}),
        sessions=dict(row.get("sessions") or {}),
        elsewhere=dict(row.get("elsewhere") or {}),
        only=only,
        limited=list(row.get("lost") or []),
        lost=list(row.get("lost") or []),
    )
    for one in credentials:
        _add(progress, [("AccessKeyId", str(key)) for key in one["keys"]], one["arn"])
        if one["whole"] and one["kind"] == "user":
            _add(progress, [("Username", one["name"])], one["arn"])
        if one["whole"] and one["kind"] == "role":
            _add(progress, [("ResourceName", one["arn"])], one["arn"])
    for key, owner in progress.sessions.items():
        _add(progress, [("AccessKeyId", key)], owner, progress.elsewhere.get(key, ""))
    return progress


def _add(progress: Progress, values: Iterable[tuple[Attribute, str]], arn: str, elsewhere: str = "") -> None:
    """Add lookups. Those in CloudTrail Lake come last, because a query can take minutes."""
    if progress.only and progress.only != (elsewhere or _account(arn)):
        return
    pending = progress.pending
    # The first lookup may have a position already.
    place = next((number for number, one in enumerate(pending) if number and one.is_in_lake), len(pending))
    for name, value in values:
        found = [Lookup(region, name, value, arn, elsewhere) for region in regions()]
        pending[place:place] = found
        place += len(found)
        if not settings().cloudtrail_lake_event_data_store:
            continue
        if cloudtrail_lake.can_ask(value):
            pending.append(Lookup(cloudtrail_lake.PLACE, name, value, arn, elsewhere))
        else:
            limit(progress, f"CloudTrail Lake was not searched for {value}, which has unusual characters")


def _account(arn: str) -> str:
    """Return the account of an ARN; empty if it is none."""
    return (arn.split(":") + [""] * 5)[4]


def read(
    case_id: str,
    progress: Progress,
    until: float,
    history: Callable[[str], History],
    save: Callable[[Progress], None],
) -> bool:
    """Read pages until the pass is finished or the time is over. Return whether it is finished.

    Args:
        case_id: The case.
        progress: The pass, which is updated and saved after each page.
        until: When this slice ends, in seconds since the epoch.
        history: Returns the history of an account.
        save: Stores the pass.

    Raises:
        RefusedError: AWS rejected a lookup.
        RetryLaterError: AWS throttled a lookup several times.
        UncertainError: AWS did not answer.
    """
    while progress.pending:
        if clock.now() >= until:
            return False
        lookup = progress.pending[0]
        if lookup.is_in_lake and (why := _lake_ends(progress, save)):
            _leave_lake(progress, why, save)
            continue
        source = _lake(lookup.account) if lookup.is_in_lake else history(lookup.account)
        start = max(progress.since, progress.read_to.get(lookup.id, 0.0) - LATE_SECONDS)
        try:
            page = _patiently(source, lookup, start, progress)
        except RefusedError as error:
            if error.code in cloudtrail_lake.LOST and progress.token is not None:
                logger.info("activity.token_expired: the lookup starts with its first page")
                progress.token, progress.page = None, 0
                continue
            if not lookup.is_in_lake:
                raise
            _leave_lake(progress, str(error), save)
            continue
        _store(case_id, progress, lookup, page.records)
        progress.token, progress.page = page.token, progress.page + (not page.at_work)
        if page.token is not None and progress.page >= MOST_PAGES:
            number = MOST_PAGES * source.page_size
            _lose(progress, f"only the newest {number:,} calls of {lookup.value} in {lookup.region} were read")
            page = page._replace(token=None)
        if page.token is None:
            progress.read_to[lookup.id] = progress.end
            progress.pending.pop(0)
            progress.token, progress.page = None, 0
        save(progress)
        clock.sleep(source.pause)
    return True


def _patiently(history: History, lookup: Lookup, start: float, progress: Progress) -> cloudtrail.Page:
    """Return the next page. AWS counts the requests of the complete account, so others may use up the rate."""
    for attempt in range(1, _THROTTLED_TRIES + 1):
        try:
            return history.look_up(lookup.region, lookup.attribute, lookup.value, start, progress.end, progress.token)
        except RetryLaterError as error:
            if attempt == _THROTTLED_TRIES:
                raise
            clock.sleep(error.seconds * attempt)
    raise AssertionError("unreachable")


def _lake(account: str) -> cloudtrail_lake.EventDataStore:
    return cloudtrail_lake.EventDataStore(settings().require("cloudtrail_lake_event_data_store"), account)


def _lake_ends(progress: Progress, save: Callable[[Progress], None]) -> str:
    """Return why the pass reads no more of CloudTrail Lake; empty if it does."""
    if progress.lake_until is None:
        progress.lake_until = clock.now() + LAKE_SECONDS
        save(progress)
    if not settings().cloudtrail_lake_event_data_store:
        return "the setting was removed"
    return "it took too long" if clock.now() >= progress.lake_until else ""


def _leave_lake(progress: Progress, why: str, save: Callable[[Progress], None]) -> None:
    """Leave out the lookups in CloudTrail Lake. The history has the rest, and the next pass reads Lake too."""
    logger.warning("activity.lake_left_out: the result names it", extra={"reason": why})
    limit(progress, f"the calls in CloudTrail Lake were not all read ({why})")
    progress.pending = [one for one in progress.pending if not one.is_in_lake]
    progress.token, progress.page = None, 0
    save(progress)


def limit(progress: Progress, what: str) -> None:
    """Note a missing part, once."""
    if what not in progress.limited:
        progress.limited.append(what)


def _lose(progress: Progress, what: str) -> None:
    """Note a part that stays missing, because the next pass reads newer calls."""
    limit(progress, what)
    if what not in progress.lost:
        progress.lost.append(what)


def _store(case_id: str, progress: Progress, lookup: Lookup, records: Iterable[Mapping[str, Any]]) -> None:
    calls: list[TrailCall] = []
    for record in records:
        if lookup.attribute == "Username" and not trail_calls.is_by_user(record, lookup.value):
            continue
        session = trail_calls.opened_session(record)
        if session is not None and session.key not in progress.sessions:
            _follow(progress, session, lookup)
        # A role's own lookup finds those who opened its sessions, not its calls.
        if lookup.attribute != "ResourceName" and (call := trail_calls.of_record(record, lookup.of)):
            calls.append(call)
    if calls:
        name = digest([lookup.id, progress.end, progress.page])
        stored.save_page(case_id, name, [trail_calls.to_row(call) for call in calls])


def _follow(progress: Progress, session: Session, lookup: Lookup) -> None:
    """Look up the calls of a session too, as those of the principal that opened it."""
    if len(progress.sessions) >= MOST_SESSIONS:
        _lose(progress, f"the calls of the newest {MOST_SESSIONS} sessions were read, and further sessions exist")
        return
    progress.sessions[session.key] = lookup.of
    account = session.account or lookup.account
    elsewhere = "" if account == _account(lookup.of) else account
    if elsewhere:
        progress.elsewhere[session.key] = elsewhere
    _add(progress, [("AccessKeyId", session.key)], lookup.of, elsewhere)
