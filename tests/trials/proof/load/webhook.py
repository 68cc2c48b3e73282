"""Requests reach the webhook faster than one sandbox can take them; a third are forged, and outside calls are slow.

The trial runs in real time. Each sandbox is a process that takes one request at a time, as in Lambda. Every call that
leaves it is delayed by 400 ms. The time of a request runs from its scheduled start to its response, so waiting for a
sandbox counts. Afterwards the trial processes the queued work and compares it with the messages and commands.
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

from tests.trials.proof import leaks
from tests.trials.proof.forgery import FORGERIES
from tests.trials.proof.load.messages import Conversations
from tests.trials.proof.load.order import Deliveries, compare
from tests.trials.world import World, queues
from tests.trials.world.running import running_world

OUTSIDE_SECONDS = 0.4
_EVERY_THIRD = 3
_EVERY_TENTH = 10
_LONGEST_SECONDS = 900.0


@dataclass(frozen=True)
class Amount:
    """The amount: a steady stream of `requests`, `a_second` of them per second, in `channels` channels."""

    requests: int
    a_second: int
    channels: int
    sandboxes: int


@dataclass(frozen=True)
class Figures:
    """The result.

    Attributes:
        arrived: The messages and commands.
        refused: The forged requests that got a 401. `let_in` names the others.
        failed: The requests without a response, or with a status other than 200 or 401.
        ack_ms: p50, p99 and longest response time of genuine requests, in milliseconds.
        forged_ms: The same for forged requests.
    """

    arrived: Deliveries
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
    """A request in the form in which API Gateway receives it."""

    headers: Mapping[str, str]
    body: bytes
    forgery: str = ""


@dataclass(frozen=True)
class Answer:
    """A response at `at` (monotonic clock, seconds), with the queue messages and asynchronous invocations it caused."""

    number: int
    status: int
    at: float
    queued: list[dict[str, str]] = field(default_factory=list)
    invoked: list[tuple[str, Any, int]] = field(default_factory=list)


def measure_load(amount: Amount) -> Figures:
    """Record Slack's requests, send them on schedule, then process the work that they caused."""
    with leaks.watching() as watched, running_world() as world:
        conversations = Conversations(world, amount.channels)
        _warm_up(world, conversations)
        requests, commands = _requests(world, conversations, amount)
        began, answers = _send_on_schedule(world, requests, amount)
        _process(world, answers)
        watched.scan(world)
        arrived = conversations.deliveries() + compare(_numbered(commands), _numbered(_answered(world)[1:]))
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
    """Return whether a forged request got a 401 and caused no work."""
    return answer.status == 401 and not answer.queued and not answer.invoked


def _requests(world: World, conversations: Conversations, amount: Amount) -> tuple[list[Request], list[str]]:
    """Record Slack's requests for messages and commands, mixed with forgeries; also return the commands' channels."""
    taken: list[Request] = []

    def take(headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        taken.append(Request(headers, body))
        return 200, {}, b""

    world.app.deliver = take
    genuine = amount.requests - amount.requests // _EVERY_THIRD
    commands: list[str] = []
    cases = list(conversations.posted)
    while len(taken) < genuine:
        number = len(taken)
        case_id = cases[number % len(cases)]
        if number % _EVERY_TENTH == _EVERY_TENTH - 1:
            commands.append(conversations.channels[case_id])
            conversations.person(number).command(conversations.channels[case_id], "/security-ir", "status")
        else:
            name = f"m{number % len(cases)}-{number + 1}"
            conversations.posted[case_id].append(name)
            conversations.person(number).post(conversations.channels[case_id], f"{name} {leaks.CANARY}")
            world.deliver()
    chosen = random.Random(7)
    requests: list[Request] = []
    for request in taken:
        requests.append(request)
        if len(requests) % _EVERY_THIRD == _EVERY_THIRD - 1 and len(requests) < amount.requests:
            name = chosen.choice(sorted(FORGERIES))
            headers, body = FORGERIES[name](dict(request.headers), request.body, world.app.signing_secret)
            requests.append(Request(headers, body, name))
    return requests, commands


def _warm_up(world: World, conversations: Conversations) -> None:
    """Fill the caches that warm functions have."""
    conversations.wave(0)
    for case_id in list(conversations.posted)[:1]:
        conversations.person(0).command(conversations.channels[case_id], "/security-ir", "status")
    world.settle()


def _take_queued_work(world: World) -> tuple[list[dict[str, str]], list[tuple[str, Any, int]]]:
    """Remove and return the work that the webhook has handed over since the last call."""
    invoked, world.asynchronous = world.asynchronous, []
    return queues.taken_out("slack-events"), invoked


def _send_on_schedule(world: World, requests: Sequence[Request], amount: Amount) -> tuple[float, list[Answer]]:
    """Return the time at which the first request was due, and all responses."""
    # Forked, so that each process starts with the caches of a warm sandbox. Nothing else runs in this process now.
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
        # Without a reader a sandbox blocks on its response and takes no more requests.
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
    """Read this many responses as they arrive."""
    while len(answers) < number:
        answers.append(answered.get())


def _sandbox(world: World, requests: Sequence[Request], waiting: Any, answered: Any) -> None:
    """Handle requests until there are none left."""
    leave = world.wire.before

    def leave_slowly(service: str, operation: str) -> None:
        time.sleep(OUTSIDE_SECONDS)
        leave(service, operation)

    world.wire.before = leave_slowly  # type: ignore[method-assign]
    answered.put(None)
    while (number := waiting.get()) is not None:
        try:
            status, _, _ = world.request(requests[number].headers, requests[number].body)
        except Exception:  # noqa: BLE001 - API Gateway answers 502 for any error
            status = 502
        answered.put(Answer(number, status, time.monotonic(), *_take_queued_work(world)))


def _process(world: World, answers: Sequence[Answer]) -> None:
    """Queue the work of all sandboxes in order of their responses, and process it."""
    sqs = boto3.client("sqs")
    url = world.environment["IR_SLACK_EVENTS_QUEUE_URL"]
    for answer in answers:
        for message in answer.queued:
            sqs.send_message(QueueUrl=url, **message)  # type: ignore[arg-type]
        world.asynchronous += answer.invoked
    world.settle(rounds=5_000)  # one round per message
    world.live(2)


def _answered(world: World) -> list[str]:
    """Return the channel of every command that was answered."""
    shown = world.workspace.ephemerals()
    return [message["channel"] for message in shown if message["via"] != "command"]


def _numbered(channels: Sequence[str]) -> list[str]:
    """Give each use of a channel its own name (`C1-0`, `C1-1`); sorted."""
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
