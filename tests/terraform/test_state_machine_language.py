"""The definition of the state machine is valid Amazon States Language."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "state-machine.asl.json"
TOOLS = ROOT / "tests" / "asl"


@pytest.fixture(scope="module")
def validator() -> Path:
    """The pinned asl-validator; without node and npm the test fails."""
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=TOOLS, check=True, capture_output=True)
    return TOOLS / "node_modules" / ".bin" / "asl-validator"


def test_given_the_definition_when_validated_then_it_is_amazon_states_language(validator: Path) -> None:
    run = subprocess.run([validator, "--json-path", DEFINITION], capture_output=True, text=True)

    assert run.returncode == 0, run.stdout + run.stderr


def test_given_a_broken_definition_when_validated_then_it_is_refused(validator: Path, tmp_path: Path) -> None:
    broken = json.loads(DEFINITION.read_text("utf-8"))
    broken["States"]["Extract Event Context"]["Next"] = "Nowhere"
    path = tmp_path / "broken.asl.json"
    path.write_text(json.dumps(broken), "utf-8")

    run = subprocess.run([validator, "--json-path", path], capture_output=True, text=True)

    assert run.returncode != 0
