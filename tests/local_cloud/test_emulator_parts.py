"""The parts of the launcher without an emulator: addresses, Terraform's environment, progress, ends by signals."""

from __future__ import annotations

import io
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ir_operator.signals import StopRequested, graceful_stop
from ir_operator.terraform import PROVIDER, TerraformError, plugin_mirror, terraform_program
from ir_sandbox.cloud import terraform
from ir_sandbox.cloud.progress import SILENT_SECONDS, Progress
from ir_sandbox.cloud.run_folder import RUNS, RunFolder
from ir_sandbox.cloud.saved import cloud_key, move
from ir_sandbox.cloud.terraform import working_copy
from tests.local_cloud.processes import PROJECT_ROOT, is_alive, program
from tests.support.waiting import wait_for


def test_given_addresses_when_replaced_then_complete_ones_change_at_once_and_nothing_else_does() -> None:
    text = "http://127.0.0.1:40/a 127.0.0.1:41 127.0.0.1:401 1127.0.0.1:40 127.0.0.1:42"

    moved = move(text, {"127.0.0.1:40": "127.0.0.1:41", "127.0.0.1:41": "127.0.0.1:40"})

    assert moved == "http://127.0.0.1:41/a 127.0.0.1:40 127.0.0.1:401 1127.0.0.1:40 127.0.0.1:42"


def test_given_a_root_when_variables_or_files_change_then_its_key_does(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("locals {}")
    key = cloud_key(tmp_path, {"a": 1})

    assert cloud_key(tmp_path, {"a": 1}) == key
    assert cloud_key(tmp_path, {"a": 2}) != key
    (tmp_path / "main.tf").write_text("locals { b = 1 }")
    assert cloud_key(tmp_path, {"a": 1}) != key


def test_given_a_root_with_inputs_and_state_when_copied_then_only_sources_and_what_they_read_are_there(
    tmp_path: Path,
) -> None:
    root = tmp_path / "project" / "terraform"
    (root / "tests").mkdir(parents=True)
    (root / ".terraform").mkdir()
    (root / "main.tf").write_text('locals { a = file("${path.module}/../src/read.json") }')
    (root / "tests" / "main.tftest.hcl").write_text("")
    for name in ("terraform.tfvars", "mine.auto.tfvars", "terraform.tfstate", "terraform.tfstate.backup", ".hidden"):
        (root / name).write_text("mine")
    for name in ("src/read.json", "src/other.json", "secret.txt"):
        file = root.parent / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("{}")

    copy = working_copy(root, tmp_path / "copy")

    files = {path.relative_to(tmp_path / "copy").as_posix() for path in copy.parent.rglob("*") if path.is_file()}
    assert files == {"terraform/main.tf", "terraform/tests/main.tftest.hcl", "src/read.json"}


def fake_terraform(folder: Path, output: str) -> None:
    file = folder / "terraform"
    file.write_text(f"#!/bin/sh\necho '{output}'\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_given_no_terraform_when_it_is_needed_then_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TerraformError, match=r"not on the PATH\. Install Terraform 1\.11 or newer"):
        terraform_program()


@pytest.mark.parametrize(
    ("version", "accepted"), [("1.10.5", False), ("1.11.0-rc1", True), ("1.12.2", True), ("2.0.0", True)]
)
def test_given_a_version_of_terraform_when_it_is_needed_then_those_from_1_11_are_accepted(
    version: str, accepted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_terraform(tmp_path, f'{{"terraform_version": "{version}"}}')
    monkeypatch.setenv("PATH", str(tmp_path))

    if accepted:
        assert terraform_program() == tmp_path / "terraform"
    else:
        with pytest.raises(TerraformError, match=rf"is version {re.escape(version)}\. Install Terraform 1\.11"):
            terraform_program()


def test_given_a_mirror_in_the_environment_when_looked_for_then_it_is_taken_and_has_to_hold_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path))
    with pytest.raises(TerraformError, match="TF_PLUGIN_MIRROR"):
        plugin_mirror()

    (tmp_path / PROVIDER).mkdir(parents=True)

    assert plugin_mirror() == tmp_path


def test_given_no_mirror_in_the_environment_when_looked_for_then_the_usual_places_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_PLUGIN_MIRROR", raising=False)
    monkeypatch.setattr("ir_operator.terraform.USUAL_MIRRORS", (str(tmp_path / "none"), str(tmp_path / "*")))
    assert plugin_mirror() is None

    (tmp_path / "b" / PROVIDER).mkdir(parents=True)

    assert plugin_mirror() == tmp_path / "b"


def test_given_an_aws_account_in_the_environment_when_terraform_runs_then_it_does_not_get_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_VAR_region", "TF_CLI_ARGS_apply", "TF_DATA_DIR"):
        monkeypatch.setenv(name, "a person's own")

    environment = terraform.own_environment()

    assert "a person's own" not in environment.values()
    assert environment["AWS_CONFIG_FILE"] == os.devnull


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_given_quick_and_failing_steps_when_shown_then_each_is_one_aligned_line() -> None:
    log = io.StringIO()
    progress = Progress(log)

    with progress.step("Quick") as step:
        step.show("3 of 3")
    with pytest.raises(ValueError, match="no"), progress.step("Failing"):
        raise ValueError("no")

    quick, failing = log.getvalue().splitlines()
    assert re.fullmatch(r"ok       Quick {39}    0\.\d s  3 of 3", quick)
    assert failing.startswith("failed   Failing  ")
    assert quick.index(" s  3") == failing.rindex(" s")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_given_a_slow_step_when_shown_then_it_says_that_it_waits_and_a_terminal_is_written_over(
    stream: io.StringIO,
) -> None:
    with Progress(stream).step("Slow"):
        time.sleep(SILENT_SECONDS + 0.3)

    shown = stream.getvalue()
    assert "waiting  Slow" in shown
    assert "ok       Slow" in shown
    assert ("\r" in shown) == stream.isatty()


def test_given_sigterm_when_it_arrives_then_blocks_are_left_in_order_and_a_second_one_is_ignored() -> None:
    left = []

    @graceful_stop()
    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(900)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            left.append("in order")

    with pytest.raises(StopRequested):
        work()

    assert left == ["in order"]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_given_a_command_on_a_lifeline_when_its_starter_lets_go_then_it_and_its_children_end(tmp_path: Path) -> None:
    lifeline = PROJECT_ROOT / "src" / "ir_sandbox" / "cloud" / "lifeline.py"
    ids = tmp_path / "ids"
    script = f"sleep 900 & echo $! $$ > {ids}; wait"
    with subprocess.Popen(
        [sys.executable, "-I", lifeline, "sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        started = [int(number) for number in wait_for(lambda: ids.read_text() if ids.exists() else "").split()]
        assert all(is_alive(pid) for pid in started)
        assert process.stdin is not None

        process.stdin.close()
        process.wait()

    wait_for(lambda: not any(is_alive(pid) for pid in started))


def test_given_a_command_on_a_lifeline_when_it_ends_then_its_code_is_passed_on() -> None:
    lifeline = PROJECT_ROOT / "src" / "ir_sandbox" / "cloud" / "lifeline.py"
    with subprocess.Popen(
        [sys.executable, "-I", lifeline, "sh", "-c", "exit 7"], stdin=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.wait() == 7


ABANDON = """
from ir_sandbox.cloud.run_folder import RunFolder
folder = RunFolder("test")
print(folder.path, flush=True)
import time
time.sleep(900)
"""


def test_given_a_folder_whose_owner_was_killed_when_another_is_made_then_it_is_removed_and_living_ones_stay() -> None:
    with program("-c", ABANDON) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        mine = RunFolder("test")
        assert folder.is_dir()
        owner.kill()

    another = RunFolder("test")

    try:
        assert not folder.exists()
        assert mine.path.is_dir()
        assert mine.path.parent == another.path.parent == RUNS
    finally:
        mine.close()
        another.close()
    assert not mine.path.exists()
