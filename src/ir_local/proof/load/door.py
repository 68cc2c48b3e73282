"""Requests at the webhook handler faster than one sandbox can take them, a third of them forged, and a slow outside.

Real time: each sandbox is a process that takes one request after the other, as Lambda has it; every call that leaves it
is held up for 400 ms. A request's time runs from when it was due to when its answer is there, waiting for a sandbox
included. What the sandboxes handed over is then carried out, and compared with what people said and typed.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3

from ir_local.proof import leaks
from ir_local.proof.forgery import FORGERIES
from ir_local.proof.load.messages import Talk
from ir_local.proof.load.order import Arrived, compare
from ir_local.world import World, queues
from ir_local.world.world import own_world

OUTSIDE_SECONDS = 0.4
_EVERY_THIRD = 3
_EVERY_TENTH = 10
_LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Amount:
    """How much: so many requests, in a steady stream, for messages in so many channels."""

    requests: int
    a_second: int
    channels: int
    sandboxes: int


@dataclass(frozen=True)
class Figures:
    """`arrived`: messages and commands. Of the forged requests: `refused` with 401, or else named in `let_in`.

    `failed`: requests that got another answer than 200 or 401, or none.
    `ack_ms` of Slack's requests, `forged_ms` of the others: p50, p99 and the longest, in milliseconds.
    """

    arrived: Arrived
    requests: int
    forged: int
    refused: int
    let_in: list[str]
    failed: int
    ack_ms: dict[str, float]
    forged_ms: dict[str, float]
    leaks: list[str]


@dataclass(frozen=True)
class Request:
    """A request as the API Gateway gets it."""

    headers: Mapping[str, str]
    body: bytes
    forgery: str = ""


@dataclass(frozen=True)
class Answer:
    """`at`: seconds of the monotonic clock. What was handed over: queue messages and asynchronous invocations."""

    number: int
    status: int
    at: float
    queued: list[dict[str, str]] = field(default_factory=list)
    invoked: list[tuple[str, Any, int]] = field(default_factory=list)


def carry(amount: Amount) -> Figures:
    """Collect what Slack would send, send it on time, carry out what came of it."""
    with leaks.watching() as watched, own_world() as world:
        talk = Talk(world, amount.channels)
        _warm_up(world, talk)
        requests, commands = _requests(world, talk, amount)
        began, answers = _rush(world, requests, amount)
        _carry_out(world, answers)
        watched.look(world)
        arrived = talk.arrived() + compare(_numbered(commands), _numbered(_answered(world)[1:]))
    times: dict[bool, list[float]] = {False: [], True: []}
    for answer in answers:
        due = began + answer.number / amount.a_second
        times[bool(requests[answer.number].forgery)].append((answer.at - due) * 1000)
    forged = [answer for answer in answers if requests[answer.number].forgery]
    return Figures(
        arrived=arrived,
        requests=len(requests),
        forged=sum(bool(request.forgery) for request in requests),
        refused=sum(map(_is_refused, forged)),
        let_in=[f"{requests[one.number].forgery}: {one.status}" for one in forged if not _is_refused(one)],
        failed=len(requests) - sum(answer.status in (200, 401) for answer in answers),
        ack_ms=_percentiles(times[False]),
        forged_ms=_percentiles(times[True]),
        leaks=watched.found,
    )


def _is_refused(answer: Answer) -> bool:
    """Whether a forged request was answered as it must be, and nothing was handed over."""
    return answer.status == 401 and not answer.queued and not answer.invoked


def _requests(world: World, talk: Talk, amount: Amount) -> tuple[list[Request], list[str]]:
    """What Slack sends when people write and type commands, with forgeries in between; the commands' channels."""
    taken: list[Request] = []

    def take(headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        taken.append(Request(headers, body))
        return 200, {}, b""

    world.app.deliver = take
    genuine = amount.requests - amount.requests // _EVERY_THIRD
    commands: list[str] = []
    cases = list(talk.said)
    while len(taken) < genuine:
        number = len(taken)
        case_id = cases[number % len(cases)]
        if number % _EVERY_TENTH == _EVERY_TENTH - 1:
            commands.append(talk.channels[case_id])
            talk.person(number).command(talk.channels[case_id], "/security-ir", "status")
        else:
            name = f"m{number % len(cases)}-{number + 1}"
            talk.said[case_id].append(name)
            talk.person(number).post(talk.channels[case_id], f"{name} {leaks.CANARY}")
            world.deliver()
    chosen = random.Random(7)  # noqa: S311
    requests: list[Request] = []
    for request in taken:
        requests.append(request)
        if len(requests) % _EVERY_THIRD == _EVERY_THIRD - 1 and len(requests) < amount.requests:
            name = chosen.choice(sorted(FORGERIES))
            headers, body = FORGERIES[name](dict(request.headers), request.body, world.app.signing_secret)
            requests.append(Request(headers, body, name))
    return requests, commands


def _warm_up(world: World, talk: Talk) -> None:
    """Let the functions learn what warm ones know."""
    talk.wave(0)
    for case_id in list(talk.said)[:1]:
        talk.person(0).command(talk.channels[case_id], "/security-ir", "status")
    world.settle()


def _handed_over(world: World) -> tuple[list[dict[str, str]], list[tuple[str, Any, int]]]:
    """What has been handed over by the door since last asked, taken out."""
    invoked, world.asynchronous = world.asynchronous, []
    return queues.taken_out("slack-events"), invoked


def _rush(world: World, requests: Sequence[Request], amount: Amount) -> tuple[float, list[Answer]]:
    """When the first request was due, and the answers to all."""
    # Forked, so that each has what a warm sandbox has; nothing else runs in this process now.
    processes = multiprocessing.get_context("fork")
    waiting, answered = processes.SimpleQueue(), processes.SimpleQueue()
    sandboxes = [
        processes.Process(target=_sandbox, args=(world, requests, waiting, answered), daemon=True)
        for _ in range(amount.sandboxes)
    ]
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()
    try:
        for sandbox in sandboxes:
            sandbox.start()
        for _ in sandboxes:
            answered.get()
        answers: list[Answer] = []
        # A sandbox that nobody listens to can hand over no answer, and so takes no more requests.
        listener = threading.Thread(target=_listen, args=(answered, len(requests), answers), daemon=True)
        listener.start()
        began = time.monotonic() + 0.1
        for number in range(len(requests)):
            time.sleep(max(0.0, began + number / amount.a_second - time.monotonic()))
            waiting.put(number)
        for _ in sandboxes:
            waiting.put(None)
        listener.join(_LONGEST_SECONDS)
        return began, sorted(answers, key=lambda answer: answer.at)
    finally:
        gc.unfreeze()
        for sandbox in sandboxes:
            sandbox.join(timeout=5)
            if sandbox.is_alive():
                sandbox.kill()


def _listen(answered: Any, number: int, answers: list[Answer]) -> None:
    """Take in so many answers as they come."""
    while len(answers) < number:
        answers.append(answered.get())


def _sandbox(world: World, requests: Sequence[Request], waiting: Any, answered: Any) -> None:
    """One sandbox: takes requests until there are no more."""
    leave = world.wire.before

    def leave_slowly(service: str, operation: str) -> None:
        time.sleep(OUTSIDE_SECONDS)
        leave(service, operation)

    world.wire.before = leave_slowly  # type: ignore[method-assign]
    answered.put(None)
    while (number := waiting.get()) is not None:
        try:
            status, _, _ = world.request(requests[number].headers, requests[number].body)
        except Exception:  # noqa: BLE001 - what the API Gateway makes of it
            status = 502
        answered.put(Answer(number, status, time.monotonic(), *_handed_over(world)))


def _carry_out(world: World, answers: Sequence[Answer]) -> None:
    """Bring what the sandboxes handed over together, in that order, and let it all be done."""
    sqs = boto3.client("sqs")
    url = world.environment["IR_SLACK_EVENTS_QUEUE_URL"]
    for answer in answers:
        for message in answer.queued:
            sqs.send_message(QueueUrl=url, **message)  # type: ignore[arg-type]
        world.asynchronous += answer.invoked
    world.settle(rounds=5_000)  # a message a round
    world.live(2)


def _answered(world: World) -> list[str]:
    """The channel of every command that was answered."""
    shown = world.workspace.ephemerals()
    return [message["channel"] for message in shown if message["via"] != "command"]


def _numbered(channels: Sequence[str]) -> list[str]:
    """The first of a channel, the second, and so on: so that each has a name of its own; sorted."""
    return sorted(f"{channel}-{channels[:place].count(channel)}" for place, channel in enumerate(channels))


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    ordered = sorted(times)
    if not ordered:
        return {"p50": 0.0, "p99": 0.0, "longest": 0.0}
    return {
        "p50": round(ordered[len(ordered) // 2], 1),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 1),
        "longest": round(ordered[-1], 1),
    }
