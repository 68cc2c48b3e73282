"""The commands verify, replay and resync: a table, a last line with the result, an exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from werkzeug.wrappers import Request, Response

from ir_operator import __main__ as command
from ir_operator.deploy import verification, webhook_endpoint
from ir_operator.deploy.deployment import Deployment
from ir_router import __version__
from ir_router.ops import replay as replay_task
from ir_router.ops import verify as verify_task
from ir_sandbox.http import RunningServer
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World

NAMED = ["--prefix", "security-incident", "--region", "us-east-1"]


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)
    with deployed_in(world) as deployed:
        yield deployed


Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "160")  # no line of an instruction is wrapped

    def run(*arguments: str) -> tuple[int, list[str], str]:
        """Return the exit code, the terminal's lines without the functions' logs, and standard error."""
        capsys.readouterr()
        code = command.main([*arguments, *NAMED])
        printed = capsys.readouterr()
        return code, [line for line in printed.out.splitlines() if not line.startswith("{")], printed.err

    return run


def test_given_a_complete_deployment_when_verified_then_an_aligned_table_ends_with_the_result(
    deployed: Deployed, run: Run
) -> None:
    code, lines, _ = run("verify")

    assert code == 0
    assert lines[0] == "Verifying security-incident in us-east-1 ..."
    assert re.fullmatch(r"ok       verified: \d+ ok", lines[-1])
    rows = [line for line in lines[1:-2] if not line.lstrip().startswith("->")]
    assert {row[:9] for row in rows} == {"ok       "}
    column = rows[1].index("security-incident in us-east-1")
    assert all(row[column - 2 : column] == "  " and row[column] != " " for row in rows)


def test_given_a_revoked_token_when_verified_then_the_last_line_names_it_and_the_code_is_1(
    deployed: Deployed, world: World, run: Run
) -> None:
    world.workspace.revoke_token(world.app.token)

    code, lines, _ = run("verify")

    assert code == 1
    assert re.fullmatch(r"failed   verified: \d+ ok, 1 failed \(Slack token\)", lines[-1])
    at = next(index for index, line in enumerate(lines) if line.startswith("failed   Slack token"))
    assert "token_revoked" in lines[at]
    assert lines[at + 1].strip().startswith("-> Reinstall the app")


def test_given_no_slack_app_when_verified_then_it_is_not_green(deployed: Deployed, run: Run) -> None:
    for name in ("slackBotToken", "slackSigningSecret", "slackWorkspaceId"):
        boto3.client("ssm").put_parameter(
            Name=f"/SecurityIncidentResponse/{name}", Value="not-configured", Overwrite=True
        )

    code, lines, _ = run("verify")

    assert code == 1
    assert lines[-1].startswith("waiting  verified: ")


def test_given_an_old_secret_when_verified_then_it_warns_and_the_code_is_0(
    deployed: Deployed, world: World, run: Run
) -> None:
    world.advance(91 * 86_400)
    deployed.poll()

    code, lines, _ = run("verify")

    assert code == 0
    assert re.fullmatch(r"ok       verified: \d+ ok, 1 warning", lines[-1])


@pytest.mark.parametrize(
    ("deployed_version", "line"),
    [
        (__version__, f"ok       version  {__version__} deployed, this package is {__version__}"),
        ("9.9.9", f"warning  version  9.9.9 deployed, this package is {__version__}"),
        (None, f"warning  version  before 0.2.0 deployed, this package is {__version__}"),
    ],
)
def test_given_a_deployed_version_when_verified_then_it_is_compared_with_the_packages(
    deployed: Deployed, run: Run, monkeypatch: pytest.MonkeyPatch, deployed_version: str | None, line: str
) -> None:
    monkeypatch.setattr(verify_task, "__version__", deployed_version)

    code, lines, _ = run("verify")

    assert code == 0
    assert line in [re.sub(r"(?<=version ) +", " ", row) for row in lines]


def test_given_no_such_deployment_when_verified_then_it_says_where_it_looked(deployed: Deployed, capsys: Any) -> None:
    boto3.client("lambda").delete_function(FunctionName="security-incident-operations")

    def refuse(**_: Any) -> Any:
        class Answer:
            status_code = 404
            headers: dict[str, str] = {}  # noqa: RUF012

        return Answer(), {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}

    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register_first("before-call.lambda.Invoke", refuse)

    assert command.main(["verify", *NAMED]) == 1
    assert (
        "Invoking security-incident-operations in us-east-1 failed: ResourceNotFoundException: Function not found"
        in (capsys.readouterr().err)
    )


def test_given_nothing_failed_when_replayed_then_it_says_so(deployed: Deployed, run: Run) -> None:
    assert run("replay") == (0, ["ok       replayed: there was no failed work"], "")


def test_given_failed_work_when_replayed_then_each_entry_has_its_line(
    deployed: Deployed, world: World, run: Run
) -> None:
    case_id = world.create_case()
    arn = "arn:aws:lambda:us-east-1:123456789012:function:security-incident-sync"
    event = {"source": "security-ir", "detail-type": "CaseUpdated", "detail": {"caseId": case_id}}
    for payload in (event, {"task": "poll"}):
        boto3.client("sqs").send_message(
            QueueUrl=deployed.failures,
            MessageBody=json.dumps({"requestContext": {"functionArn": arn}, "requestPayload": payload}),
        )
    boto3.client("sqs").send_message(QueueUrl=deployed.failures, MessageBody="what is this?")

    code, lines, _ = run("replay", "--queue", "failures")

    assert code == 1
    assert lines == [
        f"moved    failures  CaseUpdated {case_id} for security-incident-sync -> security-incident-sync",
        "dropped  failures  poll for security-incident-sync",
        "           -> later polls have done its work",
        "kept     failures  an entry that is not a JSON object",
        "           -> neither EventBridge nor Lambda writes entries of this form",
        "",
        "failed   replayed: 1 moved, 1 dropped, 1 kept; 1 left: fix the causes of the kept entries, then replay again",
    ]


def test_given_a_wrong_queue_when_replayed_then_the_functions_own_words_are_shown(deployed: Deployed, run: Run) -> None:
    code, lines, errors = run("replay", "--queue", "everything")

    assert code == 1
    assert lines == []
    assert "InvalidInputError: queue must be one of slack-events, files, failures." in errors


def test_given_a_case_when_resynced_then_its_outcome_is_said(deployed: Deployed, world: World, run: Run) -> None:
    case_id = world.create_case()

    assert run("resync", case_id) == (0, [f"ok       case {case_id}: in sync with its channel"], "")
    assert run("resync", "9999999999") == (1, ["failed   case 9999999999: there is no such case in this region"], "")


# The external check of the webhook


@pytest.fixture
def api(world: World) -> Iterator[str]:
    """Serve the API at an address, with the simulator's webhook behind it."""

    @Request.application
    def application(request: Request) -> Response:
        status, headers, body = world.request(dict(request.headers), request.get_data())
        return Response(body, status, headers)

    with RunningServer(application) as server:
        yield f"{server.url}/prod/slack/events"


def endpoint_line(url: str | None) -> tuple[str, str]:
    found = Deployment("security-incident", "us-east-1", url).invoke("verify")
    assert url is not None
    state, _, detail, _ = webhook_endpoint.check(url, found["probe"])
    return state, detail


def test_given_the_webhook_when_looked_at_from_outside_then_signed_requests_pass_and_others_do_not(
    deployed: Deployed, api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert endpoint_line(api) == ("ok", "answers signed requests and rejects unsigned ones")

    verification.verify(Deployment("security-incident", "us-east-1", api))
    assert "ok       webhook endpoint" in capsys.readouterr().out


def test_given_a_secret_that_has_just_changed_when_looked_at_then_the_webhook_gets_a_minute(
    deployed: Deployed, world: World, api: str
) -> None:
    assert world.workspace.verify_request_url(world.app)  # the webhook uses the old one now
    boto3.client("ssm").put_parameter(
        Name="/SecurityIncidentResponse/slackSigningSecret", Value="f" * 32, Overwrite=True
    )
    before = world.now()

    assert endpoint_line(api)[0] == "ok"
    assert 0 < world.now() - before < 90


def test_given_a_webhook_that_is_closed_when_looked_at_then_its_answer_is_reported(deployed: Deployed) -> None:
    for status, expected in (
        (403, "answers HTTP 403 to an unsigned request"),
        (200, "answers HTTP 200"),
    ):

        @Request.application
        def application(_: Request, status: int = status) -> Response:
            return Response("{}", status)

        with RunningServer(application) as server:
            state, detail = endpoint_line(server.url)
        assert state == "failed"
        assert expected in detail
    assert endpoint_line(server.url)[1].startswith(f"{server.url} cannot be reached")


def test_given_a_webhook_without_a_secret_when_looked_at_then_it_refuses_and_that_is_right(
    deployed: Deployed, api: str
) -> None:
    boto3.client("ssm").put_parameter(
        Name="/SecurityIncidentResponse/slackSigningSecret", Value="not-configured", Overwrite=True
    )

    assert endpoint_line(api) == ("ok", "rejects unsigned requests; no signing secret is stored to send a signed one")
