"""Claims: an effect is claimed before it is made and confirmed after it, so that a crash at any point is repaired.

The rules are those of docs/architecture.md, "Claims": nobody settles a claim before `settle_after`; taking one
over is a compare-and-swap of `attempt`; whoever takes over looks for the effect before making it again; confirming is
conditional on `attempt`.
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
    """Another run has taken a claim over, and makes its effect. Says nothing about the lease of the case."""


@dataclass(frozen=True)
class Claim:
    """The right to make one effect now.

    `must_look` is True when an earlier attempt may have made it already: look before making it again.
    `row` holds what the claim froze (texts, hashes, ids) when it was first made.
    """

    key: Key
    attempt: int
    must_look: bool
    row: Row = field(repr=False)


@dataclass(frozen=True)
class Done:
    """The effect was made and confirmed before; `row` says what it became."""

    row: Row = field(repr=False)


@dataclass(frozen=True)
class Held:
    """Somebody else's claim, perhaps still at work; nobody settles it before `until` (seconds since the epoch)."""

    until: float


def take(key: Key, *, settle_after: float, **frozen: Any) -> Claim | Done | Held:
    """Claim an effect, or say why not.

    `settle_after` (seconds since the epoch): hard deadline of the caller plus the settling time.
    `frozen` is stored with the first claim and never replaced by a later one.
    """
    holder = uuid.uuid4().hex
    fresh: Row = {**frozen, "state": "claimed", "attempt": 1, "holder": holder, "settle_after": settle_after}
    try:
        table.put(key, {**fresh, "claimed_at": clock.now()}, "attribute_not_exists(PK)")
    except ConditionFailedError as conflict:
        return _take_over(key, conflict.row, holder, settle_after)
    return Claim(key, 1, must_look=False, row=fresh)


def take_together(frozen: Sequence[tuple[Key, Mapping[str, Any]]], *, settle_after: float) -> list[Claim] | None:
    """Claim several effects in one write, each with what it freezes; None when any of them was claimed before."""
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
    """Record that the effect was made, and what it became. Raises ClaimLostError when another run took over."""
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
        raise ClaimLostError("another run has taken this claim over") from conflict


def confirm_item(claim: Claim, result: Mapping[str, Any]) -> Any:
    """`confirm` as part of a transaction."""
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
    """Keep something in the open claim that settling will need (a file id). Raises ClaimLostError as `confirm`."""
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
        raise ClaimLostError("another run has taken this claim over") from conflict


def unanswered(claim: Claim, settle_after: float) -> None:
    """The effect's request ended without a certain answer, and nothing more is sent for this claim.

    It can be settled from `settle_after` on (now plus the settling time), however long the run may go on. Raises
    ClaimLostError as `confirm`.
    """
    note(claim, settle_after=settle_after)


def refused(claim: Claim, given_up: str | None = None) -> None:
    """The other side refused for certain. `given_up` is its code when trying again would be refused again.

    Raises ClaimLostError as `confirm`.
    """
    note(claim, refused=True, **({"given_up": given_up} if given_up else {}))
