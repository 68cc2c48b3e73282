"""The examples are valid, also as modules of another configuration, and the page about them lists each."""

from __future__ import annotations

import shutil
from pathlib import Path

from ir_operator.project import PROJECT_ROOT
from ir_sandbox.cloud.terraform import Terraform

TERRAFORM = PROJECT_ROOT / "terraform"
EXAMPLES = sorted(file.parent for file in TERRAFORM.rglob("examples/*/main.tf"))


def test_given_all_examples_when_validated_in_one_configuration_then_their_inputs_and_outputs_fit(tmp_path: Path):
    shutil.copytree(TERRAFORM, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    for beside in ("src", "state-machine.asl.json"):
        (tmp_path / beside).symlink_to(PROJECT_ROOT / beside)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "ir_router.zip").write_bytes(b"zip")
    every = tmp_path / "every"
    every.mkdir()
    blocks = [
        f'module "example_{number}" {{\n  source = "../{example.relative_to(PROJECT_ROOT)}"\n}}\n'
        for number, example in enumerate(EXAMPLES)
    ]
    (every / "main.tf").write_text("".join(blocks))
    terraform = Terraform(every, {})

    terraform.init()
    terraform.validate()

    assert len(EXAMPLES) >= 5


def test_given_the_page_of_the_examples_when_read_then_it_lists_each_of_the_root():
    text = (TERRAFORM / "examples" / "README.md").read_text()
    own = [example.name for example in EXAMPLES if example.parent == TERRAFORM / "examples"]

    assert [name for name in own if f"({name}/main.tf)" not in text] == []
