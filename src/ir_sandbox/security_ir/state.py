"""The service's state, shared by its operations. Hold `lock` while you use it."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from ir_sandbox.security_ir.clock import Clock
from ir_sandbox.security_ir.errors import conflict, not_active, not_found
from ir_sandbox.security_ir.events import EventDelivery, make_event
from ir_sandbox.security_ir.model import Parameters
from ir_sandbox.security_ir.paging import Item, Pager
from ir_sandbox.security_ir.records import Case, Change, Edit, Membership, Principal
from ir_sandbox.security_ir.settings import Settings

_LOWER_CASE_AND_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Caller:
    """The caller, and the service's URL in the request (`http://host:port`), the start of presigned URLs."""

    principal: Principal
    base_url: str


class State:
    """Cases, memberships and tags, and the functions that all operations need: ids, time, events."""

    def __init__(self, account_id: str, region: str, clock: Clock, seed: int | None, events: EventDelivery) -> None:
        """Start empty, with default settings."""
        self.lock = threading.RLock()
        self.account_id = account_id
        self.region = region
        self.settings = Settings()
        self.events = events
        self.cases: dict[str, Case] = {}
        self.memberships: dict[str, Membership] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self._clock = clock
        self._random = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - ids, no secrets
        self.secret = self._random.randbytes(32)
        self._pager = Pager(clock, self.secret)

    def now(self) -> datetime:
        """Return the current time to the millisecond, the API's precision."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def case(self, case_id: str) -> Case:
        """Return a case; raises ApiError if the case does not exist or there is no active membership."""
        self.require_membership()
        if case_id not in self.cases:
            raise not_found("case", case_id)
        return self.cases[case_id]

    def open_case(self, case_id: str) -> Case:
        """Return an open case; raises ApiError, a ConflictException if it is closed."""
        case = self.case(case_id)
        if case.closed is not None:
            raise conflict(f"Case {case_id} is closed.", "case", case_id)
        return case

    def require_membership(self) -> None:
        """Raise ApiError (SecurityIncidentResponseNotActiveException) without an active membership."""
        if not any(membership.status == "Active" for membership in self.memberships.values()):
            raise not_active()

    def changed(
        self,
        case: Case,
        kind: Change,
        principal: Principal,
        action: str,
        message: str,
        event: tuple[str, str] | None,
    ) -> None:
        """Record a change to a case.

        Args:
            case: The changed case.
            kind: The kind of change; the settings define which kinds update `lastUpdatedDate`.
            principal: The principal who changed it.
            action: The action in the edit log.
            message: The message in the edit log.
            event: The event's detail-type and the field for the principal (`createdBy` or `updatedBy`), if any.
        """
        now = self.now()
        case.edits.append(Edit(now, principal.id, action, message))
        if kind not in self.settings.changes_without_date:
            case.last_updated = now
        if event is not None:
            detail_type, role = event
            self.publish_event(detail_type, case.arn, {"caseId": case.case_id, role: principal.name_in_events})

    def publish_event(self, detail_type: str, arn: str, detail: dict[str, str]) -> None:
        """Publish an event about the resource `arn`."""
        self.events.emit(
            make_event(self.new_uuid(), detail_type, self.account_id, self.region, arn, detail, self.now())
        )

    def page(
        self, operation: str, items: list[Item], key: Callable[[Item], str], request: Parameters
    ) -> tuple[list[Item], str | None]:
        """Return the requested page of a list and the next token; see `Pager.page`."""
        scope = f"{operation} {request.get('caseId', '')}"
        lifetime = timedelta(seconds=self.settings.page_token_seconds)
        return self._pager.page(items, key, request, scope, lifetime, self.settings.page_size)

    def arn(self, kind: str, resource_id: str) -> str:
        """Return the ARN of a case or membership."""
        return f"arn:aws:security-ir:{self.region}:{self.account_id}:{kind}/{resource_id}"

    def new_digits(self, length: int, taken: Container[str]) -> str:
        """Return an unused id of `length` digits, possibly with leading zeros."""
        while (number := f"{self._random.randrange(10**length):0{length}d}") in taken:
            pass
        return number

    def new_name(self, prefix: str, length: int = 17) -> str:
        """Return an id of `prefix` (such as `m-` or `inv-`) and random characters."""
        return prefix + "".join(self._random.choices(_LOWER_CASE_AND_DIGITS, k=length))

    def new_uuid(self) -> str:
        """Return a random UUID."""
        return str(uuid.UUID(bytes=self._random.randbytes(16), version=4))
