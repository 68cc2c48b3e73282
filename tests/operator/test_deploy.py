"""D1, D6: one command deploys, verifies and ends with the specification's text; two deployments never mix."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from werkzeug.wrappers import Request, Response

from ir_operator import __main__ as command
from ir_operator.deploy import terraform_root
from ir_operator.project import Checkout
from ir_sandbox.http import RunningServer
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World

# The specification's text, "Expected Output".
SUCCESS = """\
✅ Slack integration deployed successfully!

🔍 Running deployment verification...
"""
NEXT_STEPS = """\
📝 Next steps:
   1. Configure your Slack app's Event Subscriptions URL with the API Gateway endpoint
   2. Configure your Slack app's Slash Commands with the /security-ir command
   3. Install the Slack app to your workspace
   4. Test the integration by creating a test AWS Security IR case
"""

# Replaces Terraform: keeps a state for each workspace, as Terraform does, and fails on request.
TERRAFORM = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, time

if sys.argv[1] == "version":
    print(json.dumps({{"terraform_version": "1.11.4"}}))
    sys.exit(0)
folder = pathlib.Path(sys.argv[1].removeprefix("-chdir="))
action, options = sys.argv[2], sys.argv[3:]
workspace = os.environ.get("TF_WORKSPACE", "default")
state = folder / f"state-{{workspace}}.json"
with (folder / "log").open("a") as log:
    log.write(json.dumps([workspace, action, *options]) + "\\n")
if action == os.environ.get("FAIL_AT"):
    print("Error: no valid credential sources found", file=sys.stderr)
    sys.exit(3)
if action == "apply":
    if os.environ.get("SLOW"):
        def end(*_):
            # As Terraform does: what is under way is finished, then the state is written.
            time.sleep(1)
            state.write_text("{{}}")
            sys.exit(1)

        signal.signal(signal.SIGINT, end)
        (folder / "pid").write_text(str(os.getpid()))
        time.sleep(60)
    print("Apply complete! Resources: 120 added, 0 changed, 0 destroyed.")
    state.write_text(os.environ["OUTPUTS"])
if action == "plan":
    print("Plan: 120 to add, 0 to change, 0 to destroy.")
if action == "console":
    assert "jsonencode" in sys.stdin.read()
    print(os.environ.get("CONSOLE", ""))
if action == "state":
    print(os.environ.get("ADDRESSES", ""))
if action == "output":
    print(state.read_text() if state.exists() else "{{}}")
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a Terraform root with its variables, and put the replacement on the PATH."""
    programs, folder = tmp_path / "bin", tmp_path / "terraform"
    programs.mkdir()
    folder.mkdir()
    program = programs / "terraform"
    program.write_text(TERRAFORM)
    program.chmod(0o755)
    (folder / "terraform.tfvars").write_text('region = "us-east-1"\n')
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    # The replacement reads these; a command gives Terraform no variables but those that it needs or that this names.
    monkeypatch.setenv("DEPLOY_ENVIRONMENT", "FAIL_AT,SLOW,OUTPUTS,CONSOLE,ADDRESSES")
    monkeypatch.setattr(terraform_root, "checkout", lambda: Checkout(tmp_path))
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115 - ends with the test
    return folder


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Create the resources of an apply, with the webhook at a local address."""

    @Request.application
    def application(request: Request) -> Response:
        status, headers, body = world.request(dict(request.headers), request.get_data())
        return Response(body, status, headers)

    with deployed_in(world) as deployed, RunningServer(application) as server:
        monkeypatch.setenv("OUTPUTS", outputs("security-incident", f"{server.url}/prod/slack/events"))
        yield deployed


def outputs(prefix: str, webhook_url: str) -> str:
    return json.dumps(
        {
            name: {"value": value}
            for name, value in {
                "function_names": {"sync": f"{prefix}-sync"},
                "state_machine_arn": f"arn:aws:states:us-east-1:123456789012:stateMachine:{prefix}-response",
                "SlackWebhookUrl": webhook_url,
            }.items()
        }
    )


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], root: Path) -> Run:
    def run(action: str, tfvars: str = "terraform.tfvars") -> tuple[int, str, str]:
        """Return the exit code, standard output without the functions' logs, and standard error."""
        capfd.readouterr()
        code = command.main([action, "--tfvars", str(root / tfvars)])
        printed = capfd.readouterr()
        lines = [line for line in printed.out.splitlines(keepends=True) if not line.startswith('{"')]
        return code, "".join(lines), printed.err

    return run


def log(root: Path) -> list[list[str]]:
    return [json.loads(line) for line in (root / "log").read_text().splitlines()]


def test_given_variables_when_applied_then_it_ends_with_the_specified_words_and_the_address(
    deployed: Deployed, run: Run, root: Path
) -> None:
    code, printed, _ = run("deploy")

    assert code == 0
    _, success, rest = printed.partition(SUCCESS)
    assert success, printed
    table, next_steps, end = rest.partition(NEXT_STEPS)
    assert next_steps, printed
    assert "ok       webhook endpoint" in table
    assert "ok       verified: " in table.splitlines()[-2]
    assert end.splitlines()[1].startswith("SlackWebhookUrl = http://127.0.0.1:")
    assert [entry[1] for entry in log(root)] == ["init", "console", "apply", "output"]
    assert end.splitlines()[2].endswith(": terraform -chdir=terraform output -raw slack_app_manifest")
    tfvars = os.path.relpath(root / "terraform.tfvars")
    steps = ["https://api.slack.com/apps", "Install", f"rotate TFVARS={tfvars}", "Retry", "Confirm", "make verify"]
    assert sorted(steps, key=end.index) == steps
    assert "-auto-approve" in log(root)[2], "there is no terminal to ask at"
    assert f"-var-file={root / 'terraform.tfvars'}" in log(root)[2]


def test_given_verification_is_left_out_when_applied_then_only_its_words_are_missing(
    deployed: Deployed, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKIP_VERIFICATION", "1")

    code, printed, _ = run("deploy")

    assert code == 0
    assert SUCCESS.splitlines()[0] in printed
    assert "🔍" not in printed
    assert "verified" not in printed
    assert NEXT_STEPS in printed


def test_given_something_is_broken_when_applied_then_the_code_is_1_and_the_last_line_says_so(
    deployed: Deployed, run: Run
) -> None:
    boto3.client("cloudtrail").stop_logging(Name="everything")

    code, printed, _ = run("deploy")

    assert code == 1
    assert "failed   trail in us-east-1" in printed
    assert NEXT_STEPS in printed
    last = printed.splitlines()[-1]
    assert last == "failed   deployed, but checks failed: fix the lines marked failed, then run make verify"


def test_given_no_slack_app_yet_when_applied_then_it_waits_and_the_next_steps_are_printed(
    deployed: Deployed, run: Run
) -> None:
    for name in ("slackBotToken", "slackSigningSecret", "slackWorkspaceId"):
        boto3.client("ssm").put_parameter(
            Name=f"/SecurityIncidentResponse/{name}", Value="not-configured", Overwrite=True
        )

    code, printed, _ = run("deploy")

    assert code == 0
    assert "waiting  bot token" in printed
    assert NEXT_STEPS in printed


@pytest.mark.parametrize(("action", "code"), [("init", 1), ("apply", 3)])
def test_given_terraform_fails_when_applied_then_nothing_is_said_to_be_deployed(
    run: Run, monkeypatch: pytest.MonkeyPatch, action: str, code: int
) -> None:
    monkeypatch.setenv("FAIL_AT", action)

    found, printed, errors = run("deploy")

    assert found == code
    assert "✅" not in printed
    assert "no valid credential sources" in errors
    assert errors.count("failed   ") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 130)])
def test_given_an_interruption_when_applied_then_terraform_ends_in_order(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setenv("SLOW", "1")

    def interrupt() -> None:
        while not (root / "pid").exists() or not (root / "pid").read_text():
            if ended.wait(0.05):
                return
        if number == signal.SIGINT:
            # A terminal interrupts all its processes.
            os.kill(int((root / "pid").read_text()), signal.SIGINT)
        os.kill(os.getpid(), number)

    ended = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    found, printed, _ = run("deploy")
    ended.set()
    thread.join()

    assert found == code
    assert (root / "state-default.json").read_text() == "{}", "it was waited for"
    assert "✅" not in printed


def test_given_variables_when_planned_then_terraforms_answer_is_shown_and_nothing_applied(run: Run, root: Path) -> None:
    code, printed, _ = run("plan")

    assert code == 0
    assert "Plan: 120 to add" in printed
    assert [entry[1] for entry in log(root)] == ["init", "console", "plan"]


def test_given_no_variables_when_applied_then_it_says_what_to_copy(run: Run, root: Path) -> None:
    (root / "terraform.tfvars").unlink()

    code, _, errors = run("deploy")

    assert code == 1
    assert f"Copy {root / 'terraform.tfvars.example'} to it" in errors


def test_given_two_deployments_when_applied_then_each_has_its_own_state(
    deployed: Deployed, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKIP_VERIFICATION", "1")
    (root / "terraform.tfvars").rename(root / "first.tfvars")
    (root / "second.tfvars").write_text('name_prefix = "acme-security"\n')
    assert run("deploy", "first.tfvars")[0] == 0
    monkeypatch.setenv("OUTPUTS", outputs("acme-security", "https://second.example/prod/slack/events"))
    assert run("deploy", "second.tfvars")[0] == 0

    assert run("verify", "first.tfvars")[0] == 0
    assert {entry[0] for entry in log(root)} == {"first", "second"}
    assert "acme-security-sync" in (root / "state-second.json").read_text()
    assert "acme-security-sync" not in (root / "state-first.json").read_text()


def test_given_a_deployment_when_a_second_is_added_then_the_first_keeps_its_state_where_it_is(
    deployed: Deployed, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKIP_VERIFICATION", "1")
    assert run("deploy")[0] == 0
    (root / "terraform.tfvars").rename(root / "default.tfvars")
    (root / "acme.tfvars").write_text('name_prefix = "acme-security"\n')
    monkeypatch.setenv("OUTPUTS", outputs("acme-security", "https://acme.example/prod/slack/events"))
    code, printed, _ = run("deploy", "acme.tfvars")

    assert code == 0
    assert "TF_WORKSPACE=acme terraform -chdir=terraform output -raw slack_app_manifest" in printed
    assert run("verify", "default.tfvars")[0] == 0, "the first, by its new name"
    assert run("verify")[0] == 0, "the first, without a name"
    assert [entry[0] for entry in log(root) if entry[1] == "apply"] == ["default", "acme"]
    assert "acme-security-sync" not in (root / "state-default.json").read_text()


def test_given_a_file_that_terraform_reads_by_itself_when_another_is_applied_then_it_is_refused(
    run: Run, root: Path
) -> None:
    (root / "second.tfvars").write_text('name_prefix = "acme-security"\n')

    code, _, errors = run("deploy", "second.tfvars")

    assert code == 1
    assert "so mix two deployments" in errors
    assert "Rename the former to default.tfvars" in errors
    assert "apply" not in {entry[1] for entry in log(root)}


def test_given_nothing_is_deployed_when_verified_then_it_says_how_to_name_a_deployment(run: Run) -> None:
    code, _, errors = run("verify")

    assert code == 1
    assert "Run make deploy, or name an existing deployment" in errors
