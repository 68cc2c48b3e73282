"""Values that both Python and Terraform contain are equal."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import get_args

import boto3
import pytest
from moto import mock_aws

from ir_router import router, settings
from ir_router.ledger import keys
from ir_router.ops import names
from ir_router.slack import announcements
from ir_router.sync import hints, queue
from ir_router.workflow import notices
from tests.trials.world.deployment import DEPLOYMENTS, FAILURES_QUEUE, INTAKE_QUEUE, environment, queues
from tests.trials.world.queues import INTAKE_BATCH

TERRAFORM = Path(__file__).parents[2] / "terraform"
SOURCE = Path(settings.__file__).parent


def text(name: str) -> str:
    return (TERRAFORM / name).read_text("utf-8")


def test_given_the_queues_when_read_then_they_give_up_when_the_code_thinks_so() -> None:
    found = re.search(r"receives\s*=\s*(\d+)", text("queues.tf"))
    assert found
    assert int(found[1]) == queue.MAX_RECEIVE_COUNT


def test_given_the_queues_when_read_then_batches_have_the_sizes_of_the_tests() -> None:
    assert re.findall(r"batch_size\s*=\s*(\d+)", text("functions.tf")) == ["1", "1", str(INTAKE_BATCH)]


def test_given_the_index_when_read_then_its_name_and_attributes_are_the_ledgers() -> None:
    block = re.search(r"non_key_attributes = \[(.*?)\]", text("ledger.tf"), re.DOTALL)
    assert block
    assert sorted(re.findall(r'"(\w+)"', block[1])) == sorted(keys.INDEX_PROJECTION)
    assert re.findall(r'index_name = "(\w+)"', text("ledger.tf")) == [keys.INDEX]


def test_given_the_poller_when_its_source_is_read_then_the_index_has_every_attribute_that_it_takes_from_a_row() -> None:
    tree = ast.parse((SOURCE / "sync" / "poll.py").read_text("utf-8"))
    taken = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and ast.unparse(node.func.value) in ("row", "known")
        and isinstance(node.args[0], ast.Constant)
    }
    taken |= {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value) in ("row", "known")
        and isinstance(node.slice, ast.Constant)
    }
    assert taken - {"index_sk"} == set(keys.INDEX_PROJECTION)


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("slack_channel_visibility", settings.ChannelVisibility),
        ("initial_import", settings.InitialImport),
        ("containment_mode", settings.ContainmentMode),
        ("containment_scope", settings.ContainmentScope),
        ("ask_before_containing_roles", settings.RolesToAskAbout),
    ],
)
def test_given_a_variable_with_few_values_when_read_then_the_code_knows_the_same(variable: str, values: object) -> None:
    found = re.search(rf"contains\((\[.*?\]), var\.{variable}\)", text("variables.tf"))
    assert found
    assert set(json.loads(found[1])) == set(get_args(values))


def test_given_the_functions_when_read_then_routes_and_timeouts_are_those_of_the_router_and_the_tests() -> None:
    found = re.findall(
        r'^    "?([a-z-]+)"? += \{ timeout = (\d+), .*routes = \[(.*?)\]', text("functions.tf"), re.MULTILINE
    )
    deployed = {name: (re.findall(r'"(\w+)"', routes), int(timeout)) for name, timeout, routes in found}
    assert sorted(route for routes, _ in deployed.values() for route in routes) == sorted(router.ROUTES)
    assert deployed == {name: (routes.split(","), timeout) for name, (routes, timeout) in DEPLOYMENTS.items()}
    assert sorted(deployed) == sorted(names.FUNCTIONS)


def test_given_the_queues_when_read_then_names_and_visibility_are_those_of_the_tests() -> None:
    named = dict(re.findall(r'(\w+_(?:queue|dlq)) += "\$\{var\.name_prefix\}-([a-z.-]+)"', text("locals.tf")))
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in environment().items():
            patch.setenv(name, value)
        told: dict[str, str] = {}
        queues(told)
        sqs = boto3.client("sqs")
        made = {url.rpartition("/")[2]: url for url in sqs.list_queues()["QueueUrls"]}
        visible = {
            name: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
            for name, url in made.items()
        }
    assert f"security-incident-{named['intake_queue']}" == INTAKE_QUEUE
    assert f"security-incident-{named['failures_queue']}" == FAILURES_QUEUE
    fifo = {name for name in named.values() if name.endswith(".fifo")}
    assert set(made) == {*fifo, INTAKE_QUEUE, FAILURES_QUEUE}
    named["intake_queue"], visible["intake"] = "intake", visible[INTAKE_QUEUE]
    pattern = (
        r"name += local\.names\.(\w+_queue)\n(?:.*\n)? +visibility_timeout_seconds = 6 \* local\.functions\.(\w+)\."
    )
    consumed = re.findall(pattern, text("queues.tf"))
    assert len(consumed) == 3
    for name, function in consumed:
        assert int(visible[named[name]]["VisibilityTimeout"]) == 6 * DEPLOYMENTS[function][1], name


def test_given_the_sources_of_events_when_rules_are_read_then_the_code_sends_and_takes_the_same() -> None:
    rules = text("events.tf")
    for source in {hints.SOURCE, notices.SOURCE, announcements.SOURCE, *router._CASE_SOURCES}:
        assert f'"{source}"' in rules, f"no rule takes events of source {source}"


def test_given_the_environment_when_read_then_every_variable_has_a_reader() -> None:
    source = "\n".join(file.read_text("utf-8") for file in sorted(SOURCE.rglob("*.py")))
    named = set(re.findall(r"\bIR_[A-Z_]+\b", text("functions.tf")))
    assert {name for name in named if name not in source} == set()
    read = set(re.findall(r'"(IR_[A-Z_]+)"', (SOURCE / "settings.py").read_text("utf-8")))
    # The settling time depends on Slack and is no deployer's setting. Only tests shorten it, by extra_environment. The
    # workflow reads the lists from the ledger; a back-test reads them from these variables.
    lists = {"IR_ALLOWED_CIDRS", "IR_ALLOWED_PRINCIPALS", "IR_PROTECTED_PRINCIPALS"}
    assert read - named == {"IR_SETTLE_SECONDS", *lists}
