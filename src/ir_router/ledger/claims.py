"""Claims: a run claims an effect before making it and confirms it afterwards, so that a crash at any point is repaired.

Rules (docs/architecture.md, "Claims"): No run settles a claim before `settle_after`. Taking a claim over is a
compare-and-swap of `attempt`. The new holder looks for the effect before making it again. Confirming is conditional on
`attempt`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ir_router import clock
from ir_router.errors import LeaseLostError
from ir_router.ledger import table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError


class ClaimLostError(LeaseLostError):
    """Another run has taken over the claim and makes its effect. The lease of the case may still hold."""


@dataclass(frozen=True)
class Claim:
    """The permission to make one effect now.

    `must_look` is True when an earlier attempt may have made the effect: look for it first.
    `row` has the values that the first claim froze (texts, hashes, ids).
    """

    key: Key
    attempt: int
    must_look: bool
    row: Row = field(repr=False)


@dataclass(frozen=True)
class Done:
    """The effect was made and confirmed before. `row` has the result."""

    row: Row = field(repr=False)


@dataclass(frozen=True)
class Held:
    """Another run's claim, which may still be active. No run settles it before `until` (seconds since the epoch)."""

    until: float


def take(key: Key, *, settle_after: float, **frozen: Any) -> Claim | Done | Held:
    """Claim an effect.

    Args:
        key: Key of the claim's row.
        settle_after: Hard deadline of the caller plus the settling time, in seconds since the epoch.
        frozen: Attributes that are stored with the first claim. Later claims do not replace them.
    """
    holder = uuid.uuid4().hex
    fresh: Row = {**frozen, "state": "claimed", "attempt": 1, "holder": holder, "settle_after": settle_after}
    try:
        table.put(key, {**fresh, "claimed_at": clock.now()}, "attribute_not_exists(PK)")
    except ConditionFailedError as conflict:
        return _take_over(key, conflict.row, holder, settle_after)
    return Claim(key, 1, must_look=False, row=fresh)


def take_together(frozen: Sequence[tuple[Key, Mapping[str, Any]]], *, settle_after: float) -> list[Claim] | None:
    """Claim several effects in one write. Return None when any of them was claimed before.

    Args:
        frozen: The key of each claim with the attributes to store.
        settle_after: As in `take`.
    """
    holder, now = uuid.uuid4().hex, clock.now()
    rows: list[Row] = [
        {**values, "state": "claimed", "attempt": 1, "holder": holder, "settle_after": settle_after}
        for _, values in frozen
    ]
    absent = "attribute_not_exists(PK)"
    try:
        if len(frozen) == 1:  # a transaction costs twice as much
            table.put(frozen[0][0], {**rows[0], "claimed_at": now}, absent)
        else:
            table.transact(
                [
                    table.put_item(key, {**row, "claimed_at": now}, absent)
                    for (key, _), row in zip(frozen, rows, strict=True)
                ]
            )
    except TransactionFailedError:
        return None
    except ConditionFailedError as conflict:
        if conflict.row.get("holder") != holder:
            return None
    return [Claim(key, 1, must_look=False, row=row) for (key, _), row in zip(frozen, rows, strict=True)]


def _take_over(key: Key, row: Row, holder: str, settle_after: float) -> Claim | Done | Held:
    if row["state"] == "done":
        return Done(row)
    if row["holder"] == holder:
        # botocore repeated our own Put after its answer was lost.
        return Claim(key, row["attempt"], must_look=False, row=row)
    refused = bool(row.get("refused"))
    if not refused and clock.now() < row["settle_after"]:
        return Held(row["settle_after"])
    try:
        taken = table.update(
            key,
            "SET attempt = :next, holder = :holder, settle_after = :settle_after REMOVE refused, given_up",
            "#state = :claimed AND (attempt = :attempt OR holder = :holder)",
            next=row["attempt"] + 1,
            attempt=row["attempt"],
            holder=holder,
            settle_after=settle_after,
            claimed="claimed",
        )
    except ConditionFailedError as conflict:
        winner = conflict.row
        return Done(winner) if winner.get("state") == "done" else Held(winner.get("settle_after", settle_after))
    return Claim(key, taken["attempt"], must_look=not refused, row=taken)


def confirm(claim: Claim, **result: Any) -> None:
    """Record that the effect was made, with its result. Raises ClaimLostError when another run has taken over."""
    assignments = "".join(f", #{name} = :{name}" for name in result)
    try:
        table.update(
            claim.key,
            f"SET #state = :done{assignments} REMOVE refused, given_up",
            "#state = :claimed AND attempt = :attempt",
            done="done",
            claimed="claimed",
            attempt=claim.attempt,
            **result,
        )
    except ConditionFailedError as conflict:
        if conflict.row.get("state") == "done" and conflict.row.get("attempt") == claim.attempt:
            return
        raise ClaimLostError("another run has taken over this claim") from conflict


def confirm_item(claim: Claim, result: Mapping[str, Any]) -> Any:
    """Return `confirm` as an item of a transaction."""
    assignments = "".join(f", #{name} = :{name}" for name in result)
    return table.update_item(
        claim.key,
        f"SET #state = :done{assignments} REMOVE refused, given_up",
        "#state = :claimed AND attempt = :attempt",
        done="done",
        claimed="claimed",
        attempt=claim.attempt,
        **result,
    )


def note(claim: Claim, **values: Any) -> None:
    """Store attributes in the open claim that settling needs, such as a file id. Raises ClaimLostError."""
    try:
        table.update(
            claim.key,
            "SET " + ", ".join(f"#{name} = :{name}" for name in values),
            "#state = :claimed AND attempt = :attempt",
            claimed="claimed",
            attempt=claim.attempt,
            **values,
        )
    except ConditionFailedError as conflict:
        raise ClaimLostError("another run has taken over this claim") from conflict


def unanswered(claim: Claim, settle_after: float) -> None:
    """Record that the request ended without a certain answer and that this run sends no other for this claim.

    Another run may settle the claim from `settle_after` (now plus the settling time), even while this run continues.
    Raises ClaimLostError.
    """
    note(claim, settle_after=settle_after)


def ended(key: Key, attempt: int | None, *, taken: float, settle_after: float) -> None:
    """Record that a run sends no further request for its claim, because it ends with an error.

    Args:
        key: The claim, which may be confirmed.
        attempt: The attempt of the claim; None if the answer of `take` was lost, so that the claim may be missing.
        taken: The `settle_after` with which the run took the claim. A later time that the run has stored stays.
        settle_after: As in `unanswered`.

    Raises:
        ClaimLostError: There is nothing to settle earlier, or another run has taken over the claim.
    """
    known: dict[str, Any] = {} if attempt is None else {"attempt": attempt}
    try:
        table.update(
            key,
            "SET settle_after = :settle_after",
            f"#state = :claimed AND settle_after = :taken{' AND attempt = :attempt' if known else ''}",
            claimed="claimed",
            taken=taken,
            settle_after=settle_after,
            **known,
        )
    except ConditionFailedError as conflict:
        raise ClaimLostError("the claim is confirmed, has another time, or another run has taken it over") from conflict


def refused(claim: Claim, given_up: str | None = None) -> None:
    """Record that the service rejected the request.

    Args:
        claim: The open claim.
        given_up: The service's error code when a retry would be rejected too.

    Raises:
        ClaimLostError: Another run has taken over the claim.
    """
    note(claim, refused=True, **({"given_up": given_up} if given_up else {}))
