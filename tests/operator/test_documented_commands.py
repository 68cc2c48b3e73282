"""Every command in README and docs is run by a test, or marked with the service that it needs.

Commands that need AWS are compared with botocore's models, commands of the operator with the real parser.

A fenced block of shell commands stands after one of these marks:

    <!-- needs: AWS -->                  it needs AWS, Slack, or both
    <!-- tested by: tests/... -->        a test runs the same commands
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from ir_operator.parser import parser

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
# awscli/customizations/argrename.py: `--endpoint` would be an abbreviation of `--endpoint-url`.
RENAMED = {("sns", "subscribe"): {"endpoint": "notification-endpoint"}}
GLOBAL_OPTIONS = {"region", "profile", "query", "output", "cli-binary-format", "endpoint-url", "no-cli-pager"}

_FENCE = re.compile(r"(?P<mark>[^\n]*)\n(?P<indent> *)```(?:bash|sh|console|shell)\n(?P<body>.*?)\n *```", re.DOTALL)
_NEEDS = re.compile(r"<!-- needs: (?:AWS|Slack|AWS, Slack) -->")
_TESTED = re.compile(r"<!-- tested by: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of shell commands, with the line before it."""

    page: str
    mark: str
    commands: tuple[str, ...]


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for found in _FENCE.finditer(page.read_text("utf-8")):
            joined = re.sub(r"\\\n\s*", " ", found["body"])
            lines = [re.sub(r"(?:^|\s)#.*$", "", line).strip() for line in joined.splitlines()]
            yield Block(page.relative_to(ROOT).as_posix(), found["mark"].strip(), tuple(filter(None, lines)))


BLOCKS = list(blocks())
COMMANDS = [(block.page, command) for block in BLOCKS for command in block.commands]


def test_given_the_pages_when_searched_then_commands_are_found() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}: {block.commands[0][:40]}")
def test_given_a_block_of_commands_when_read_then_its_mark_names_a_test_or_the_service_it_needs(block: Block) -> None:
    tested = _TESTED.fullmatch(block.mark)
    assert tested or _NEEDS.fullmatch(block.mark), f"{block.page}: mark the block of {block.commands[0]!r}"
    if tested:
        assert (ROOT / tested[1]).is_file(), f"{block.page} names {tested[1]}, which does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_given_a_page_when_searched_then_no_command_stands_outside_a_fenced_block(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^    (?:make|aws|ir-router|export|terraform|cp|pipx|git) .*", text, re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_given_make_targets_in_a_page_when_compared_then_the_makefile_has_them(page: Path) -> None:
    code = "\n".join(re.findall(r"`+[^`]*`+", page.read_text("utf-8"), re.DOTALL))
    mentioned = set(re.findall(r"\bmake ((?:[a-z-]+)(?: [a-z-]+)*)", code))
    unknown = {target for targets in mentioned for target in targets.split()} - TARGETS
    assert unknown == set()


@pytest.mark.parametrize(
    "command",
    sorted({command for _, command in COMMANDS if command.startswith("ir-router ")}),
    ids=lambda text: text[:60],
)
def test_given_a_documented_command_of_the_operator_when_parsed_then_it_is_accepted(command: str) -> None:
    words = shlex.split(command)[1:]
    if set(words) & {"--help", "--version"}:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args(words)
        assert ended.value.code == 0
    else:
        parser().parse_args(words)


def aws_commands() -> list[str]:
    """Return the documented commands of the AWS CLI, those inside `$(...)` included."""
    found: set[str] = set()
    for _, command in COMMANDS:
        found.update(re.findall(r"\$\((aws [^()]*)\)", command))
        found.add(re.sub(r"\$\([^()]*\)", "VALUE", command))
    return sorted(command for command in found if command.startswith("aws "))


@pytest.mark.parametrize("command", aws_commands(), ids=lambda text: text[:70])
def test_given_a_documented_aws_command_when_compared_with_the_model_then_operation_and_options_exist(
    command: str,
) -> None:
    words = shlex.split(command)
    service, operation = words[1], words[2]
    options = {word.removeprefix("--") for word in words if word.startswith("--")}
    model = botocore.session.get_session().get_service_model({"s3api": "s3"}.get(service, service))
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in operations
    shape = model.operation_model(operations[operation]).input_shape
    members = {xform_name(name, "-") for name in (shape.members if shape else {})}
    renamed = RENAMED.get((service, operation), {})
    members = {renamed.get(member, member) for member in members}
    assert options - members - GLOBAL_OPTIONS == set()
