"""The operations guides name the existing variables, targets, lines of the verification and permissions."""

from __future__ import annotations

import re
from pathlib import Path

from ir_operator.parser import parser
from ir_operator.policies.rendering import ROLES
from ir_router.ops import names

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
CHECKLIST = (ROOT / "docs" / "checklist.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def terraform(name: str) -> str:
    return (ROOT / "terraform" / name).read_text("utf-8")


def test_given_the_variables_when_compared_then_operations_names_every_one_and_no_other() -> None:
    variables = set(re.findall(r'^variable "(\w+)"', terraform("variables.tf"), re.MULTILINE))
    table = OPERATIONS.partition("| variable |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert named == variables


def test_given_the_variables_when_compared_then_the_defaults_in_operations_are_theirs() -> None:
    variable = re.compile(r'^variable "(\w+)" \{(?:\n(?!\}).*)*?\n  default\s+= (\S+)', re.MULTILINE)
    found = dict(variable.findall(terraform("variables.tf")))
    table = OPERATIONS.partition("| variable |")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        names, defaults = (cell.strip() for cell in row.split("|")[1:3])
        stated = [cell.strip().strip("`") for cell in defaults.split(",")]
        for name, value in zip(re.findall(r"`(\w+)`", names), stated, strict=False):
            actual = found[name].strip('"')
            if actual not in ("null", "[]", "{}", "") and "built zip" not in value:
                assert actual == value, name


def test_given_the_guides_when_read_then_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    for guide in (OPERATIONS, TROUBLESHOOTING):
        named = set(re.findall(r"make ([a-z]+)\b(?= ?[`\]A-Z#\n])", guide))
        assert named <= targets
        assert named


def test_given_the_guides_when_read_then_their_commands_are_understood() -> None:
    lines = re.findall(r"^(?:\t@\$\(BIN\)/python -m ir_operator|ir-router) (.+)", OPERATIONS + MAKEFILE, re.MULTILINE)
    assert len(lines) > 8
    for line in lines:
        # Make adds some options only where their variable is set.
        words = re.sub(r"\$\(if \$\(\w+\),(.*?)( \$\(\w+\))?\)", lambda m: m[1] + " 1" * bool(m[2]), line)
        parser().parse_args(re.sub(r'"?\$\(ARCHITECTURE\)"?', "arm64", words).split())


def test_given_the_verification_when_its_sources_are_read_then_troubleshooting_explains_every_line() -> None:
    sources = "".join(
        file.read_text("utf-8")
        for folder in ("src/ir_router/ops", "src/ir_operator/deploy")
        for file in sorted((ROOT / folder).glob("*.py"))
    )
    labels = set(re.findall(r'(?<!\.)\b(?:ok|failed|warning|waiting)\("([A-Za-z\' ]+)"', sources))
    labels |= set(re.findall(r'label = "([A-Za-z\' ]+)"', sources))
    labels |= set(re.findall(r'run_checks\("([A-Za-z\' ]+)"', sources)) & {"last poll", "Slack's requests", "approvers"}
    explained = TROUBLESHOOTING.partition("| line |")[2].partition("\n\n")[0]

    assert len(labels) > 15
    assert {label for label in labels if f"`{label}`" not in explained} == set()


def test_given_the_alarms_when_compared_then_operations_says_what_to_do_on_each_and_no_other() -> None:
    table = OPERATIONS.partition("| alarm |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z0-9-]+)`", row.split("|")[1])]

    assert sorted(named) == sorted(name.removeprefix("security-incident-") for name in names.alarms())
    assert f"`{names.forwarding_alarm().removeprefix('security-incident-')}`" in OPERATIONS


def test_given_the_permissions_in_operations_when_read_then_each_role_has_its_rendered_policies() -> None:
    assert "```json" not in OPERATIONS, "policies are rendered, not copied from the page"
    for role in ROLES:
        assert f"| `{role}` |" in OPERATIONS


def test_given_the_makefile_when_asked_for_help_then_every_target_is_explained() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    explained = re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.MULTILINE)

    assert explained == phony


def test_given_the_checklist_when_its_tests_are_looked_for_then_each_is_in_the_file_that_it_names() -> None:
    named = [
        (folder, name, test)
        for folder, name, tests in re.findall(r"([a-z_]+) `([a-z_]+)`: ((?:`given_\w+`(?:, )?)+)", CHECKLIST)
        for test in re.findall(r"`(given_\w+)`", tests)
    ]
    of_terraform = re.findall(r"`(terraform/tests/\w+\.tftest\.hcl)`: `(given_\w+)`", CHECKLIST)

    assert len(named) + len(of_terraform) == len(re.findall(r"`given_\w+`", CHECKLIST)) > 50
    for folder, name, test in named:
        file = ROOT / "tests" / folder / f"test_{name}.py"
        assert f"def test_{test}(" in file.read_text("utf-8"), (name, test)
    for path, test in of_terraform:
        assert f'run "{test}"' in (ROOT / path).read_text("utf-8"), (path, test)
    for folder, name in re.findall(r"([a-z_]+) `([a-z_]+)`: all", CHECKLIST):
        assert (ROOT / "tests" / folder / f"test_{name}.py").exists()
