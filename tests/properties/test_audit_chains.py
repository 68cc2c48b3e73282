"""The protocol of the audit's chains, explored in every order and with crashes.

Two writers add records to the main chain (0) or to one other chain (1), and one process ties the chains. The rules
(`ir_router.ledger.audit`) are:

1. A record and the head of its chain are written together, and only if the head is as the writer read it.
2. A record of another chain names a record of the main chain that its writer has seen.
3. A tie names heads of other chains that its writer read before it writes.

From rules 2 and 3, an auditor derives an order. The exploration finds each run in which that order contradicts the
order of the writes, or in which a record is lost. Without one of the rules, it finds such a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import pytest

from tests.support.explore import Exploration, explore

Rule = Literal["together with the head", "what the writer has seen", "read before the tie"]
WRITERS = 2
RECORDS_OF_A_WRITER = 2
TIES = 2


class Record(NamedTuple):
    """A record, its moment, and the length of the other chain (a tie) or of the main chain (`after`) that it names."""

    moment: int
    after: int = 0
    ties: int = 0
    writer: int = -1


class Writer(NamedTuple):
    """A writer: its chain, the heads it has read (None: not yet), the main chain it knows, the records left."""

    chain: int = 0
    head: int | None = None
    main: int = 0
    left: int = RECORDS_OF_A_WRITER


class State(NamedTuple):
    """Both chains as they are stored, the writers, and the process that ties (the length that it has read)."""

    chains: tuple[tuple[Record, ...], ...] = ((), ())
    writers: tuple[Writer, ...] = (Writer(),) * WRITERS
    tying: int | None = None
    ties: int = TIES
    moment: int = 0
    crashes: int = 1


def steps(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    for number, writer in enumerate(state.writers):
        for name, following in _writer(state, number, writer, without):
            yield f"{number}: {name}", following
    yield from _tie(state, without)


def _with(state: State, number: int, writer: Writer) -> State:
    writers = list(state.writers)
    writers[number] = writer
    return state._replace(writers=tuple(writers))


def _writer(state: State, number: int, writer: Writer, without: Rule | None) -> Iterator[tuple[str, State]]:
    if not writer.left:
        return
    chain = state.chains[writer.chain]
    if writer.head is None:
        main = len(chain) if writer.chain == 0 else writer.main
        yield "reads the head", _with(state, number, writer._replace(head=len(chain), main=main))
        if writer.chain == 1:
            yield "reads the main head", _with(state, number, writer._replace(main=len(state.chains[0])))
        return
    if state.crashes:
        crashed = _with(state, number, Writer(left=writer.left))
        yield "crashes", crashed._replace(crashes=state.crashes - 1)
    if writer.head != len(chain) and without != "together with the head":
        for other in (0, 1):
            moved = writer._replace(chain=other, head=None)
            yield f"loses and goes on in {other}", _with(state, number, moved)
        return
    after = writer.main
    if without == "what the writer has seen":
        after = len(state.chains[0]) + 1
    record = Record(state.moment, after=after if writer.chain else 0, writer=number)
    chains = list(state.chains)
    chains[writer.chain] = (*chain[: writer.head], record, *chain[writer.head + 1 :])
    main = writer.head + 1 if writer.chain == 0 else writer.main
    done = writer._replace(head=None, main=main, left=writer.left - 1)
    yield "writes", _with(state, number, done)._replace(chains=tuple(chains), moment=state.moment + 1)
    if state.crashes:
        # The answer is lost with the process. The caller repeats the record under its name, which finds it.
        crashed = _with(state, number, Writer(left=writer.left - 1))
        yield (
            "writes and crashes",
            crashed._replace(chains=tuple(chains), moment=state.moment + 1, crashes=state.crashes - 1),
        )


def _tie(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    if not state.ties:
        return
    if state.tying is None:
        yield "tie: reads the heads", state._replace(tying=len(state.chains[1]))
        return
    named = state.tying + (without == "read before the tie")
    tie = Record(state.moment, ties=named)
    chains = ((*state.chains[0], tie), state.chains[1])
    yield "tie: writes", state._replace(chains=chains, tying=None, ties=state.ties - 1, moment=state.moment + 1)
    if state.crashes:
        yield "tie: crashes", state._replace(tying=None, crashes=state.crashes - 1)


def violation(state: State) -> str | None:
    main, other = state.chains
    written = sum(1 for chain in state.chains for record in chain if record.writer >= 0)
    if written != sum(RECORDS_OF_A_WRITER - writer.left for writer in state.writers):
        return "a record is lost"
    for place, record in enumerate(other, start=1):
        if any(follower.moment >= record.moment for follower in main[: record.after]):
            return "a record is older than one that it claims to follow"
        if record.after > len(main):
            return "a record follows what does not exist"
        for tie in main:
            if place <= tie.ties and tie.moment <= record.moment:
                return "a tie is older than a record that it names"
    for tie in main:
        if tie.ties > len(other):
            return "a tie names what does not exist"
    return None


def _ended(state: State) -> bool:
    return not any(writer.left for writer in state.writers)


def _explore(without: Rule | None) -> Exploration:
    return explore(State(), lambda state: steps(state, without), violation, _ended)


def test_given_every_order_of_writers_ties_and_crashes_then_no_record_is_lost_and_the_order_is_true() -> None:
    found = _explore(None)

    assert found.violation is None, found.run
    assert found.states > 10_000


@pytest.mark.parametrize("rule", ["together with the head", "what the writer has seen", "read before the tie"])
def test_given_a_protocol_without_one_rule_when_explored_then_a_violation_is_found(rule: Rule) -> None:
    assert _explore(rule).violation is not None
