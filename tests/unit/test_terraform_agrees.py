"""What Python and Terraform both say, they say alike."""

from __future__ import annotations

import re
from pathlib import Path

from ir_router import router, settings
from ir_router.sync import queue
from tests.support import world

TERRAFORM = Path(__file__).parents[2] / "terraform"
SOURCE = Path(settings.__file__).parent


def text(name: str) -> str:
    return (TERRAFORM / name).read_text("utf-8")


def test_given_the_queues_when_read_then_they_give_up_when_the_code_thinks_so() -> None:
    found = re.search(r"receives\s*=\s*(\d+)", text("queues.tf"))
    assert found
    assert int(found[1]) == queue.MAX_RECEIVE_COUNT


def test_given_the_queues_when_read_then_each_message_comes_alone_as_in_the_tests() -> None:
    assert re.findall(r"batch_size\s*=\s*(\d+)", text("functions.tf")) == ["1", "1"]


def test_given_the_index_when_read_then_it_projects_what_the_tests_have() -> None:
    block = re.search(r"non_key_attributes = \[(.*?)\]", text("ledger.tf"), re.DOTALL)
    assert block
    assert set(re.findall(r'"(\w+)"', block[1])) == set(world.INDEX_PROJECTION)


def test_given_the_functions_when_read_then_their_routes_are_the_routers() -> None:
    lists = re.findall(r"routes = \[(.*?)\]", text("functions.tf"))
    routes = [route for listed in lists for route in re.findall(r'"(\w+)"', listed)]
    assert sorted(routes) == sorted(router.ROUTES)


def test_given_the_environment_when_read_then_every_variable_has_a_reader() -> None:
    source = "\n".join(file.read_text("utf-8") for file in sorted(SOURCE.rglob("*.py")))
    named = set(re.findall(r"\bIR_[A-Z_]+\b", text("functions.tf")))
    assert {name for name in named if name not in source} == set()
    read = set(re.findall(r'"(IR_[A-Z_]+)"', (SOURCE / "settings.py").read_text("utf-8")))
    # The settling time is Slack's, not the deployer's: only tests shorten it, by extra_environment.
    assert read - named == {"IR_SETTLE_SECONDS"}
