"""Test a small sample of the hostile input, and that failures are reported."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from ir_router.slack import signature, text
from tests.trials.proof import hostile
from tests.trials.proof.hostile import KINDS
from tests.trials.proof.hostile.fixture import acting, skeleton
from tests.trials.proof.hostile.strategies import FORGED, texts
from tests.trials.proof.hostile.trial import Job, Trial, try_inputs
from tests.trials.proof.hostile.watch import Log, egress
from tests.trials.proof.part import Run
from tests.trials.world import World


@pytest.mark.parametrize("kind", KINDS)
def test_given_a_few_inputs_of_a_kind_when_tried_then_none_has_an_effect_that_must_not_be(kind: str) -> None:
    outcome = try_inputs(Job(kind, 1, 3), KINDS[kind])

    assert outcome.tried == 3
    assert (outcome.server_errors, outcome.escapes, outcome.leaks) == ([], [], [])


def test_given_text_that_is_not_escaped_when_tried_then_the_trial_reports_it_and_names_the_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text, "escape", lambda shown: shown)

    outcome = try_inputs(Job("mrkdwn", 1, 12), KINDS["mrkdwn"])

    found = [line for line in outcome.escapes if "active markup in" in line]
    assert found
    assert found[0].startswith("mrkdwn 1, input ")
    assert "the input: " in found[0]


def test_given_a_webhook_that_trusts_everyone_when_tried_then_the_trial_reports_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signature, "is_authentic", lambda *_: True)

    outcome = try_inputs(Job("webhook", 1, 12), KINDS["webhook"])

    assert any("not 401" in line for line in outcome.escapes)


class Harmless(Trial):
    """A trial without effects that remembers its inputs."""

    inputs = texts

    def __init__(self, _: World) -> None:
        self.values: list[str] = []
        trials.append(self)

    def check(self, value: Any) -> Iterable[str]:
        self.values.append(value)
        return []


trials: list[Harmless] = []


def test_given_a_seed_when_inputs_are_made_again_then_they_are_the_same_and_as_many_as_asked_for() -> None:
    trials.clear()
    first = try_inputs(Job("harmless", 7, 50), Harmless)
    try_inputs(Job("harmless", 7, 50), Harmless)
    try_inputs(Job("harmless", 8, 50), Harmless)

    assert first.tried == 50
    assert trials[0].values == trials[1].values != trials[2].values


RECORD = json.dumps({"level": "INFO", "message": "case handled", "service": "ir-router"})


@pytest.mark.parametrize(
    ("written", "faults", "escapes"),
    [
        (RECORD + "\n", 0, 0),
        (RECORD.replace("INFO", "ERROR"), 1, 0),
        (RECORD.replace("case handled", FORGED), 0, 1),
        ("Traceback (most recent call last):\n", 0, 1),
        (RECORD.replace("handled", "han\u2028dled"), 0, 1),
        (RECORD.replace("handled", "han\x1b[2Jdled"), 0, 2),  # not valid JSON either
        ("[1]", 0, 1),
        ("", 0, 0),
    ],
)
def test_given_what_is_logged_when_checked_then_faults_and_forged_records_are_reported(
    written: str, faults: int, escapes: int
) -> None:
    class Nowhere:
        def write(self, piece: str) -> int:
            return len(piece)

        def flush(self) -> None: ...

    log = Log(Nowhere())  # type: ignore[arg-type]
    handler = logging.StreamHandler(log)
    handler.terminator = ""
    handler.emit(logging.LogRecord("x", logging.INFO, "x", 1, written, None, None))

    found = log.check()
    assert (len(found[0]), len(found[1])) == (faults, escapes)
    assert log.check() == ([], [])


def test_given_a_connection_elsewhere_when_tried_then_it_is_refused_and_reported(world: World) -> None:
    with egress(world) as ways_out:
        world.create_case()
        world.settle()
        assert ways_out.check() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 9))
        with pytest.raises(socket.gaierror):
            socket.create_connection(("evil.example", 443))
        assert len(ways_out.check()) == 2


CASE = "https://console.aws.amazon.com/security-ir/home?region=us-east-1#/cases/"
EXECUTION = (
    "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/"
    "arn:aws:states:us-east-1:123456789012:execution"
)


@pytest.mark.parametrize(
    ("shown", "acts"),
    [
        ("&lt;!channel&gt; &amp; more", False),
        ("<!channel>", True),
        ("a & b", True),
        ("<https://evil.example|x>", True),
        ("\u202egpj.exe", True),
        ("<!date^1700000000^{date_short_pretty} {time}|2023-11-14 22:13:20 UTC>", False),
        (f"<{CASE}1|Case 1>, <{CASE}1|Open the case in the AWS console>", False),
        (f"<{CASE}1|https://evil.example>", True),
        ("<https://console.aws.amazon.com/security-ir/home?region=us-east-1|Case 1>", True),
        (f"<{EXECUTION}:security-incident:event-0a1b|Workflow>", False),
        (f"<{EXECUTION}:other:event-0a1b|Workflow>", True),
        ("in <#C1>", False),
        ("in <#C2>", True),
        ("<#C1|general>", True),
    ],
)
def test_given_a_message_when_looked_at_then_what_acts_in_it_is_found(shown: str, acts: bool) -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": shown}}

    assert bool(acting({"text": "fine", "blocks": [block]}, {"C1"})) is acts


def test_given_text_when_its_skeleton_is_taken_then_what_can_be_seen_stays() -> None:
    assert skeleton("a\u202e b\n\x07c\ud800é>") == "abcé"


def test_given_all_jobs_when_counted_then_each_kind_gets_two_thousand_inputs() -> None:
    inputs = {kind: sum(job.count for job in hostile.jobs("full") if job.kind == kind) for kind in KINDS}

    assert set(inputs.values()) == {2_000}
    assert {str(job) for job in hostile.jobs("full")} >= {"commands 1", "commands 8"}


def test_given_what_was_found_when_judged_then_each_line_says_how_to_try_it_again() -> None:
    figures = {"tried": 9, "server_errors": 1, "escapes": 0, "leaks": 0, "kinds": {"files": 9}, "found": ["files 2: x"]}

    (line,) = hostile.broken(figures)
    assert "files 2: x" in line
    assert "PARTS=hostile" in line
    assert hostile.broken({**figures, "found": []}) == []
    assert ("hostile: server errors", "1", "0") in hostile.rows(figures)


def test_given_one_job_when_measured_in_worker_processes_then_its_figures_come_back() -> None:
    figures = hostile.measure(Run("short", "addresses"))

    assert figures["kinds"] == {"addresses": 20}
    assert (figures["tried"], figures["server_errors"], figures["escapes"], figures["leaks"]) == (20, 0, 0, 0)
