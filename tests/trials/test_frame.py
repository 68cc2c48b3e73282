"""Test the exit code and the output of `make proof` for a broken bound."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.trials.proof import __main__ as proof
from tests.trials.proof.part import Part, Run


@pytest.fixture(autouse=True)
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(proof, "RESULT", tmp_path / "build" / "proof.json")
    return proof.RESULT


def part(lost: int) -> Part:
    def broken(figures: Any) -> list[str]:
        return ["1 message is lost: make proof PARTS=crash"] if figures["lost"] else []

    return cast(
        "Part",
        SimpleNamespace(
            SECTION="crash",
            measure=lambda run: {
                "lost": lost,
                "jobs": sorted(result for _, result in run.each("crash", abs, [-1, -2])),
            },
            broken=broken,
            rows=lambda figures: [("messages lost", str(figures["lost"]), "0")],
        ),
    )


def test_given_a_part_whose_bound_holds_when_it_is_proved_then_the_figures_are_written_and_the_end_is_good(
    result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.prove([part(0)], Run(workers=1)) == 0

    assert json.loads(result.read_text()) == {"crash": {"lost": 0, "jobs": [1, 2]}}
    told = capsys.readouterr()
    assert "messages lost" in told.out
    assert "ok: every bound holds" in told.out
    assert "2 of 2" in told.err


def test_given_a_broken_bound_when_it_is_proved_then_it_says_which_and_fails(
    result: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.prove([part(1)], Run(workers=1)) == 1

    assert "FAILED  1 message is lost: make proof PARTS=crash" in capsys.readouterr().out
    assert json.loads(result.read_text())["crash"]["lost"] == 1


@pytest.mark.parametrize("wrong", [{"PARTS": "crash thunder"}, {"SIZE": "enormous"}])
def test_given_a_wrong_choice_when_the_proof_is_asked_for_then_it_says_what_there_is(
    wrong: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.main(wrong) == 2

    told = capsys.readouterr().err
    assert "crash faults load hostile quirks" in told or "short or full" in told
