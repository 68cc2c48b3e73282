"""Apply as the local cloud does, with the resource that Terraform itself creates."""

from __future__ import annotations

from pathlib import Path

import pytest

from ir_operator.terraform import TerraformError
from ir_sandbox.cloud.terraform import Terraform

ROOT = """
variable "wanted" { default = "as it is" }
resource "terraform_data" "thing" {
  input = var.wanted
  lifecycle {
    postcondition {
      condition     = self.output != "refused"
      error_message = "Not this one."
    }
  }
}
"""


def _root(folder: Path, wanted: str) -> Terraform:
    (folder / "main.tf").write_text(ROOT, "utf-8")
    return Terraform(folder, {"TF_VAR_wanted": wanted})


def test_given_a_root_when_applied_changed_and_applied_again_then_each_apply_ends_well(tmp_path: Path) -> None:
    told: list[str] = []
    _root(tmp_path, "first").init()
    _root(tmp_path, "first").apply(told.append)
    assert told[-1] == "1 of 1"

    _root(tmp_path, "second").apply(told.append)
    assert _root(tmp_path, "second").changes() == []
    _root(tmp_path, "second").apply(told.append)  # no work is left


def test_given_a_resource_that_is_refused_when_applied_then_the_error_is_terraforms_own(tmp_path: Path) -> None:
    root = _root(tmp_path, "refused")
    root.init()
    with pytest.raises(TerraformError, match=r"Not this one\."):
        root.apply(lambda _: None)
