"""The memory of the service, shared by its operations. Hold `lock` while you use it."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from ir_local.security_ir.clock import Clock
from ir_local.security_ir.errors import conflict, not_active, not_found
from ir_local.security_ir.events import EventDelivery, make_event
from ir_local.security_ir.model import Parameters
from ir_local.security_ir.paging import Item, Pager
from ir_local.security_ir.records import Case, Change, Edit, Membership, Principal
from ir_local.security_ir.settings import Settings

_LOWER_CASE_AND_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class Caller:
    """Who calls, and at which address the service was reached (`http://host:port`): presigned URLs begin with it."""

    principal: Principal
    base_url: str


class State:
    """Cases, memberships and tags, with what all operations need: ids, time, events."""

    def __init__(self, account_id: str, region: str, clock: Clock, seed: int | None, events: EventDelivery) -> None:
        """Begin empty, with default settings."""
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
        """Return the time, to the millisecond, as the API gives it."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def case(self, case_id: str) -> Case:
        """Return a case; raises ApiError if there is no active membership or no such case."""
        self.require_membership()
        if case_id not in self.cases:
            raise not_found("case", case_id)
        return self.cases[case_id]

    def open_case(self, case_id: str) -> Case:
        """Return a case that may be changed; raises ApiError (ConflictException) if it is closed."""
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
        """Log a change of a case, move its date if the settings say so, and tell EventBridge.

        `event` is (detail-type, `createdBy` or `updatedBy`).
        """
        now = self.now()
        case.edits.append(Edit(now, principal.id, action, message))
        if kind not in self.settings.changes_without_date:
            case.last_updated = now
        if event is not None:
            detail_type, role = event
            self.tell(detail_type, case.arn, {"caseId": case.case_id, role: principal.name_in_events})

    def tell(self, detail_type: str, arn: str, detail: dict[str, str]) -> None:
        """Send an event on its way."""
        self.events.emit(
            make_event(self.new_uuid(), detail_type, self.account_id, self.region, arn, detail, self.now())
        )

    def page(
        self, operation: str, items: list[Item], key: Callable[[Item], str], request: Parameters
    ) -> tuple[list[Item], str | None]:
        """Return the page of a list that a request asks for, and the next token."""
        scope = f"{operation} {request.get('caseId', '')}"
        lifetime = timedelta(seconds=self.settings.page_token_seconds)
        return self._pager.page(items, key, request, scope, lifetime)

    def arn(self, kind: str, resource_id: str) -> str:
        """Build the ARN of a case or membership."""
        return f"arn:aws:security-ir:{self.region}:{self.account_id}:{kind}/{resource_id}"

    def new_digits(self, length: int, taken: Container[str]) -> str:
        """Return an unused id of that many digits; leading zeros happen."""
        while (number := f"{self._random.randrange(10**length):0{length}d}") in taken:
            pass
        return number

    def new_name(self, prefix: str, length: int = 17) -> str:
        """Return an id like `m-` or `inv-` and random characters."""
        return prefix + "".join(self._random.choices(_LOWER_CASE_AND_DIGITS, k=length))

    def new_uuid(self) -> str:
        """Return a random UUID."""
        return str(uuid.UUID(bytes=self._random.randbytes(16), version=4))
