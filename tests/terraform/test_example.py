"""The example of variables is complete and shows the actual defaults."""

from __future__ import annotations

import re
from pathlib import Path

TERRAFORM = Path(__file__).parents[2] / "terraform"
EXAMPLE = (TERRAFORM / "terraform.tfvars.example").read_text("utf-8")
VARIABLES = (TERRAFORM / "variables.tf").read_text("utf-8")


def defaults() -> dict[str, str | None]:
    """Return every variable with its default in Terraform's syntax; None if it is required."""
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', VARIABLES, re.MULTILINE | re.DOTALL)
    found = {name: re.search(r"^  default +=(.*)$", block, re.MULTILINE) for name, block in blocks}
    return {name: match[1].strip() if match else None for name, match in found.items()}


def test_given_the_example_when_read_then_it_names_every_variable_and_no_other():
    named = set(re.findall(r"^(?:# )?([a-z_]+) += ", EXAMPLE, re.MULTILINE))
    secrets = set(re.findall(r"TF_VAR_([a-z_]+)", EXAMPLE))

    assert secrets == {"slack_bot_token", "slack_signing_secret"}
    assert named == set(defaults()) - secrets


def test_given_what_the_example_leaves_out_when_read_then_the_defaults_are_those_of_the_variables():
    rest = EXAMPLE.partition("with their defaults.\n")[2]
    shown = dict(re.findall(r"^# ([a-z_]+) += (.*?)(?: +# .*)?$", rest, re.MULTILINE))

    assert shown
    assert shown == {name: defaults()[name] for name in shown}
